"""Which labelled pictures a run learns from."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from headstart.data.splits import label_budget
from headstart.errors import DataError, Finding
from headstart.training.config import RunConfig

LABELS = "labels.txt"
"""In a run's folder: the names of the labelled pictures it learned from, one a line."""


def labelled_indices(
    present: Bool[np.ndarray, "n k"], names: tuple[str, ...], config: RunConfig
) -> Int64[np.ndarray, " m"]:
    """Indices of the training pictures in a run's label budget.

    Args:
        present: which picture shows which class.
        names: of the training pictures.
        config: names the pictures, or their number.

    Raises:
        DataError: there are no such pictures, or not as many.
    """
    if config.frames is not None:
        places = {name: i for i, name in enumerate(names)}
        if unknown := tuple(name for name in config.frames if name not in places):
            message = f"{len(unknown)} of the frames to train on are not in the training split"
            hint = f"its frames are called {', '.join(names[:3])}, ..."
            raise DataError(Finding("unknown-frames", "error", message, hint, unknown))
        return np.array(sorted(places[name] for name in config.frames), dtype=np.int64)
    try:
        return label_budget(present, config.labels, config.seed)
    except ValueError:
        assert config.labels is not None
        raise budget_too_large(config.labels, len(names)) from None


def budget_too_large(labels: int, available: int) -> DataError:
    """The error of a label budget that the training split cannot fill."""
    message = f"--labels {labels}, but the training split has {available} labelled pictures"
    hint = f"--labels takes 1 to {available}, or all"
    return DataError(Finding("budget-too-large", "error", message, hint))
