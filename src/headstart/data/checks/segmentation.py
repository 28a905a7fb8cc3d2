"""Describes a dataset of frames with masks and finds its faults; reads every file.

An *error* stops training too. A *warning* may make a score misleading. An *info* needs no action.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from headstart.data.checks.absent_classes import absent_classes, rare_in_test
from headstart.data.checks.contact_sheet import frames_sheet, refuse_other_files, write_sheet
from headstart.data.checks.foreground import no_foreground
from headstart.data.checks.frame_facts import FrameFacts, see_frames, together
from headstart.data.checks.neighbours import neighbouring_pictures
from headstart.data.checks.small_test import small_test_split
from headstart.data.checks.thin_objects import hidden_objects, thin_objects
from headstart.data.files import merged
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.duplicates import NEAR, copies, nearest
from headstart.data.training_size import LONGEST_ON_CPU, size_for
from headstart.errors import Finding
from headstart.scores.segmentation import trivial_scores

_COMPARED = (
    ("validation", "train"),
    ("test", "train"),
    ("test", "validation"),
    ("validation", "unlabelled"),
    ("test", "unlabelled"),
)


@dataclass(frozen=True)
class SplitReport:
    """One split of labelled frames; only ``frames`` counts unreadable frames too.

    Attributes:
        frames: number of frames.
        height, width: size of the images; ``None`` if they differ.
        pixels: share of all pixels by class, without those that count nowhere; ``None`` if no frame
            can be read.
        frames_with: number of frames that show each class.
        trivial: scores of the best constant prediction: ``dice``, ``dice_frame`` and
            ``dice_assignment``.
    """

    frames: int
    height: int | None
    width: int | None
    pixels: dict[str, float | None]
    frames_with: dict[str, int]
    trivial: dict[str, float | None]


@dataclass(frozen=True)
class UnlabelledReport:
    """Pictures for pre-training; ``height`` and ``width`` are ``None`` if they differ."""

    frames: int
    height: int | None
    width: int | None


@dataclass(frozen=True)
class Report:
    """What [`check_dataset`][] found.

    Attributes:
        layout: name of the dataset's layout, as runs record it.
        classes: grey level by name, background first.
        splits: the existing splits among ``train``, ``validation`` and ``test``.
        unlabelled: the existing unlabelled parts among ``train`` and ``validation``.
        findings: errors first, then warnings, then infos.
        groups: video or patient (None if unknown) by frame, for each split.
        reading: how the folder is read, one sentence each.
        sheet: the contact sheet, if one was written.
    """

    layout: str
    classes: dict[str, int]
    splits: dict[str, SplitReport]
    unlabelled: dict[str, UnlabelledReport]
    findings: tuple[Finding, ...]
    groups: dict[str, dict[str, str | None]] = field(default_factory=dict)
    reading: tuple[str, ...] = ()
    sheet: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object of schema 1."""
        return {
            "schema": 1,
            "layout": self.layout,
            "reading": list(self.reading),
            "classes": [{"name": name, "grey": grey} for name, grey in self.classes.items()],
            "splits": {name: asdict(split) for name, split in self.splits.items()},
            "unlabelled": {name: asdict(part) for name, part in self.unlabelled.items()},
            "sheet": None if self.sheet is None else str(self.sheet),
            "findings": [finding.to_json() for finding in self.findings],
        }


def check_dataset(root: Path, out: Path | None = None) -> Report:
    """Describe a dataset and find its faults.

    Args:
        root: the dataset.
        out: a folder for the contact sheet, as in
            [`frames_sheet`][headstart.data.checks.contact_sheet.frames_sheet]; None for no sheet.

    Raises:
        DataError: the dataset cannot be opened: no folder, unknown layout, images or masks without
            partners, no label map. Faults inside the files are reported, not raised.
        UsageError: ``out`` holds other files, or lies in the dataset.
        DiskError: the sheet cannot be written.
    """
    return report_on(open_dataset(root), out)


