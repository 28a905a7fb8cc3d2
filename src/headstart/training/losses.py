r"""Soft Dice loss, alone and with cross-entropy.

For probabilities :math:`p` and one-hot truth :math:`t`, with sums over all pixels of the batch,

.. math:: \text{dice\_loss} = 1 - \frac{1}{|K|} \sum_{k \in K}
          \frac{2 \sum p_k t_k + s}{\sum p_k + \sum t_k + s}

with :math:`s` = ``smooth``. ``absent`` selects :math:`K`, and so how the loss treats a class that
is absent from the batch's truth (in EndoVis 2017, an average batch of ten frames lacks 1.5 of the
seven instruments):

``"count"``
    :math:`K` is all classes, as in the recipe ``assignment``. An absent class adds
    :math:`1 - s / (P + s)` to the sum, where :math:`P = \sum p_k`, with the gradient
    :math:`s / (P + s)^2` at each pixel (both divided by :math:`|K|`). With a tiny ``smooth`` this
    is a constant 1 with no gradient: for :math:`s = 10^{-6}` and :math:`P = 100` pixels the
    gradient is :math:`10^{-10}`, so the loss does not suppress the class. With ``smooth = 1`` it is
    :math:`10^{-4}` at 100 pixels and 1/4 at one pixel: strongest where little is predicted, which
    removes stray pixels. Either way, the loss depends on which classes are in the batch.
``"skip"``
    :math:`K` is the classes in the batch's truth. An absent class enters neither the mean nor,
    directly, the gradient (predicting it still takes probability from a present class). Losses of
    batches are comparable, ``smooth`` hardly matters, and each present class weighs
    :math:`1 / |K|`.

With ``ignore``, pixels whose truth has that index enter no sum and no mean: the losses and their
gradients are those of the remaining pixels. A batch without remaining pixels has loss 0 and a
gradient of zero.

Sums are computed in float32 or higher, also under autocast: half precision cannot sum the pixels of
a frame.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float, Integer
from torch import Tensor

Absent = Literal["count", "skip"]

_SMOOTH = 1e-6


def dice_loss(
    probs: Float[Tensor, "b k h w"],
    mask: Integer[Tensor, "b h w"],
    *,
    absent: Absent,
    smooth: float = _SMOOTH,
    ignore: int | None = None,
) -> Float[Tensor, ""]:
    """Return 1 minus the mean soft Dice over the classes, background included.

    Args:
        probs: class probabilities ``(B, K, H, W)`` in [0, 1], from a softmax or sigmoid.
        mask: class indices ``(B, H, W)``, 0 to K - 1, or ``ignore``.
        absent: whether classes absent from the batch's truth are counted; see the module docs.
        smooth: constant above 0, added to numerator and denominator.
        ignore: index in the mask of pixels that are left out; None if every pixel counts.

    Returns:
        A scalar in [0, 1], 0 for a perfect prediction.

    Raises:
        ValueError: shapes do not match, ``absent`` is unknown, or ``smooth`` is not above 0. On the
            CPU also if mask or probabilities are out of range; on a GPU this check would stall.

    Source:
        Milletari et al. 2016 (V-Net), arXiv:1606.04797, with sums in place of squares.

    >>> mask = torch.tensor([[[0, 1]]])
    >>> certain = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    >>> dice_loss(certain, mask, absent="count").item()
    0.0
    >>> round(dice_loss(torch.full((1, 2, 1, 2), 0.5), mask, absent="count").item(), 4)
    0.5
    >>> dice_loss(certain, torch.tensor([[[255, 1]]]), absent="skip", ignore=255).item()
    0.0
    """
    _check(probs, mask, absent, smooth, ignore)
    if probs.device.type == "cpu" and not torch.compiler.is_compiling() and probs.numel():
        low, high = (float(v) for v in probs.detach().aminmax())
        # leaves room for rounding; NaN passes, as the training loop reports it
        if low < -1e-3 or high > 1 + 1e-3:
            raise ValueError(f"probs must be in [0, 1], found {low:.4g} to {high:.4g}: logits?")
    with torch.autocast(probs.device.type, enabled=False):
        truth, valid = _truth(mask, ignore)
        return _dice_loss(_float32(probs), truth, absent, smooth, valid)


def dice_cross_entropy_loss(
    logits: Float[Tensor, "b k h w"],
    mask: Integer[Tensor, "b h w"],
    *,
    absent: Absent,
    smooth: float = _SMOOTH,
    ignore: int | None = None,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy plus the [`dice_loss`][headstart.training.losses.dice_loss].

    Both use one log-softmax. The cross-entropy suppresses absent classes for either ``absent``.

    Args:
        logits: class scores ``(B, K, H, W)`` before the softmax.
        mask: class indices ``(B, H, W)``, 0 to K - 1, or ``ignore``.
        absent: as in [`dice_loss`][headstart.training.losses.dice_loss].
        smooth: as in [`dice_loss`][headstart.training.losses.dice_loss].
        ignore: as in [`dice_loss`][headstart.training.losses.dice_loss].

    Returns:
        A non-negative scalar; the cross-entropy is in nats per pixel that is not left out.

    Raises:
        ValueError: as [`dice_loss`][headstart.training.losses.dice_loss], for logits of any range.

    >>> mask = torch.tensor([[[0, 1]]])
    >>> round(dice_cross_entropy_loss(torch.zeros(1, 2, 1, 2), mask, absent="skip").item(), 4)
    1.1931
    """
    _check(logits, mask, absent, smooth, ignore)
    with torch.autocast(logits.device.type, enabled=False):
        truth, valid = _truth(mask, ignore)
        log_probs = _float32(logits).log_softmax(1)
        of_truth = log_probs.gather(1, truth.unsqueeze(1))
        if valid is None:
            cross_entropy = -of_truth.mean()
        else:
            total = of_truth.masked_fill(~valid.unsqueeze(1), 0).sum()
            cross_entropy = -total / valid.sum().clamp(min=1)
        return cross_entropy + _dice_loss(log_probs.exp(), truth, absent, smooth, valid)


