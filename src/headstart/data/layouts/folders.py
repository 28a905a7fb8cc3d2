"""Which files of a folder form a dataset; nothing is decoded, all faults are found at once.

The layout ``assignment``, recognised by its folder ``segmentation``::

    mapping.json
    segmentation/{train,validation,test}/<k>/<k>_input.jpg  <k>_mask.png
    colorization/{train_cor,validation_cor}/<k>/<k>_input.jpg      (optional)

The plain layout, in which an image and its mask share their stem::

    mapping.json
    {train,validation,test}/{images,masks}/<stem>.*     or    {images,masks}/<stem>.*
    unlabelled/<stem>.*                                            (optional)
    groups.csv                                                     (optional)

``images`` and ``masks`` alone are split by the tool, see [`headstart.data.groups`][].
``groups.csv`` has the columns ``stem`` (after its split where the folder has splits: ``train/17``)
and ``group``: the video or patient that a frame comes from. Names that start with a dot are passed
over. The third layout is EndoVis 2017 as the challenge released it, see
[`headstart.data.layouts.endovis`][].
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from headstart.data.files import listing, merged, natural_key, shown
from headstart.data.groups import read_groups, split
from headstart.data.label_map import LabelMap, read_label_map
from headstart.data.layouts import endovis
from headstart.data.pictures.frame import Frame as Frame  # what a dataset is made of, for its users
from headstart.data.pictures.reading import SUFFIXES, read_mask
from headstart.errors import DataError, Finding, Severity, UsageError

SPLITS = ("train", "validation", "test")

_ARRANGE = (
    "arrange it as segmentation/{train,validation,test}/<k>/<k>_input.jpg and <k>_mask.png, "
    "as {train,validation,test}/{images,masks}/, as images/ and masks/, or as the EndoVis 2017 "
    "challenge's instrument_dataset_<k>/"
)


@dataclass(frozen=True)
class Dataset:
    """What a folder holds.

    Attributes:
        root: the folder.
        layout: ``"assignment"``, ``"plain"`` or ``"endovis"``.
        label_map: classes and grey levels.
        splits: labelled frames by split, in natural order (2 before 10).
        unlabelled: pictures for pre-training: ``"train"``, and ``"validation"`` where there are.
        findings: warnings met on the way.
    """

    root: Path
    layout: str
    label_map: LabelMap
    splits: dict[str, tuple[Frame, ...]]
    unlabelled: dict[str, tuple[Frame, ...]]
    findings: tuple[Finding, ...]


@dataclass
class _Search:
    """What has been found so far, wrong or right."""

    root: Path
    splits: dict[str, tuple[Frame, ...]] = field(default_factory=dict)
    unlabelled: dict[str, tuple[Frame, ...]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def found(
        self, code: str, severity: Severity, message: str, hint: str, paths: Iterable[Path] = ()
    ) -> None:
        files = tuple(shown(path, self.root) for path in paths)
        self.findings.append(Finding(code, severity, message, hint, files))


def open_dataset(root: Path) -> Dataset:
    """Find the frames of a dataset, whatever its layout.

    Args:
        root: its folder; of EndoVis 2017 as released also ``folder/target-foldN``.

    Raises:
        DataError: with every fault of the folders, the label map and the groups that can be seen
            without decoding a picture.
    """
    if release := endovis.recognise(root):
        folder, choice = release
        found = endovis.find(folder, choice)
        splits, unlabelled = found.splits, found.unlabelled
        return Dataset(
            folder, "endovis", found.label_map, splits, unlabelled, tuple(found.findings)
        )
    _require_folder(root)
    search = _Search(root)
    label_map = None
    try:
        layout = layout_of(root)
        if layout == "assignment":
            _find_assignment(search)
        elif layout == "plain":
            _find_plain(search)
        else:
            raise DataError(_unrecognised(root))
        label_map = _find_label_map(search)
    except DataError as error:
        search.findings += error.findings
    errors = [finding for finding in search.findings if finding.severity == "error"]
    if errors or label_map is None:
        raise DataError(merged(errors))
    assert layout is not None
    findings = merged(search.findings)
    return Dataset(root, layout, label_map, search.splits, search.unlabelled, findings)


def layout_of(root: Path) -> str | None:
    """How a folder arranges its frames; None: it is no dataset, perhaps a folder of pictures.

    Raises:
        DataError: it is EndoVis 2017 with a target or fold that there is not.
    """
    if endovis.recognise(root):
        return "endovis"
    if (root / "segmentation").is_dir():
        return "assignment"
    if any((root / name / "images").is_dir() for name in (*SPLITS, ".")):
        return "plain"
    return None


def find_pictures(source: Path, or_else: str = "") -> tuple[Frame, ...]:
    """The pictures of ``source``: itself, or the files of a folder, by name.

    Args:
        source: a picture, or a folder.
        or_else: what else the caller takes, for the hint where there are none.

    Raises:
        DataError: there is nothing, or two pictures share a stem (their masks would too).
    """
    if source.is_dir():
        paths = sorted(
            p
            for p in source.iterdir()
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
        )
    else:
        paths = [source] if source.exists() else []
    if not paths:
        message = f"{source} is no picture and no folder with pictures"
        hint = f"expected files ending in {', '.join(SUFFIXES)}, in the folder itself, not below it"
        hint += f"; {or_else}" if or_else else ""
        raise DataError(Finding("no-pictures", "error", message, hint))
    stems = Counter(p.stem for p in paths)
    twice = tuple(p.name for p in paths if stems[p.stem] > 1)
    if twice:
        message = "pictures share a name up to their ending, so their masks would too"
        raise DataError(Finding("same-stem", "error", message, "rename one of them", twice))
    return tuple(Frame(p.stem, p) for p in paths)


def _require_folder(root: Path) -> None:
    try:
        if root.is_dir():
            return
        message = f"{root} is not a folder" if root.exists() else f"there is no folder {root}"
    except OSError as error:
        message = f"{root} cannot be looked at: {error.strerror}"
    hint = "give the folder of the dataset, unpacked"
    raise DataError(Finding("no-such-folder", "error", message, hint))


def _unrecognised(root: Path) -> Finding:
    names = listing(root, root)
    inside = [n for n in names if layout_of(root / n)]
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    message = f"{root} has none of the known layouts; it holds {listed or 'nothing'}"
    hint = f"did you mean {root / inside[0]}? Otherwise {_ARRANGE}" if inside else _ARRANGE
    return Finding("layout", "error", message, hint)


def _composed(stem: str) -> str:
    """With accents composed: file systems differ in how they write them."""
    return unicodedata.normalize("NFC", stem)


def _by_stem(
    search: _Search, folder: Path, wanted: tuple[str, ...] | None = None
) -> dict[str, Path]:
    """The pictures of a folder by stem, those ``wanted`` or all; a stem must be unique."""
    pictures: dict[str, list[Path]] = {}
    others = []
    for name in listing(folder, search.root):
        path = folder / name
        if wanted is None or path.stem in wanted:
            if path.suffix.lower() in SUFFIXES:
                pictures.setdefault(_composed(path.stem), []).append(path)
            else:
                others.append(path)
    if others:
        known = " ".join(SUFFIXES)
        message = f"passed over what does not end in {known}"
        search.found("passed-over", "warning", message, "convert it, or move it away", others)
    for paths in pictures.values():
        if len(paths) > 1:
            search.found(
                "same-stem",
                "error",
                "several pictures have one stem; it cannot be told which is meant",
                "keep one of them",
                paths,
            )
    return {stem: paths[0] for stem, paths in pictures.items()}


def _pair(
    search: _Search, split_name: str, images: dict[str, Path], masks: dict[str, Path]
) -> None:
    """Fill a split with the images and masks of one stem; those without a partner are faults."""
    if not images and not masks:
        severity: Severity = "warning" if split_name == "test" else "error"
        message = f"the {split_name} split has no frames" if split_name else "there are no images"
        search.found("empty-split", severity, message, f"add some; {_ARRANGE}")
    elif not masks:
        where = f"the {split_name} split" if split_name else str(search.root)
        message = f"{where} has {len(images)} images but no masks"
        search.found("no-masks", "error", message, f"give each its mask; {_ARRANGE}")
    else:
        if alone := [path for stem, path in images.items() if stem not in masks]:
            search.found("image-without-mask", "error", *_ALONE["image"], alone)
        if alone := [path for stem, path in masks.items() if stem not in images]:
            search.found("mask-without-image", "error", *_ALONE["mask"], alone)
    frames = tuple(Frame(stem, images[stem], masks[stem]) for stem in images if stem in masks)
    if frames:
        search.splits[split_name] = frames


_ALONE = {
    "image": ("an image has no mask", "add the mask, or move the image to the unlabelled ones"),
    "mask": ("a mask has no image", "add the image, or remove the mask; names are case-sensitive"),
}


def _find_assignment(search: _Search) -> None:
    for name in SPLITS:
        _pair(search, name, *_numbered(search, search.root / "segmentation" / name))
    for name in ("train", "validation"):
        pictures, _ = _numbered(search, search.root / "colorization" / f"{name}_cor")
        if pictures:
            search.unlabelled[name] = tuple(Frame(k, path) for k, path in pictures.items())


def _numbered(search: _Search, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """``<k>/<k>_input.*`` and ``<k>/<k>_mask.*`` by k. A folder with neither is a fault."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    empty = []
    for k in listing(folder, search.root):
        if not (folder / k).is_dir():
            continue
        pictures = _by_stem(search, folder / k, (f"{k}_input", f"{k}_mask"))
        if not pictures:
            empty.append(folder / k)
        for kind, found in (("input", images), ("mask", masks)):
            if path := pictures.get(_composed(f"{k}_{kind}")):
                found[k] = path
    if empty:
        search.found(
            "no-picture",
            "error",
            "a frame's folder <k> holds no <k>_input picture",
            "add the picture, or remove the folder",
            empty,
        )
    return images, masks


