"""Overlap of prediction and truth: Dice, IoU and the conventions of papers.

For one class ``dice = 2 TP / (2 TP + FP + FN)`` and ``iou = TP / (TP + FP + FN)``. The scores
differ in what they average over, and in how they treat a class that is absent from a frame's truth:

- [`dice`][headstart.scores.overlap.dice] and [`iou`][headstart.scores.overlap.iou]: counts are
  summed over the split.
- [`dice_frame`][headstart.scores.overlap.dice_frame] and
  [`dice_assignment`][headstart.scores.overlap.dice_assignment]: averaged per frame.
- [`endovis_iou`][headstart.scores.overlap.endovis_iou],
  [`isi_iou`][headstart.scores.overlap.isi_iou] and [`mc_iou`][headstart.scores.overlap.mc_iou]:
  as in papers on EndoVis 2017.
- [`absent_fp_rate`][headstart.scores.overlap.absent_fp_rate]: how often an absent class is
  predicted.

Every function takes counts of shape ``(n, k, 3)`` (see [`headstart.scores.counts`][]) with
background as class 0, and returns a value in [0, 1], or ``None`` if there is nothing to average.
Counts are added as integers and means with ``math.fsum``, so a score does not depend on the order
of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Integer

from headstart.scores.counts import in_either, in_truth
from headstart.scores.ratio import ratio


def dice(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return the Dice of the split: the mean over classes of ``2 TP / (2 TP + FP + FN)``.

    This is the headline score. Counts are summed over frames first. The mean is over the
    foreground classes in the truth of the split; ``None`` if there are none.

    >>> dice(np.array([[[8, 0, 2], [1, 2, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.4
    """
    foreground = counts[:, 1:].sum(0)
    return _mean(_dice(foreground)[in_truth(foreground)])


def iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return the IoU of the split: the mean over classes of ``TP / (TP + FP + FN)``.

    The Jaccard index, over the same classes as [`dice`][headstart.scores.overlap.dice].

    >>> iou(np.array([[[8, 0, 2], [1, 2, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.25
    """
    foreground = counts[:, 1:].sum(0)
    return _mean(_iou(foreground)[in_truth(foreground)])


def dice_frame(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return Dice averaged over foreground classes in truth **or** prediction, then over frames.

    A class that is only predicted counts as 0. Frames without foreground in either are left out
    ([`left_out`][headstart.scores.counts.left_out] counts them); ``None`` if no frame remains.

    >>> dice_frame(np.array([[[8, 0, 2], [1, 2, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.25
    """
    foreground = counts[:, 1:]
    selected = in_either(foreground)
    return _mean(_frame_means(_dice(foreground), selected)[selected.any(1)])


def dice_assignment(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return Dice averaged over all classes, background included, then over frames.

    As the course assignment defines it, a class absent from a frame's truth counts as 1 if no
    pixel is predicted as it, else 0. Frames without any pixel that counts are left out; ``None`` if
    no frame remains.

    >>> dice_assignment(np.array([[[10, 0, 0], [0, 0, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.7368421052631579
    """
    counts = _with_pixels(counts)
    return _mean(np.where(in_either(counts), _dice(counts), 1.0).mean(1))


def endovis_iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return IoU averaged over the foreground classes in a frame's truth, then over frames.

    A frame with foreground only in the prediction counts as 0; a frame without foreground in
    either is left out. ``None`` if no frame remains. Source: Allan et al. 2019, arXiv:1902.06426,
    and Shvets et al. 2018, arXiv:1803.01207.

    >>> counts = np.array([[[4, 0, 2], [2, 2, 0], [0, 0, 0]], [[6, 0, 0], [0, 0, 2], [0, 2, 0]]])
    >>> endovis_iou(counts)
    0.25
    """
    foreground = counts[:, 1:]
    with_foreground = in_either(foreground).any(1)
    return _mean(_frame_means(_iou(foreground), in_truth(foreground))[with_foreground])


def isi_iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return IoU averaged over foreground classes in truth **or** prediction, then over frames.

    Unlike in [`endovis_iou`][headstart.scores.overlap.endovis_iou], a class that is only predicted
    counts as 0. Source: González et al. 2020 (ISINet), arXiv:2007.05533.

    >>> counts = np.array([[[4, 0, 2], [2, 2, 0], [0, 0, 0]], [[6, 0, 0], [0, 0, 0], [0, 2, 0]]])
    >>> isi_iou(counts)
    0.25
    """
    foreground = counts[:, 1:]
    selected = in_either(foreground)
    return _mean(_frame_means(_iou(foreground), selected)[selected.any(1)])


def mc_iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return IoU averaged over the frames with the class in their truth, then over classes.

    Foreground classes only; ``None`` if the truth contains none.

    >>> counts = np.array([[[4, 0, 2], [2, 2, 0], [0, 0, 0]], [[6, 0, 0], [0, 0, 2], [0, 2, 0]]])
    >>> mc_iou(counts)
    0.25
    """
    foreground = counts[:, 1:]
    values, present = _iou(foreground), in_truth(foreground)
    classes = np.flatnonzero(present.any(0))
    return _mean([math.fsum(values[present[:, c], c]) / int(present[:, c].sum()) for c in classes])


def absent_fp_rate(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Return how often a foreground class absent from a frame's truth is predicted there.

    The share of pairs (frame, absent class) with at least one predicted pixel; lower is better.
    Frames without any pixel that counts are left out. ``None`` if every other frame contains every
    foreground class.

    >>> absent_fp_rate(np.array([[[8, 0, 0], [0, 2, 0]], [[10, 0, 0], [0, 0, 0]]]))
    0.5
    """
    foreground = _with_pixels(counts)[:, 1:]
    absent = ~in_truth(foreground)
    return ratio(int((foreground[..., 1] > 0)[absent].sum()), int(absent.sum()))


def dice_of_frames(counts: Integer[np.ndarray, "n k 3"]) -> Float64[np.ndarray, "n"]:
    """Return one Dice per frame.

    Their mean is [`dice_frame`][headstart.scores.overlap.dice_frame]. NaN for frames without
    foreground in truth and prediction.

    >>> dice_of_frames(np.array([[[8, 0, 2], [1, 2, 0]], [[10, 0, 0], [0, 0, 0]]]))
    array([0.5, nan])
    """
    foreground = counts[:, 1:]
    selected = in_either(foreground)
    means = _frame_means(_dice(foreground), selected)
    return np.where(selected.any(1), means, np.nan)


def _with_pixels(counts: Integer[np.ndarray, "n k 3"]) -> Integer[np.ndarray, "m k 3"]:
    """Return the counts of the frames with at least one pixel that counts."""
    return counts[in_either(counts).any(1)]


def _dice(counts: Integer[np.ndarray, "*any 3"]) -> Float64[np.ndarray, "*any"]:
    """Return the Dice of each entry; 0 without truth and prediction, which callers replace."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    value: Float64[np.ndarray, "*any"] = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return value


def _iou(counts: Integer[np.ndarray, "*any 3"]) -> Float64[np.ndarray, "*any"]:
    """Return the IoU of each entry; 0 without truth and prediction, which callers replace."""
    value: Float64[np.ndarray, "*any"] = counts[..., 0] / np.maximum(counts.sum(-1), 1)
    return value


def _frame_means(
    values: Float64[np.ndarray, "n c"], selected: Bool[np.ndarray, "n c"]
) -> Float64[np.ndarray, " n"]:
    """Return each frame's mean over its selected classes; 0 if none is selected."""
    totals = np.where(selected, values, 0.0).sum(1)
    means: Float64[np.ndarray, " n"] = totals / np.maximum(selected.sum(1), 1)
    return means


def _mean(values: Float64[np.ndarray, " m"] | Sequence[float]) -> float | None:
    """Return the mean, or ``None`` without values; ``fsum`` makes it independent of the order."""
    return math.fsum(values) / len(values) if len(values) else None
