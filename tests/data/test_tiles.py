"""Tiles lie inside their pictures, and a third of them show a class."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.tiles import FOREGROUND, class_pixels, draw_corners

SIDES = st.integers(1, 30)


@given(size=st.tuples(SIDES, SIDES), tile=st.tuples(SIDES, SIDES), seed=st.integers(0, 999))
@settings(max_examples=60)
def test_tiles_lie_inside_pictures_that_are_large_enough(
    size: tuple[int, int], tile: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 3, size).astype(np.uint8)
    pixels = class_pixels(mask, 3, rng)
    corners = draw_corners(rng, [size] * 20, tile, [pixels] * 20)
    for axis in (0, 1):
        assert (corners[:, axis] >= 0).all()
        assert (corners[:, axis] <= max(0, size[axis] - tile[axis])).all()


def test_a_third_of_the_tiles_show_a_class_that_covers_one_pixel() -> None:
    mask = np.zeros((200, 300), dtype=np.uint8)
    mask[150, 20] = 2
    rng = np.random.default_rng(0)
    pixels = class_pixels(mask, 3, rng)
    assert [p.tolist() for p in pixels] == [[[150, 20]]]
    count = 3000
    corners = draw_corners(rng, [mask.shape] * count, (20, 20), [pixels] * count)
    holds = ((corners <= (150, 20)) & (corners > (130, 0))).all(1)
    anywhere = (1 - FOREGROUND) * 20 * 20 / (181 * 281)
    assert abs(holds.mean() - FOREGROUND - anywhere) < 0.03
    shown = corners[holds]  # and lies anywhere in them
    assert len(np.unique(150 - shown[:, 0])) == 20 and len(np.unique(20 - shown[:, 1])) == 20


def test_without_classes_every_tile_is_as_likely() -> None:
    corners = draw_corners(np.random.default_rng(0), [(5, 6)] * 6000, (3, 3))
    _, counts = np.unique(corners, axis=0, return_counts=True)
    assert len(counts) == 3 * 4 and counts.min() > 400 and counts.max() < 600


def test_other_pictures_of_a_batch_change_nothing() -> None:
    one = draw_corners(np.random.default_rng(3), [(50, 60), (40, 40)], (8, 8))
    two = draw_corners(np.random.default_rng(3), [(50, 60), (90, 30)], (8, 8))
    assert (one[0] == two[0]).all()


def test_many_pixels_of_a_class_are_sampled() -> None:
    mask = np.ones((100, 100), dtype=np.uint8)
    (pixels,) = class_pixels(mask, 2, np.random.default_rng(0))
    assert pixels.shape == (500, 2) and len(np.unique(pixels, axis=0)) == 500
