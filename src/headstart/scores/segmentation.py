"""Segmentation scores of a split, as recorded in ``scores.json``.

All scores are functions of counts ``(n, k, 3)``; see [`headstart.scores.counts`][] and
[`headstart.scores.overlap`][]. A score is ``None``, with a reason, where it is undefined: never 0,
1 or NaN instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NotRequired, TypedDict

import numpy as np
from jaxtyping import Int64, Integer

from headstart.scores.counts import collapsed, constant_counts, in_truth, left_out
from headstart.scores.overlap import (
    absent_fp_rate,
    dice,
    dice_assignment,
    dice_frame,
    endovis_iou,
    iou,
    isi_iou,
    mc_iou,
)
from headstart.scores.ratio import ratio


class ClassScores(TypedDict):
    """Scores of one class over a split; ``reason`` is set if one of the four is ``None``."""

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    frames: int  # with the class in their truth
    pixels: int  # true pixels of the class
    reason: NotRequired[str]


class Scores(TypedDict):
    """All scores of a split; ``reasons`` is set if one of the eight is ``None``."""

    frames: int
    dice: float | None
    dice_frame: float | None
    dice_assignment: float | None
    iou: float | None
    endovis_iou: float | None
    isi_iou: float | None
    mc_iou: float | None
    absent_fp_rate: float | None
    frames_left_out: int  # without foreground in truth and prediction: see `dice_frame`
    collapsed: bool
    trivial: dict[str, float | None]
    classes: dict[str, ClassScores]
    reasons: NotRequired[dict[str, str]]


_ALL: dict[str, Callable[[Integer[np.ndarray, "n k 3"]], float | None]] = {
    "dice": dice,
    "dice_frame": dice_frame,
    "dice_assignment": dice_assignment,
    "iou": iou,
    "endovis_iou": endovis_iou,
    "isi_iou": isi_iou,
    "mc_iou": mc_iou,
    "absent_fp_rate": absent_fp_rate,
}
SCORES = tuple(_ALL)
"""The names of the eight scores, in the order of every table."""

_NO_TRUTH = "no frame's truth holds a foreground class"
_NO_FOREGROUND = "no frame holds a foreground class, neither in truth nor in prediction"
_WHY_NONE = {
    "dice": _NO_TRUTH,
    "dice_frame": _NO_FOREGROUND,
    "dice_assignment": "no pixel of any frame counts",
    "iou": _NO_TRUTH,
    "endovis_iou": _NO_FOREGROUND,
    "isi_iou": _NO_FOREGROUND,
    "mc_iou": _NO_TRUTH,
    "absent_fp_rate": "every frame's truth holds every foreground class",
}


def trivial_scores(pixels: Integer[np.ndarray, "n k"]) -> dict[str, float | None]:
    """Return, for each score, the best value of a constant prediction (one class everywhere).

    Best means highest, for ``absent_fp_rate`` lowest. The best class may differ between scores.
    ``None`` where no constant prediction has a score.

    Args:
        pixels: true pixels per frame and class.

    >>> scores = trivial_scores(np.array([[90, 10], [100, 0]]))
    >>> scores["dice"], scores["dice_assignment"], scores["absent_fp_rate"]
    (0.09523809523809523, 0.7368421052631579, 0.0)
    """
    constant = [constant_counts(pixels, c) for c in range(pixels.shape[1])]
    best: dict[str, float | None] = {}
    for name, function in _ALL.items():
        values = [value for value in map(function, constant) if value is not None]
        choose = min if name == "absent_fp_rate" else max
        best[name] = choose(values, default=None)
    return best


def score(counts: Integer[np.ndarray, "n k 3"], names: Sequence[str]) -> Scores:
    """Return every score of a split and of the best constant prediction, for ``scores.json``.

    Args:
        counts: counts from [`count`][headstart.scores.counts.count].
        names: class names, background first.

    Returns:
        A record of type [`Scores`][headstart.scores.segmentation.Scores]. ``collapsed`` is true if
        only one class is predicted. Every ``None`` comes with a reason.

    Raises:
        ValueError: the counts are negative, not integers, or do not match the names.

    >>> scores = score(np.array([[[90, 10, 0], [0, 0, 10]]]), ["background", "tool"])
    >>> scores["dice"], scores["collapsed"], scores["classes"]["tool"]["precision"]
    (0.0, True, None)
    """
    _check(counts, names)
    counts = counts.astype(np.int64)
    values = {name: function(counts) for name, function in _ALL.items()}
    pixels = counts[..., 0] + counts[..., 2]
    scores: Scores = {
        "frames": len(counts),
        "dice": values["dice"],
        "dice_frame": values["dice_frame"],
        "dice_assignment": values["dice_assignment"],
        "iou": values["iou"],
        "endovis_iou": values["endovis_iou"],
        "isi_iou": values["isi_iou"],
        "mc_iou": values["mc_iou"],
        "absent_fp_rate": values["absent_fp_rate"],
        "frames_left_out": left_out(counts),
        "collapsed": collapsed(counts),
        "trivial": trivial_scores(pixels),
        "classes": {name: _class_scores(counts[:, c]) for c, name in enumerate(names)},
    }
    missing = [name for name, value in values.items() if value is None]
    if missing:
        no_frames = "the split has no frames"
        scores["reasons"] = {n: _WHY_NONE[n] if len(counts) else no_frames for n in missing}
    return scores


def _class_scores(counts: Int64[np.ndarray, "n 3"]) -> ClassScores:
    tp, fp, fn = (int(c) for c in counts.sum(0))
    present = tp + fn > 0
    scores: ClassScores = {
        "dice": ratio(2 * tp, 2 * tp + fp + fn) if present else None,
        "iou": ratio(tp, tp + fp + fn) if present else None,
        "precision": ratio(tp, tp + fp) if present else None,
        "recall": ratio(tp, tp + fn) if present else None,
        "frames": int(in_truth(counts).sum()),
        "pixels": tp + fn,
    }
    if not present:
        scores["reason"] = f"no frame's truth holds this class; {fp} pixels are predicted as it"
    elif tp + fp == 0:
        scores["reason"] = "never predicted, so that its precision would be 0/0"
    return scores


def _check(counts: np.ndarray, names: Sequence[str]) -> None:
    if counts.ndim != 3 or counts.shape[1:] != (len(names), 3):
        raise ValueError(
            f"counts of {len(names)} classes must have shape (n, {len(names)}, 3); "
            f"found {counts.shape}"
        )
    if not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
        raise ValueError("counts must be integers, 0 or more")
    if len(set(names)) != len(names):
        raise ValueError(f"class names must be unique; found {', '.join(names)}")
