"""``headstart.check``: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headstart.data.checks.classification import ClassReport, check_classes
from headstart.data.checks.segmentation import Report, check_dataset
from headstart.data.task import TaskName, task_of

_CHECKS: Mapping[TaskName, Callable[[Path], Report | ClassReport]] = {
    "classification": check_classes,
    "segmentation": check_dataset,
}


def check(data: Path | str) -> Report | ClassReport:
    """Describe a dataset, with masks or with classes, and find its faults; writes nothing.

    Args:
        data: the dataset's folder; for EndoVis 2017 also ``FOLDER/type-fold0``; or the word
            ``fashion-mnist``, which is fetched.

    Returns:
        A report, whose ``findings`` are the faults and whose ``ok`` says that none is an error.

    Raises:
        DataError: there is no dataset to look at.
    """
    data = Path(data)
    return _CHECKS[task_of(data)](data)
