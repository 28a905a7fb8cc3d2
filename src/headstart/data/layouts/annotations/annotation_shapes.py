"""From the numbers of annotation files to shapes; what is wrong with them becomes findings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.data.files import shown
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.frame import Polygon, RunLengths
from headstart.data.pictures.refusals import MAX_PIXELS
from headstart.errors import DataError, Finding, Severity

MAX_POINTS = 5_000_000
"""Points and runs in the annotations of one dataset; they take about a gigabyte of memory."""

MAX_MASK_PIXELS = 1 << 31
"""Pixels of the masks inside annotation files; a minute's decoding."""

MAX_COORDINATE = 1e7
"""Larger coordinates are not those of a picture."""

_EXPORT = "correct the annotation in the tool it was made with, and export again"
_DETAILS = 4  # findings of a kind that are shown one by one

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class ShapePlace:
    """Where an annotation stands, for messages and for the check against the picture.

    Attributes:
        path: the annotation file.
        what: the annotation in words, such as ``"annotation 17 of a.jpg"``.
        size: height and width of the picture, if the file or the picture states them.
    """

    path: Path
    what: str
    size: Size | None


@dataclass
class ShapeReader:
    """Checks shapes, and collects faults.

    Of each kind of fault the first are described, the others counted, so that a million faults take
    no memory.

    Attributes:
        search: gets the findings.
    """

    search: FrameSearch
    _counts: Counter[tuple[str, Severity]] = field(default_factory=Counter)
    _points: int = 0
    _mask_pixels: int = 0

    def add_finding(
        self, code: str, severity: Severity, message: str, hint: str, paths: Iterable[Path] = ()
    ) -> None:
        """Add a finding about one annotation or picture."""
        self._counts[code, severity] += 1
        if self._counts[code, severity] <= _DETAILS:
            self.search.add_finding(code, severity, message, hint, paths)

    def report(self) -> None:
        """Add how many faults there are beyond the ones described."""
        for finding in tuple(self.search.findings):
            key = finding.code, finding.severity
            if self._counts[key] > _DETAILS:
                message = f"and {self._counts[key] - _DETAILS} more like these"
                self.search.findings.append(replace(finding, message=message, files=()))
                self._counts[key] = 0

    def refuse(self, place: ShapePlace, problem: str) -> None:
        """Add the error of an annotation that its format does not allow."""
        message = f"{place.what}: {problem}"
        self.add_finding("bad-annotations", "error", message, _EXPORT, [place.path])

    def polygon(self, points: Sequence[Any], grey: int | None, place: ShapePlace) -> Polygon | None:
        """Return a polygon of one ring, or None if it is faulty or shows nothing.

        Args:
            points: pairs of x and y in pixels, not yet checked.
            grey: grey level of its class; None for pixels that are ignored.
            place: where it stands.

        Raises:
            DataError: the dataset has more than [`MAX_POINTS`][].
        """
        self._count(len(points), place)
        for point in points:
            if not (isinstance(point, (list, tuple)) and len(point) == 2):
                self.refuse(place, "a point is not a pair of numbers")
                return None
            if not (is_coordinate(point[0]) and is_coordinate(point[1])):
                self.refuse(place, f"{str(point)[:60]} is not a point of a picture")
                return None
        if len(points) < 3:
            self.refuse(place, f"a polygon has {len(points)} points, expected at least 3")
            return None
        ring = tuple((float(x), float(y)) for x, y in points)
        if self._shows_nothing(ring, place):
            return None
        return Polygon(grey, (ring,))

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        grey: int | None,
        place: ShapePlace,
        degrees: float = 0.0,
    ) -> Polygon | None:
        """Return an ellipse as a polygon that is nowhere a tenth of a pixel off.

        Raises:
            DataError: the dataset has more than [`MAX_POINTS`][].
        """
        if not all(is_coordinate(value) for value in (*centre, *radii, degrees)):
            self.refuse(place, "its centre or radius is not that of a picture")
            return None
        count = min(4096, max(24, math.ceil(math.tau * max(map(abs, radii)))))
        angles = [math.tau * k / count for k in range(count)]
        corners = [
            (centre[0] + radii[0] * math.cos(a), centre[1] + radii[1] * math.sin(a)) for a in angles
        ]
        return self.polygon(turned(corners, centre, degrees), grey, place)

    def run_lengths(
        self, counts: Sequence[Any], size: Size, grey: int | None, place: ShapePlace
    ) -> RunLengths | None:
        """Return a mask of run lengths down the columns, or None if it is faulty or empty.

        Args:
            counts: lengths of the runs, not yet checked.
            size: height and width of the mask.
            grey: as for a polygon.
            place: where it stands.

        Raises:
            DataError: the dataset has more than [`MAX_POINTS`][].
        """
        self._count(len(counts), place)
        height, width = size
        if place.size is not None and size != place.size:
            height, width = place.size
            self.refuse(
                place,
                f"its run lengths are for {size[1]} x {size[0]} pixels, "
                f"the picture has {width} x {height}",
            )
        elif not all(type(count) is int and 0 <= count <= MAX_PIXELS for count in counts):
            self.refuse(place, "its run lengths are not whole numbers from 0")
        elif sum(counts) != height * width:
            self.refuse(
                place,
                f"its run lengths add up to {sum(counts)} pixels, "
                f"expected {width} x {height} = {height * width}",
            )
        elif not any(counts[1::2]):
            self.without_area(place, "its mask is empty")
        else:
            return RunLengths(grey, tuple(counts), height, width)
        return None

    def without_area(self, place: ShapePlace, problem: str) -> None:
        """Add the warning of an annotation that covers no pixels."""
        message = f"{place.what}: {problem}; it is left out"
        hint = "draw the object as a polygon or mask, or delete the annotation"
        self.add_finding("annotation-without-area", "warning", message, hint, [place.path])

    def count_mask(self, pixels: int, place: ShapePlace) -> None:
        """Count the pixels of a mask before it is decoded.

        Raises:
            DataError: the dataset has more than [`MAX_MASK_PIXELS`][].
        """
        self._mask_pixels += pixels
        if self._mask_pixels > MAX_MASK_PIXELS:
            raise self._too_many(f"{MAX_MASK_PIXELS:,} pixels in masks", place)

    def _count(self, count: int, place: ShapePlace) -> None:
        self._points += count
        if self._points > MAX_POINTS:
            raise self._too_many(f"{MAX_POINTS:,} points and runs", place)

    def _too_many(self, what: str, place: ShapePlace) -> DataError:
        message = f"the annotations hold more than {what}"
        hint = "split the dataset into several, or simplify the outlines"
        where = (shown(place.path, self.search.root),)
        return DataError(Finding("too-many-points", "error", message, hint, where))

    def _shows_nothing(self, ring: tuple[tuple[float, float], ...], place: ShapePlace) -> bool:
        x0, y0 = ring[0]  # relative to a corner, so that rounding cannot hide an area of zero
        area = sum(
            (x - x0) * (v - y0) - (u - x0) * (y - y0)
            for (x, y), (u, v) in zip(ring, (*ring[1:], ring[0]), strict=True)
        )
        if area == 0:
            self.without_area(place, "its outline encloses no area")
            return True
        if place.size is None:
            return False
        height, width = place.size
        x_values, y_values = [x for x, _ in ring], [y for _, y in ring]
        outside = max(x_values) <= 0 or max(y_values) <= 0
        if outside or min(x_values) >= width or min(y_values) >= height:
            message = f"{place.what} lies outside the picture of {width} x {height} pixels"
            hint = "export again for the picture at its present size, or delete the annotation"
            self.add_finding("annotation-outside", "warning", message, hint, [place.path])
            return True
        return False


