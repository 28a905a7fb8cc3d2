"""Classification scores, all computed from the confusion matrix.

``confusion[t, p]`` is the number of pictures of true class ``t`` predicted as class ``p``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer

from headstart.scores.ratio import ratio

Confusion = Int64[np.ndarray, "k k"]


def confusion_matrix(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], num_classes: int
) -> Int64[np.ndarray, "{num_classes} {num_classes}"]:
    """Count pictures by true class (row) and predicted class (column).

    Raises:
        ValueError: an index is outside 0 to ``num_classes - 1``.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    for values in (truth, predicted):
        if len(values) and not (values.min() >= 0 and values.max() < num_classes):
            raise ValueError(f"class index outside 0 to {num_classes - 1}")
    pairs = truth.astype(np.int64) * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def accuracy(confusion: Int64[np.ndarray, "k k"]) -> float | None:
    """Return the share of correctly classified pictures; ``None`` without pictures.

    >>> accuracy(np.array([[1, 1], [0, 2]]))
    0.75
    """
    return ratio(int(np.trace(confusion)), int(confusion.sum()))


def macro_f1(confusion: Int64[np.ndarray, "k k"]) -> float | None:
    """Return the mean over the classes in the truth of ``2 TP / (2 TP + FP + FN)``.

    A class that is only predicted does not enter the mean; the pictures predicted as it count as
    false negatives of their true classes. ``None`` without pictures.

    >>> round(macro_f1(np.array([[1, 1], [0, 2]])), 4)
    0.7333
    """
    tp = np.diagonal(confusion)
    present = confusion.sum(1) > 0
    denominator = confusion.sum(0) + confusion.sum(1)
    return float((2 * tp[present] / denominator[present]).mean()) if present.any() else None


def trivial_accuracy(confusion: Int64[np.ndarray, "k k"]) -> float | None:
    """Return the accuracy of always predicting the most frequent class.

    >>> trivial_accuracy(np.array([[1, 1], [1, 2]]))
    0.6
    """
    return ratio(int(confusion.sum(1).max(initial=0)), int(confusion.sum()))


def collapsed(confusion: Int64[np.ndarray, "k k"]) -> bool:
    """Return whether the same class is predicted for every picture."""
    return int((confusion.sum(0) > 0).sum()) == 1


def score(confusion: Int64[np.ndarray, "k k"], names: Sequence[str]) -> dict[str, Any]:
    """Return every score of a split and of the best constant prediction, for ``scores.json``.

    Args:
        confusion: see [`confusion_matrix`][].
        names: class names.

    Returns:
        ``pictures``, ``accuracy``, ``macro_f1``, ``collapsed``, ``trivial`` and ``classes``; each
        class has ``recall``, ``precision`` and ``pictures``. A score of 0/0 is ``None``.

    Raises:
        ValueError: the names are not unique, or do not match the matrix.

    >>> score(np.array([[1, 1], [0, 2]]), ["cat", "dog"])["classes"]["dog"]["recall"]
    1.0
    """
    if confusion.shape != (len(names), len(names)) or len(set(names)) != len(names):
        raise ValueError(
            f"a confusion matrix must be square with one unique name per row; "
            f"found shape {confusion.shape} and names {', '.join(names)}"
        )
    truth, predicted = confusion.sum(1), confusion.sum(0)
    tp = np.diagonal(confusion)
    return {
        "pictures": int(confusion.sum()),
        "accuracy": accuracy(confusion),
        "macro_f1": macro_f1(confusion),
        "collapsed": collapsed(confusion),
        "trivial": {"accuracy": trivial_accuracy(confusion)},
        "classes": {
            name: {
                "recall": ratio(int(tp[k]), int(truth[k])),
                "precision": ratio(int(tp[k]), int(predicted[k])),
                "pictures": int(truth[k]),
            }
            for k, name in enumerate(names)
        },
    }
