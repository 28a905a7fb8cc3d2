"""The layout ``voc``: Pascal VOC's folders, as the challenge, CVAT and others write them.

::

    JPEGImages/<name>.jpg
    SegmentationClass/<name>.png          a colour for each class, with or without a palette
    ImageSets/Segmentation/{train,val,test}.txt                    (optional)
    labelmap.txt                                                   (optional)

The lists hold a name per line. Without ``train.txt``, ``trainval.txt`` is the training split;
without any list of a split, all pairs are split by the tool. Pictures that no list names and that
have no mask are unlabelled. ``labelmap.txt`` is CVAT's; without it, the classes and colours are the
challenge's 21. Pixels of the colour (224, 224, 192), the challenge's border of objects, count
nowhere. Masks stored as grey levels are read as the numbers of the classes, and 255 counts nowhere.
``SegmentationObject``, which tells objects of one class apart, is left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from headstart.data.files import natural_key, open_regular, read_file
from headstart.data.label_map import LabelMap, label_map_of
from headstart.data.layouts.annotations.annotated_frames import folder_groups
from headstart.data.layouts.annotations.annotation_files import PicturesByName, bad_annotations
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.frame_names import frame_names
from headstart.data.layouts.label_files import (
    Pairs,
    classes_sentence,
    read_labelmap,
    voc_colour,
)
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch, composed, export_layout
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame, Layer
from headstart.errors import DataError, Severity

_PICTURES, _MASKS, _OBJECTS = "JPEGImages", "SegmentationClass", "SegmentationObject"
_LISTS = "ImageSets/Segmentation"
_LIST_BYTES = 1 << 26
_VOID = (224, 224, 192)
_CHALLENGE = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip


def evidence(root: Path) -> Path | None:
    """Return the folder of VOC's masks if that of its pictures lies beside it."""
    return root / _MASKS if (root / _PICTURES).is_dir() and (root / _MASKS).is_dir() else None


def _find(search: FrameSearch) -> LabelMap | None:
    root = search.root
    pictures = _by_name(search, _PICTURES)
    masks = _by_name(search, _MASKS)
    pairs, source = _classes(root)
    lists = _lists(search)
    with_lists = bool(lists)
    if not lists:
        lists = {NO_SPLIT: list(masks)}
        search.reading.append(f"No list in {_LISTS}/ names a split: all masks are used.")
    search.reading.append(
        f"{len(pictures)} pictures in {_PICTURES}/ are paired with {len(masks)} masks in "
        f"{_MASKS}/ by name."
    )
    if (root / _OBJECTS).is_dir():
        search.reading.append(f"{_OBJECTS}/ is left out: it tells objects apart, not classes.")
    label_map = label_map_of([*pairs, *_void(pairs)], source)
    groups = folder_groups(list(pictures.values()), root)
    if known := {group for group in groups.values() if group}:
        search.reading.append(f"Groups: {len(known)}, from the folders in {_PICTURES}/.")
    for split, names in lists.items():
        frames = [
            replace(frame, group=groups[frame.image])
            for frame in _frames(search, split, names, pictures, masks, listed=with_lists)
        ]
        if frames:
            search.splits[split] = _with_grey_masks(frames, pairs, label_map, root)
    listed = {name for names in lists.values() for name in names}
    _unlisted(search, listed, pictures, masks)
    search.reading.append(classes_sentence(label_map, source))
    complete_splits(search)
    return label_map


LAYOUT = export_layout(
    name="voc",
    arrangement="Pascal VOC's JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/",
    evidence=evidence,
    find=_find,
)


def _by_name(search: FrameSearch, folder: str) -> dict[str, Path]:
    """Return the pictures in a folder and its subfolders by path without ending."""
    root = search.root / folder
    by_name: dict[str, Path] = {}
    for path in PicturesByName(root).pictures:
        name = composed(path.relative_to(root).with_suffix("").as_posix())
        if name in by_name:
            message = "several pictures share one stem, so the right one cannot be chosen"
            both = [by_name[name], path]
            search.add_finding("same-stem", "error", message, "keep one of them", both)
        by_name[name] = path
    return by_name


def _classes(root: Path) -> tuple[Pairs, str]:
    """Return the classes with their colours in the order of their numbers, and their source."""
    if (root / "labelmap.txt").is_file():
        return read_labelmap(root / "labelmap.txt", root), "labelmap.txt"
    pairs: Pairs = [(name, voc_colour(k)) for k, name in enumerate(_CHALLENGE)]
    return pairs, "the VOC challenge (there is no labelmap.txt)"


def _void(pairs: Pairs) -> Pairs:
    """Return the ignored colour, unless a class has it or the classes name one themselves."""
    taken = any(name == "ignore" or colour == [*_VOID] for name, colour in pairs)
    return [] if taken else [("ignore", [*_VOID])]


def _lists(search: FrameSearch) -> dict[str, list[str]]:
    """Return the names in the lists by split; empty if there are no lists."""
    folder = search.root / _LISTS
    paths = sorted(path for path in folder.glob("*.txt") if not path.name.startswith("."))
    by_split = {split: path for path in paths if (split := usual_split(path.stem)) is not None}
    both = next((path for path in paths if path.stem.lower() == "trainval"), None)
    if both is not None and not {"train", "validation"} & set(by_split):
        by_split["train"] = both
    if not by_split:  # CVAT calls the list of a task without splits default.txt
        by_split = {NO_SPLIT: paths[0]} if len(paths) == 1 else {}
    if unused := [path for path in paths if path not in by_split.values()]:
        names = ", ".join(path.name for path in unused)
        search.reading.append(f"Lists in {_LISTS}/ that are not read: {names}.")
    lists = {}
    for split, path in sorted(
        by_split.items(), key=lambda item: [*SPLITS, NO_SPLIT].index(item[0])
    ):
        lists[split] = _list(search, path)
        search.reading.append(
            f"{path.name} lists {len(lists[split])} frames: {split or 'not split yet'}."
        )
    _report_twice(search, lists)
    return lists