def is_coordinate(value: object) -> bool:
    """Return whether a value is a number that a coordinate can be.

    >>> [is_coordinate(value) for value in (3, -0.5, float("nan"), 10**400, True, "3")]
    [True, True, False, False, False, False]
    """
    return type(value) in (int, float) and -MAX_COORDINATE <= value <= MAX_COORDINATE  # type: ignore[operator]


def box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    """Return the corners of a box.

    >>> box(1.0, 2.0, 3.0, 4.0)
    [(1.0, 2.0), (4.0, 2.0), (4.0, 6.0), (1.0, 6.0)]
    """
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def turned(
    points: Iterable[tuple[float, float]], centre: tuple[float, float], degrees: float
) -> list[tuple[float, float]]:
    """Return points turned clockwise, as seen in a picture, around a centre.

    >>> turned([(2.0, 1.0)], (1.0, 1.0), 90.0)
    [(1.0, 2.0)]
    """
    if degrees == 0:
        return list(points)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x0, y0 = centre
    return [
        (x0 + (x - x0) * cosine - (y - y0) * sine, y0 + (x - x0) * sine + (y - y0) * cosine)
        for x, y in points
    ]


def picture_size(height: object, width: object) -> Size | None:
    """Return a size that a file states; None if it is not that of a picture.

    >>> picture_size(480, 640), picture_size(-1, 640), picture_size(None, None)
    ((480, 640), None, None)
    """
    if not (type(height) is int and type(width) is int):
        return None
    return (height, width) if 0 < height * width <= MAX_PIXELS and height > 0 else None
