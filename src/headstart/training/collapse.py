"""Trainings that have not begun to learn, named while there is time to stop them.

A network without batch norm, such as VGG16 from random weights, can stay where it starts: its loss
is that of the best constant prediction, for ten classes ln(10) = 2.303, and its accuracy is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from headstart.errors import Finding
from headstart.training.listener import Row

PATIENCE = 3
"""Epochs in a row without any learning after which a training is called collapsed."""

_AGAIN = 10 * PATIENCE  # it is said once more, for those who went on
_LOSS, _ACCURACY = 0.01, 1.1  # how near to the constant prediction's is "the same"


def collapse(history: Sequence[Row], constant: Mapping[str, float]) -> Finding | None:
    """Return a finding if the newest epoch is the third in a row without any learning.

    Args:
        history: rows of ``metrics.jsonl``, one for each epoch so far.
        constant: validation ``loss`` and ``accuracy`` of the best constant prediction; empty where
            the task has none, and then only predicting one class everywhere counts.
    """
    rows = list(history)[::-1]
    count = next((i for i, row in enumerate(rows) if not _idle(row, constant)), len(rows))
    if count not in (PATIENCE, _AGAIN):
        return None
    for_epochs = f"the model has collapsed: for {count} epochs it has"
    hint = "stop it; begin again with a lower learning rate, a warm-up or other initial weights"
    if all(row.get("validation_collapsed") for row in rows[:count]):
        message = f"{for_epochs} predicted one class everywhere on the validation split"
    else:
        message = f"{for_epochs} learned nothing"
    if constant:
        message += (
            f" (validation loss {rows[0]['validation_loss']:.4f}, accuracy "
            f"{rows[0]['validation_accuracy']:.3f}; always the same class probabilities: "
            f"{constant['loss']:.4f} and {constant['accuracy']:.3f})"
        )
    return Finding("collapsed", "warning", message, hint)


def nothing_confident(history: Sequence[Row]) -> Finding | None:
    """Return a finding if the newest epoch is the third in a row with an unsure teacher.

    Then a semi-supervised training learns from its labelled pictures alone.

    Args:
        history: rows of ``metrics.jsonl``, one for each epoch so far.
    """
    unsure = [row.get("validation_confident") == 0 for row in history]
    count = next((i for i, is_unsure in enumerate(unsure[::-1]) if not is_unsure), len(unsure))
    if count != PATIENCE:
        return None
    message = (
        f"for {PATIENCE} epochs the teacher has been sure of no pixel, so nothing is learned from "
        "the pictures without labels"
    )
    hint = "stop it; lower the teacher's confidence in a recipe of your own, or train supervised"
    return Finding("nothing-confident", "warning", message, hint)


def learned_nothing(history: Sequence[Row], constant: Mapping[str, float]) -> bool:
    """Return whether no epoch of a training was better than a constant prediction."""
    return bool(history) and all(_idle(row, constant) for row in history)


def constant_scores(
    labels: Int64[np.ndarray, " n"], num_classes: int, smoothing: float
) -> dict[str, float]:
    """Return loss and accuracy of predicting each class with its own frequency, for all pictures.

    With label smoothing ``s`` and frequencies ``f``, the mean target is ``m = (1 - s) f + s / K``;
    no constant prediction has a cross-entropy below ``-sum m log m``, which for ``K`` equally
    frequent classes is ``log K``.

    >>> scores = constant_scores(np.array([0, 0, 1, 1]), 2, 0.0)
    >>> f"{scores['loss']:.4f}", scores["accuracy"]
    ('0.6931', 0.5)
    """
    frequencies = np.bincount(labels, minlength=num_classes) / len(labels)
    mean = (1 - smoothing) * frequencies + smoothing / num_classes
    mean = mean[mean > 0]
    return {"loss": float(-(mean * np.log(mean)).sum()), "accuracy": float(frequencies.max())}


def _idle(row: Row, constant: Mapping[str, float]) -> bool:
    """Return whether the network of an epoch is no better than a constant prediction."""
    if row.get("validation_collapsed"):
        return True
    if not constant:
        return False
    same_loss = abs(row["validation_loss"] - constant["loss"]) <= _LOSS * constant["loss"]
    return same_loss and bool(row["validation_accuracy"] <= _ACCURACY * constant["accuracy"])
