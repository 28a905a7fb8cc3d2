"""What pretexts take away, how answers are judged, and that a resume would hide the same blocks."""

from __future__ import annotations

import colorsys
import math
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.config.recipes import PRETEXT_DEFAULT
from headstart.config.records import PretextName
from headstart.data.augment import augment, augment_image, to_grey
from headstart.data.augmentation import Augmentation
from headstart.data.decoded_frames import Decoded
from headstart.data.pictures.duplicates import joined
from headstart.seeding import generator
from headstart.tasks.pretext_training import restoration_batches, restored, trivial_loss
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


@pytest.fixture
def pictures() -> Decoded:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 24), np.uint8)
    names, sizes = tuple("abcde"), ((16, 24),) * 5
    return Decoded(names, images, None, np.zeros((5, 1), bool), (), sizes, "x", joined(()))


def test_the_command_line_knows_each_pretext():
    assert set(PRETEXTS) == set(get_args(PretextName))


@pytest.mark.parametrize("name", PRETEXTS)
def test_what_is_seen_has_the_pictures_shape_and_grey_is_grey(name):
    pretext = PRETEXTS[name]
    clean = torch.rand(2, 3, 16, 24, generator=rng())
    seen = pretext.spoil(clean, rng(1), RECIPE)
    assert seen.shape == clean.shape and not torch.equal(seen, clean)
    assert pretext.grey == bool((seen == seen[:, :1]).all())
    assert torch.equal(seen, pretext.spoil(clean, rng(1), RECIPE))
    if name.startswith("masked"):
        assert not torch.equal(seen, pretext.spoil(clean, rng(2), RECIPE))


@pytest.mark.parametrize("name", PRETEXTS)
def test_the_right_answer_costs_least_and_gradients_flow(name):
    pretext = PRETEXTS[name]
    clean = torch.rand(2, 3, 16, 24, generator=rng())
    answer = torch.randn(2, pretext.channels, 16, 24, generator=rng(1), requires_grad=True)
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


def test_a_step_is_a_function_of_seed_and_step(pictures):
    pretext = PRETEXTS["masked-colorization"]
    sources = [
        restoration_batches(pretext, pictures, pictures, RECIPE, seed, CPU) for seed in (1, 1, 2)
    ]
    batches = [source.batch(np.array([0, 3]), 7) for source in sources]
    assert torch.equal(batches[0][0], batches[1][0]) and torch.equal(batches[0][1], batches[1][1])
    assert not torch.equal(batches[0][0], batches[2][0])


def test_validation_hides_always_the_same_and_can_be_stopped(pictures):
    source = restoration_batches(PRETEXTS["masked-denoising"], pictures, pictures, RECIPE, 1, CPU)
    model = torch.nn.Conv2d(3, 3, 1)
    first = source.validate(model, lambda: False)
    assert first == source.validate(model, lambda: False) and set(first) == {"loss"}
    assert source.validate(model, lambda: True) is None


@pytest.mark.parametrize("name", PRETEXTS)
def test_the_trivial_loss_is_that_of_the_trivial_answer(name, pictures):
    """An oracle model that gives the trivial answer validates at the trivial loss."""
    pretext = PRETEXTS[name]
    trivial = trivial_loss(pretext, pictures, RECIPE, 1, CPU)
    if pretext.channels == 3:
        source = restoration_batches(pretext, pictures, pictures, RECIPE, 1, CPU)
        assert math.isclose(
            source.validate(torch.nn.Identity(), lambda: False)["loss"], trivial, rel_tol=1e-5
        )
    else:  # no other constant histogram does better
        clean = torch.from_numpy(pictures.images) / 255
        for seed in range(5):
            constant = torch.randn(1, 64, 1, 1, generator=rng(seed)).expand(5, 64, 16, 24)
            assert float(pretext.loss(constant, clean)) > trivial


def test_pictures_to_look_at(pictures):
    model = torch.nn.Conv2d(3, 3, 1)
    seen, answer, clean = restored(model, PRETEXTS["colorization"], pictures, RECIPE, 1, CPU)
    assert seen.shape == answer.shape == clean.shape == (5, 16, 24, 3)
    assert min(answer.min(), seen.min()) >= 0 and max(answer.max(), clean.max()) <= 1


def test_a_picture_alone_moves_as_with_its_mask():
    image = torch.rand(2, 3, 16, 24, generator=rng())
    mask = torch.zeros(2, 16, 24, dtype=torch.uint8)
    for movement in (Augmentation(rotation=10.0, scale=1.2), Augmentation(flip_horizontal=True)):
        with_mask, _ = augment(image, mask, movement, generator(1, "x"))
        assert torch.equal(with_mask, augment_image(image, movement, generator(1, "x")))
