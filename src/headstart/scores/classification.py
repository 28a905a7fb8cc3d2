"""Scores of a classification, all from its confusion matrix.

For K classes, ``confusion[t, p]`` is the number of pictures of class t that were taken for class p.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer

Confusion = Int64[np.ndarray, "k k"]


def confusion_matrix(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], num_classes: int
) -> Int64[np.ndarray, "{num_classes} {num_classes}"]:
    """Pictures by true class (row) and predicted class (column).

    Raises:
        ValueError: an index is no class.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    for values in (truth, predicted):
        if len(values) and not (values.min() >= 0 and values.max() < num_classes):
            raise ValueError(f"a class outside 0 to {num_classes - 1}")
    pairs = truth.astype(np.int64) * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def accuracy(confusion: Int64[np.ndarray, "k k"]) -> float | None:
    """The share of the pictures that were recognised; ``None`` without pictures.

    >>> accuracy(np.array([[1, 1], [0, 2]]))
    0.75
    """
    return _ratio(int(np.trace(confusion)), int(confusion.sum()))


def macro_f1(confusion: Int64[np.ndarray, "k k"]) -> float | None:
    """The mean over the classes present in truth of ``2 TP / (2 TP + FP + FN)``.

    ``None`` without pictures. A class that is only predicted has no F1 of its own; that it was
    predicted is an error of the classes the pictures are of.

    >>> round(macro_f1(np.array([[1, 1], [0, 2]])), 4)
    0.7333
    """
    tp = np.diagonal(confusion)
    there = confusion.sum(1) > 0
    both = confusion.sum(0) + confusion.sum(1)
    return float((2 * tp[there] / both[there]).mean()) if there.any() else None


def trivial_accuracy(confusion: Int64[np.ndarray, "k k"]) -> float | None:
    """What naming the most frequent class every time reaches.

    >>> trivial_accuracy(np.array([[1, 1], [1, 2]]))
    0.6
    """
    return _ratio(int(confusion.sum(1).max(initial=0)), int(confusion.sum()))


def collapsed(confusion: Int64[np.ndarray, "k k"]) -> bool:
    """Whether one class is predicted every time."""
    return int((confusion.sum(0) > 0).sum()) == 1


def score(confusion: Int64[np.ndarray, "k k"], names: Sequence[str]) -> dict[str, Any]:
    """Every score of a split, beside what a constant prediction reaches: for ``scores.json``.

    Args:
        confusion: see [`confusion_matrix`][].
        names: of the classes.

    Returns:
        ``pictures``, ``accuracy``, ``macro_f1``, ``collapsed``, ``trivial`` and ``classes``, each
        of these with ``recall``, ``precision`` and ``pictures``; what would be 0/0 is ``None``.

    Raises:
        ValueError: names and matrix do not belong together.

    >>> score(np.array([[1, 1], [0, 2]]), ["cat", "dog"])["classes"]["dog"]["recall"]
    1.0
    """
    if confusion.shape != (len(names), len(names)) or len(set(names)) != len(names):
        raise ValueError(f"{confusion.shape} is no confusion of {len(names)} different names")
    given, predicted = confusion.sum(1), confusion.sum(0)
    tp = np.diagonal(confusion)
    return {
        "pictures": int(confusion.sum()),
        "accuracy": accuracy(confusion),
        "macro_f1": macro_f1(confusion),
        "collapsed": collapsed(confusion),
        "trivial": {"accuracy": trivial_accuracy(confusion)},
        "classes": {
            name: {
                "recall": _ratio(int(tp[k]), int(given[k])),
                "precision": _ratio(int(tp[k]), int(predicted[k])),
                "pictures": int(given[k]),
            }
            for k, name in enumerate(names)
        },
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