def _find_plain(search: _Search) -> None:
    root = search.root
    with_splits = any((root / name / "images").is_dir() for name in SPLITS)
    for name in SPLITS if with_splits else ("",):
        images, masks = (_by_stem(search, root / name / kind) for kind in ("images", "masks"))
        _pair(search, name, images, masks)
    pictures = _by_stem(search, root / "unlabelled")
    if pictures:
        search.unlabelled["train"] = tuple(Frame(stem, path) for stem, path in pictures.items())
    _group(search)
    if "" in search.splits:
        _split(search)


def _group(search: _Search) -> None:
    """Give each labelled frame its group, where there is a ``groups.csv``."""
    path = search.root / "groups.csv"
    if not path.exists():
        return
    try:
        groups = read_groups(path)
    except DataError as error:
        search.findings += error.findings
        return
    missing: list[Path] = []
    for name, frames in search.splits.items():
        keys = [f"{name}/{frame.name}" if name else frame.name for frame in frames]
        missing += [f.image for f, key in zip(frames, keys, strict=True) if key not in groups]
        search.splits[name] = tuple(
            replace(f, group=groups.pop(key, None)) for f, key in zip(frames, keys, strict=True)
        )
    if missing:
        message = "a labelled image has no line in groups.csv"
        search.found("groups", "error", message, "give every labelled image its group", missing)
    if groups:
        few = ", ".join(list(groups)[:5])
        message = f"groups.csv names {len(groups)} stems that are no labelled images: {few}"
        hint = "check their spelling; with splits a stem is written train/17"
        search.found("groups-unused", "warning", message, hint, [path])


