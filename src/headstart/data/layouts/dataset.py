"""What a layout's reader returns, and what a layout is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from headstart.data.files import natural_key
from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError, Finding, UsageError

Opened = TypeVar("Opened")
"""A dataset of frames with masks, or of labelled pictures."""

SPLITS = ("train", "validation", "test")
LABELLED = "labelled"
"""The one split of a pooled dataset, from which folds are drawn."""


@dataclass(frozen=True)
class Dataset:
    """Frames with masks, by split.

    Attributes:
        root: The dataset's folder.
        layout: Name of the layout it was read by, as runs record it.
        label_map: Classes and their grey levels.
        splits: Labelled frames by split, in natural order (2 before 10).
        unlabelled: Pictures for pre-training: ``"train"``, and ``"validation"`` if there are any.
        findings: Warnings and notes from reading the folders.
        reading: How the folder is read, one sentence each: which pictures, which masks, how they
            are paired, which splits, which classes from where, which groups.
        description: SHA-256 of its ``dataset.toml`` but for ``root``; empty without one.
    """

    root: Path
    layout: str
    label_map: LabelMap
    splits: dict[str, tuple[Frame, ...]]
    unlabelled: dict[str, tuple[Frame, ...]]
    findings: tuple[Finding, ...]
    reading: tuple[str, ...] = ()
    description: str = ""

    @property
    def ignore(self) -> int | None:
        """The class index of pixels that are ignored; None if there cannot be such pixels.

        Known from the label map and the frames, without decoding masks.
        """
        of_map = self.label_map.ignore or self.label_map.ignored_colours
        frames = (frame for frames in self.splits.values() for frame in frames)
        return IGNORE if of_map or any(frame.may_ignore for frame in frames) else None


def pooled(dataset: Dataset) -> Dataset:
    """Return a dataset with all its labelled frames in one split, [`LABELLED`][], by name.

    Where frames of two splits share a name, every name gets that of its split in front.
    """
    placed = [(name, f) for name, frames in dataset.splits.items() for f in frames]
    if len({frame.name for _, frame in placed}) < len(placed):
        placed = [(split, replace(f, name=f"{split}/{f.name}")) for split, f in placed]
    frames = sorted((frame for _, frame in placed), key=lambda f: (natural_key(f.name), f.name))
    return replace(dataset, splits={LABELLED: tuple(frames)})


def with_rules(dataset: Dataset, rule: Callable[[ReadingRules], ReadingRules]) -> Dataset:
    """Return a dataset whose pictures are read by other rules, ``rule`` of those that they have."""

    def ruled(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        return tuple(replace(frame, rules=rule(frame.rules)) for frame in frames)

    return replace(
        dataset,
        splits={name: ruled(frames) for name, frames in dataset.splits.items()},
        unlabelled={name: ruled(frames) for name, frames in dataset.unlabelled.items()},
    )


def rules_of(dataset: Dataset) -> ReadingRules:
    """Return the rules by which the pictures of a dataset are read: one set for all of them."""
    frames = (frame for part in dataset.splits.values() for frame in part)
    return next((frame.rules for frame in frames), NO_RULES)


class FaultyDatasetError(DataError):
    """A dataset with errors that reading its folders showed; nothing may be trained on it.

    Attributes:
        dataset: the frames that could be read, with all findings, so that ``check`` can go on and
            report faults inside their files, too.
    """

    def __init__(self, findings: Sequence[Finding], dataset: Dataset) -> None:
        """Raise the errors among the findings of a dataset."""
        super().__init__(findings)
        self.dataset = dataset

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.findings, self.dataset)


def read_with_rules(
    read: Callable[[], Dataset], rule: Callable[[ReadingRules], ReadingRules]
) -> Dataset:
    """Read a dataset, and have its pictures read by other rules, as [`with_rules`][] does.

    Raises:
        DataError: as ``read`` does.
    """
    try:
        return with_rules(read(), rule)
    except FaultyDatasetError as error:
        faulty = with_rules(error.dataset, rule)
        raise FaultyDatasetError(error.findings, faulty) from None


@dataclass(frozen=True)
class Layout(Generic[Opened]):
    """A way to arrange a dataset in folders, and the reader for it.

    Attributes:
        name: Runs record it, so it never changes.
        arrangement: Folders and files as a hint names them, after "arrange it as".
        recognise: Return a function that reads the dataset at a path, or None if the path is no
            dataset of this layout. Looks only at names, or decodes a few files, so it is quick;
            what it found out, the function need not find out again. Raises `DataError` if the path
            is almost a dataset, for example if it asks for a fold that does not exist. The function
            raises `DataError` with all faults that can be seen without decoding; a
            `FaultyDatasetError` where some frames can be read.
        evidence: Of the export of an annotation tool: return the file or folder that shows that a
            folder is one, or None. An export is recognised by its evidence.
    """

    name: str
    arrangement: str
    recognise: Callable[[Path], Callable[[], Opened] | None]
    evidence: Callable[[Path], Path | None] | None = None


def frames_of(dataset: Dataset, split: str) -> tuple[Frame, ...]:
    """Return the frames of a split.

    Raises:
        UsageError: The dataset has no such split, or it is empty.
    """
    frames = dataset.splits.get(split)
    if not frames:
        available = ", ".join(name for name, frames in dataset.splits.items() if frames)
        message = f"{dataset.root} has no split {split}; it has {available}"
        raise UsageError(Finding("no-such-split", "error", message))
    return frames


@dataclass(frozen=True)
class Recognised(Generic[Opened]):
    """A dataset whose layout is known.

    Attributes:
        layout: the name of its layout.
        read: return the dataset; raises `DataError` with all faults that show without decoding.
    """

    layout: str
    read: Callable[[], Opened]


def first_that_recognises(
    layouts: Iterable[Layout[Opened]], root: Path
) -> Recognised[Opened] | None:
    """Return the dataset at a path as the first layout that recognises it reads it."""
    for layout in layouts:
        if (read := layout.recognise(root)) is not None:
            return Recognised(layout.name, read)
    return None
