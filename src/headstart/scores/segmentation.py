"""Segmentation scores, all of them functions of one array of counts.

The counts are integers of shape ``(n, k, 3)``: for each of ``n`` frames and ``k`` classes the true
positive, false positive and false negative pixels. [`count`][headstart.scores.segmentation.count] takes them
from predictions; whatever is scored later (a split, a class, a resample of the frames) is a choice
of rows. Class 0 is background, the others are foreground.

For one class ``dice = 2 TP / (2 TP + FP + FN)`` and ``iou = TP / (TP + FP + FN)``. The scores
differ in what they average, and in what they do with a class that a frame's truth does not hold:

- [`dice`][headstart.scores.segmentation.dice] and [`iou`][headstart.scores.segmentation.iou]: counts summed over the split.
- [`dice_frame`][headstart.scores.segmentation.dice_frame] and
  [`dice_assignment`][headstart.scores.segmentation.dice_assignment]: per frame.
- [`endovis_iou`][headstart.scores.segmentation.endovis_iou], [`isi_iou`][headstart.scores.segmentation.isi_iou] and
  [`mc_iou`][headstart.scores.segmentation.mc_iou]: those of papers on EndoVis 2017.
- [`absent_fp_rate`][headstart.scores.segmentation.absent_fp_rate]: how often an absent class is predicted.

A score lies in [0, 1], or is ``None`` where there is nothing to average: never 0, 1 or NaN
instead. Counts are added as integers and means with ``math.fsum``, so that the order of the frames
does not change a bit of any score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # importing torch takes seconds, and only `count` is given tensors


class ClassScores(TypedDict):
    """One class over a split; ``reason`` is there when one of the four scores is ``None``."""

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    frames: int  # whose truth holds the class
    pixels: int  # of the class in the truth
    reason: NotRequired[str]


class Scores(TypedDict):
    """All scores of a split; ``reasons`` is there when one of the eight is ``None``."""

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


def count(
    prediction: Integer[Tensor, "b h w"], mask: Integer[Tensor, "b h w"], num_classes: int
) -> Int64[Tensor, "b k 3"]:
    """True positive, false positive and false negative pixels per frame and class.

    Works on the tensors' own device and leaves the result there.

    Args:
        prediction: predicted class indices, 0 to ``num_classes - 1``.
        mask: the true ones, of the same shape.
        num_classes: background included.

    Raises:
        ValueError: the shapes differ, or an index is no class.

    >>> import torch
    >>> count(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]), num_classes=2).tolist()
    [[[1, 0, 1], [1, 1, 0]]]
    """
    import torch

    if prediction.shape != mask.shape or mask.ndim != 3:
        raise ValueError(
            f"prediction and mask must have one shape (b, h, w); "
            f"found {tuple(prediction.shape)} and {tuple(mask.shape)}"
        )
    frames, bins = len(mask), num_classes * num_classes
    truth, predicted = mask.long(), prediction.long()
    # What is no class would land in another class's or frame's bin. It gets a bin of its own behind
    # the last, so that the length of the result tells of it without one more wait for the device.
    known = (truth >= 0) & (truth < num_classes) & (predicted >= 0) & (predicted < num_classes)
    frame = torch.arange(frames, device=mask.device)[:, None, None]
    code = torch.where(known, frame * bins + truth * num_classes + predicted, frames * bins)
    pairs = torch.bincount(code.flatten(), minlength=frames * bins)
    if len(pairs) > frames * bins:
        raise ValueError(f"prediction or mask holds a value outside 0 to {num_classes - 1}")
    confusion = pairs.view(frames, num_classes, num_classes)  # frame, truth, prediction
    tp = confusion.diagonal(dim1=1, dim2=2)
    return torch.stack([tp, confusion.sum(1) - tp, confusion.sum(2) - tp], dim=2)


def constant_counts(
    pixels: Integer[np.ndarray, "n k"], predicted: int
) -> Int64[np.ndarray, "n k 3"]:
    """The counts of predicting one class everywhere.

    Args:
        pixels: true pixels per frame and class.
        predicted: the class predicted everywhere.

    Raises:
        ValueError: ``predicted`` is no class.

    >>> constant_counts(np.array([[3, 1]]), predicted=0).tolist()
    [[[3, 1, 0], [0, 0, 1]]]
    """
    if not 0 <= predicted < pixels.shape[1]:
        raise ValueError(f"class {predicted} is outside 0 to {pixels.shape[1] - 1}")
    counts = np.zeros((*pixels.shape, 3), dtype=np.int64)
    counts[:, :, 2] = pixels
    counts[:, predicted, 0] = pixels[:, predicted]
    counts[:, predicted, 1] = pixels.sum(1) - pixels[:, predicted]
    counts[:, predicted, 2] = 0
    return counts


def dice(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Dice of the split (the headline): the mean over classes of ``2 TP / (2 TP + FP + FN)``.

    Counts are summed over the frames first. The mean is over the foreground classes that the
    split's truth holds; ``None`` if it holds none.

    >>> dice(np.array([[[8, 0, 2], [1, 2, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.4
    """
    foreground = counts[:, 1:].sum(0)
    return _mean(_dice(foreground)[_in_truth(foreground)])


def iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """As [`dice`][headstart.scores.segmentation.dice], with the Jaccard index ``TP / (TP + FP + FN)``.

    >>> iou(np.array([[[8, 0, 2], [1, 2, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.25
    """
    foreground = counts[:, 1:].sum(0)
    return _mean(_iou(foreground)[_in_truth(foreground)])


def dice_frame(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Dice per frame over the foreground classes in its truth **or** prediction, then over frames.

    A class that is only predicted counts 0. Frames with no foreground in either are left out
    ([`left_out`][headstart.scores.segmentation.left_out] tells how many); ``None`` if that leaves none.

    >>> dice_frame(np.array([[[8, 0, 2], [1, 2, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.25
    """
    foreground = counts[:, 1:]
    entering = _in_either(foreground)
    return _mean(_frame_means(_dice(foreground), entering)[entering.any(1)])


def dice_assignment(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Dice per frame over all classes, background included, then over frames.

    A class absent from a frame's truth counts 1 if no pixel of it is predicted there, else 0.
    ``None`` without frames.

    >>> dice_assignment(np.array([[[10, 0, 0], [0, 0, 0]], [[9, 0, 1], [0, 1, 0]]]))
    0.7368421052631579
    """
    return _mean(np.where(_in_either(counts), _dice(counts), 1.0).mean(1))


def endovis_iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """IoU per frame over the foreground classes in its truth, then over frames.

    A frame with foreground only in the prediction counts 0; one without any in either is left out.
    ``None`` if that leaves none. Source: Allan et al. 2019, arXiv:1902.06426, and Shvets et al.
    2018, arXiv:1803.01207.

    >>> counts = np.array([[[4, 0, 2], [2, 2, 0], [0, 0, 0]], [[6, 0, 0], [0, 0, 2], [0, 2, 0]]])
    >>> endovis_iou(counts)
    0.25
    """
    foreground = counts[:, 1:]
    judged = _in_either(foreground).any(1)
    return _mean(_frame_means(_iou(foreground), _in_truth(foreground))[judged])


def isi_iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """As [`endovis_iou`][headstart.scores.segmentation.endovis_iou], but classes only predicted enter, as 0.

    Source: González et al. 2020 (ISINet), arXiv:2007.05533.

    >>> counts = np.array([[[4, 0, 2], [2, 2, 0], [0, 0, 0]], [[6, 0, 0], [0, 0, 0], [0, 2, 0]]])
    >>> isi_iou(counts)
    0.25
    """
    foreground = counts[:, 1:]
    entering = _in_either(foreground)
    return _mean(_frame_means(_iou(foreground), entering)[entering.any(1)])


def mc_iou(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """IoU per class over the frames whose truth holds it, then over the foreground classes.

    ``None`` if no frame's truth holds any.

    >>> counts = np.array([[[4, 0, 2], [2, 2, 0], [0, 0, 0]], [[6, 0, 0], [0, 0, 2], [0, 2, 0]]])
    >>> mc_iou(counts)
    0.25
    """
    foreground = counts[:, 1:]
    values, held = _iou(foreground), _in_truth(foreground)
    classes = np.flatnonzero(held.any(0))
    return _mean([math.fsum(values[held[:, c], c]) / int(held[:, c].sum()) for c in classes])


def absent_fp_rate(counts: Integer[np.ndarray, "n k 3"]) -> float | None:
    """Share of the pairs (frame, foreground class absent from it) with any pixel predicted.

    Lower is better. ``None`` if every frame holds every foreground class.

    >>> absent_fp_rate(np.array([[[8, 0, 0], [0, 2, 0]], [[10, 0, 0], [0, 0, 0]]]))
    0.5
    """
    foreground = counts[:, 1:]
    absent = ~_in_truth(foreground)
    return _ratio(int((foreground[..., 1] > 0)[absent].sum()), int(absent.sum()))


def left_out(counts: Integer[np.ndarray, "n k 3"]) -> int:
    """Frames with no foreground pixel in truth and prediction.

    [`dice_frame`][headstart.scores.segmentation.dice_frame], [`endovis_iou`][headstart.scores.segmentation.endovis_iou] and
    [`isi_iou`][headstart.scores.segmentation.isi_iou] leave them out.

    >>> left_out(np.array([[[9, 0, 1], [0, 1, 0]], [[10, 0, 0], [0, 0, 0]]]))
    1
    """
    return int((~_in_either(counts[:, 1:]).any(1)).sum())


def collapsed(counts: Integer[np.ndarray, "n k 3"]) -> bool:
    """Whether all predictions of the split hold one class only.

    >>> collapsed(np.array([[[8, 2, 0], [0, 0, 2]]]))
    True
    """
    predicted = counts[..., :2].sum((0, 2))
    return int((predicted > 0).sum()) == 1


def dice_of_frames(counts: Integer[np.ndarray, "n k 3"]) -> Float64[np.ndarray, "n"]:
    """The terms of [`dice_frame`][headstart.scores.segmentation.dice_frame]; NaN for a frame it leaves out.

    >>> dice_of_frames(np.array([[[8, 0, 2], [1, 2, 0]], [[10, 0, 0], [0, 0, 0]]]))
    array([0.5, nan])
    """
    foreground = counts[:, 1:]
    entering = _in_either(foreground)
    means = _frame_means(_dice(foreground), entering)
    return np.where(entering.any(1), means, np.nan)


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
"""The names of the eight, in the order of every table."""

_NO_TRUTH = "no frame's truth holds a foreground class"
_NO_FOREGROUND = "no frame holds a foreground class, neither in truth nor in prediction"
_WHY_NONE = {
    "dice": _NO_TRUTH,
    "dice_frame": _NO_FOREGROUND,
    "iou": _NO_TRUTH,
    "endovis_iou": _NO_FOREGROUND,
    "isi_iou": _NO_FOREGROUND,
    "mc_iou": _NO_TRUTH,
    "absent_fp_rate": "every frame's truth holds every foreground class",
}


def trivial_scores(pixels: Integer[np.ndarray, "n k"]) -> dict[str, float | None]:
    """What the best constant prediction (one class everywhere) reaches, by each score.

    The highest, for ``absent_fp_rate`` the lowest; each of the eight has its own best class.
    ``None`` where no constant prediction can be scored.

    Args:
        pixels: true pixels per frame and class; no prediction is needed.

    >>> scores = trivial_scores(np.array([[90, 10], [100, 0]]))
    >>> scores["dice"], scores["dice_assignment"], scores["absent_fp_rate"]
    (0.09523809523809523, 0.7368421052631579, 0.0)
    """
    constant = [constant_counts(pixels, c) for c in range(pixels.shape[1])]
    best: dict[str, float | None] = {}
    for name, function in _ALL.items():
        reached = [value for value in map(function, constant) if value is not None]
        choose = min if name == "absent_fp_rate" else max
        best[name] = choose(reached, default=None)
    return best


def score(counts: Integer[np.ndarray, "n k 3"], names: Sequence[str]) -> Scores:
    """Every score of a split, beside what a constant prediction reaches: ready for ``scores.json``.

    Args:
        counts: as [`count`][headstart.scores.segmentation.count] gives them.
        names: the classes' names, background first.

    Returns:
        See [`Scores`][headstart.scores.segmentation.Scores]. ``collapsed`` is true when all predictions
        hold one class only. Whatever is ``None`` has its reason beside it.

    Raises:
        ValueError: the counts are not whole numbers from 0, or do not match the names.

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
    held = tp + fn > 0
    scores: ClassScores = {
        "dice": _ratio(2 * tp, 2 * tp + fp + fn) if held else None,
        "iou": _ratio(tp, tp + fp + fn) if held else None,
        "precision": _ratio(tp, tp + fp) if held else None,
        "recall": _ratio(tp, tp + fn) if held else None,
        "frames": int(_in_truth(counts).sum()),
        "pixels": tp + fn,
    }
    if not held:
        scores["reason"] = f"no frame's truth holds this class; {fp} pixels are predicted as it"
    elif tp + fp == 0:
        scores["reason"] = "never predicted, so that its precision would be 0/0"
    return scores


def _check(counts: np.ndarray, names: Sequence[str]) -> None:
    if counts.ndim != 3 or counts.shape[1:] != (len(names), 3):
        raise ValueError(
            f"counts must have the shape (n, {len(names)}, 3) for {len(names)} names; "
            f"found {counts.shape}"
        )
    if not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
        raise ValueError("counts must be whole numbers from 0")
    if len(set(names)) != len(names):
        raise ValueError(f"two classes have one name: {', '.join(names)}")


def _in_truth(counts: Integer[np.ndarray, "*any 3"]) -> Bool[np.ndarray, "*any"]:
    held: Bool[np.ndarray, "*any"] = counts[..., 0] + counts[..., 2] > 0
    return held


def _in_either(counts: Integer[np.ndarray, "*any 3"]) -> Bool[np.ndarray, "*any"]:
    held: Bool[np.ndarray, "*any"] = counts.sum(-1) > 0
    return held


def _dice(counts: Integer[np.ndarray, "*any 3"]) -> Float64[np.ndarray, "*any"]:
    """Dice of each entry; 0 where there is neither truth nor prediction, for callers to replace."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    value: Float64[np.ndarray, "*any"] = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return value


def _iou(counts: Integer[np.ndarray, "*any 3"]) -> Float64[np.ndarray, "*any"]:
    """IoU of each entry; 0 where there is neither truth nor prediction, for callers to replace."""
    value: Float64[np.ndarray, "*any"] = counts[..., 0] / np.maximum(counts.sum(-1), 1)
    return value


def _frame_means(
    values: Float64[np.ndarray, "n c"], entering: Bool[np.ndarray, "n c"]
) -> Float64[np.ndarray, " n"]:
    """Per frame the mean over its entering classes; 0 where none enters."""
    totals = np.where(entering, values, 0.0).sum(1)
    means: Float64[np.ndarray, " n"] = totals / np.maximum(entering.sum(1), 1)
    return means


def _mean(values: Float64[np.ndarray, " m"] | Sequence[float]) -> float | None:
    """The mean, ``None`` of nothing; correctly rounded sums make it blind to the values' order."""
    return math.fsum(values) / len(values) if len(values) else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
