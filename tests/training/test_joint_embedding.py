"""Embeddings of two views: the loss against NumPy, what cannot cheat it, and how it is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.training.joint_embedding import agreement_loss, apart, constant, in_colours

NOTHING = torch.zeros(1, 3, 1, 1)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_hand(output: np.ndarray) -> float:
    """The same loss, cell by cell and channel by channel."""
    _, channels, height, width = output.shape
    corners = [(y, x) for y in range(0, height, 4) for x in range(0, width, 4)]
    blocks = [output[:, :, y : y + 4, x : x + 4].mean((2, 3)) for y, x in corners]
    a, b = np.split(np.stack(blocks, axis=-1), 2)
    loss = ((a - b) ** 2).mean()
    for view in (a, b):
        left = view - view.mean(2, keepdims=True)
        left -= left.mean(0, keepdims=True)
        freedom = (view.shape[0] - 1) * (view.shape[2] - 1)
        covariance = np.einsum("bip,bjp->ij", left, left) / freedom
        loss += np.maximum(0, 1 - np.sqrt(np.diag(covariance) + 1e-4)).mean()
        loss += (covariance**2)[~np.eye(channels, dtype=bool)].sum() / channels / 25
    return float(loss)


@given(st.integers(2, 4), st.integers(1, 5), st.integers(8, 18), st.integers(8, 18))
def test_the_loss_is_that_of_its_formula(
    count: int, channels: int, height: int, width: int
) -> None:
    output = torch.randn(2 * count, channels, height, width, generator=rng(height))
    output = 3 * output + torch.arange(channels)[:, None, None]
    told = float(agreement_loss(output, NOTHING))
    assert told == pytest.approx(by_hand(output.double().numpy()), rel=1e-4)


def test_knowing_only_the_place_or_the_picture_is_as_bad_as_a_constant() -> None:
    """Both views agree perfectly; nothing is left that varies."""
    place = torch.randn(1, 16, 16, 24, generator=rng(1)).expand(6, -1, -1, -1)
    picture = torch.randn(3, 16, 1, 1, generator=rng(2)).repeat(2, 1, 16, 24)
    none = float(agreement_loss(constant(torch.zeros(6, 3, 16, 24), None), NOTHING))
    for cheat in (place, picture, 5 * place + 2 * picture):
        assert float(agreement_loss(cheat, NOTHING)) == pytest.approx(none, rel=1e-4)


def test_views_that_agree_on_what_varies_cost_least() -> None:
    view = torch.nn.functional.interpolate(
        torch.randn(8, 16, 6, 8, generator=rng()), scale_factor=4.0
    )
    other = torch.nn.functional.interpolate(
        torch.randn(8, 16, 6, 8, generator=rng(1)), scale_factor=4.0
    )
    agree = float(agreement_loss(torch.cat([view, view]), NOTHING))
    differ = float(agreement_loss(torch.cat([view, other]), NOTHING))
    same_channel = view[:, :1].expand_as(view)
    together = float(agreement_loss(torch.cat([same_channel, same_channel]), NOTHING))
    assert agree < 0.15 < 0.5 < together < 1.98 < differ


def test_the_gradient_is_that_of_the_loss() -> None:
    output = torch.randn(4, 3, 8, 8, generator=rng(), dtype=torch.float32, requires_grad=True)
    agreement_loss(output, NOTHING).backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    direction = torch.randn(output.shape, generator=rng(1))
    with torch.no_grad():
        ahead, behind = (agreement_loss(output + h * direction, NOTHING) for h in (1e-2, -1e-2))
    assert float((ahead - behind) / 2e-2) == pytest.approx(
        float((output.grad * direction).sum()), rel=1e-2
    )


def test_one_picture_has_no_mean_of_places() -> None:
    one = torch.randn(1, 4, 10, generator=rng())
    assert torch.allclose(apart(one), one - one.mean(2, keepdim=True))
    assert float(apart(torch.cat([one, one])).abs().max()) < 1e-6
    assert torch.isfinite(agreement_loss(torch.randn(2, 4, 3, 3), NOTHING))


def test_embeddings_are_shown_by_what_varies_most() -> None:
    output = torch.zeros(2, 16, 8, 8)
    output[:, 7, :, 4:] = 100.0  # the right half, in one channel
    output[0, 3, :4] = 10.0
    shown = in_colours(output, NOTHING)
    assert shown.shape == (2, 3, 8, 8) and float(shown.min()) >= 0 and float(shown.max()) <= 1
    assert float(shown[:, 0, :, 4:].min()) > 0.7 > 0.3 > float(shown[:, 0, :, :4].max())
    assert torch.equal(shown, in_colours(output, NOTHING))
    flat = in_colours(torch.ones(1, 16, 4, 4), NOTHING)
    assert torch.allclose(flat, torch.full_like(flat, 0.5))
