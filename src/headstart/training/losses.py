r"""Soft Dice, alone and with cross-entropy, from scratch.

For probabilities :math:`p` and one-hot truth :math:`t`, summed over all pixels of the batch,

.. math:: \text{dice\_loss} = 1 - \frac{1}{|K|} \sum_{k \in K}
          \frac{2 \sum p_k t_k + s}{\sum p_k + \sum t_k + s}

with :math:`s` = ``smooth``. ``absent`` says what :math:`K` is, and with it what the loss does with
a class of which the batch's truth holds no pixel (in EndoVis 2017 an average batch of ten frames
lacks 1.5 of the seven instruments):

``"count"``
    :math:`K` is all classes: as in the recipe ``assignment``. An absent class adds
    :math:`1 - s / (P + s)` to the loss, where :math:`P = \sum p_k`, with the gradient
    :math:`s / (P + s)^2` at each pixel (both times 1 / k). With a tiny ``smooth`` that is a
    constant 1 and no gradient: at :math:`s = 10^{-6}` and :math:`P = 100` pixels it is
    :math:`10^{-10}`, and the loss does not push the class down at all. With
    ``smooth = 1`` it is :math:`10^{-4}` at 100 pixels and 1/4 at one: strongest where little is
    predicted, which removes stray pixels. Either way the loss depends on which classes a batch
    happens to hold.
``"skip"``
    :math:`K` is the classes in the batch's truth. An absent one enters neither the mean nor,
    directly, the gradient (predicting it still takes probability from a class that is there).
    Batches are comparable, ``smooth`` hardly matters, and what is present weighs more: 1 / \|K\|.

The sums are taken in float32 at least, also under autocast: half precision cannot add up the pixels
of a frame.
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
) -> Float[Tensor, ""]:
    """Soft Dice loss: 1 minus the mean Dice over classes, background included.

    Args:
        probs: class probabilities ``(B, K, H, W)`` in [0, 1], from a softmax or sigmoids.
        mask: class indices ``(B, H, W)``, 0 to K - 1.
        absent: whether classes absent from the batch's truth are counted; see the module.
        smooth: added to numerator and denominator, above 0.

    Returns:
        A scalar in [0, 1], 0 for a perfect prediction.

    Raises:
        ValueError: shapes that do not match, an unknown ``absent``, a ``smooth`` of 0 or less; on
            the CPU also a mask or probabilities out of range (a GPU would have to wait for it).

    Source:
        Milletari et al. 2016 (V-Net), arXiv:1606.04797, with sums in place of squares.

    >>> mask = torch.tensor([[[0, 1]]])
    >>> certain = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    >>> dice_loss(certain, mask, absent="count").item()
    0.0
    >>> round(dice_loss(torch.full((1, 2, 1, 2), 0.5), mask, absent="count").item(), 4)
    0.5
    """
    _check(probs, mask, absent, smooth)
    if probs.device.type == "cpu" and not torch.compiler.is_compiling() and probs.numel():
        low, high = (float(v) for v in probs.detach().aminmax())
        if (
            low < -1e-3 or high > 1 + 1e-3
        ):  # room for rounding; NaN is for the training loop to name
            raise ValueError(f"probs must be in [0, 1], found {low:.4g} to {high:.4g}: logits?")
    with torch.autocast(probs.device.type, enabled=False):
        return _dice_loss(_float32(probs), mask.long(), absent, smooth)


def dice_cross_entropy_loss(
    logits: Float[Tensor, "b k h w"],
    mask: Integer[Tensor, "b h w"],
    *,
    absent: Absent,
    smooth: float = _SMOOTH,
) -> Float[Tensor, ""]:
    """Mean cross-entropy plus [`dice_loss`][headstart.training.losses.dice_loss] of the softmax.

    One log-softmax serves both. Cross-entropy pushes down absent classes whatever ``absent`` says.

    Args:
        logits: before the softmax, ``(B, K, H, W)``.
        mask: class indices ``(B, H, W)``, 0 to K - 1.
        absent: as in [`dice_loss`][headstart.training.losses.dice_loss].
        smooth: as in [`dice_loss`][headstart.training.losses.dice_loss].

    Returns:
        A scalar of 0 or more; the cross-entropy is in nats per pixel.

    Raises:
        ValueError: as [`dice_loss`][headstart.training.losses.dice_loss], whatever range the logits have.

    >>> mask = torch.tensor([[[0, 1]]])
    >>> round(dice_cross_entropy_loss(torch.zeros(1, 2, 1, 2), mask, absent="skip").item(), 4)
    1.1931
    """
    _check(logits, mask, absent, smooth)
    with torch.autocast(logits.device.type, enabled=False):
        truth = mask.long()
        log_probs = _float32(logits).log_softmax(1)
        cross_entropy = -log_probs.gather(1, truth.unsqueeze(1)).mean()
        return cross_entropy + _dice_loss(log_probs.exp(), truth, absent, smooth)


def _dice_loss(probs: Tensor, mask: Tensor, absent: Absent, smooth: float) -> Tensor:
    # A one-hot in the probabilities' own dtype and memory format: measured faster than gather with
    # index_add, a comparison, F.one_hot or einsum, and on a GPU free of contended atomic additions.
    truth = torch.zeros_like(probs).scatter_(1, mask.unsqueeze(1), 1)
    pixels = truth.sum((0, 2, 3))
    both = (probs * truth).sum((0, 2, 3))
    dice = (2 * both + smooth) / (probs.sum((0, 2, 3)) + pixels + smooth)
    if absent == "count":
        return 1 - dice.mean()
    present = pixels > 0
    return 1 - (dice * present).sum() / present.sum()


def _float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check(scores: Tensor, mask: Tensor, absent: str, smooth: float) -> None:
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
        low, high = (int(v) for v in mask.aminmax())
        if low < 0 or high >= scores.shape[1]:
            raise ValueError(f"mask must hold 0 to {scores.shape[1] - 1}, found {low} to {high}")
