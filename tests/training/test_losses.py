"""Soft Dice against a loop over the classes, its gradient, and what it does with absent classes."""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headstart.scores.counts import count
from headstart.training.losses import Absent, dice_cross_entropy_loss, dice_loss

ABSENT: tuple[Absent, ...] = ("count", "skip")
# Where annotations are executed, they refuse first what the function itself would refuse.
REFUSED = (ValueError, TypeError)
few = settings(max_examples=30)


def batch(seed: int, *, k: int = 4, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Logits and a mask without the last class."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(3, k, 5, 6, generator=generator, dtype=dtype)
    return logits, torch.randint(0, k - 1, (3, 5, 6), generator=generator)


def naive_dice_loss(probs: Tensor, mask: Tensor, absent: Absent, smooth: float) -> float:
    scores = []
    for k in range(probs.shape[1]):
        p, t = probs[:, k].double(), (mask == k).double()
        if absent == "count" or t.any():
            scores.append(float((2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)))
    return 1 - sum(scores) / len(scores)


@pytest.mark.parametrize("absent", ABSENT)
@few
@given(seed=st.integers(0, 10**6), smooth=st.sampled_from([1e-6, 1e-3, 1.0, 100.0]))
def test_equals_a_loop_over_the_classes(absent: Absent, seed: int, smooth: float) -> None:
    logits, mask = batch(seed)
    probs = logits.softmax(1)
    loss = dice_loss(probs, mask, absent=absent, smooth=smooth)
    assert loss.item() == pytest.approx(naive_dice_loss(probs, mask, absent, smooth), abs=1e-6)
    assert 0 <= loss.item() <= 1


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("smooth", [1e-6, 1.0])
def test_gradients(absent: Absent, smooth: float) -> None:
    logits, mask = batch(1, dtype=torch.float64)
    logits, mask = logits[:2, :, :3, :3], mask[:2, :3, :3]
    probs = logits.softmax(1).requires_grad_()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: dice_loss(p, mask, absent=absent, smooth=smooth), probs
    )
    assert torch.autograd.gradcheck(
        lambda x: dice_cross_entropy_loss(x, mask, absent=absent, smooth=smooth), logits
    )


@pytest.mark.parametrize("absent", ABSENT)
@few
@given(seed=st.integers(0, 10**6))
def test_order_flips_and_memory_format_change_nothing(absent: Absent, seed: int) -> None:
    logits, mask = batch(seed)
    probs = logits.softmax(1)
    expected = dice_loss(probs, mask, absent=absent).item()
    order = torch.tensor([2, 0, 1])
    for p, m in (
        (probs[order], mask[order]),
        (probs.flip(-1), mask.flip(-1)),
        (probs.flip(-2), mask.flip(-2)),
        (probs.mT, mask.mT),
        (probs.to(memory_format=torch.channels_last), mask),
        (probs, mask.to(torch.uint8)),
    ):
        assert dice_loss(p, m, absent=absent).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("absent", ABSENT)
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_everything(absent: Absent) -> None:
    _, mask = batch(2)
    perfect = F.one_hot(mask, 4).movedim(-1, 1).float()
    assert dice_loss(perfect, mask, absent=absent).item() == 0
    shifted = F.one_hot((mask + 1) % 3, 4).movedim(-1, 1).float()
    # The absent class is rightly nowhere, which "count" rewards with a quarter.
    expected = {"count": 0.75, "skip": 1.0}[absent]
    assert dice_loss(shifted, mask, absent=absent).item() == pytest.approx(expected, abs=1e-6)


@few
@given(seed=st.integers(0, 10**6))
def test_of_a_hard_prediction_it_is_one_minus_dice(seed: int) -> None:
    logits, mask = batch(seed)
    prediction = logits.argmax(1)
    tp, fp, fn = count(prediction, mask, 4).sum(0).numpy().T
    present = tp + fn > 0
    scores = 2 * tp[present] / (2 * tp + fp + fn)[present]
    probs = F.one_hot(prediction, 4).movedim(-1, 1).double()
    loss = dice_loss(probs, mask, absent="skip", smooth=1e-12)
    assert loss.item() == pytest.approx(1 - np.mean(scores), abs=1e-9)


@pytest.mark.parametrize(
    ("smooth", "pixels", "gradient"), [(1e-6, 100, 1e-10), (1.0, 100, 1 / 101**2), (1.0, 1, 0.25)]
)
def test_gradient_of_an_absent_class(smooth: float, pixels: int, gradient: float) -> None:
    mask = torch.zeros(1, 20, 20, dtype=torch.long)
    spread = torch.full((1, 20, 20), pixels / 400, dtype=torch.float64)
    for absent, expected in (("count", gradient / 2), ("skip", 0.0)):
        probs = torch.stack([1 - spread, spread], 1).requires_grad_()
        dice_loss(probs, mask, absent=absent, smooth=smooth).backward()
        assert probs.grad is not None
        assert probs.grad[0, 1, 0, 0].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("absent", ABSENT)
