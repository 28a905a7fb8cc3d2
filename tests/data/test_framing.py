"""Padded pictures keep their shape, fill the training size, and their padding is a mirror image."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.framing import content_size, framed, resize_image

SIDES = st.integers(1, 200)


@given(own=st.tuples(SIDES, SIDES), size=st.tuples(st.integers(8, 64), st.integers(8, 64)))
@settings(max_examples=60)
def test_a_padded_picture_keeps_its_shape(own: tuple[int, int], size: tuple[int, int]) -> None:
    height, width = content_size(own, size, "pad")
    assert height == size[0] or width == size[1]
    assert 1 <= height <= size[0] and 1 <= width <= size[1]
    scale = min(size[0] / own[0], size[1] / own[1])
    assert (
        abs(height - max(1, own[0] * scale)) <= 0.5 and abs(width - max(1, own[1] * scale)) <= 0.5
    )
    picture = np.random.default_rng(0).integers(0, 255, (*own, 3), np.uint8)
    image = framed(picture, size, "pad")
    assert image.shape == (*size, 3)
    assert np.array_equal(image[:height, :width], resize_image(picture, (height, width)))
    below = image[height : 2 * height, :width]
    assert np.array_equal(below, image[:height, :width][::-1][: len(below)])


def test_a_picture_of_the_same_shape_is_framed_alike() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)
    assert np.array_equal(framed(picture, (32, 40), "pad"), framed(picture, (32, 40), "squeeze"))
    assert content_size((64, 80), (32, 40), "pad") == (32, 40)
