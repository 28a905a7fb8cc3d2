"""Give frames their groups from ``groups.csv``, and make the splits that a folder lacks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from headstart.data.files import natural_key
from headstart.data.groups import read_groups, split
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.pairing import FrameSearch
from headstart.errors import DataError, Severity

NO_SPLIT = ""
"""The split of a folder without splits, until [`make_splits`][] makes them."""

_NAMES = {
    "train": ("train", "training", "trainset", "tr"),
    "validation": ("val", "valid", "validation", "validate", "valset", "dev"),
    "test": ("test", "testing", "testset", "ts"),
}
_SPLIT_OF = {name: meant for meant, names in _NAMES.items() for name in names}


def split_named(name: str) -> str | None:
    """Return the split that a folder's name means; None if it means none.

    >>> [split_named(name) for name in ("val2017", "Training", "valid", "images")]
    ['validation', 'train', 'validation', None]
    """
    return _SPLIT_OF.get(re.sub("[-_ ]?[0-9]*$", "", name.lower()))


def assign_groups(search: FrameSearch) -> None:
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


def make_splits(search: FrameSearch) -> None:
    """Split the frames of [`NO_SPLIT`][], 70 : 15 : 15, by group."""
    if NO_SPLIT not in search.splits:
        return
    frames = {frame.name: frame for frame in search.splits.pop(NO_SPLIT)}
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


def draw_validation(search: FrameSearch) -> None:
    """Move about 15 of 100 training frames to a validation split that is missing, by group.

    Groups are drawn as [`make_splits`][] draws them, so the result depends on their names alone.
    """
    if search.splits.get("validation") or not search.splits.get("train"):
        return
    frames = {frame.name: frame for frame in search.splits["train"]}
    grouped = any(frame.group is not None for frame in frames.values())
    kind = "groups" if grouped else "frames"
    try:
        # The part for testing stays in the training split: 85 of 100 remain.
        drawn = set(split({name: frame.group for name, frame in frames.items()})["validation"])
    except ValueError:
        message = (
            f"{len(frames)} training pictures in fewer than three {kind} are too few to draw a "
            "validation split from"
        )
        hint = "label more, or make the folder of the validation split yourself"
        search.add_finding("too-few-frames", "error", message, hint)
        return
    stems = sorted(drawn, key=natural_key)
    search.splits["validation"] = tuple(frames[stem] for stem in stems)
    search.splits["train"] = tuple(f for name, f in frames.items() if name not in drawn)
    message = (
        f"there is no validation split; {len(drawn)} of {len(frames)} training pictures were drawn "
        f"for it, by the names of their {kind}"
    )
    hint = "" if grouped else "name videos or patients in groups.csv, so that they stay together"
    search.add_finding("split-by-tool", "info", message, hint)
    search.reading.append(message)


def complete_splits(search: FrameSearch, source: str) -> None:
    """Assign groups, make the splits that are missing, and say what each split has.

    Without any split, [`make_splits`][] makes all three. Without a validation split,
    [`draw_validation`][] draws one. Without a test split, a warning says so.

    Args:
        search: has the annotated frames.
        source: where the splits come from, in words.
    """
    assign_groups(search)
    unsorted = search.splits.get(NO_SPLIT, ())
    if unsorted and len(search.splits) > 1:
        message = f"{len(unsorted)} annotated pictures lie in no folder of a split, others do"
        hint = "move them into the folder of a split: train, val or test"
        paths = [frame.image for frame in unsorted]
        search.add_finding("frame-without-split", "error", message, hint, paths)
        return
    if unsorted:
        make_splits(search)
        source = "the pictures' names, 70 : 15 : 15, because the dataset has none"
    if not search.splits:
        return  # none could be made, which is reported
    draw_validation(search)
    search.splits = {name: search.splits[name] for name in SPLITS if name in search.splits}
    for name in ("train", "test"):
        if not search.splits.get(name):
            severity: Severity = "warning" if name == "test" else "error"
            message = f"the {name} split has no annotated pictures"
            hint = f"add some, as {search.arrangement}"
            search.add_finding("empty-split", severity, message, hint)
    counts = ", ".join(f"{len(search.splits.get(name, ()))} {name}" for name in SPLITS)
    search.reading.append(f"splits, from {source}: {counts}")
