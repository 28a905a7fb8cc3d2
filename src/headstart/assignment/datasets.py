"""The datasets of the assignment, opened once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.assignment.settings import Homework
from headstart.data.task import TaskName
from headstart.errors import DataError, Finding, HeadstartError
from headstart.tasks.lookup import labelled_task


@dataclass(frozen=True)
class Opened:
    """A dataset that is open.

    Attributes:
        dataset: result of the task's ``open``.
        training_pictures: number of labelled training pictures.
        test_groups: video or patient of each test picture; None if unknown.
    """

    dataset: Any
    training_pictures: int
    test_groups: tuple[str | None, ...]


@dataclass(frozen=True)
class Datasets:
    """The datasets of the assignment.

    Attributes:
        frames: of part 1.
        pictures: of 2(a) and 2(b); None without ``--fashion-mnist``, or if the download failed.
        new_pictures: of 2(c); None without ``--new-data``, or without ``pictures``.
        download_error: why ``pictures`` could not be downloaded.
    """

    frames: Opened
    pictures: Opened | None = None
    new_pictures: Opened | None = None
    download_error: DataError | None = None


def open_datasets(homework: Homework) -> Datasets:
    """Open the datasets of a homework, without decoding pictures.

    Raises:
        DataError: a dataset exists but cannot be used, or has no labelled training pictures.
    """
    frames = _open(homework.data, "segmentation")
    if homework.fashion_mnist is None:
        return Datasets(frames)
    try:
        pictures = _open(homework.fashion_mnist, "classification")
    except DataError as e:
        if not is_missing(e):
            raise
        return Datasets(frames, download_error=e)
    new = homework.new_data
    return Datasets(frames, pictures, None if new is None else _open(new, "classification"))


def _open(data: str, name: TaskName) -> Opened:
    task = labelled_task(name)
    dataset = task.open(Path(data))
    if count := task.sizes(dataset).pictures["train"]:
        return Opened(dataset, count, task.groups(dataset, "test"))
    message = f"{data} has no labelled training pictures"
    raise DataError(Finding("empty-split", "error", message))


def is_missing(error: HeadstartError) -> bool:
    """Whether an error says that a file could not be downloaded; other errors are faults."""
    return error.findings[0].code in ("no-network", "not-published")