def report_on(dataset: Dataset, out: Path | None = None) -> Report:
    """Decode all frames of an opened dataset; otherwise as [`check_dataset`][]."""
    if out is not None:
        refuse_other_files(out, dataset.root)
    findings = list(dataset.findings)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        splits = {n: see_frames(f, dataset, pool, findings) for n, f in dataset.splits.items()}
        pools = {n: see_frames(f, dataset, pool, findings) for n, f in dataset.unlabelled.items()}
    names = dataset.label_map.names
    findings += _sizes({**splits, **{f"unlabelled {n}": seen for n, seen in pools.items()}})
    drawn = any(finding.code == "split-by-tool" for finding in dataset.findings)
    shows = {n: _frames_with(seen, names) for n, seen in splits.items() if seen.files}
    grouped = any(frame.group for frames in dataset.splits.values() for frame in frames)
    findings += absent_classes(shows, grouped=grouped, drawn=drawn)
    findings += rare_in_test(shows.get("test", {}), len(dataset.splits.get("test", ())))
    findings += _uncounted(splits)
    seen_splits = {n: seen for n, seen in splits.items() if seen.files}
    findings += no_foreground(n for n, seen in seen_splits.items() if not seen.pixels[:, 1:].any())
    findings += _copies(splits, pools)
    findings += _held_out({**splits, "unlabelled": together(pools.values())})
    findings += _groups(dataset)
    findings += neighbouring_pictures(splits, drawn)
    tested = [frame.group for frame in dataset.splits.get("test", ())]
    labelled = [frame.group for frames in dataset.splits.values() for frame in frames]
    findings += small_test_split(tested, labelled)
    findings += thin_objects(
        hidden_objects(dataset),
        size_for(dataset.splits.get("train", ()), dataset.root, LONGEST_ON_CPU),
    )
    pixels = None if out is None else frames_sheet(dataset, splits)
    sheet = None if out is None or pixels is None else write_sheet(out, pixels)
    rank = {"error": 0, "warning": 1, "info": 2}
    return Report(
        layout=dataset.layout,
        classes=dict(zip(names, dataset.label_map.greys, strict=True)),
        splits={n: _describe(seen, len(dataset.splits[n]), names) for n, seen in splits.items()},
        unlabelled={
            n: UnlabelledReport(len(dataset.unlabelled[n]), *_size(seen))
            for n, seen in pools.items()
        },
        findings=tuple(sorted(merged(findings), key=lambda finding: rank[finding.severity])),
        groups={n: {f.name: f.group for f in frames} for n, frames in dataset.splits.items()},
        reading=dataset.reading,
        sheet=sheet,
    )


def _size(seen: FrameFacts) -> tuple[int | None, int | None]:
    return seen.sizes[0] if len(set(seen.sizes)) == 1 else (None, None)


def _describe(seen: FrameFacts, frames: int, names: tuple[str, ...]) -> SplitReport:
    height, width = _size(seen)
    total = int(seen.pixels.sum())
    by_class = [int(pixels) for pixels in seen.pixels.sum(0)]
    shares = [pixels / total if total else None for pixels in by_class]
    scores = trivial_scores(seen.pixels) if seen.files else {}
    return SplitReport(
        frames=frames,
        height=height,
        width=width,
        pixels=dict(zip(names, shares, strict=True)),
        frames_with=_frames_with(seen, names),
        trivial={name: scores.get(name) for name in ("dice", "dice_frame", "dice_assignment")},
    )


def _frames_with(seen: FrameFacts, names: tuple[str, ...]) -> dict[str, int]:
    """Return the number of frames that show each class."""
    counts = (seen.pixels > 0).sum(0).tolist()
    return dict(zip(names, counts, strict=True))


def _sizes(seen: Mapping[str, FrameFacts]) -> list[Finding]:
    counts = Counter(size for part in seen.values() for size in part.sizes)
    if len(counts) < 2:
        return []
    common = [f"{w} x {h} ({count} pictures)" for (h, w), count in counts.most_common(5)]
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    message = f"pictures differ in size (width x height): {', '.join(common)}{more}"
    hint = "each is resized to fit within the training size and padded; the padding counts nowhere"
    return [Finding("several-sizes", "info", message, hint)]


def _uncounted(splits: Mapping[str, FrameFacts]) -> list[Finding]:
    """Return a finding about frames of which every pixel is ignored."""
    files = [_where(seen.pixels.sum(1) == 0, seen.files) for seen in splits.values()]
    named = tuple(file for of_split in files for file in of_split)
    if not named:
        return []
    number = "1 frame" if len(named) == 1 else f"{len(named)} frames"
    message = f"every pixel of {number} is ignored"
    hint = (
        "nothing is learned from such a frame and no score counts it: remove it, or check its "
        "mask, what is ignored, and the region that counts"
    )
    return [Finding("all-ignored", "warning", message, hint, named)]