def _list(search: FrameSearch, path: Path) -> list[str]:
    try:
        text = read_file(path, search.root, _LIST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        message, hint = "the list is not UTF-8 text", "save it as UTF-8, with a name per line"
        raise bad_annotations(message, hint, path, search.root) from None
    names = (composed(line.strip()) for line in text.splitlines())
    return list(dict.fromkeys(name for name in names if name))


def _report_twice(search: FrameSearch, lists: dict[str, list[str]]) -> None:
    counts = Counter(name for names in lists.values() for name in names)
    if twice := [search.root / _PICTURES / name for name, count in counts.items() if count > 1]:
        message = "pictures are in the lists of several splits"
        hint = "keep each in one list; scores on pictures that were trained on mean nothing"
        search.add_finding("picture-twice", "error", message, hint, twice)


def _frames(
    search: FrameSearch,
    split: str,
    names: list[str],
    pictures: dict[str, Path],
    masks: dict[str, Path],
    listed: bool,
) -> list[Frame]:
    """Return the frames of a split; report pictures and masks that are missing.

    Args:
        search: gets the faults.
        split: its name.
        names: of its pictures, without ending.
        pictures: by name.
        masks: by name.
        listed: whether a list gives the names; else the masks do.
    """
    root = search.root
    if missing := [root / _PICTURES / name for name in names if name not in pictures]:
        message, others = "masks have no picture", "remove the masks"
        if listed:
            message, others = "pictures that a list names are missing", "shorten the list"
        hint = f"add them to {_PICTURES}/, or {others}"
        search.add_finding("annotated-picture-missing", "error", message, hint, missing)
    present = [name for name in names if name in pictures]
    if lacking := [pictures[name] for name in present if name not in masks]:
        # The challenge keeps the masks of its test pictures to itself.
        secret = split == "test" and len(lacking) == len(present)
        severity: Severity = "warning" if secret else "error"
        message = f"pictures of the {split} split have no mask in {_MASKS}/"
        hint = "leave them out: nothing to do" if secret else "add the masks, or shorten the list"
        search.add_finding("image-without-mask", severity, message, hint, lacking)
    labelled = {pictures[name]: masks[name] for name in present if name in masks}
    frame_name = frame_names(search, list(labelled), root / _PICTURES)
    frames = [Frame(name, path, labelled[path]) for path, name in frame_name.items()]
    return sorted(frames, key=lambda frame: natural_key(frame.name))


def _with_grey_masks(
    frames: list[Frame], pairs: Pairs, label_map: LabelMap, root: Path
) -> tuple[Frame, ...]:
    """Return the frames; masks of grey levels get a layer that reads them as class numbers."""
    by_name = dict(zip(label_map.names, label_map.greys, strict=True))
    names = [name for name, _ in pairs if name != "ignore"]
    levels = tuple((k, by_name[name]) for k, name in enumerate(names))
    known = f"the numbers of the classes, 0 to {len(names) - 1}, and 255"
    hint = "save the mask with the colours of the classes, or with their numbers as grey levels"

    def with_layer(frame: Frame) -> Frame:
        assert isinstance(frame.mask, Path)
        if not _is_grey(frame.mask, root):
            return frame
        layer = Layer(frame.mask, levels, known, hint=hint, ignored=(255,))
        return Frame(frame.name, frame.image, (layer,), frame.group)

    return tuple(map(with_layer, frames))


def _is_grey(path: Path, root: Path) -> bool:
    """Whether a PNG stores grey levels rather than colours or a palette, by its header."""
    try:
        with open_regular(path, root) as file:
            header = file.read(26)
    except DataError:
        return False  # reading the mask names the fault
    return header[:4] == b"\x89PNG" and header[25:] in (b"\x00", b"\x04")


def _unlisted(
    search: FrameSearch, listed: set[str], pictures: dict[str, Path], masks: dict[str, Path]
) -> None:
    """Make pictures that no list names unlabelled; leave those that have masks out."""
    others = [name for name in pictures if name not in listed]
    if labelled := [pictures[name] for name in others if name in masks]:
        message = "pictures that have a mask are in no list, so they are left out"
        hint = f"add their names to a list in {_LISTS}/"
        search.add_finding("passed-over", "warning", message, hint, labelled)
    free = [pictures[name] for name in others if name not in masks]
    if free:
        names = frame_names(search, free, search.root / _PICTURES)
        frames = [Frame(name, path) for path, name in names.items()]
        search.unlabelled["train"] = tuple(sorted(frames, key=lambda f: natural_key(f.name)))
        search.reading.append(
            f"{len(free)} pictures without mask are in no list: they are unlabelled, for "
            "pre-training."
        )
    if lonely := [masks[name] for name in masks if name not in pictures and name not in listed]:
        hint = "add the image, or remove the mask; names are case-sensitive"
        search.add_finding("mask-without-image", "warning", "masks have no image", hint, lonely)
