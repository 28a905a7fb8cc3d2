"""A dataset of labelled pictures, each with one class, and the splits that it lacks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.layouts.dataset import LABELLED, SPLITS
from headstart.data.pictures.frame import Frame
from headstart.errors import Finding
from headstart.seeding import generator

_HELD_OUT = 10  # one picture in so many of each class validates, and one tests


@dataclass(frozen=True)
class LabelledSplit:
    """One split of labelled pictures.

    Attributes:
        names: names of the pictures.
        labels: class index of each picture.
        frames: files of the pictures; empty if ``pixels`` holds them.
        pixels: grey pictures; None if they are files.
    """

    names: tuple[str, ...]
    labels: Int64[np.ndarray, " n"]
    frames: tuple[Frame, ...]
    pixels: UInt8[np.ndarray, "n h w"] | None

    def subset(self, indices: Int64[np.ndarray, " m"]) -> LabelledSplit:
        """Return the pictures at ``indices``, in that order."""
        return LabelledSplit(
            tuple(self.names[i] for i in indices),
            self.labels[indices],
            tuple(self.frames[i] for i in indices) if self.frames else (),
            None if self.pixels is None else self.pixels[indices],
        )


@dataclass(frozen=True)
class ClassDataset:
    """A dataset of labelled pictures.

    Attributes:
        root: folder of the dataset.
        layout: ``"classes"`` or ``"idx"``.
        names: names of the classes.
        splits: the existing splits among ``"train"``, ``"validation"`` and ``"test"``.
        findings: warnings.
        reading: how the folder is read, one sentence each.
    """

    root: Path
    layout: str
    names: tuple[str, ...]
    splits: dict[str, LabelledSplit]
    findings: tuple[Finding, ...]
    reading: tuple[str, ...] = ()


def pooled(dataset: ClassDataset) -> ClassDataset:
    """Return a dataset with all its labelled pictures in one split, ``LABELLED``.

    Where pictures of two splits share a name, every name gets that of its split in front.
    """
    splits = dataset.splits
    names = [name for split in splits.values() for name in split.names]
    if len(set(names)) < len(names):
        names = [f"{name}/{n}" for name, split in splits.items() for n in split.names]
    pixels = [split.pixels for split in splits.values() if split.pixels is not None]
    together = LabelledSplit(
        tuple(names),
        np.concatenate([split.labels for split in splits.values()]),
        tuple(frame for split in splits.values() for frame in split.frames),
        np.concatenate(pixels) if pixels else None,
    )
    return replace(dataset, splits={LABELLED: together})


def reading_of(
    arrangement: str,
    names: tuple[str, ...],
    splits: dict[str, LabelledSplit],
    given: Collection[str],
) -> tuple[str, ...]:
    """Return how labelled pictures are read, one sentence each.

    Args:
        arrangement: what the files are.
        names: names of the classes.
        splits: the pictures.
        given: the splits that the files have; headstart drew the others.
    """
    count = sum(len(split.names) for split in splits.values())
    counts = ", ".join(f"{len(split.names)} {name}" for name, split in splits.items())
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    drawn = [name for name in splits if name not in given]
    by_tool = f"; headstart drew {', '.join(drawn)}, always the same" if drawn else ""
    return (
        f"Pictures: {count}, each with one class ({arrangement})",
        f"Classes: {listed}",
        f"Splits: {counts}{by_tool}",
    )


def _set_aside(
    pictures: LabelledSplit, purpose: str, of: LabelledSplit
) -> tuple[LabelledSplit, LabelledSplit]:
    """Split off a fixed tenth (at least one picture) of each class; return the rest and it.

    Args:
        pictures: to be divided.
        purpose: seeds the draw.
        of: the split whose tenth it is.
    """
    chosen: list[int] = []
    for k in np.unique(pictures.labels).tolist():
        of_class = np.flatnonzero(pictures.labels == k)
        count = max(1, int((of.labels == k).sum()) // _HELD_OUT)
        chosen += generator(0, purpose, k).permutation(of_class)[:count].tolist()
    drawn = np.sort(np.array(chosen, dtype=np.int64))
    rest = np.setdiff1d(np.arange(len(pictures.names)), drawn)
    return pictures.subset(rest), pictures.subset(drawn)


def drawn_splits(pictures: LabelledSplit) -> dict[str, LabelledSplit]:
    """Split the pictures of each class 80 : 10 : 10, always in the same way."""
    rest, test = _set_aside(pictures, "test of classes", pictures)
    train, validation = _set_aside(rest, "validation of classes", pictures)
    return {"train": train, "validation": validation, "test": test}


def with_validation(splits: dict[str, LabelledSplit]) -> dict[str, LabelledSplit]:
    """Return the splits in order; a tenth of the training pictures validates if none do."""
    if "train" in splits and "validation" not in splits:
        labelled = splits["train"]
        train, validation = _set_aside(labelled, "validation of classes", labelled)
        splits = {**splits, "train": train, "validation": validation}
    return {name: splits[name] for name in SPLITS if name in splits}
