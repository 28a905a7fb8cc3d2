"""From a task's name, or from a dataset, to the task: the one place that knows which there are."""

from __future__ import annotations

from pathlib import Path

from headstart.data.question import task_of
from headstart.tasks.classification import Classification
from headstart.tasks.interface import LabelledTask, Task
from headstart.tasks.pretext import PretextTask
from headstart.tasks.segmentation import Segmentation

LABELLED: dict[str, LabelledTask] = {
    task.name: task for task in (Segmentation(), Classification())
}  # a new task is a new file and an entry here
TASKS: dict[str, Task] = {**LABELLED, "pretext": PretextTask()}


def task_named(name: str) -> Task:
    """A task by its name: ``segmentation``, ``classification`` or ``pretext``."""
    return TASKS[name]


def labelled_task(name: str) -> LabelledTask:
    """A task that learns from labels: ``segmentation`` or ``classification``."""
    return LABELLED[name]


def task_of_data(data: Path) -> LabelledTask:
    """Classification where there are folders or files of classes; else segmentation.

    Args:
        data: a dataset's folder, or the word ``fashion-mnist``.

    Raises:
        DataError: a folder cannot be listed.
    """
    return LABELLED[task_of(data)]
