"""Draw the shapes of annotation files as masks.

One rule for all formats: a pixel belongs to a polygon if its centre lies inside an odd number of
its rings. A centre exactly on an edge belongs to the side to its right or below it, so that two
polygons that share an edge neither overlap nor leave a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.label_map import IGNORE
from headstart.data.pictures.frame import Polygon, RunLengths, Shape


def draw(
    shapes: Sequence[Shape], index: Mapping[int, int], height: int, width: int
) -> UInt8[np.ndarray, "h w"]:
    """Return class indices; later shapes cover earlier ones, and the rest is background.

    Args:
        shapes: in drawing order; parts outside the picture are cut off.
        index: class index by grey level.
        height: height of the picture.
        width: width of the picture.
    """
    labels = np.zeros((height, width), dtype=np.uint8)
    for shape in shapes:
        value = IGNORE if shape.grey is None else index[shape.grey]
        if isinstance(shape, Polygon):
            top, left, inside = _polygon(shape, height, width)
        else:
            top, left, inside = _run_lengths(shape, height, width)
        rows, columns = inside.shape
        labels[top : top + rows, left : left + columns][inside] = value
    return labels


def polygon_mask(shape: Polygon, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Return which pixels of a picture belong to a polygon.

    >>> square = Polygon(1, (((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)),))
    >>> polygon_mask(square, 3, 3).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    """
    mask = np.zeros((height, width), dtype=bool)
    top, left, inside = _polygon(shape, height, width)
    mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return mask


def _polygon(shape: Polygon, height: int, width: int) -> tuple[int, int, Bool[np.ndarray, "r c"]]:
    """Return the polygon's pixels in its bounding box, and the box's first row and column."""
    points = np.array([point for ring in shape.rings for point in ring], dtype=np.float64)
    if not len(points):
        return 0, 0, np.zeros((0, 0), dtype=bool)
    low = np.floor(points.min(0)).clip(0, (width, height)).astype(int)
    high = np.ceil(points.max(0)).clip(0, (width, height)).astype(int)
    left, top = map(int, low)
    columns, rows = map(int, (high - low).clip(0))
    # An edge toggles the pixels to the right of where it crosses the row through their centres.
    toggles = np.zeros((rows, columns + 1), dtype=np.int32)
    for ring in shape.rings:
        ends = np.array(ring, dtype=np.float64)
        for (x0, y0), (x1, y1) in zip(ends, np.roll(ends, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            first = max(0, int(np.ceil(y0 - 0.5)) - top)
            last = min(rows, int(np.ceil(y1 - 0.5)) - top)
            if first >= last:
                continue
            row = np.arange(first, last)
            crossing = x0 + (row + top + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            column = np.ceil(crossing - 0.5 - left).clip(0, columns).astype(int)
            np.add.at(toggles, (row, column), 1)
    return top, left, (np.cumsum(toggles, axis=1)[:, :columns] & 1).astype(bool)


def _run_lengths(
    shape: RunLengths, height: int, width: int
) -> tuple[int, int, Bool[np.ndarray, "r c"]]:
    values = np.zeros(len(shape.counts), dtype=bool)
    values[1::2] = True
    flat = np.repeat(values, shape.counts)
    if shape.by_column:
        mask = flat.reshape(shape.width, shape.height).T
    else:
        mask = flat.reshape(shape.height, shape.width)
    top, left = max(0, shape.top), max(0, shape.left)
    mask = mask[top - shape.top :, left - shape.left :]
    return top, left, mask[: max(0, height - top), : max(0, width - left)]
