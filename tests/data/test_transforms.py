"""Image and mask move as one, by known amounts, and no label is invented."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from headstart.data.augmentation import Augmentation
from headstart.data.transforms import (
    augment,
    draw_affine,
    draw_colour,
    flip,
    recolour,
    surroundings,
    warp,
)

EVERYTHING = Augmentation(
    flip_horizontal=True, flip_vertical=True, rotation=30.0, scale=1.25, border="reflection",
    brightness=0.2, contrast=0.2, saturation=0.2,
)  # fmt: skip


class Drawing(np.random.Generator):
    """Draws what it was told."""

    def __init__(self, *draws: list[float]) -> None:
        super().__init__(np.random.Philox(0))
        self.draws = list(draws)

    def random(self, size):
        return np.broadcast_to(np.array(self.draws.pop(0)), size)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    """Without ``torch.testing``, which imports sympy, for seconds."""
    return torch.allclose(a, b, rtol=0, atol=tolerance)


def turned(angle: float, height: int, width: int, count: int = 1) -> Tensor:
    """The map that turns by ``angle`` degrees and does nothing else."""
    rng = Drawing([0.9, 0.9, 1.0 if angle >= 0 else 0.0, 0.5])
    return draw_affine(Augmentation(rotation=float(abs(angle))), rng, count, height, width)


def in_pixels(theta: Tensor, height: int, width: int) -> Tensor:
    """The linear part of the maps, in pixels: ``(b, 2, 2)``."""
    s = torch.tensor([width / 2, height / 2])
    return s[:, None] * theta[..., :2] / s


def batch(count: int, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 3, height, width, generator=g)
    return image, torch.randint(0, 256, (count, height, width), dtype=torch.uint8, generator=g)


def blobs(count: int, height: int, width: int, labels: int) -> Tensor:
    """Class maps of patches about ten pixels wide."""
    coarse = (count, 1, math.ceil(height / 10), math.ceil(width / 10))
    patches = torch.from_numpy(np.random.default_rng(0).integers(0, labels, coarse)).float()
    return F.interpolate(patches, (height, width), mode="nearest")[:, 0].to(torch.uint8)


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor | np.ndarray]:
    with np.load(Path(__file__).parents[1] / "golden" / "augment.npz") as file:
        return dict(file)


# --- as torchvision has it ---


def test_rotation_is_torchvisions(golden):
    x, mask = torch.from_numpy(golden["image"]).float() / 255, torch.from_numpy(golden["mask"])
    for angle, image, labels in zip(
        golden["angles"], golden["turned_image"], golden["turned_mask"], strict=True
    ):
        theta = turned(float(angle), *mask.shape)
        ours, our_labels = warp(x[None], mask[None], theta, "zeros")
        assert close(ours[0], torch.from_numpy(image), 2e-5)
        # A pixel whose source lies half-way between two may fall to either side.
        assert (our_labels[0].numpy() == labels).mean() > 0.99, angle


def test_positive_angles_turn_counter_clockwise():
    mask = torch.zeros(1, 9, 9, dtype=torch.uint8)
    mask[0, 4, 8] = 1  # at three o'clock
    _, moved = warp(mask[:, None].float(), mask, turned(90, 9, 9), "zeros")
    assert moved[0, 0, 4] == 1  # at twelve


def test_flips_are_torchvisions(golden):
    x = torch.from_numpy(golden["image"]).float()[None] / 255
    mask = torch.from_numpy(golden["mask"])[None]
    for name in ("flip_horizontal", "flip_vertical"):
        rng = Drawing([0.1, 0.1, 0.5, 0.5], [0.5, 0.5, 0.5])
        ours, _ = augment(x, mask, Augmentation(**{name: True}), rng)
        assert torch.equal(ours[0], torch.from_numpy(golden[name]))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_colours_are_torchvisions(golden, which):
    x = torch.from_numpy(golden["image"]).float()[None] / 255
    theirs = golden[("brightness", "contrast", "saturation")[which]]
    for factor, expected in zip(golden["factors"], theirs, strict=True):
        factors = torch.ones(1, 3)
        factors[0, which] = float(factor)
        # torchvision's grey has 0.2989 where BT.601 has 0.299.
        assert close(recolour(x, factors)[0], torch.from_numpy(expected), 1e-4)


# --- geometry ---


@given(st.integers(0, 2**32), st.integers(8, 300), st.integers(8, 300), st.floats(0, 180))
@settings(max_examples=50)
def test_maps_are_rigid_in_pixels(seed, height, width, rotation):
    plan = Augmentation(
        flip_horizontal=True, flip_vertical=True, rotation=rotation, scale=1.5, border="reflection"
    )
    theta = draw_affine(plan, np.random.default_rng(seed), 4, height, width)
    m = in_pixels(theta, height, width).double()
    assert not theta[..., 2].any()
    gram = m.mT @ m
    zoom = gram[:, 0, 0].sqrt()
    assert close(gram, zoom[:, None, None] ** 2 * torch.eye(2).double())
    assert ((zoom > 1 / 1.5 - 1e-5) & (zoom < 1.5 + 1e-5)).all()


def test_distances_are_kept_on_a_frame_that_is_not_square():
    mask = torch.zeros(1, 60, 100, dtype=torch.uint8)
    places = {1: (30, 20), 2: (20, 60), 3: (42, 55)}
    for label, (y, x) in places.items():
        mask[0, y - 2 : y + 3, x - 2 : x + 3] = label
    for angle in (-30.0, 10.0, 30.0):
        _, moved = warp(mask[:, None].float(), mask, turned(angle, 60, 100), "zeros")
        centres = {k: (moved[0] == k).nonzero().float().mean(0) for k in places}
        for a, b in ((1, 2), (1, 3), (2, 3)):
            before = math.dist(places[a], places[b])
            assert math.dist(centres[a], centres[b]) == pytest.approx(before, abs=0.7)


def test_angles_and_factors_fill_their_ranges():
    plan = Augmentation(rotation=30.0, scale=1.5, flip_horizontal=True)
    m = in_pixels(draw_affine(plan, np.random.default_rng(0), 4000, 40, 64), 40, 64)
    mirrored = m.det() < 0
    assert 0.47 < mirrored.float().mean() < 0.53
    angle = torch.rad2deg(torch.atan2(m[:, 1, 0], m[:, 1, 1]))
    assert angle.abs().max() <= 30.001
    assert angle.std().item() == pytest.approx(60 / math.sqrt(12), rel=0.03)
    factor = -m.det().abs().sqrt().log() / math.log(1.5)  # uniform in [-1, 1]
    assert factor.std().item() == pytest.approx(2 / math.sqrt(12), rel=0.03)
    colour = draw_colour(
        Augmentation(brightness=0.1, saturation=0.3), np.random.default_rng(0), 2000
    )
    assert (colour[:, 1] == 1).all()
    for k, spread in ((0, 0.1), (2, 0.3)):
        assert colour[:, k].min().item() == pytest.approx(1 - spread, abs=0.01)
        assert colour[:, k].max().item() == pytest.approx(1 + spread, abs=0.01)


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (50, 70), (64, 80)])
def test_flips_are_exact(size):
    image, mask = batch(8, *size)
    plan = Augmentation(flip_horizontal=True, flip_vertical=True)
    theta = draw_affine(plan, np.random.default_rng(5), 8, *size)
    moved, labels = augment(image, mask, plan, np.random.default_rng(5))
    seen = set()
    for i in range(8):
        axes = [axis for axis, k in ((-1, 0), (-2, 1)) if theta[i, k, k] < 0]
        seen.add(tuple(axes))
        assert torch.equal(moved[i], image[i].flip(axes))
        assert torch.equal(labels[i], mask[i].flip(axes))
    assert len(seen) == 4
    # The sampling grid, which flips with the rotation, says the same within rounding.
    sampled, sampled_labels = warp(image, mask, theta, "zeros")
    assert close(sampled, moved, 1e-4)
    assert torch.equal(sampled_labels, labels)
    assert torch.equal(flip(image, mask, theta)[0], moved)


def test_outside_is_black_background_or_mirrored():
    image, mask = torch.ones(1, 3, 40, 40), torch.full((1, 40, 40), 7, dtype=torch.uint8)
    theta = turned(30, 40, 40)
    moved, labels = warp(image, mask, theta, "zeros")
    assert labels[0, 0, 0] == 0
    assert (moved[0, :, 0, 0] == 0).all()
    moved, labels = warp(image, mask, theta, "reflection")
    assert (labels == 7).all()
    assert close(moved, image)


# --- mask and image ---


@pytest.mark.parametrize("border", ["zeros", "reflection"])
@pytest.mark.parametrize("size", [(60, 90), (73, 51)])
def test_mask_and_image_stay_aligned(border, size):
    """The image is written from the mask, and afterwards must still be what the mask says."""
    mask = blobs(16, *size, labels=6)
    table = torch.tensor([0.0, 0.9, 0.3, 0.6, 0.15, 0.75])
    image = table[mask.long()][:, None].repeat(1, 3, 1, 1)
    plan = Augmentation(
        flip_horizontal=True, flip_vertical=True, rotation=30.0, scale=1.2, border=border
    )
    moved, labels = augment(image, mask, plan, np.random.default_rng(1))
    assert not torch.equal(labels, mask)
    x = labels[:, None].float()
    inside = F.max_pool2d(x, 5, 1) == -F.max_pool2d(-x, 5, 1)  # two pixels from any edge
    assert 0.25 < inside.float().mean() < 1
    off = (moved - table[labels.long()][:, None]).abs().amax(1, keepdim=True)
    assert off[..., 2:-2, 2:-2][inside].max() < 1e-4


@given(
    st.integers(0, 2**32),
    st.sets(st.integers(0, 255), min_size=1, max_size=5),
    st.sampled_from(["zeros", "reflection"]),
    st.floats(0, 180),
    st.floats(1, 3),
)
@settings(max_examples=50)
def test_no_label_is_invented(seed, levels, border, rotation, scale):
    rng = np.random.default_rng(seed)
    mask = torch.from_numpy(rng.choice(np.array(sorted(levels), np.uint8), (2, 11, 17)))
    plan = Augmentation(
        flip_horizontal=True, flip_vertical=True, rotation=rotation, scale=scale, border=border
    )
    _, labels = augment(torch.rand(2, 3, 11, 17), mask, plan, rng)
    assert labels.dtype == torch.uint8
    assert labels.shape == mask.shape
    for before, after in zip(mask, labels, strict=True):
        allowed = set(before.unique().tolist()) | ({0} if border == "zeros" else set())
        assert set(after.unique().tolist()) <= allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_label_from_0_to_255_survives_the_lookup(dtype):
    mask = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    same = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], dtype=dtype)
    _, labels = warp(torch.zeros(1, 1, 16, 16, dtype=dtype), mask, same, "zeros")
    assert torch.equal(labels, mask)


# --- randomness ---


def test_nothing_asked_nothing_done():
    image, mask = batch(3, 17, 23)
    moved, labels = augment(image, mask, Augmentation(), np.random.default_rng(0))
    assert torch.equal(moved, image)
    assert torch.equal(labels, mask)


def test_same_generator_same_result_and_the_input_is_left_alone():
    image, mask = batch(4, 20, 30)
    before = image.clone(), mask.clone()
    a, b = (augment(image, mask, EVERYTHING, np.random.default_rng(9)) for _ in range(2))
    other = augment(image, mask, EVERYTHING, np.random.default_rng(10))
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    assert not torch.equal(a[0], other[0])
    assert torch.equal(image, before[0])
    assert torch.equal(mask, before[1])
    assert a[0].min() >= 0
    assert a[0].max() <= 1


def test_switching_one_part_off_leaves_the_others():
    def theta(**parts):
        m = draw_affine(Augmentation(**parts), np.random.default_rng(3), 32, 30, 30)
        return in_pixels(m, 30, 30)

    flips, turns = {"flip_horizontal": True}, {"rotation": 30.0}
    flipped, turned_, both = theta(**flips), theta(**turns), theta(**flips, **turns)
    assert close(flipped @ turned_, both)
    assert close(theta(**turns, scale=1.5)[:, 0].norm(dim=-1), theta(scale=1.5)[:, 0, 0])

    image, mask = batch(4, 20, 30)
    colour = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}
    alone, _ = augment(image, mask, Augmentation(**colour), np.random.default_rng(3))
    together, _ = augment(image, mask, Augmentation(**flips, **colour), np.random.default_rng(3))
    mirrored = flipped[:4, 0, 0] < 0
    assert mirrored.any()
    assert not mirrored.all()
    expected = torch.where(mirrored[:, None, None, None], alone.flip(-1), alone)
    assert close(together, expected)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"rotation": -1.0}, {"rotation": 181.0}, {"rotation": math.nan}, {"scale": 0.5},
        {"scale": math.inf}, {"scale": math.nan}, {"brightness": 1.0}, {"contrast": -0.1},
        {"saturation": math.nan},
    ],
)  # fmt: skip
def test_nonsense_is_refused(nonsense):
    with pytest.raises(ValueError, match=next(iter(nonsense))):
        Augmentation(**nonsense)


# --- pixels that do not count ---


@pytest.mark.parametrize("border", ["zeros", "reflection"])
@pytest.mark.parametrize("moves", [True, False])
def test_ignored_pixels_move_with_the_picture(border: str, moves: bool) -> None:
    """They stay ignored, nothing else becomes so, and the other classes move as before."""
    still: dict = {} if moves else {"rotation": 0.0, "scale": 1.0}
    augmentation = replace(EVERYTHING, border=border, **still)
    image, mask = batch(3, 40, 30)
    ignored = torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    mask = mask % 200
    changed = torch.where(ignored, 255, mask).to(torch.uint8)

    def moved(labels: Tensor) -> Tensor:
        return augment(image, labels, augmentation, np.random.default_rng(4))[1]

    where = moved(ignored.to(torch.uint8)) == 1
    assert 0.1 < where.float().mean() < 0.5
    assert torch.equal(moved(changed) == 255, where)
    assert torch.equal(moved(changed)[~where], moved(mask.to(torch.uint8))[~where])


@given(
    rotation=st.floats(0, 180), scale=st.floats(1.01, 3), height=st.integers(8, 24),
    width=st.integers(8, 24), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_a_crop_does_not_depend_on_what_lies_beyond_its_surroundings(
    rotation: float, scale: float, height: int, width: int, seed: int
) -> None:
    augmentation = replace(EVERYTHING, rotation=rotation, scale=scale)
    size, more = (height, width), 10
    needed = surroundings(augmentation, size)
    wide = [side + 2 * more for side in needed]
    image = torch.rand(2, 3, *wide, generator=torch.Generator().manual_seed(seed))
    mask = (image[:, 0] * 5).to(torch.uint8)
    inner = (..., slice(more, -more), slice(more, -more))

    def crop(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return augment(image, mask, augmentation, np.random.default_rng(seed), size)

    (all_of_it, all_labels), (part, labels) = crop(image, mask), crop(image[inner], mask[inner])
    assert all_of_it.shape[-2:] == size
    assert close(all_of_it, part, 1e-3)
    assert (all_labels != labels).float().mean() < 0.02  # nearest neighbours at a tie
