"""Which task a dataset's labels pose."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from headstart.data.layouts.class_folders import classes_layout_of

TaskName = Literal["segmentation", "classification"]


def task_of(data: Path) -> TaskName:
    """Classification where there are classes; else segmentation, whatever is wrong with it.

    Args:
        data: a dataset's folder, or the word ``fashion-mnist``.

    Raises:
        DataError: a folder cannot be listed.
    """
    return "classification" if classes_layout_of(data) else "segmentation"