def _copies(splits: Mapping[str, FrameFacts], pools: Mapping[str, FrameFacts]) -> list[Finding]:
    """Return findings about copies within a split, and training frames used in pre-training."""
    findings = []
    for name, seen in splits.items():
        copied = copies(seen.prints, seen.prints) != np.arange(len(seen.files))
        if copied.any():
            message = f"{copied.sum()} of {len(seen.files)} {name} frames are copies of others"
            hint = "remove the copies; if their masks differ, keep the right one"
            files = _where(copied, seen.files)
            findings.append(Finding("copies-within-split", "warning", message, hint, files))
    for name, pool in pools.items() if "train" in splits else ():
        inside = copies(splits["train"].prints, pool.prints) >= 0
        if inside.any():
            message = (
                f"{inside.sum()} of {len(inside)} training frames are also among the "
                f"{len(pool.files)} unlabelled pictures ({name})"
            )
            hint = (
                "test scores are not affected; a start made from these pictures has seen the frames"
            )
            files = _where(inside, splits["train"].files)
            findings.append(Finding("train-in-unlabelled", "info", message, hint, files))
    return findings


def _held_out(parts: Mapping[str, FrameFacts]) -> list[Finding]:
    """Return findings about validation and test frames that training or pre-training sees."""
    leaks: dict[str, list[str]] = defaultdict(list)
    files: dict[str, list[str]] = defaultdict(list)
    for held_out, among in _COMPARED:
        if not (held_out in parts and among in parts and parts[among].files):
            continue
        of, pool = parts[held_out], parts[among]
        same = copies(of.prints, pool.prints) >= 0
        partner, distance = nearest(of.prints, pool.prints)
        for kind, leaked in (("same", same), ("near", ~same & (distance <= NEAR))):
            if leaked.any():
                first = int(leaked.argmax())
                leaks[kind].append(
                    f"{leaked.sum()} of {len(leaked)} {held_out} frames in {among} "
                    f"({of.files[first]}: {pool.files[partner[first]]})"
                )
                files[kind] += _where(leaked, of.files)
    findings = []
    for kind, code, words in (
        ("same", "copies-across-splits", "the same pictures"),
        ("near", "near-duplicates", f"nearly the same pictures (within {NEAR:g} grey levels)"),
    ):
        if leaks[kind]:
            message = f"{words} are in two splits: {'; '.join(leaks[kind])}"
            hint = (
                "keep all frames of a video or patient in one split; until then the score is too "
                "optimistic about new pictures"
            )
            unique = tuple(dict.fromkeys(files[kind]))
            findings.append(Finding(code, "warning", message, hint, unique))
    return findings


def _where(chosen: Bool[np.ndarray, "n"], files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(files[i] for i in np.flatnonzero(chosen))


def _groups(dataset: Dataset) -> list[Finding]:
    """Return a finding if groups (videos or patients) are unknown, or one is in several splits."""
    groups = {n: {f.group for f in frames} - {None} for n, frames in dataset.splits.items()}
    hint = (
        "the score says nothing about new patients; add a groups.csv with the columns stem and "
        "group"
    )
    unknown = {n: sum(f.group is None for f in frames) for n, frames in dataset.splits.items()}
    if not any(groups.values()):
        message = "the data do not say which video or patient each frame comes from"
        return [Finding("no-groups", "info", message, hint)]
    findings = []
    if any(unknown.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in unknown.items() if count)
        message = f"the data do not say which video or patient some frames come from: {counts}"
        findings.append(Finding("some-groups", "info", message, hint))
    places = defaultdict(list)
    for name, members in groups.items():
        for group in members:
            places[group].append(name)
    shared = sorted(f"{group} ({', '.join(p)})" for group, p in places.items() if len(p) > 1)
    if not shared:
        return findings
    more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
    message = f"groups in several splits: {', '.join(shared[:5])}{more}"
    hint = "keep all frames of a video or patient in one split"
    return [*findings, Finding("group-across-splits", "warning", message, hint)]
