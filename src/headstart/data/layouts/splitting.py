"""Give frames their groups from ``groups.csv``, and make the splits that a folder lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.data.files import natural_key
from headstart.data.groups import read_groups, split
from headstart.data.layouts.pairing import FrameSearch
from headstart.errors import DataError

_WITHOUT_TEST = {"train": 0.85, "validation": 0.15}

NO_SPLIT = ""
"""The split of a folder without splits, until [`make_splits`][] makes them."""


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
    """Draw the validation split from the training split where a folder has none.

    A share of 15 % of the training frames is drawn by group; it depends on the names alone.
    """
    train = search.splits.get("train", ())
    if search.splits.get("validation") or not train:
        return
    frames = {frame.name: frame for frame in train}
    try:
        drawn = set(
            split({name: frame.group for name, frame in frames.items()}, _WITHOUT_TEST)[
                "validation"
            ]
        )
    except ValueError:
        message = f"{len(frames)} training frames in a single group leave none for validation"
        hint = "add a validation split, or frames of another video or patient"
        search.add_finding("too-few-frames", "error", message, hint)
        return
    search.splits["train"] = tuple(f for f in train if f.name not in drawn)
    search.splits["validation"] = tuple(f for f in train if f.name in drawn)
    search.reading.append(
        f"Validation: {len(drawn)} of the {len(train)} training frames, drawn by name and always "
        "the same, because the folder has no validation split"
    )
