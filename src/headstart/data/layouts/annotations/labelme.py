"""The layout ``labelme``: pictures, and a JSON file of labelme for each annotated one.

::

    <stem>.jpg  <stem>.json           side by side, or in parallel folders; also in train/, val/,
                                      test/, and in folders of patients and sequences

A picture's file is the one that its ``imagePath`` names, else the one with its stem beside it.
Polygons, rectangles, circles and masks are read; lines and points have no area and are left out.
The classes are the labels in alphabetical order. ``_background_`` is background, ``__ignore__``
marks pixels that are ignored. Later shapes cover earlier ones. A picture without a file is
unlabelled.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import math
import os
import posixpath
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.files import is_junk, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.annotations.annotated_frames import (
    Annotated,
    background_only,
    classes_of,
    count_of,
    say_classes,
    set_frames,
    split_of,
)
from headstart.data.layouts.annotations.annotation_files import (
    PicturesByName,
    bad_annotations,
    no_pictures,
    read_json,
)
from headstart.data.layouts.annotations.annotation_shapes import (
    ShapePlace,
    ShapeReader,
    box,
    is_coordinate,
    picture_size,
)
from headstart.data.layouts.annotations.json_heads import (
    deeper_json_files,
    head,
    json_files,
    looks_like_labelme,
)
from headstart.data.layouts.pairing import FrameSearch, export_layout
from headstart.data.pictures.frame import RunLengths, Shape, Shapes
from headstart.data.pictures.reading import decode_image
from headstart.data.pictures.refusals import MAX_PIXELS
from headstart.errors import DataError

IGNORED = "__ignore__"
"""The label of pixels that are ignored."""

_LINES = ("line", "linestrip", "point", "points")
_BACKGROUND = "_background_"


def evidence(root: Path) -> Path | None:
    """Return a JSON file of labelme, of the first ones in a folder and far below it."""
    paths = itertools.chain(json_files(root), deeper_json_files(root))
    return next((path for path in paths if looks_like_labelme(head(path, root))), None)


def _find(search: FrameSearch) -> LabelMap:
    root = search.root
    search.add_folders_not_entered()
    by_name = PicturesByName(root)
    by_stem = {path.with_suffix(""): path for path in by_name.pictures}
    reader = ShapeReader(search)
    # Classes are known after the last file; until then each label has a number of its own.
    numbers: dict[str, int] = {}
    annotated: Annotated = defaultdict(dict)
    annotated_by: dict[Path, Path] = {}
    others, flagged = [], 0
    for path in _all_json(root):
        if not looks_like_labelme(head(path, root)):
            others.append(path)
            continue
        content = _content(path, root)
        flagged += any(content.get("flags") or ())
        if not by_name.pictures:
            raise no_pictures(str(content.get("imagePath") or f"{path.stem}.jpg"), path, root)
        picture = _picture(path, content, by_name, by_stem)
        if picture is None:
            named = str(content.get("imagePath"))[:200]
            message = f"{path.name} annotates {named}, but {by_name.why_not(named)}"
            hint = "add the picture beside the file, or remove the file"
            reader.add_finding("annotated-picture-missing", "error", message, hint, [path])
        elif picture in annotated_by:
            message = f"{picture.name} is annotated by {annotated_by[picture].name} and {path.name}"
            hint = "keep one of them, or correct its imagePath"
            reader.add_finding("bad-annotations", "error", message, hint, [path])
        else:
            annotated_by[picture] = path
            size = picture_size(content.get("imageHeight"), content.get("imageWidth"))
            place = ShapePlace(path, path.name, size)
            shapes = _shapes(reader, content["shapes"], numbers, place)
            annotated[split_of(search, picture)][picture] = (Shapes(path, tuple(shapes), size),)
    first_file = next(iter(annotated_by.values()), root)
    names = sorted({label.strip() for label in numbers} - {IGNORED, _BACKGROUND})
    label_map = classes_of(names, first_file, root)
    greys: dict[str, int | None] = dict(zip(label_map.names, label_map.greys, strict=True))
    greys |= {IGNORED: None, _BACKGROUND: 0}
    _set_greys(annotated, {number: greys[label.strip()] for label, number in numbers.items()})
    background_only(reader, annotated, "labelme")
    reader.report()
    search.reading.append(f"labelme: {count_of(annotated)}; imagePath names each file's picture")
    if others:
        listed = ", ".join(shown(path, root) for path in others[:4])
        search.reading.append(f"{len(others)} other JSON files are not read: {listed}")
    if spaced := sorted(label for label in numbers if label != label.strip()):
        listed = ", ".join(map(ascii, spaced[:5]))
        search.reading.append(f"labels with spaces around them are read without: {listed}")
    if flagged:
        search.reading.append(f"the flags of {flagged} pictures are not used")
    say_classes(search, label_map, "the labels, by alphabet")
    # Only folders with annotated pictures: others may hold masks or drawings of the tool.
    folders = {picture.parent for picture in annotated_by}
    unlabelled = [p for p in by_name.pictures if p not in annotated_by and p.parent in folders]
    by_split = [(split_of(search, path), path) for path in unlabelled]
    set_frames(search, annotated, "the names of folders", by_split)
    return label_map


LAYOUT = export_layout(
    name="labelme",
    arrangement="pictures with labelme's JSON files beside them",
    evidence=evidence,
    find=_find,
)


def _all_json(root: Path) -> list[Path]:
    """Return every JSON file in a folder and below it."""
    paths = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not is_junk(name)]
        paths += [
            Path(parent, name)
            for name in names
            if name.lower().endswith(".json") and not is_junk(name)
        ]
    return sorted(paths)


def _content(path: Path, root: Path) -> dict[str, Any]:
    """Return the content of a file without the picture in it."""
    content = read_json(path, root)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        message = "shapes is not a list of objects"
        raise bad_annotations(message, "save the picture again in labelme", path, root)
    assert isinstance(content, dict)
    flags = content.get("flags")
    content["flags"] = flags.values() if isinstance(flags, dict) else ()
    content.pop("imageData", None)
    return content


def _picture(
    path: Path, content: dict[str, Any], by_name: PicturesByName, by_stem: dict[Path, Path]
) -> Path | None:
    """Return the picture that a file annotates."""
    named = content.get("imagePath")
    if isinstance(named, str) and named:
        folder = path.parent.relative_to(by_name.folder).as_posix()
        relative = posixpath.normpath(posixpath.join(folder, named.replace("\\", "/")))
        exact = by_name.folder / relative
        if by_stem.get(exact.with_suffix("") if exact.name else exact) == exact:
            return exact
        if picture := by_name.find(relative):
            return picture
    return by_stem.get(path.with_suffix(""))


def _set_greys(annotated: Annotated, greys: dict[int, int | None]) -> None:
    """Give each shape the grey level of its label, in place of the label's number."""
    for pictures in annotated.values():
        for picture, layers in pictures.items():
            pictures[picture] = tuple(
                replace(
                    layer, shapes=tuple(replace(s, grey=greys[s.grey or 0]) for s in layer.shapes)
                )
                for layer in layers
                if isinstance(layer, Shapes)
            )


