"""The table of tasks: look up a task by name or by dataset."""

from __future__ import annotations

from pathlib import Path

from headstart.data.task import task_of
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


def task_of_data(data: Path) -> LabelledTask:
    """Return classification for a folder of classes or Fashion-MNIST; otherwise segmentation.

    Args:
        data: folder of the dataset, or the word ``fashion-mnist``.

    Raises:
        DataError: a folder cannot be listed.
    """
    return LABELLED[task_of(data)]
