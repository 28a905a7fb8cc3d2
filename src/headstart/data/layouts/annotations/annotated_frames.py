"""From annotated pictures to the frames and classes of a dataset."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from headstart.data.files import natural_key, shown
from headstart.data.label_map import LabelMap, backgrounds
from headstart.data.layouts.annotations.annotation_files import PicturesByName
from headstart.data.layouts.annotations.annotation_shapes import ShapeReader
from headstart.data.layouts.frame_names import frame_names
from headstart.data.layouts.name_patterns import outermost_difference, usual_split
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.frame import Frame, MaskLayer
from headstart.errors import DataError, Finding

MAX_CLASSES = 254
_MAX_NAME = 100

Annotated = dict[str, dict[Path, tuple[MaskLayer, ...]]]
"""By split, the layers of each annotated picture."""


def classes_of(names: Sequence[str], path: Path, root: Path) -> LabelMap:
    """Return the label map of classes in the order in which they are given.

    A class that is called background gets grey level 0; without one, ``background`` is added. The
    others have the levels 1, 2, 3, ...

    Raises:
        DataError: there are no classes, more than 254, two of one name, two that
            could be the background, or a name that is not 1 to 100 printable characters.
    """
    problems = []
    named = backgrounds(names)
    others = [name for name in names if name not in named]
    if not others:
        problems.append(("there are no classes", "declare the classes, and export again"))
    if len(others) > MAX_CLASSES:
        message = f"there are {len(others)} classes, expected at most {MAX_CLASSES}"
        problems.append((message, "keep the classes you need, and export again"))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        message = f"several classes are called {', '.join(twice[:5])}"
        problems.append((message, "give each class a name of its own"))
    elif len(named) > 1:
        message = f"several classes could be the background: {', '.join(named[:5])}"
        problems.append((message, "rename all but one"))
    if odd := [n for n in names if not (n.strip() and n.isprintable() and len(n) <= _MAX_NAME)]:
        message = f"invalid class names: {', '.join(ascii(name)[:40] for name in odd[:5])}"
        problems.append((message, f"use 1 to {_MAX_NAME} printable characters"))
    if problems:
        where = (shown(path, root),)
        raise DataError(
            [Finding("bad-annotations", "error", what, hint, where) for what, hint in problems]
        )
    return LabelMap((*(named or ("background",)), *others), tuple(range(len(others) + 1)))


def say_classes(search: FrameSearch, label_map: LabelMap, source: str) -> None:
    """Add a sentence that says which classes there are, and where their names come from."""
    names = label_map.names
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    search.reading.append(f"Classes: {listed} (from {source})")


def set_frames(
    search: FrameSearch,
    annotated: Annotated,
    split_source: str,
    unlabelled: Iterable[tuple[str, Path]] = (),
) -> None:
    """Fill a search with frames, groups and splits.

    Args:
        search: gets frames, findings, and sentences that describe the splits.
        annotated: layers by split and picture.
        split_source: where the splits come from, in words.
        unlabelled: split and path of pictures without labels. Those of the test split are left out,
            because nothing may be learned from them.
    """
    groups = folder_groups(
        [path for pictures in annotated.values() for path in pictures], search.root
    )
    if known := sorted({group for group in groups.values() if group}):
        listed = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
        search.reading.append(f"Groups: {len(known)}, from the folders {listed}")
    for split, pictures in annotated.items():
        if pictures:
            names = frame_names(search, sorted(pictures), search.root)
            ordered = sorted(names, key=lambda path: natural_key(names[path]))
            search.splits[split] = tuple(
                Frame(names[path], path, pictures[path], groups[path]) for path in ordered
            )
    by_split: dict[str, list[Path]] = defaultdict(list)
    for split, path in unlabelled:
        by_split[split or "train"].append(path)
    for split in ("train", "validation"):
        if by_split[split]:
            names = frame_names(search, sorted(by_split[split]), search.root)
            search.unlabelled[split] = tuple(
                Frame(names[path], path) for path in by_split[split] if path in names
            )
            search.reading.append(
                f"{len(by_split[split])} pictures without annotations are unlabelled ({split})"
            )
    search.say_left_out(len(by_split["test"]))
    every_layer = [
        layer for pictures in annotated.values() for p in pictures.values() for layer in p
    ]
    if not any(getattr(layer, "shapes", True) for layer in every_layer):
        if not any(finding.severity == "error" for finding in search.findings):
            message = f"none of {len(every_layer)} pictures has an annotation that covers pixels"
            hint = f"add annotations, as {search.arrangement}"
            search.add_finding("no-masks", "error", message, hint)
        return
    complete_splits(search, split_source)


def folder_groups(paths: list[Path], root: Path) -> dict[Path, str | None]:
    """Return the outermost folder that differs, such as a patient's, apart from split folders.

    None where there is no such folder, or where each has one picture.
    """
    folders = {
        path: [part for part in path.relative_to(root).parts[:-1] if not usual_split(part)]
        for path in paths
    }
    same = outermost_difference(folders.values())
    groups = {path: names[same] if len(names) > same else None for path, names in folders.items()}
    counts = Counter(groups.values())
    several = len(counts) > 1 and max(counts.values()) > 1
    return groups if several else dict.fromkeys(paths)


def background_only(faults: ShapeReader, annotated: Annotated, format_name: str) -> None:
    """Add a note on pictures whose mask shows only background, because they have no annotations."""
    empty = [
        picture
        for pictures in annotated.values()
        for picture, layers in pictures.items()
        if not any(getattr(layer, "shapes", True) for layer in layers)
    ]
    if empty:
        total = sum(map(len, annotated.values()))
        message = (
            f"pictures without annotations: {len(empty)} of {total}; in {format_name} this means "
            "that only background is shown"
        )
        hint = "if they show objects, annotate them or remove them"
        faults.search.add_finding("picture-without-annotations", "warning", message, hint, empty)


def report_two_splits(faults: ShapeReader, picture: Path, splits: Sequence[str]) -> None:
    """Add the error of a picture that two splits hold."""
    named = " and ".join(split or "pictures without a split" for split in splits)
    message = f"a picture is in two splits: {named}"
    hint = "keep each picture in one split; scores on pictures that were trained on mean nothing"
    faults.add_finding("picture-twice", "error", message, hint, [picture])


def report_unfound(
    faults: ShapeReader, by_name: PicturesByName, unfound: Mapping[Path, Sequence[str]]
) -> None:
    """Add the errors of annotated pictures that are missing, or that several files may be.

    Args:
        faults: gets the errors.
        by_name: the pictures of the dataset.
        unfound: the names that mean no picture, by annotation file.
    """
    root = by_name.folder
    for file, names in unfound.items():
        several = [name for name in names if len(by_name.like(name)) > 1]
        for name in (name for name in names if len(by_name.like(name)) < 2):
            message = f"{name[:200]} is annotated, but {by_name.why_not(name)}"
            hint = "add the picture, or remove it from the annotation file"
            faults.add_finding("annotated-picture-missing", "error", message, hint, [file])
        if several:
            more = f"; further names like it: {len(several) - 1}" if several[1:] else ""
            message = f"{several[0][:200]} is annotated, but {by_name.why_not(several[0])}{more}"
            like = by_name.like(several[0])
            hint = f"name the picture in the annotation file as {shown(like[0], root)}"
            if len(folders := {path.relative_to(root).parts[0] for path in like}) == len(like):
                beside = shown(root / min(folders, key=natural_key) / file.name, root)
                hint = f"put the annotation file beside its pictures, as {beside}; or {hint}"
            faults.add_finding("annotated-picture-missing", "error", message, hint, [file])


def count_of(annotated: Annotated) -> str:
    """Return the numbers of pictures and shapes in words."""
    layers = [layers for pictures in annotated.values() for layers in pictures.values()]
    shapes = sum(len(getattr(layer, "shapes", (layer,))) for each in layers for layer in each)
    return f"{len(layers)} pictures with {shapes} annotations"


def split_of(search: FrameSearch, path: Path) -> str:
    """Return the split that a folder on the way to a picture names, or ``NO_SPLIT``."""
    for part in path.relative_to(search.root).parts[:-1]:
        if split := usual_split(part):
            return split
    return NO_SPLIT
