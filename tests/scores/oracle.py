"""Scores by scikit-learn, pixel by pixel: what scores from counts must equal."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.metrics import f1_score, jaccard_score


def held(*arrays: np.ndarray) -> list[int]:
    """The foreground classes in any of the arrays."""
    return sorted(set(np.concatenate([a.ravel() for a in arrays]).tolist()) - {0})


def mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def from_sklearn(
    prediction: Iterable[np.ndarray], truth: Iterable[np.ndarray], num_classes: int
) -> dict[str, float | None]:
    """The eight scores as design and papers word them, frame by frame, by scikit-learn.

    Frames are arrays of class indices, of any number of pixels; one without pixels is no frame.
    """
    pairs = [(t.ravel(), p.ravel()) for t, p in zip(truth, prediction, strict=True) if t.size]
    nothing = np.zeros(0, np.int64)
    all_truth, predicted = (np.concatenate([nothing, *(pair[i] for pair in pairs)]) for i in (0, 1))

    def assignment(t: np.ndarray, p: np.ndarray) -> float:
        every = range(num_classes)
        return float(f1_score(t, p, labels=every, average="macro", zero_division=1.0))

    def macro(function: object, t: np.ndarray, p: np.ndarray, classes: list[int]) -> float | None:
        if not classes:
            return None
        return float(function(t, p, labels=classes, average="macro", zero_division=0))  # type: ignore[operator]

    present = held(all_truth)
    either = [(t, p) for t, p in pairs if held(t, p)]
    absent = [(c in p) for t, p in pairs for c in range(1, num_classes) if c not in t]
    return {
        "dice": macro(f1_score, all_truth, predicted, present),
        "dice_frame": mean([macro(f1_score, t, p, held(t, p)) for t, p in either]),
        "dice_assignment": mean([assignment(t, p) for t, p in pairs]),
        "iou": macro(jaccard_score, all_truth, predicted, present),
        "endovis_iou": mean([macro(jaccard_score, t, p, held(t)) or 0.0 for t, p in either]),
        "isi_iou": mean([macro(jaccard_score, t, p, held(t, p)) for t, p in either]),
        "mc_iou": mean(
            [mean([macro(jaccard_score, t, p, [c]) for t, p in pairs if c in t]) for c in present]
        ),
        "absent_fp_rate": mean([float(a) for a in absent]),
    }
