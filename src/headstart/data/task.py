"""Infer the task from the labels of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from headstart.data.layouts.class_folders import classes_layout_of

TaskName = Literal["segmentation", "classification"]


def task_of(data: Path) -> TaskName:
    """Return the task: classification if the dataset has class folders, else segmentation.

    A folder that fits no layout counts as segmentation; opening it reports the problem.

    Args:
        data: the dataset folder, or the word ``fashion-mnist``.

    Raises:
        DataError: a folder cannot be listed.
    """
    return "classification" if classes_layout_of(data) else "segmentation"
