"""Parse the XML of CVAT for images 1.1, as an untrusted file of bounded size.

Shapes are written inside the ``<image>`` that they belong to. Areas are polygons, boxes, ellipses
and masks; other shapes have no area and are counted. Coordinates have their origin in the picture's
upper left corner, as in [`Polygon`][headstart.data.pictures.frame.Polygon]. A mask is a box and the
lengths of its runs along the rows; the first run is outside the object.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from headstart.data.files import open_regular
from headstart.data.layouts.annotations.annotation_files import MAX_BYTES, bad_annotations
from headstart.data.layouts.annotations.annotation_shapes import turned
from headstart.data.pictures.frame import Polygon, RunLengths, Shape
from headstart.data.pictures.refusals import MAX_PIXELS
from headstart.errors import DataError

MAX_ELEMENTS = 3_000_000
MAX_NUMBERS = 10_000_000
"""Coordinates and run lengths in a file: they take about 0.5 GB of memory."""

_MAX_DEPTH = 32
_FAR = 1e6  # no picture is larger
_CHUNK = 1 << 20
_MAX_NAME = 1000
_AREAS = ("polygon", "box", "ellipse", "mask")
_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")
_ARC = 0.005  # pixels between an ellipse and its outline of straight lines
_MAX_CORNERS = 1000  # of that outline

Point = tuple[float, float]


@dataclass(frozen=True)
class Area:
    """A shape that covers pixels.

    Attributes:
        label: name of its class.
        z_order: areas with higher numbers cover those with lower ones, later areas earlier ones.
        shape: its grey level is None.
    """

    label: str
    z_order: int
    shape: Shape


@dataclass
class CvatPicture:
    """An ``<image>``.

    Attributes:
        file: the annotation file.
        name: path of the picture, as CVAT knew it.
        subset: CVAT's name for the split; empty if there is none.
        size: height and width.
        areas: in the order of the file.
        faults: what is wrong with shapes that are not in ``areas``, and how many have each fault.
    """

    file: Path
    name: str
    subset: str
    size: tuple[int, int]
    areas: list[Area] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)


@dataclass
class Annotations:
    """The content of an ``annotations.xml``.

    Attributes:
        labels: the declared classes, in order.
        pictures: in the order of the file.
        without_area: how many shapes of each kind have no area.
    """

    labels: list[str] = field(default_factory=list)
    pictures: list[CvatPicture] = field(default_factory=list)
    without_area: Counter[str] = field(default_factory=Counter)


def read_annotations(path: Path, root: Path) -> Annotations:
    """Read an ``annotations.xml``.

    Raises:
        DataError: The file cannot be read, is too large, is not XML, declares entities, or is not
            of CVAT for images.
    """

    def bad(message: str, hint: str = "export the task again as CVAT for images 1.1") -> DataError:
        return bad_annotations(message, hint, path, root)

    target = _Target(path)
    parser = DefusedXMLParser(target=target)
    try:
        with open_regular(path, root, MAX_BYTES) as file:
            while chunk := file.read(_CHUNK):
                parser.feed(chunk)
        parser.close()
    except DefusedXmlException:
        message = "the annotation file declares XML entities, which CVAT never does"
        raise bad(message, "do not use this file unless you know who made it") from None
    except (ParseError, LookupError, ValueError) as error:  # the latter two: unknown encodings
        raise bad(f"the annotation file is not valid XML: {error}") from None
    except _NotCvatError as error:
        raise bad(str(error)) from None
    return target.annotations


class _NotCvatError(Exception):
    """The file is XML, but not what CVAT writes; the message says why."""


class _Target:
    """Receives the elements of the file one by one, so that no tree of them is ever built."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.annotations = Annotations()
        self.path: list[str] = []
        self.text = ""
        self.element_count = 0
        self.number_count = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.element_count += 1
        self.path.append(tag)
        self.text = ""
        if self.element_count > MAX_ELEMENTS:
            raise _NotCvatError(f"the file has more than {MAX_ELEMENTS:,} elements; split the task")
        if len(self.path) > _MAX_DEPTH:
            raise _NotCvatError("the elements are nested too deeply")
        if len(self.path) == 1 and tag != "annotations":
            raise _NotCvatError(f"the file begins with <{tag[:40]}>, expected <annotations>")
        if self.path == ["annotations", "track"]:
            raise _NotCvatError(
                "the file is CVAT for video, whose shapes belong to tracks, not images"
            )
        if self.path == ["annotations", "image"]:
            self.annotations.pictures.append(_picture(attributes, self.file))
        elif self.path[:-1] == ["annotations", "image"]:
            self._shape(tag, attributes)

    def data(self, text: str) -> None:
        if self.path[-2:] == ["label", "name"]:
            self.text += text
            if len(self.text) > _MAX_NAME:
                raise _NotCvatError(f"a label's name has more than {_MAX_NAME} characters")

    def end(self, tag: str) -> None:  # noqa: ARG002 - the parser passes it
        if self.path[-2:] == ["label", "name"]:
            self.annotations.labels.append(self.text.strip())
        self.path.pop()
        self.text = ""

    def close(self) -> None:
        pass

    def _shape(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _WITHOUT_AREA:
            self.annotations.without_area[tag] += 1
        if tag not in _AREAS:
            return
        written = attributes.get("points", "") + attributes.get("rle", "")
        self.number_count += 1 + written.count(",") + written.count(";")
        if self.number_count > MAX_NUMBERS:
            raise _NotCvatError(
                f"the shapes have more than {MAX_NUMBERS:,} numbers; split the task"
            )
        picture = self.annotations.pictures[-1]
        try:
            shape = _area(tag, attributes, picture.size)
            z_order = int(attributes.get("z_order", "0"))
        except KeyError as missing:
            picture.faults[f"a {tag} has no {missing.args[0]}"] += 1
        except _BadShapeError as fault:
            picture.faults[str(fault)] += 1
        except ValueError:
            picture.faults[f"a {tag} has a number that cannot be read"] += 1
        else:
            if tag == "ellipse" and isinstance(shape, Polygon):
                self.number_count += 2 * len(shape.rings[0])
            picture.areas.append(Area(attributes.get("label", ""), z_order, shape))


class _BadShapeError(Exception):
    """A shape is no area; the message says why."""


def _picture(attributes: Mapping[str, str], file: Path) -> CvatPicture:
    name = attributes.get("name", "")
    try:
        height, width = (int(attributes[side]) for side in ("height", "width"))
    except (KeyError, ValueError):
        height = width = 0
    if not name or not (min(height, width) > 0 and height * width <= MAX_PIXELS):
        raise _NotCvatError(f"an <image> has no name or no usable size: {name[:80] or 'no name'}")
    return CvatPicture(file, name, attributes.get("subset", ""), (height, width))


def _area(tag: str, attributes: Mapping[str, str], size: tuple[int, int]) -> Shape:
    if tag == "mask":
        return _run_lengths(attributes, size)
    if tag == "polygon":
        pairs = [pair.split(",") for pair in attributes["points"].split(";") if pair.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise _BadShapeError("a polygon has a point that is not x,y")
        points = [(_coordinate(x), _coordinate(y)) for x, y in pairs]
        if len(points) < 3:
            raise _BadShapeError("a polygon has fewer than 3 points")
    elif tag == "box":
        left, top, right, bottom = (
            _coordinate(attributes[side]) for side in ("xtl", "ytl", "xbr", "ybr")
        )
        points = [(left, top), (right, top), (right, bottom), (left, bottom)]
        points = _turned(points, ((left + right) / 2, (top + bottom) / 2), attributes)
    else:
        x, y, across, down = (_coordinate(attributes[key]) for key in ("cx", "cy", "rx", "ry"))
        # The chord of n equal arcs lies at most r (1 - cos(pi / n)) inside the arc.
        n = 8 + math.ceil(math.pi * math.sqrt(max(abs(across), abs(down)) / (2 * _ARC)))
        n = min(n, _MAX_CORNERS)
        turns = [2 * math.pi * k / n for k in range(n)]
        points = [(x + across * math.cos(t), y + down * math.sin(t)) for t in turns]
        points = _turned(points, (x, y), attributes)
    return Polygon(None, (tuple(points),))


def _coordinate(text: str) -> float:
    value = float(text)
    if not abs(value) <= _FAR:  # false for "not a number", too
        raise _BadShapeError(f"a coordinate is not finite, or beyond {_FAR:,.0f} pixels")
    return value


def _turned(points: list[Point], centre: Point, attributes: Mapping[str, str]) -> list[Point]:
    return turned(points, centre, _coordinate(attributes.get("rotation", "0")))


def _run_lengths(attributes: Mapping[str, str], size: tuple[int, int]) -> RunLengths:
    left, top, width, height = (
        int(_coordinate(attributes[key])) for key in ("left", "top", "width", "height")
    )
    counts = tuple(map(int, attributes["rle"].split(",")))
    if width < 1 or height < 1 or height > size[0] or width > size[1]:
        raise _BadShapeError("a mask is larger than its picture, or has no size")
    if min(counts) < 0 or sum(counts) != width * height:
        raise _BadShapeError("the run lengths of a mask do not add up to its width x height")
    return RunLengths(None, counts, height, width, by_column=False, top=top, left=left)
