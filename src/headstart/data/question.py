"""What a dataset's labels are about, and how many there are to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.data.layouts.class_folders import classes_layout_of, open_classes
from headstart.data.layouts.folders import SPLITS, open_dataset
from headstart.errors import Finding

TaskName = Literal["segmentation", "classification"]


def task_of(data: Path) -> TaskName:
    """Classification where there are classes; else segmentation, whatever is wrong with it.

    Args:
        data: a dataset's folder, or the word ``fashion-mnist``.

    Raises:
        DataError: a folder cannot be listed.
    """
    return "classification" if classes_layout_of(data) else "segmentation"


@dataclass(frozen=True)
class Sizes:
    """How much a dataset holds.

    Attributes:
        classes: how many; of a segmentation with background.
        pictures: with labels, by split; 0 where there is no such split.
    """

    classes: int
    pictures: dict[str, int]


def sizes_of(data: Path, task: TaskName) -> Sizes:
    """How many classes and labelled pictures there are; nothing is decoded.

    Raises:
        DataError: the data are at fault.
    """
    if task == "classification":
        dataset = open_classes(data)
        counts = {name: len(split.names) for name, split in dataset.splits.items()}
        return Sizes(len(dataset.names), {**_NONE, **counts})
    frames = open_dataset(data)
    counts = {name: len(split) for name, split in frames.splits.items()}
    return Sizes(len(frames.label_map.names), {**_NONE, **counts})


def warnings_of(data: Path, task: TaskName) -> tuple[Finding, ...]:
    """What may make a dataset another one than was meant, though it can be learned from.

    That is what opening it shows (folders and files that are passed over, classes without test
    pictures); ``check`` looks into the pictures, too.

    Raises:
        DataError: the data are at fault.
    """
    dataset = open_classes(data) if task == "classification" else open_dataset(data)
    return tuple(finding for finding in dataset.findings if finding.severity == "warning")


_NONE = dict.fromkeys(SPLITS, 0)
