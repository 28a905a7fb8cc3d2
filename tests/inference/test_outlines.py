"""Outlines of class maps: drawing them gives the class map again, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from headstart.data.pictures.frame import Polygon
from headstart.data.pictures.shapes import polygon_mask
from headstart.inference.outlines import components, one_ring

CLASS_MAPS = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0, 1, 2, 254]),
)


def _drawn(indices: np.ndarray, joined: bool) -> np.ndarray:
    labels = np.zeros_like(indices)
    for component in components(indices):
        rings = (one_ring(component.rings),) if joined else component.rings
        corners = tuple(tuple((float(x), float(y)) for x, y in ring) for ring in rings)
        mask = polygon_mask(Polygon(1, corners), *indices.shape)
        assert not labels[mask].any()  # components do not overlap
        labels[mask] = component.class_index
    return labels


@given(CLASS_MAPS, st.booleans())
def test_drawn_outlines_are_the_class_map(indices: np.ndarray, joined: bool) -> None:
    assert np.array_equal(_drawn(indices, joined), indices)


@given(CLASS_MAPS)
def test_a_component_has_one_outer_outline_and_its_pixels(indices: np.ndarray) -> None:
    for component in components(indices):
        rows, columns = component.inside.shape
        box = indices[component.top :, component.left :][:rows, :columns]
        assert (box[component.inside] == component.class_index).all()
        assert ndimage.label(component.inside)[1] == 1
        # The background is connected by corners, too: each part without a way out is one hole.
        outside = np.pad(~component.inside, 1, constant_values=True)
        assert len(component.rings) == ndimage.label(outside, np.ones((3, 3)))[1]
        areas = [_area(ring) for ring in component.rings]
        assert areas[0] > 0 and all(area < 0 for area in areas[1:])
        assert sum(areas) == component.area
        assert all(len(set(ring)) >= 4 for ring in component.rings)


def _area(ring: tuple[tuple[int, int], ...]) -> float:
    following = (*ring[1:], ring[0])
    return sum(x * v - u * y for (x, y), (u, v) in zip(ring, following, strict=True)) / 2


@pytest.mark.parametrize(
    ("picture", "rings"),
    [
        ("##/##", [4]),
        ("##./#.#/.##", [6, 6]),  # touch only at corners: two components
        ("###/#.#/###", [(4, 4)]),
        ("###/#.#/##.", [10]),  # the gap leads out by a corner, so it is no hole
        ("####/#.##/##.#/####", [(4, 8)]),  # two gaps that touch at a corner are one hole
    ],
)
def test_corners(picture: str, rings: list[int | tuple[int, ...]]) -> None:
    rows = picture.split("/")
    indices = np.array([[cell == "#" for cell in row] for row in rows]).astype(np.uint8)
    corners = [tuple(map(len, c.rings)) for c in components(indices)]
    expected = [sizes if isinstance(sizes, tuple) else (sizes,) for sizes in rings]
    assert corners == expected


def test_noise() -> None:
    indices = np.random.default_rng(0).integers(0, 3, (150, 200), dtype=np.uint8)
    assert sum(component.area for component in components(indices)) == (indices > 0).sum()
