"""Infer the task from the labels of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.class_layouts import recognise_classes
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import no_dataset, recognise

TaskName = Literal["segmentation", "classification"]


@dataclass(frozen=True)
class DatasetFound:
    """A dataset that was recognised, but not yet read.

    Attributes:
        task: classification if it has classes of pictures, else segmentation.
        read: return the dataset; raises `DataError` with all faults that show without decoding.
    """

    task: TaskName
    read: Callable[[], Dataset] | Callable[[], ClassDataset]


def find_dataset(data: Path) -> DatasetFound:
    """Recognise a dataset, once: what this finds out, reading it need not find out again.

    A path that fits no layout counts as segmentation; reading it reports the problem.

    Args:
        data: the dataset folder, or the word ``fashion-mnist``.

    Raises:
        DataError: a folder cannot be listed, or two readings of it fit equally.
    """
    try:
        masks = recognise(data)
    except OSError:  # a name too long, a folder that may not be entered
        return _nothing(data)
    if masks is not None:
        return DatasetFound("segmentation", masks.read)
    classes = recognise_classes(data)
    if classes is not None:
        return DatasetFound("classification", classes.read)
    return _nothing(data)


def _nothing(data: Path) -> DatasetFound:
    def read() -> Dataset:
        raise no_dataset(data)

    return DatasetFound("segmentation", read)


def task_of(data: Path) -> TaskName:
    """Return the task: classification if the dataset has class folders, else segmentation.

    Args, Raises: as [`find_dataset`][].
    """
    return find_dataset(data).task