def _split(search: _Search) -> None:
    frames = {frame.name: frame for frame in search.splits.pop("")}
    grouped = any(frame.group is not None for frame in frames.values())
    kind = "groups" if grouped else "frames"
    try:
        parts = split({name: frame.group for name, frame in frames.items()})
    except ValueError:
        message = f"the labelled images ({len(frames)}) are fewer than three {kind}"
        hint = "label more, or make the folders train, validation and test yourself"
        search.found("too-few-frames", "error", message, hint)
        return
    for part, names in parts.items():
        search.splits[part] = tuple(frames[n] for n in sorted(names, key=natural_key))
    counts = ", ".join(f"{len(names)} {part}" for part, names in parts.items())
    message = f"the folder has no splits; it was split by the names of its {kind}: {counts}"
    hint = (
        "frames of one video or patient may be in several splits: name them in groups.csv, or "
        "make the folders train, validation and test"
    )
    search.found("split-by-tool", "info", message, "" if grouped else hint)


def _find_label_map(search: _Search) -> LabelMap | None:
    path = search.root / "mapping.json"
    if os.path.lexists(path):
        label_map, findings = read_label_map(path)
        search.findings += findings
        return label_map
    message = "there is no mapping.json to say which grey level means which class"
    search.found("no-label-map", "error", message, _suggest(search))
    return None


def _suggest(search: _Search) -> str:
    """A label map for the levels in some of the masks, ready to be named."""
    masks = [
        f.mask for frames in search.splits.values() for f in frames if isinstance(f.mask, Path)
    ]
    levels: set[int] = set()
    for mask in masks[:: max(1, len(masks) // 20)]:
        try:
            levels.update(np.unique(read_mask(mask, search.root)).tolist())
        except DataError:
            continue  # its own fault, which a check of the pictures names
    if not 2 <= len(levels) <= 32:
        return 'write one: {"background": 0, "forceps": 32}'
    names = ["background", *(f"class_{i}" for i in range(1, len(levels)))]
    example = json.dumps(dict(zip(names, sorted(levels), strict=True)))
    return f"write one; by the levels in some of the masks: {example}"


def frames_of(dataset: Dataset, split: str) -> tuple[Frame, ...]:
    """The frames of a split.

    Raises:
        UsageError: the dataset has no such split, or it is empty.
    """
    frames = dataset.splits.get(split)
    if not frames:
        there = ", ".join(name for name, s in dataset.splits.items() if s)
        message = f"{dataset.root} has no split {split}; it has {there}"
        raise UsageError(Finding("no-such-split", "error", message))
    return frames
