"""What pretexts remove, and how outputs are scored."""

from __future__ import annotations

import colorsys
import math
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.config.recipes import PRETEXT_DEFAULT
from headstart.config.start_names import PretextName, pretext_itself, views
from headstart.data.transforms import to_grey
from headstart.training.pretexts import (
    PRETEXTS,
    grey_in_three,
    hide,
    hue_and_chroma,
)

CPU = torch.device("cpu")
RECIPE = PRETEXT_DEFAULT.model_copy(update={"batch": 2})


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_command_line_knows_each_pretext():
    assert set(PRETEXTS) == set(map(pretext_itself, get_args(PretextName)))


@pytest.mark.parametrize("name", PRETEXTS)
def test_what_is_seen_has_the_pictures_shape_and_grey_is_grey(name):
    pretext = PRETEXTS[name]
    clean = torch.rand(2, 3, 16, 24, generator=rng())
    seen = pretext.spoil(clean, rng(1), RECIPE)
    assert seen.shape == (2 * pretext.views, 3, 16, 24)
    assert not any(torch.equal(view, clean) for view in seen.chunk(pretext.views))
    assert pretext.grey == bool((seen == seen[:, :1]).all())
    assert torch.equal(seen, pretext.spoil(clean, rng(1), RECIPE))
    if name.startswith("masked"):
        assert not torch.equal(seen, pretext.spoil(clean, rng(2), RECIPE))


@pytest.mark.parametrize("name", PRETEXTS)
def test_the_right_answer_costs_least_and_gradients_flow(name):
    pretext = PRETEXTS[name]
    clean = torch.rand(2, 3, 16, 24, generator=rng())
    shape = (2 * pretext.views, pretext.channels, 16, 24)
    answer = torch.randn(shape, generator=rng(1), requires_grad=True)
    loss = pretext.loss(answer, clean)
    loss.backward()
    assert loss.shape == () and answer.grad is not None and answer.grad.abs().sum() > 0
    if pretext.channels == 3:
        assert pretext.loss(clean, clean) == 0 < loss


def test_grey_is_pillows_grey():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    ours = to_grey(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())[0, 0].numpy()
    theirs = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    assert np.abs(ours - theirs).max() <= 0.51
    three = grey_in_three(torch.rand(1, 3, 2, 2))
    assert torch.equal(three[:, 0], three[:, 2])


def test_hue_and_chroma_are_those_of_colorsys():
    pixels = np.random.default_rng(0).random((50, 3))
    hue, chroma = hue_and_chroma(torch.from_numpy(pixels.T.copy())[None, :, None].float())
    for i, pixel in enumerate(pixels):
        h, _, _ = colorsys.rgb_to_hsv(*pixel)
        assert math.isclose(float(hue[0, 0, i]), h, abs_tol=1e-5)
        assert math.isclose(float(chroma[0, 0, i]), pixel.max() - pixel.min(), abs_tol=1e-6)


def test_certain_histograms_give_back_the_colours():
    """The answer that puts all weight on each pixel's own bins, decoded: within a bin's width."""
    pretext = PRETEXTS["chroma"]
    flat = torch.tensor([0.7, 0.3, 0.4])[None, :, None, None].expand(1, 3, 12, 12)
    hue, chroma = hue_and_chroma(flat)
    answer = torch.full((1, 64, 12, 12), -30.0)
    answer.scatter_(1, (hue * 32).long()[:, None], 30.0)
    answer.scatter_(1, 32 + (chroma * 32).long()[:, None], 30.0)
    shown = pretext.picture(answer, grey_in_three(flat))
    assert (shown - flat).abs().max() < 0.04
    assert torch.allclose(to_grey(shown), to_grey(flat), atol=1e-5)
    assert pretext.loss(answer, flat) < 1e-3


def test_hidden_blocks_are_blocks_of_the_mean_and_about_their_share():
    clean = torch.rand(4, 3, 64, 80, generator=rng())
    quiet = RECIPE.model_copy(update={"noise": 0.0})
    seen = hide(clean, rng(1), quiet)
    hidden = (seen != clean).any(1)
    assert torch.allclose(
        seen.permute(0, 2, 3, 1)[0][hidden[0]], clean[0].mean((1, 2)).expand(hidden[0].sum(), 3)
    )
    blocks = hidden.reshape(4, 8, 8, 10, 8).float().mean((2, 4))
    assert set(blocks.unique().tolist()) <= {0.0, 1.0} and 0.3 < blocks.mean() < 0.7
    noisy = hide(clean, rng(1), RECIPE.model_copy(update={"hidden": 0.0})) - clean
    assert 0.09 < float(noisy.std()) < 0.11


def test_sizes_that_no_block_divides():
    seen = hide(torch.rand(1, 3, 9, 13, generator=rng()), rng(), RECIPE)
    assert seen.shape == (1, 3, 9, 13)


def test_forecasts_and_costs_know_how_many_copies_of_a_picture_are_seen() -> None:
    assert {name: views(name) for name in PRETEXTS} == {n: p.views for n, p in PRETEXTS.items()}
    assert views("imagenet-vicreg") == 2 and views("scratch") == views("runs/vicreg") == 1
