"""The table of tasks: look up a task by name or by dataset."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from headstart.data.task import find_dataset
from headstart.tasks.classification import Classification
from headstart.tasks.interface import LabelledTask, Task
from headstart.tasks.pretext import PretextTask
from headstart.tasks.segmentation import Segmentation

LABELLED: dict[str, LabelledTask] = {task.name: task for task in (Segmentation(), Classification())}
"""Tasks that learn from labels, by name; a new task adds a file and an entry here."""

TASKS: dict[str, Task] = {**LABELLED, "pretext": PretextTask()}
"""All tasks, by name."""


def task_named(name: str) -> Task:
    """Return a task by name: ``segmentation``, ``classification`` or ``pretext``."""
    return TASKS[name]


def labelled_task(name: str) -> LabelledTask:
    """Return a task that learns from labels: ``segmentation`` or ``classification``."""
    return LABELLED[name]


def find_task(data: Path, name: str | None = None) -> tuple[LabelledTask, Callable[[], Any]]:
    """Return the task of a dataset, and the function that opens it.

    Args:
        data: folder of the dataset, or the word ``fashion-mnist``.
        name: of the task, if it is known; else it is classification for a folder of classes or
            Fashion-MNIST, and segmentation otherwise.

    Raises:
        DataError: a folder cannot be listed, or two readings of it fit equally.
    """
    if name is not None:
        return LABELLED[name], partial(LABELLED[name].open, data)
    found = find_dataset(data)
    return LABELLED[found.task], found.read
