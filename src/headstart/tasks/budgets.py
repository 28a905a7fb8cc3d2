"""The label budget: the labelled pictures a run trains on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from headstart.config.records import RunConfig
from headstart.data.splits import label_budget
from headstart.errors import DataError, Finding

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


def budget_too_large(labels: int, available: int) -> DataError:
    """Return the error for a label budget larger than the training split."""
    message = f"--labels {labels}, but the training split has {available} labelled pictures"
    hint = f"--labels takes 1 to {available}, or all"
    return DataError(Finding("budget-too-large", "error", message, hint))
