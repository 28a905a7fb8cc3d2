"""A contact sheet shows each picture once, at its own aspect, and no class gets lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.label_map import IGNORE
from headstart.plots.contact_sheet import (
    Row,
    Tile,
    contact_sheet,
    in_rows,
    overlay_thumbnail,
    thumbnail,
)
from headstart.plots.overlay import colour


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 99))
def test_a_thumbnail_fits_and_keeps_its_aspect(height: int, width: int, side: int) -> None:
    small = thumbnail(np.zeros((height, width, 3), np.uint8), side)
    assert max(small.shape[:2]) == side
    expected = max(1.0, side * min(height, width) / max(height, width))
    assert abs(min(small.shape[:2]) - expected) <= 0.5


def test_a_small_picture_keeps_its_own_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert np.array_equal(thumbnail(image, 50), image.repeat(10, 0).repeat(10, 1))


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_one_pixel_of_a_class_is_seen_at_its_place(height: int, width: int, data) -> None:
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    classes = np.zeros((height, width), np.uint8)
    classes[y, x] = 3
    seen = overlay_thumbnail(np.zeros((height, width, 3), np.uint8), classes, 20)
    rows, columns = np.nonzero(seen.any(-1))
    assert len(rows)
    assert np.abs((rows + 0.5) / seen.shape[0] - (y + 0.5) / height).min() <= 1 / seen.shape[0]
    assert np.abs((columns + 0.5) / seen.shape[1] - (x + 0.5) / width).min() <= 1 / seen.shape[1]


def test_a_mask_lies_where_its_object_is() -> None:
    image = np.zeros((600, 400, 3), np.uint8)
    image[100:300, 50:200] = 200
    classes = (image[..., 0] > 0).astype(np.uint8)
    seen = overlay_thumbnail(image, classes, 60)
    grey = (seen == seen[..., :1]).all(-1)
    assert seen.shape == (60, 40, 3)
    assert not grey[10:30, 5:20].any()
    assert grey.sum() == 60 * 40 - 20 * 15
    assert np.array_equal(seen[grey], thumbnail(image, 60)[grey])


@pytest.mark.parametrize("count", [1, 6, 7])
def test_all_cells_are_on_the_sheet(count: int) -> None:
    name = "a\x1b[31m-very-long-name-" + 60 * "x"
    cells = [Tile(np.full((30, 40, 3), 7, np.uint8), (name, "train"))] * count
    rows = in_rows(cells, 6, "heading")
    assert [len(row.cells) for row in rows] == {1: [1], 6: [6], 7: [6, 1]}[count]
    assert [row.heading for row in rows] == ["heading", ""][: len(rows)]
    sheet = contact_sheet(rows, [1, IGNORE], ["ground", "long" * 40], 40)
    assert (sheet == 7).all(-1).sum() == count * 30 * 40
    assert (sheet[:, -1] == 255).all() and (sheet[-1] == 255).all()
    for k in (1, IGNORE):
        assert (sheet == colour(k)).all(-1).sum() >= 100


def test_without_classes_there_is_no_legend() -> None:
    rows = [Row((Tile(np.zeros((9, 9, 3), np.uint8), ()),))]
    assert len(contact_sheet(rows, [], ["a"], 9)) < len(contact_sheet(rows, [1], ["a", "b"], 9))