@few
@given(seed=st.integers(0, 10**6))
def test_with_cross_entropy_it_is_the_sum_of_both(absent: Absent, seed: int) -> None:
    logits, mask = batch(seed)
    expected = F.cross_entropy(logits, mask) + dice_loss(logits.softmax(1), mask, absent=absent)
    loss = dice_cross_entropy_loss(logits, mask, absent=absent)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("absent", ABSENT)
def test_certainty_does_not_overflow(absent: Absent) -> None:
    _, mask = batch(3)
    right = F.one_hot(mask, 4).movedim(-1, 1).float()
    for scale, expected in ((1e4, 0.0), (-1e4, 1e4)):
        logits = (scale * right).requires_grad_()
        loss = dice_cross_entropy_loss(logits, mask, absent=absent)
        loss.backward()
        assert loss.item() == pytest.approx(expected, rel=1e-3, abs=1e-6)
        assert logits.grad is not None
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("absent", ABSENT)
def test_float32_under_autocast(absent: Absent) -> None:
    logits, mask = batch(4)
    half = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        both = dice_cross_entropy_loss(half, mask, absent=absent)
        alone = dice_loss(half.softmax(1), mask, absent=absent)
    assert both.dtype == alone.dtype == torch.float32
    assert both.item() == dice_cross_entropy_loss(half.float(), mask, absent=absent).item()


def test_nan_is_passed_on() -> None:
    logits, mask = batch(5)
    logits[0, 0, 0, 0] = math.nan
    assert dice_loss(logits.softmax(1), mask, absent="count").isnan()
    assert dice_cross_entropy_loss(logits, mask, absent="skip").isnan()


def test_refuses_what_makes_no_sense() -> None:
    logits, mask = batch(6)
    probs = logits.softmax(1)
    with pytest.raises(ValueError, match="found 0 to 4"):
        dice_loss(probs, torch.where(mask == 2, 4, mask), absent="count")
    with pytest.raises(ValueError, match="found -1 to"):
        dice_cross_entropy_loss(logits, torch.where(mask == 2, -1, mask), absent="count")
    with pytest.raises(ValueError, match="logits"):
        dice_loss(logits, mask, absent="count")
    with pytest.raises(ValueError, match="smooth"):
        dice_loss(probs, mask, absent="count", smooth=0.0)
    with pytest.raises(ValueError, match="at least one pixel"):
        dice_loss(probs[:0], mask[:0], absent="count")
    with pytest.raises(REFUSED, match="mask"):
        dice_loss(probs, mask[:, 1:], absent="count")
    with pytest.raises(REFUSED, match="absent"):
        dice_loss(probs, mask, absent="ignore")  # type: ignore[arg-type]


# --- pixels that do not count ---

IGNORED = 255


def with_ignored(seed: int, share: float = 0.4, dtype: torch.dtype = torch.float32):
    """Logits, a mask with ignored pixels, and which pixels count."""
    logits, mask = batch(seed, dtype=dtype)
    valid = torch.rand(mask.shape, generator=torch.Generator().manual_seed(seed)) >= share
    return logits, torch.where(valid, mask, IGNORED), valid


def without(x: Tensor, valid: Tensor) -> Tensor:
    """The pixels that count as one row of a single picture."""
    if x.ndim == 3:
        return x[valid][None, None]
    return x.movedim(1, -1)[valid].T[None, :, None]


@pytest.mark.parametrize("absent", ABSENT)
@few
@given(
    seed=st.integers(0, 10**6), share=st.floats(0, 0.95), smooth=st.sampled_from([1e-6, 1.0, 100.0])
)
def test_ignored_pixels_are_as_if_removed(
    absent: Absent, seed: int, share: float, smooth: float
) -> None:
    logits, mask, valid = with_ignored(seed, share, torch.float64)
    options = {"absent": absent, "smooth": smooth}
    if not valid.any():
        return
    fewer, truth = without(logits, valid), without(mask, valid)
    loss = dice_loss(logits.softmax(1), mask, ignore=IGNORED, **options)
    expected = naive_dice_loss(fewer.softmax(1), truth, absent, smooth)
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    both = dice_cross_entropy_loss(logits, mask, ignore=IGNORED, **options)
    expected += F.cross_entropy(fewer, truth).item()
    assert both.item() == pytest.approx(expected, abs=1e-9)
    # and any content of theirs gives the same
    other = torch.where(valid[:, None], logits, 7 * logits.flip(1) - 3)
    assert dice_cross_entropy_loss(other, mask, ignore=IGNORED, **options).item() == both.item()


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("smooth", [1e-6, 1.0])
def test_gradients_with_ignored_pixels(absent: Absent, smooth: float) -> None:
    logits, mask, valid = with_ignored(1, dtype=torch.float64)
    logits, mask, valid = logits[:2, :, :3, :3], mask[:2, :3, :3], valid[:2, :3, :3]
    options = {"absent": absent, "smooth": smooth}
    probs = logits.softmax(1).requires_grad_()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: dice_loss(p, mask, ignore=IGNORED, **options), probs)
    assert torch.autograd.gradcheck(
        lambda x: dice_cross_entropy_loss(x, mask, ignore=IGNORED, **options), logits
    )
    for loss, x in ((dice_loss, probs), (dice_cross_entropy_loss, logits)):
        (gradient,) = torch.autograd.grad(loss(x, mask, ignore=IGNORED, **options), x)
        assert not valid.all() and (gradient.movedim(1, -1)[~valid] == 0).all()
        fewer = without(x.detach(), valid).requires_grad_()
        (expected,) = torch.autograd.grad(loss(fewer, without(mask, valid), **options), fewer)
        assert torch.allclose(without(gradient, valid), expected, atol=1e-12)


