"""The layout ``roboflow-masks``: Roboflow's export "Semantic Segmentation Masks".

::

    train/<stem>.jpg  train/<stem>_mask.png  train/_classes.csv
    valid/...                                                      (optional)
    test/...                                                       (optional)

``_classes.csv`` names the class of each grey level. A folder without splits may hold the files
itself; it is split by the tool.
"""

from __future__ import annotations

import os
from pathlib import Path

from headstart.data.files import listing, open_regular, shown
from headstart.data.label_map import LabelMap, label_map_of
from headstart.data.layouts.label_files import classes_sentence, read_classes_csv
from headstart.data.layouts.label_palettes import check_palettes
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch, composed, export_layout, mask_files, pair
from headstart.data.layouts.splitting import NO_SPLIT, complete_splits
from headstart.data.pictures.reading import SUFFIXES
from headstart.errors import DataError, Finding

_CLASSES = "_classes.csv"
_MASK = "_mask.png"
_PURPOSE = {
    "train": "train",
    "validation": "validate",
    "test": "test",
    NO_SPLIT: "are in no split",
}


def evidence(root: Path) -> Path | None:
    """Return the first ``_classes.csv`` of grey levels, of a split or in the folder itself.

    Roboflow's exports of whole-picture classes have a file of the same name; its first column is
    another.
    """
    paths = (folder / _CLASSES for _, folder in _folders(root))
    return next((path for path in paths if _names_levels(path)), None)


def _folders(root: Path) -> list[tuple[str, Path]]:
    """Return each split with its folder; the folder itself if there are none."""
    try:
        with os.scandir(root) as entries:  # asks no file for its kind, as there may be many
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
    named = [(split, root / name) for name in names if (split := usual_split(name)) is not None]
    return named or [(NO_SPLIT, root)]


def _names_levels(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with open_regular(path, path.parent) as file:
            head = file.read(64)
    except DataError:
        return False
    return head.removeprefix(b"\xef\xbb\xbf").lower().lstrip(b' "').startswith(b"pixel value")


def _find(search: FrameSearch) -> LabelMap | None:
    folders = _folders(search.root)
    splits = [split for split, _ in folders]
    if twice := [folder for split, folder in folders if splits.count(split) > 1]:
        message = "several folders are named as the same split"
        hint = "keep one of them"
        names = tuple(shown(folder, search.root) for folder in twice)
        raise DataError(Finding("two-validation-splits", "error", message, hint, names))
    for split, folder in folders:
        images, masks = _pictures(search, folder)
        pair(search, split, images, masks)
        where = f"in {shown(folder, search.root)}/" if split else "in the folder"
        search.reading.append(
            f"The {len(search.splits.get(split, ()))} frames {where} {_PURPOSE[split]}: "
            f"<stem>.* is paired with <stem>{_MASK}."
        )
    complete_splits(search)
    return _label_map(search, [folder / _CLASSES for _, folder in folders])


LAYOUT = export_layout(
    name="roboflow-masks",
    arrangement="Roboflow's {train,valid,test}/<stem>.jpg, <stem>_mask.png and _classes.csv",
    evidence=evidence,
    find=_find,
)


def _pictures(search: FrameSearch, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return images and masks by stem; report other files, and images that share a stem."""
    images: dict[str, list[Path]] = {}
    masks: dict[str, Path] = {}
    others = []
    for name in listing(folder, search.root):
        path = folder / name
        if name.endswith(_MASK):
            masks[composed(name.removesuffix(_MASK))] = path
        elif path.suffix.lower() in SUFFIXES:
            images.setdefault(composed(path.stem), []).append(path)
        elif name != _CLASSES and folder != search.root:
            others.append(path)
    if others:
        message = f"files that do not end in {' '.join(SUFFIXES)} were passed over"
        hint = "convert them to one of these formats, or move them away"
        search.add_finding("passed-over", "warning", message, hint, others)
    for paths in images.values():
        if len(paths) > 1:
            message = "several pictures share one stem, so the right one cannot be chosen"
            search.add_finding("same-stem", "error", message, "keep one of them", paths)
    return {stem: paths[0] for stem, paths in images.items()}, masks


def _label_map(search: FrameSearch, paths: list[Path]) -> LabelMap:
    """Return the classes of all splits, which must agree."""
    root = search.root
    by_split = {path: read_classes_csv(path, root) for path in paths if path.is_file()}
    first, *rest = by_split
    name = shown(first, root)
    if differing := [path for path in rest if set(by_split[path]) != set(by_split[first])]:
        message = "the splits' _classes.csv name different classes or levels"
        hint = "export all splits from one version of the Roboflow project"
        where = (name, *(shown(path, root) for path in differing))
        raise DataError(Finding("label-map", "error", message, hint, where))
    label_map = label_map_of(by_split[first], name)
    search.reading.append(classes_sentence(label_map, name))
    check_palettes(search, label_map, mask_files(search), None)
    return label_map
