"""From pixels to counts: true positives, false positives and false negatives.

Counts are integers of shape ``(n, k, 3)``: for each of ``n`` frames and ``k`` classes the true
positive (TP), false positive (FP) and false negative (FN) pixels. Every segmentation score is a
function of them. Class 0 is background; the other classes are foreground.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int64, Integer

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # importing torch takes seconds, and only `count` needs it


_AT_ONCE = 1 << 20  # pixels; each takes some 50 bytes while it is counted


def count(
    prediction: Integer[Tensor, "b h w"],
    mask: Integer[Tensor, "b h w"],
    num_classes: int,
    ignore: int | None = None,
) -> Int64[Tensor, "b k 3"]:
    """Count true positive, false positive and false negative pixels per frame and class.

    Runs on the device of the tensors; the result stays there.

    Args:
        prediction: predicted class indices, 0 to ``num_classes - 1``.
        mask: true class indices, same shape.
        num_classes: number of classes, background included.
        ignore: index in ``mask`` of pixels that are ignored, whatever is predicted there; None
            if every pixel counts.

    Raises:
        ValueError: the shapes differ, or a value is outside 0 to ``num_classes - 1``.

    >>> import torch
    >>> count(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 1]]]), num_classes=2).tolist()
    [[[1, 0, 1], [1, 1, 0]]]
    >>> mask = torch.tensor([[[0, 255, 1]]])
    >>> count(torch.tensor([[[0, 1, 1]]]), mask, num_classes=2, ignore=255).tolist()
    [[[1, 0, 0], [1, 0, 0]]]
    """
    import torch

    if prediction.shape != mask.shape or mask.ndim != 3:
        raise ValueError(
            f"prediction and mask must have the same shape (b, h, w); "
            f"found {tuple(prediction.shape)} and {tuple(mask.shape)}"
        )
    rows = max(1, _AT_ONCE // max(1, mask.shape[0] * mask.shape[2]))
    if mask.device.type == "cpu" and rows < mask.shape[1]:  # strips of rows; their counts add up
        starts = range(0, mask.shape[1], rows)
        parts = [(prediction[:, s : s + rows], mask[:, s : s + rows]) for s in starts]
        return torch.stack([count(*part, num_classes, ignore) for part in parts]).sum(0)
    frames, bins = len(mask), num_classes * num_classes
    truth, predicted = mask.long(), prediction.long()
    frame = torch.arange(frames, device=mask.device)[:, None, None]
    code = frame * bins + truth * num_classes + predicted
    # An ignored pixel gets a bin of its own after all others. An invalid value would land in the
    # bin of another class or frame. It gets an extra bin at the end instead: the length of the
    # result then shows the error without another device sync.
    valid = (truth >= 0) & (truth < num_classes)
    total = frames * bins
    if ignore is not None:
        ignored = truth == ignore
        code, valid = code.masked_fill(ignored, total), valid | ignored
        total += 1
    code = torch.where(valid & (predicted >= 0) & (predicted < num_classes), code, total)
    pairs = torch.bincount(code.flatten(), minlength=total)
    if len(pairs) > total:
        raise ValueError(f"prediction or mask contains a value outside 0 to {num_classes - 1}")
    # frame, truth, prediction
    confusion = pairs[: frames * bins].view(frames, num_classes, num_classes)
    tp = confusion.diagonal(dim1=1, dim2=2)
    return torch.stack([tp, confusion.sum(1) - tp, confusion.sum(2) - tp], dim=2)


def constant_counts(
    pixels: Integer[np.ndarray, "n k"], predicted: int
) -> Int64[np.ndarray, "n k 3"]:
    """Return the counts of a prediction that is one class everywhere.

    Args:
        pixels: true pixels per frame and class.
        predicted: the class predicted everywhere.

    Raises:
        ValueError: ``predicted`` is not a class.

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


def in_truth(counts: Integer[np.ndarray, "*any 3"]) -> Bool[np.ndarray, "*any"]:
    """Return where the class has true pixels: ``TP + FN > 0``."""
    present: Bool[np.ndarray, "*any"] = counts[..., 0] + counts[..., 2] > 0
    return present


def in_either(counts: Integer[np.ndarray, "*any 3"]) -> Bool[np.ndarray, "*any"]:
    """Return where the class has true or predicted pixels: ``TP + FP + FN > 0``."""
    present: Bool[np.ndarray, "*any"] = counts.sum(-1) > 0
    return present


def left_out(counts: Integer[np.ndarray, "n k 3"]) -> int:
    """Return the number of frames without foreground in truth and prediction.

    Scores averaged over frames leave them out, except
    [`dice_assignment`][headstart.scores.overlap.dice_assignment], which leaves out only those
    without any pixel that counts.

    >>> left_out(np.array([[[9, 0, 1], [0, 1, 0]], [[10, 0, 0], [0, 0, 0]]]))
    1
    """
    return int((~in_either(counts[:, 1:]).any(1)).sum())


def collapsed(counts: Integer[np.ndarray, "n k 3"]) -> bool:
    """Return whether the same single class is predicted at every pixel of the split.

    >>> collapsed(np.array([[[8, 2, 0], [0, 0, 2]]]))
    True
    """
    predicted = counts[..., :2].sum((0, 2))
    return int((predicted > 0).sum()) == 1
