"""Windows cover a picture and blend without seams; small classes are left out of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32, UInt8

from headstart.tasks import windows
from headstart.tasks.windows import Corners, blended, class_map, window_starts

Probs = Float32[np.ndarray, "n k h w"]
Pictures = UInt8[np.ndarray, "n 3 h w"]


@given(length=st.integers(1, 400), window=st.integers(8, 64))
def test_windows_cover_a_side_and_overlap_by_a_quarter(length: int, window: int) -> None:
    starts = window_starts(length, window)
    assert starts[0] == 0 and starts[-1] == max(0, length - window)
    gaps = np.diff(starts)
    assert (gaps > 0).all() and (gaps <= window - window // 4).all()


def by_pixel(pictures: Pictures, _corners: Corners) -> Probs:
    """A network that looks at one pixel at a time: windows cannot matter."""
    p = pictures[:, :2].astype(np.float32) + 1
    p = np.concatenate([p, pictures[:, 2:].astype(np.float32) / 8], axis=1)
    return p / p.sum(1, keepdims=True)


@given(height=st.integers(1, 50), width=st.integers(1, 50), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_a_network_that_sees_one_pixel_gives_the_same_in_windows(
    height: int, width: int, seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    whole = by_pixel(picture.transpose(2, 0, 1)[None], [])[0]
    parts = list(blended(picture, (8, 12), by_pixel))
    assert [rows.start for rows, _ in parts] == window_starts(height, 8)
    assert np.allclose(np.concatenate([probs for _, probs in parts], axis=1), whole, atol=1e-5)
    near_tie = np.sort(whole, 0)[-1] - np.sort(whole, 0)[-2] < 1e-4
    same = class_map(picture, (8, 12), by_pixel, 0.0) == whole.argmax(0)
    assert (same | near_tie).all()


def test_the_border_of_a_window_leaves_no_seam() -> None:
    """A network that answers by the place in its window: the mean may change only slowly."""

    def by_place(pictures: Pictures, corners: Corners) -> Probs:
        wrong = np.zeros((32, 32), np.float32)
        wrong[[0, -1]] = wrong[:, [0, -1]] = 1  # wrong in the outermost pixels
        probs = np.stack([wrong, 1 - wrong])
        return np.broadcast_to(probs, (len(pictures), *probs.shape)).astype(np.float32)

    picture = np.zeros((100, 120, 3), np.uint8)
    probs = np.concatenate([p for _, p in blended(picture, (32, 32), by_place)], axis=1)
    assert probs[0, 1:-1, 1:-1].max() < 0.02  # but at the border of the picture


@pytest.mark.parametrize("kept", [True, False])
def test_small_classes_are_left_out_of_the_whole_picture(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:  # as of a picture whose probabilities are too many
        monkeypatch.setattr(windows, "_AT_ONCE", 0)
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, :, 0] = 50
    picture[3:6, 3:6, 1] = 200  # 9 of 1600 pixels
    assert (class_map(picture, (16, 16), by_pixel, 0.005) == 1).sum() == 9
    assert (class_map(picture, (16, 16), by_pixel, 0.006) == 0).all()
