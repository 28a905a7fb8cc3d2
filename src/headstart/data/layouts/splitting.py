"""Give frames their groups from ``groups.csv``, and make the splits that a folder lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.data.files import natural_key, shown
from headstart.data.groups import Matches, match_groups, read_groups, split
from headstart.data.layouts.dataset import SPLITS
from headstart.data.layouts.pairing import FrameSearch, alike_names, pair
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError

NO_SPLIT = ""
"""The split of a folder without splits, until [`make_splits`][] makes them."""

_VALIDATION_SHARE = 0.15
_COPY = re.compile(r"(.+)\.rf\.[0-9A-Za-z]+")  # as Roboflow names a picture and its copies


def complete_splits(search: FrameSearch, source: str = "") -> None:
    """Assign groups, and make or draw the splits that are missing; report those without frames.

    Args:
        search: has the labelled frames.
        source: where the splits come from, for the reading; by default it has said so.
    """
    _refuse_shared_names(search)
    assign_groups(search)
    train_alone_is_no_split(search)
    unsorted = search.splits.get(NO_SPLIT, ())
    if unsorted and len(search.splits) > 1:
        message = f"{len(unsorted)} labelled pictures are in no split, others are"
        hint = "move them into the folder of a split: train, validation or test"
        paths = [frame.image for frame in unsorted]
        search.add_finding("frame-without-split", "error", message, hint, paths)
        return
    draw_validation(search)
    if not any(finding.severity == "error" for finding in search.findings):
        with_splits = any(split_name in SPLITS for split_name in search.splits)
        for split_name in SPLITS if with_splits else (NO_SPLIT,):
            if split_name not in search.splits:
                pair(search, split_name, {}, {})
    if source and not unsorted and search.splits:
        counts = ", ".join(f"{len(search.splits.get(name, ()))} {name}" for name in SPLITS)
        search.reading.append(f"Splits: {counts}, from {source}")
    make_splits(search)
    search.splits = {name: search.splits[name] for name in SPLITS if name in search.splits}


def train_alone_is_no_split(search: FrameSearch) -> None:
    """Take a folder or file called train for all labelled frames if there is no other split."""
    if set(search.splits) == {"train"}:
        search.splits[NO_SPLIT] = search.splits.pop("train")


def _refuse_shared_names(search: FrameSearch) -> None:
    for frames in search.splits.values():
        counts = Counter(frame.name for frame in frames)
        if twice := [frame.image for frame in frames if counts[frame.name] > 1]:
            message = "several pictures of a split have one name"
            hint = "give them different names, or put them into folders of different names"
            search.add_finding("same-stem", "error", message, hint, twice)


def _group_copies(search: FrameSearch) -> None:
    """Group the copies that Roboflow's augmentation makes of one picture: they are nearly equal.

    They are called ``<original>.rf.<hash>``. Frames that have groups keep them.
    """
    originals = {
        frame.name: match[1]
        for frames in search.splits.values()
        for frame in frames
        if (match := _COPY.fullmatch(frame.image.stem)) is not None
    }
    groups = {frame.group for frames in search.splits.values() for frame in frames}
    if len(set(originals.values())) == len(originals) or groups != {None}:
        return
    for name, frames in search.splits.items():
        search.splits[name] = tuple(
            replace(frame, group=originals.get(frame.name)) for frame in frames
        )
    search.reading.append(
        f"Groups: {len(set(originals.values()))}, the pictures of which Roboflow made the "
        f"{len(originals)} copies, by their names before .rf"
    )


def assign_groups(search: FrameSearch) -> None:
    """Give each labelled frame its group of ``groups.csv``; without it, group copies.

    A ``groups.csv`` without lines takes away the groups that folders and names would give.
    """
    _group_copies(search)
    path = search.root / "groups.csv"
    if not path.exists():
        return
    try:
        groups = read_groups(path)
    except DataError as error:
        search.findings += error.findings
        return
    search.reading = [s for s in search.reading if not s.startswith("Groups:")]  # from folders
    if not groups:
        for name, frames in search.splits.items():
            search.splits[name] = tuple(replace(frame, group=None) for frame in frames)
        search.reading.append("Groups: none, because groups.csv lists none")
        return
    places = [(name, frame) for name, frames in search.splits.items() for frame in frames]
    matches = match_groups(groups, [_stems(name, frame, search.root) for name, frame in places])
    _report_groups(search, matches, [frame.image for _, frame in places])
    given = iter(matches.groups)
    for name, frames in search.splits.items():
        search.splits[name] = tuple(replace(frame, group=next(given)) for frame in frames)
    found = {group for group in matches.groups if group is not None}
    search.reading.append(f"Groups: {len(found)}, from groups.csv")
    if alike := alike_names(sorted(found)):
        message = f"groups whose names differ only in capitals: {', '.join(alike[:5])}"
        hint = "they are different groups; if they mean one, write it one way in groups.csv"
        search.add_finding("groups-alike", "warning", message, hint, [path])


def _stems(split_name: str, frame: Frame, root: Path) -> list[str]:
    """Return what ``groups.csv`` may call a frame: its name, with its split, or its path."""
    path = Path(shown(frame.image, root))
    named = [f"{split_name}/{frame.name}"] if split_name else []
    without_ending = path.with_suffix("").as_posix()
    return [*named, frame.name, without_ending, path.as_posix(), path.name, path.stem]


def _report_groups(search: FrameSearch, matches: Matches, pictures: list[Path]) -> None:
    missing = [place for place, group in enumerate(matches.groups) if group is None]
    for stem, places in matches.ambiguous.items():
        missing = [place for place in missing if place not in places]
        message = f'"{stem}" in groups.csv names {len(places)} pictures'
        hint = f"say which, as {_first_five(matches, places)}"
        search.add_finding("groups", "error", message, hint, [pictures[k] for k in places])
    if matches.conflicting:
        files = [pictures[k] for k in matches.conflicting]
        message, hint = "groups.csv gives a picture two groups", "remove all lines of it but one"
        search.add_finding("groups", "error", message, hint, files)
    if missing:
        message = f"groups.csv has no line for {len(missing)} of {len(pictures)} labelled pictures"
        hint = f"add a line with a group for each; their stems are {_first_five(matches, missing)}"
        search.add_finding("groups", "error", message, hint, [pictures[k] for k in missing])
    if matches.unused:
        listed = ", ".join(matches.unused[:5]) + (", ..." if matches.unused[5:] else "")
        message = f"{len(matches.unused)} stems in groups.csv name no labelled picture: {listed}"
        stems = _first_five(matches, missing or range(len(pictures)))
        hint = f"check their spelling; stems of pictures are {stems}"
        search.add_finding("groups-unused", "warning", message, hint, [search.root / "groups.csv"])


def _first_five(matches: Matches, places: Sequence[int]) -> str:
    stems = [stem for k in places if (stem := matches.spellings[k]) is not None]
    return ", ".join(stems[:5]) + (", ..." if stems[5:] else "")


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
        search.splits["train"] = tuple(frames.values())  # so that their table can be shown
        message = f"{len(frames)} labelled pictures in fewer than three {kind} cannot be split"
        hint = "label more, or make the folders train, validation and test yourself"
        if grouped:
            groups = sorted({frame.group for frame in frames.values() if frame.group})
            message += f"; the groups are {', '.join(groups)}"
            hint = (
                "if these groups are no patients or videos, write a groups.csv that holds only "
                "the line stem,group; otherwise label pictures of more groups, or make the "
                "folders train, validation and test yourself"
            )
        search.add_finding("too-few-frames", "error", message, hint)
        return
    for name, stems in stems_by_split.items():
        search.splits[name] = tuple(frames[stem] for stem in sorted(stems, key=natural_key))
    counts = ", ".join(f"{len(stems)} {name}" for name, stems in stems_by_split.items())
    message = f"the folder has no splits; headstart draws them from its {kind}: {counts}"
    search.reading.append(
        f"Splits: {counts}, drawn by headstart, always the same, because the folder has none"
    )
    hint = (
        "frames of one video or patient may be in several splits: name them in groups.csv, or "
        "make the folders train, validation and test"
    )
    search.add_finding("split-by-tool", "info", message, "" if grouped else hint)


def draw_validation(search: FrameSearch) -> None:
    """Move about 15 % of the training frames to validation, by group, if it has no frames.

    The choice depends on the names alone, as in [`split`][headstart.data.groups.split].
    """
    if "train" not in search.splits or "validation" in search.splits:
        return
    frames = {frame.name: frame for frame in search.splits["train"]}
    grouped = any(frame.group is not None for frame in frames.values())
    kind = "groups" if grouped else "frames"
    shares = {"train": 1 - _VALIDATION_SHARE, "validation": _VALIDATION_SHARE}
    try:
        drawn = split({name: frame.group for name, frame in frames.items()}, shares)
    except ValueError:
        message = (
            f"{len(frames)} training frames in fewer than two {kind} leave no validation split"
        )
        hint = "label more, or give the validation split its own images"
        search.add_finding("too-few-frames", "error", message, hint)
        return
    chosen = {
        name: tuple(frames[stem] for stem in sorted(stems, key=natural_key))
        for name, stems in drawn.items()
    }
    search.splits = chosen | {n: f for n, f in search.splits.items() if n != "train"}
    search.reading.append(
        f"Validation: {len(drawn['validation'])} of the {len(frames)} training frames, drawn by "
        "headstart, always the same, because the folder has no validation split"
    )
