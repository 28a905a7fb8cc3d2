"""The layout ``plain``: an image and its mask share their stem.

::

    mapping.json
    {train,validation,test}/{images,masks}/<stem>.*     or    {images,masks}/<stem>.*
    unlabelled/<stem>.*                                            (optional)
    groups.csv                                                     (optional)

``images`` and ``masks`` without splits are split by the tool, see [`headstart.data.groups`][].
``groups.csv`` has the columns ``stem`` (with its split if the folder has splits: ``train/17``) and
``group``: the video or patient that a frame comes from. Names that start with a dot are passed
over.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.data.files import natural_key
from headstart.data.groups import read_groups, split
from headstart.data.layouts.dataset import SPLITS, Dataset, Layout
from headstart.data.layouts.pairing import FrameSearch, pair, pictures_by_stem, read_pairs
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError

_NO_SPLIT = ""  # the split of a folder without splits, until the tool splits it


def recognises(root: Path) -> bool:
    """Return whether a split, or the folder itself, has a folder ``images``."""
    return any((root / name / "images").is_dir() for name in (*SPLITS, "."))


def read(root: Path) -> Dataset:
    """Find the frames by split.

    Raises:
        DataError: With all faults that can be seen without decoding a picture.
    """
    return read_pairs(root, LAYOUT, _find)


LAYOUT = Layout(
    name="plain",
    arrangement="{train,validation,test}/{images,masks}/ or images/ and masks/",
    recognises=recognises,
    read=read,
)


def _find(search: FrameSearch) -> None:
    root = search.root
    with_splits = any((root / name / "images").is_dir() for name in SPLITS)
    for name in SPLITS if with_splits else (_NO_SPLIT,):
        images, masks = (
            pictures_by_stem(search, root / name / kind) for kind in ("images", "masks")
        )
        pair(search, name, images, masks)
    pictures = pictures_by_stem(search, root / "unlabelled")
    if pictures:
        search.unlabelled["train"] = tuple(Frame(stem, path) for stem, path in pictures.items())
    _assign_groups(search)
    if _NO_SPLIT in search.splits:
        _split(search)


def _assign_groups(search: FrameSearch) -> None:
    """Give each labelled frame its group, if there is a ``groups.csv``."""
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
        message = "labelled images have no line in groups.csv"
        search.add_finding(
            "groups", "error", message, "give every labelled image its group", missing
        )
    if groups:
        examples = ", ".join(list(groups)[:5])
        message = f"groups.csv names {len(groups)} stems without a labelled image: {examples}"
        hint = "check their spelling; in a folder with splits, write a stem as train/17"
        search.add_finding("groups-unused", "warning", message, hint, [path])


def _split(search: FrameSearch) -> None:
    frames = {frame.name: frame for frame in search.splits.pop(_NO_SPLIT)}
    grouped = any(frame.group is not None for frame in frames.values())
    kind = "groups" if grouped else "frames"
    try:
        stems_by_split = split({name: frame.group for name, frame in frames.items()})
    except ValueError:
        message = f"{len(frames)} labelled images in fewer than three {kind} cannot be split"
        hint = "label more, or make the folders train, validation and test yourself"
        search.add_finding("too-few-frames", "error", message, hint)
        return
    for name, stems in stems_by_split.items():
        search.splits[name] = tuple(frames[stem] for stem in sorted(stems, key=natural_key))
    counts = ", ".join(f"{len(stems)} {name}" for name, stems in stems_by_split.items())
    message = f"the folder has no splits; it was split by the names of its {kind}: {counts}"
    hint = (
        "frames of one video or patient may be in several splits: name them in groups.csv, or "
        "make the folders train, validation and test"
    )
    search.add_finding("split-by-tool", "info", message, "" if grouped else hint)
