"""The outlines of the areas in a class map, along the edges of pixels.

A component is a largest set of pixels of one class that are connected by their sides (two pixels
that touch only at a corner are not connected). Its outlines run along the edges of its pixels, so
their corners have whole coordinates, and drawing them with
[`polygon_mask`][headstart.data.pictures.shapes.polygon_mask] gives exactly its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from scipy import ndimage
from scipy.spatial import KDTree

Ring = tuple[tuple[int, int], ...]
"""A closed outline: its corners as ``(x, y)``; ``(0, 0)`` is the picture's upper left corner."""

_RIGHT, _DOWN, _LEFT, _UP = range(4)  # one more is a turn to the right

_Labels = Int[np.ndarray, "h w"]
_Corner = tuple[int, int]
_Side = tuple[int, _Corner, _Corner, int]  # number of the component, start, end, direction


@dataclass(frozen=True)
class Component:
    """A connected area of one class.

    Attributes:
        class_index: its class.
        top, left: first row and column of its bounding box.
        inside: which pixels of the box belong to it.
        rings: its outer outline, clockwise as seen on a screen; then its holes, the other way.
    """

    class_index: int
    top: int
    left: int
    inside: Bool[np.ndarray, "rows columns"]
    rings: tuple[Ring, ...]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.inside))


def components(indices: UInt8[np.ndarray, "h w"]) -> Iterator[Component]:
    """Yield the components of a class map, by class, then from top to bottom.

    Args:
        indices: class indices; 0 is background and has no components.

    >>> square = np.zeros((3, 4), dtype=np.uint8)
    >>> square[:2, 1:3] = 5
    >>> [(c.class_index, c.area, c.rings) for c in components(square)]
    [(5, 4, (((1, 0), (3, 0), (3, 2), (1, 2)),))]
    """
    for class_index in np.flatnonzero(np.bincount(indices.ravel())).tolist():
        if class_index == 0:
            continue
        labels, _ = ndimage.label(indices == class_index)
        boxes = ndimage.find_objects(labels)
        for number, (box, rings) in enumerate(zip(boxes, _rings(labels), strict=True), 1):
            top, left = (side.start for side in box)
            yield Component(class_index, top, left, labels[box] == number, rings)


def one_ring(rings: tuple[Ring, ...]) -> Ring:
    """Return all outlines of a component as one ring.

    A straight line leads from the outer outline to each hole and back on the same way. Both ways
    cancel each other where a pixel belongs to a polygon if its centre lies inside an odd number of
    times, so the ring has the same pixels.

    Args:
        rings: the outer outline, then the holes.
    """
    outer, *holes = rings
    if not holes:
        return outer
    _, nearest = KDTree(np.array(outer)).query(np.array([hole[0] for hole in holes]))
    spokes: dict[int, list[Ring]] = {}
    for corner, hole in zip(nearest.tolist(), holes, strict=True):
        spokes.setdefault(corner, []).append(hole)
    points: list[tuple[int, int]] = []
    for corner, point in enumerate(outer):
        points.append(point)
        for hole in spokes.get(corner, ()):
            points += [*hole, hole[0], point]
    return tuple(points)


def _rings(labels: _Labels) -> list[tuple[Ring, ...]]:
    """Return the rings of each component, the outer one first."""
    # Each side of an outline leads from corner to corner, with the component to its right as one
    # walks. The way goes on at a corner with the side that turns right, if there are two: so it
    # stays at the same pixel where two pixels of a component touch only at this corner.
    rows, columns = _sides(labels, vertical=False), _sides(labels, vertical=True)
    onward: dict[tuple[int, _Corner], dict[int, _Corner]] = {}
    for number, start, end, step in (*rows, *columns):
        onward.setdefault((number, start), {})[step] = end
    rings: list[list[Ring]] = [[] for _ in range(int(labels.max()))]
    for number, start, _, step in rows:
        if step not in onward.get((number, start), ()):
            continue  # part of a ring already
        ring = []
        while (ends := onward.get((number, start))) and step in ends:
            ring.append(start)
            start = ends.pop(step)
            ahead = onward[number, start]
            right = (step + 1) % 4
            step = right if right in ahead else (step - 1) % 4
        rings[number - 1].append(tuple(ring))
    return [tuple(sorted(of_one, key=_turns_left)) for of_one in rings]


def _sides(labels: _Labels, vertical: bool) -> list[_Side]:
    """Return all horizontal sides of outlines, or all vertical ones."""
    if vertical:
        labels = labels.T  # its horizontal sides are the vertical ones, seen from behind
    above, below = np.pad(labels, ((1, 0), (0, 0))), np.pad(labels, ((0, 1), (0, 0)))
    edge = above != below
    sides: list[_Side] = []
    for inside_below, edges in (
        (True, np.where(edge, below, 0)),
        (False, np.where(edge, above, 0)),
    ):
        runs = np.pad(edges, ((0, 0), (1, 1)))
        change = runs[:, 1:] != runs[:, :-1]
        y_values, firsts = np.nonzero(change & (runs[:, 1:] != 0))
        _, lasts = np.nonzero(change & (runs[:, :-1] != 0))
        numbers = runs[:, 1:][y_values, firsts]
        for number, y, first, last in zip(
            numbers.tolist(), y_values.tolist(), firsts.tolist(), lasts.tolist(), strict=True
        ):
            if vertical:
                ends, step = ((y, first), (y, last)), (_UP if inside_below else _DOWN)
            else:
                ends, step = ((first, y), (last, y)), (_RIGHT if inside_below else _LEFT)
            start, end = ends if step in (_RIGHT, _DOWN) else ends[::-1]
            sides.append((number, start, end, step))
    return sides


def _turns_left(ring: Ring) -> bool:
    """Return whether a ring is a hole: its area is negative where y points down."""
    x_values, y_values = np.array(ring, dtype=np.int64).T
    doubled = x_values * np.roll(y_values, -1) - np.roll(x_values, -1) * y_values
    return bool(doubled.sum() < 0)
