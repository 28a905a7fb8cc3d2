"""Classes in colour: only the foreground, told apart, named below."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import ImageDraw

from headstart.data.label_map import IGNORE
from headstart.plots.overlay import (
    COLOURS,
    IGNORED,
    colour,
    label,
    overlay,
    overlay_with_legend,
)


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 14)
    ),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_only_foreground_is_coloured(classes, opacity, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*classes.shape, 3), dtype=np.uint8)
    before = image.copy()
    seen = overlay(image, classes, opacity)
    assert (seen.shape, seen.dtype) == (image.shape, np.uint8)
    assert np.array_equal(image, before)
    assert np.array_equal(seen[classes == 0], image[classes == 0])
    for y, x in np.argwhere(classes):
        around = classes[max(y - 1, 0) : y + 2, x], classes[y, max(x - 1, 0) : x + 2]
        ink = np.array(colour(int(classes[y, x])))
        outline = any((line != classes[y, x]).any() for line in around)
        alpha = 1.0 if outline else opacity
        assert np.abs(seen[y, x] - ((1 - alpha) * image[y, x] + alpha * ink)).max() <= 0.51


def test_colours_are_told_apart_and_repeat():
    assert len(set(COLOURS)) == len(COLOURS) == 12
    assert colour(1) == COLOURS[0]
    assert colour(13) == colour(1)
    apart = np.array(COLOURS, float)[:, None] - np.array(COLOURS, float)
    assert np.linalg.norm(apart, axis=-1)[~np.eye(12, dtype=bool)].min() > 60


@pytest.mark.parametrize("side", [8, 64, 320, 700])
def test_the_legend_lies_below_the_picture(side: int) -> None:
    """Whatever the picture's size and the number of classes, every name is inside the sheet."""
    names = ("background", *(f"a_rather_long_instrument_name_{k}" for k in range(1, 8)))
    image = np.zeros((side, side, 3), np.uint8)
    classes = (np.arange(side * side).reshape(side, side) % 8).astype(np.uint8)
    sheet = overlay_with_legend(image, classes, names)
    factor = max(1, -(-320 // side))
    assert sheet.shape[1] == side * factor and sheet.shape[0] > side * factor
    legend = sheet[side * factor :]
    assert (legend[:, -1] == 255).all() and (legend[-1] == 255).all()


def test_a_picture_without_foreground_says_so() -> None:
    sheet = overlay_with_legend(
        np.zeros((40, 400, 3), np.uint8), np.zeros((40, 400), np.uint8), ("background", "x")
    )
    assert (sheet[40:] < 128).any() and (sheet[:40] == 0).all()


def test_ignored_pixels_are_grey_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert IGNORED == IGNORE
    red, green, blue = colour(IGNORED)
    assert red == green == blue and label(IGNORED, ("background", "x")) == "ignored"
    assert label(1, ("background", "a_tool")) == "a tool"
    classes = np.zeros((40, 400), np.uint8)
    classes[:, :100], classes[:, 300:] = 1, IGNORED
    image = np.zeros((40, 400, 3), np.uint8)
    seen = overlay(image, classes, 1.0)
    assert (seen[:, 300:] == colour(IGNORED)).all() and (seen[:, 100:300] == 0).all()
    sheet = overlay_with_legend(image, classes, ("background", "x"))
    legend = sheet[40:].reshape(-1, 3)
    assert {colour(1), colour(IGNORED)} <= set(map(tuple, legend.tolist()))
    named: list[str] = []
    draw_text = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: object, words: str, **options: object) -> None:
        named.append(words)
        draw_text(self, xy, words, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    overlay_with_legend(image, classes, ("background", "x"))
    assert named == ["x", "ignored"]


def test_strips_of_a_large_photograph_have_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (23, 9, 3), np.uint8)
    classes = random.integers(0, 3, (23, 9), np.uint8)
    at_once = overlay(image, classes)
    for pixels in (9, 30, 150):
        monkeypatch.setattr("headstart.plots.overlay._AT_ONCE", pixels)
        assert np.array_equal(overlay(image, classes), at_once)