@pytest.mark.parametrize("absent", ABSENT)
@few
@given(seed=st.integers(0, 10**6))
def test_where_every_pixel_counts_ignoring_changes_nothing(absent: Absent, seed: int) -> None:
    logits, mask = batch(seed)
    probs = logits.softmax(1)
    loss = dice_loss(probs, mask, absent=absent)
    assert torch.equal(dice_loss(probs, mask, absent=absent, ignore=IGNORED), loss)
    both = dice_cross_entropy_loss(logits, mask, absent=absent)
    ignoring = dice_cross_entropy_loss(logits, mask, absent=absent, ignore=IGNORED)
    assert ignoring.item() == pytest.approx(both.item(), rel=1e-6)


@pytest.mark.parametrize("absent", ABSENT)
@few
@given(seed=st.integers(0, 10**6))
def test_without_ignore_every_bit_is_as_it_was(absent: Absent, seed: int) -> None:
    """The formula, operation by operation, before pixels could be ignored."""
    logits, mask = batch(seed)
    log_probs = logits.log_softmax(1)
    probs = log_probs.exp()
    truth = torch.zeros_like(probs).scatter_(1, mask.unsqueeze(1), 1)
    pixels = truth.sum((0, 2, 3))
    both = (probs * truth).sum((0, 2, 3))
    dice = (2 * both + 1e-6) / (probs.sum((0, 2, 3)) + pixels + 1e-6)
    present = pixels > 0
    loss = 1 - (dice.mean() if absent == "count" else (dice * present).sum() / present.sum())
    assert torch.equal(dice_loss(probs, mask, absent=absent), loss)
    cross_entropy = -log_probs.gather(1, mask.unsqueeze(1)).mean()
    together = dice_cross_entropy_loss(logits, mask, absent=absent)
    assert torch.equal(together, cross_entropy + loss)


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("smooth", [1e-6, 1.0])
def test_a_batch_in_which_no_pixel_counts_costs_nothing(absent: Absent, smooth: float) -> None:
    logits, mask = batch(7)
    logits.requires_grad_()
    nothing = torch.full_like(mask, IGNORED)
    options = {"absent": absent, "smooth": smooth, "ignore": IGNORED}
    for loss in (
        dice_loss(logits.softmax(1), nothing, **options),
        dice_cross_entropy_loss(logits, nothing, **options),
    ):
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == 0 and (gradient == 0).all()


def test_nan_where_it_is_ignored_has_no_effect() -> None:
    logits, mask, valid = with_ignored(8)
    probs = logits.softmax(1)
    expected = dice_loss(probs, mask, absent="skip", ignore=IGNORED)
    probs = torch.where(valid[:, None], probs, math.nan)
    assert torch.equal(dice_loss(probs, mask, absent="skip", ignore=IGNORED), expected)


@pytest.mark.parametrize("absent", ABSENT)
def test_a_byte_mask_can_be_ignored_in_part(absent: Absent) -> None:
    """As masks come from a dataset."""
    logits, mask, _ = with_ignored(9)
    expected = dice_cross_entropy_loss(logits, mask, absent=absent, ignore=IGNORED)
    as_bytes = mask.to(torch.uint8)
    assert torch.equal(
        dice_cross_entropy_loss(logits, as_bytes, absent=absent, ignore=IGNORED), expected
    )


@pytest.mark.parametrize("ignore", [None, IGNORED])
@pytest.mark.parametrize("absent", ABSENT)
def test_no_value_is_read_back_from_the_device(
    absent: Absent, ignore: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors of the device "meta" have no values, so reading one raises."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # not on this device
    logits = torch.zeros(2, 3, 4, 5, device="meta", requires_grad=True)
    mask = torch.zeros(2, 4, 5, dtype=torch.uint8, device="meta")
    for loss in (dice_loss, dice_cross_entropy_loss):
        loss(logits, mask, absent=absent, ignore=ignore).backward()
    with pytest.raises(RuntimeError):
        mask.max().item()


def test_only_the_ignored_index_may_lie_outside_the_classes() -> None:
    logits, mask, _ = with_ignored(10)
    with pytest.raises(ValueError, match="found 0 to 255"):
        dice_cross_entropy_loss(logits, mask, absent="skip")
    with pytest.raises(ValueError, match="found 0 to 254"):
        wrong = torch.where(mask == 2, 254, mask)
        dice_loss(logits.softmax(1), wrong, absent="skip", ignore=IGNORED)
