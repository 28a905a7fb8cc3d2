"""Drawing polygons and run lengths: an oracle by centres, shared edges, holes, cut-offs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.label_map import IGNORE
from headstart.data.pictures.frame import Polygon, RunLengths
from headstart.data.pictures.shapes import draw, polygon_mask

HEIGHT, WIDTH = 9, 12
coordinate = st.floats(-3, 15, allow_nan=False).map(lambda x: round(x * 4) / 4)
rings = st.lists(
    st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=7).map(tuple),
    min_size=1,
    max_size=3,
).map(tuple)


def crossings(polygon: Polygon, x: float, y: float) -> int:
    """Count the edges to the left of a point, by the rule in the module's documentation."""
    count = 0
    for ring in polygon.rings:
        for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
            if (y0 <= y) != (y1 <= y):
                count += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
    return count


@given(rings)
def test_a_pixel_belongs_if_its_centre_lies_inside_an_odd_number_of_rings(drawn: tuple) -> None:
    polygon = Polygon(1, drawn)
    expected = [
        [crossings(polygon, column + 0.5, row + 0.5) % 2 == 1 for column in range(WIDTH)]
        for row in range(HEIGHT)
    ]
    assert polygon_mask(polygon, HEIGHT, WIDTH).tolist() == expected


@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3), coordinate)
def test_polygons_that_share_an_edge_leave_no_gap_and_no_overlap(corners: list, top: float) -> None:
    a, b, c = corners
    apex = (2 * a[0] - c[0] + 1, top)
    one, other = Polygon(1, ((a, b, c),)), Polygon(1, ((b, a, apex),))
    both = Polygon(1, ((a, b, c), (b, a, apex)))
    union = polygon_mask(one, HEIGHT, WIDTH) ^ polygon_mask(other, HEIGHT, WIDTH)
    assert np.array_equal(union, polygon_mask(both, HEIGHT, WIDTH))


def square(low: float, high: float) -> tuple:
    return ((low, low), (high, low), (high, high), (low, high))


def test_later_shapes_cover_earlier_ones_and_holes_show_what_is_below() -> None:
    shapes = (
        Polygon(7, (square(0.0, 6.0),)),
        Polygon(9, (square(1.0, 5.0), square(2.0, 4.0))),
        Polygon(None, (square(0.0, 1.0),)),
    )
    labels = draw(shapes, {0: 0, 7: 1, 9: 2}, 6, 6)
    assert labels[0, 0] == IGNORE and labels[0, 1] == 1 and labels[1, 1] == 2 and labels[3, 3] == 1


def test_run_lengths_by_column_and_by_row_and_partly_outside() -> None:
    mask = np.zeros((4, 3), bool)
    mask[1:3, 0] = mask[3, 2] = True
    by_column = RunLengths(5, (1, 2, 8, 1), 4, 3)
    by_row = RunLengths(5, (3, 1, 2, 1, 4, 1), 4, 3, by_column=False)
    for shape in (by_column, by_row):
        assert np.array_equal(draw([shape], {5: 1}, 4, 3) == 1, mask)
    moved = RunLengths(5, (1, 2, 8, 1), 4, 3, top=-1, left=1)
    expected = np.zeros((3, 3), np.uint8)
    expected[0:2, 1] = 1
    assert np.array_equal(draw([moved], {5: 1}, 3, 3), expected)