def _shapes(
    reader: ShapeReader,
    entries: Iterable[dict[str, Any]],
    numbers: dict[str, int],
    file: ShapePlace,
) -> list[Shape]:
    """Return the shapes of a picture; their greys are the numbers of their labels."""
    shapes: list[Shape] = []
    for number, entry in enumerate(entries, 1):
        label, kind = entry.get("label"), entry.get("shape_type") or "polygon"
        label = label if isinstance(label, str) else ""
        what = f"shape {number} ({label.strip()[:40]}) of {file.what}"
        place = ShapePlace(file.path, what, file.size)
        points = entry.get("points")
        if kind in _LINES:
            reader.without_area(place, f"a {kind} has no area")
        elif not label.strip():
            reader.refuse(place, "it has no label")
        elif not isinstance(points, list):
            reader.refuse(place, "its points are not a list")
        else:
            number_of_label = numbers.setdefault(label, len(numbers))
            shape = _shape(reader, kind, points, entry.get("mask"), number_of_label, place)
            shapes += [shape] if shape else []
    return shapes


def _shape(
    reader: ShapeReader, kind: object, points: list[Any], mask: Any, grey: int, place: ShapePlace
) -> Shape | None:
    if kind == "polygon" or (kind == "rectangle" and len(points) == 4):
        return reader.polygon(points, grey, place)
    if kind not in ("rectangle", "circle", "mask"):
        reader.refuse(place, f"there is no shape {str(kind)[:40]}")
        return None
    flat = [value for point in points if isinstance(point, list) for value in point]
    if len(points) != 2 or len(flat) != 4 or not all(map(is_coordinate, flat)):
        reader.refuse(place, f"a {kind} has two points of a picture")
        return None
    x0, y0, x1, y1 = map(float, flat)
    if kind == "rectangle":
        return reader.polygon(box(x0, y0, x1 - x0, y1 - y0), grey, place)
    if kind == "circle":  # its centre, and a point on it
        radius = math.hypot(x1 - x0, y1 - y0)
        return reader.ellipse((x0, y0), (radius, radius), grey, place)
    return _mask(reader, mask, (int(y0), int(x0), int(y1), int(x1)), grey, place)


def _mask(
    reader: ShapeReader, mask: Any, corners: tuple[int, int, int, int], grey: int, place: ShapePlace
) -> RunLengths | None:
    """Return the pixels of a mask: a PNG in base64 for the box from corner to corner, inclusive."""
    top, left, bottom, right = corners
    height, width = bottom - top + 1, right - left + 1
    limit = math.prod(place.size) if place.size else MAX_PIXELS
    if not isinstance(mask, str) or height < 1 or width < 1 or height * width > limit:
        reader.refuse(place, "a mask has a picture, and two corners inside the annotated picture")
        return None
    reader.count_mask(height * width, place)
    try:
        pixels = decode_image(base64.b64decode(mask, validate=True), place.what, height * width)
    except (DataError, binascii.Error, ValueError) as error:
        problem = error.findings[0].message if isinstance(error, DataError) else "it is not base64"
        reader.refuse(place, f"its mask cannot be read: {problem}")
        return None
    inside = (pixels > 0).any(axis=2)
    if inside.shape != (height, width):
        rows, columns = inside.shape
        reader.refuse(
            place, f"its mask has {columns} x {rows} pixels, its corners span {width} x {height}"
        )
        return None
    edges = np.flatnonzero(np.diff(inside.ravel(order="F"), prepend=False)).tolist()
    counts = np.diff([0, *edges, inside.size]).tolist()
    boxed = ShapePlace(place.path, place.what, None)
    shape = reader.run_lengths(counts, (height, width), grey, boxed)
    if shape is None:
        return None
    return RunLengths(grey, shape.counts, height, width, top=top, left=left)
