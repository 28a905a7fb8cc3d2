"""The label budget: the labelled pictures a run trains on, and how many a fold leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from headstart.config.records import RunConfig
from headstart.data.folds import smallest_splits
from headstart.data.layouts.dataset import LABELLED as LABELLED_SPLIT
from headstart.data.splits import label_budget
from headstart.errors import DataError, Finding, UsageError
from headstart.tasks.interface import DatasetSize, LabelledTask

LABELS = "labels.txt"
"""File in a run's folder with the names of its labelled training pictures, one per line."""


def labelled_indices(
    present: Bool[np.ndarray, "n k"], names: tuple[str, ...], config: RunConfig
) -> Int64[np.ndarray, " m"]:
    """Return the indices of the training pictures in a run's label budget.

    Args:
        present: whether each picture shows each class.
        names: names of the training pictures.
        config: lists the pictures (``frames``) or gives their number (``labels``).

    Raises:
        DataError: a listed picture is not in the training split, or the split has too few.
    """
    if config.frames is not None:
        index_of = {name: i for i, name in enumerate(names)}
        if unknown := tuple(name for name in config.frames if name not in index_of):
            message = f"{len(unknown)} of the listed training frames are not in the training split"
            hint = f"frames of the training split have names such as {', '.join(names[:3])}"
            raise DataError(Finding("unknown-frames", "error", message, hint, unknown))
        return np.array(sorted(index_of[name] for name in config.frames), dtype=np.int64)
    try:
        return label_budget(present, config.labels, config.seed)
    except ValueError:
        assert config.labels is not None
        raise budget_too_large(config.labels, len(names)) from None


def sizes_in_folds(task: LabelledTask, dataset: Any, folds: int) -> DatasetSize:
    """Return the size of a dataset whose labelled pictures are dealt into folds.

    Its splits have the fewest training and validation pictures of any fold, and all test pictures.

    Raises:
        UsageError: there are too few pictures or groups for so many folds.
    """
    groups = task.groups(task.pooled(dataset), LABELLED_SPLIT)
    try:
        return DatasetSize(task.sizes(dataset).classes, smallest_splits(groups, folds))
    except ValueError:
        count = len({(i,) if group is None else group for i, group in enumerate(groups)})
        kind = "groups" if any(groups) else "labelled pictures"
        message = f"{count} {kind} are too few for {folds} folds, with two left to train"
        hint = "choose fewer --folds, or label more"
        raise UsageError(Finding("too-few-frames", "error", message, hint)) from None


def budget_too_large(labels: int, available: int) -> DataError:
    """Return the error for a label budget larger than the training split."""
    message = f"--labels {labels}, but the training split has {available} labelled pictures"
    hint = f"--labels takes 1 to {available}, or all"
    return DataError(Finding("budget-too-large", "error", message, hint))