def _truth(mask: Tensor, ignore: int | None) -> tuple[Tensor, Tensor | None]:
    """Return class indices, and which pixels count; class 0 stands where they do not."""
    if ignore is None:
        return mask.long(), None
    valid = mask != ignore
    return mask.long().masked_fill(~valid, 0), valid


def _dice_loss(
    probs: Tensor, mask: Tensor, absent: Absent, smooth: float, valid: Tensor | None = None
) -> Tensor:
    """Return the loss over the valid pixels; the mask holds any class at the others."""
    # A one-hot tensor in the dtype and memory format of the probabilities: measured faster than
    # gather with index_add, a comparison, F.one_hot or einsum, and without atomic adds on a GPU.
    if valid is None:
        truth = torch.zeros_like(probs).scatter_(1, mask.unsqueeze(1), 1)
    else:
        source = valid.unsqueeze(1).to(probs.dtype)
        truth = torch.zeros_like(probs).scatter_(1, mask.unsqueeze(1), source)
        probs = probs.masked_fill(~valid.unsqueeze(1), 0)  # not a product: NaN times 0 is NaN
    pixels = truth.sum((0, 2, 3))
    both = (probs * truth).sum((0, 2, 3))
    dice = (2 * both + smooth) / (probs.sum((0, 2, 3)) + pixels + smooth)
    if absent == "count":
        return 1 - dice.mean()
    present = pixels > 0
    if valid is not None:
        present = present | ~valid.any()  # without valid pixels every dice is s / s = 1
    return 1 - (dice * present).sum() / present.sum()


def _float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check(scores: Tensor, mask: Tensor, absent: str, smooth: float, ignore: int | None) -> None:
    if scores.ndim != 4 or mask.shape != (scores.shape[0], *scores.shape[2:]) or not mask.numel():
        raise ValueError(
            f"expected (b, k, h, w) and a mask (b, h, w) with at least one pixel; "
            f"found {tuple(scores.shape)} and {tuple(mask.shape)}"
        )
    if absent not in get_args(Absent):
        raise ValueError(f"absent must be 'count' or 'skip', found {absent!r}")
    if not smooth > 0:
        raise ValueError(f"smooth must be above 0, found {smooth}")
    if mask.device.type == "cpu" and not torch.compiler.is_compiling():
        classes = mask if ignore is None else mask.masked_fill(mask == ignore, 0)
        low, high = (int(v) for v in classes.aminmax())
        if low < 0 or high >= scores.shape[1]:
            raise ValueError(f"mask must hold 0 to {scores.shape[1] - 1}, found {low} to {high}")
