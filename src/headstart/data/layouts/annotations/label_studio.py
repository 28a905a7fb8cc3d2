"""The layout ``label-studio``: pictures, and the JSON export of Label Studio.

::

    project-1-at-2024-05-01.json  images/<name>.*    polygons, brush strokes, boxes, ellipses
    task-7-annotation-9-by-1-tag-Tool-0.png          (optional) brush strokes as PNG

A task's picture is the file whose name ends its ``data.image``; the eight characters that Label
Studio puts before the name of an upload may be missing. Of several annotations of a task the first
that is not cancelled is read. The classes are the labels in alphabetical order. Later regions cover
earlier ones. A task without annotations is unlabelled; one that was submitted without regions shows
only background.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from headstart.data.files import natural_key, shown
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
    turned,
)
from headstart.data.layouts.annotations.json_heads import head, json_files, looks_like_label_studio
from headstart.data.layouts.annotations.label_studio_runs import decode_brush
from headstart.data.layouts.pairing import FrameSearch, export_layout
from headstart.data.pictures.frame import Layer, MaskLayer, RunLengths, Shape, Shapes
from headstart.data.pictures.reading import SUFFIXES

_EXPORT = "export again from Label Studio, as JSON"
_BRUSH_PNG = re.compile(r"task-([0-9]+)-annotation-([0-9]+)-by-[^-]*-(.+)-([0-9]+)\.png")
_UPLOAD = re.compile("[0-9a-f]{8}-(.+)")

_AREAS = frozenset({"points", "rle", "height", "radiusX"})  # a point has x, y and width only

Region = dict[str, Any]


def evidence(root: Path) -> Path | None:
    """Return the first JSON file of Label Studio among the first ones of a folder."""
    return next((p for p in json_files(root) if looks_like_label_studio(head(p, root))), None)


@dataclass(frozen=True)
class _Task:
    """A task.

    Attributes:
        path: the file that holds it.
        number: its id, which the names of brush PNGs repeat.
        picture: its picture.
        regions: the regions of the annotation that is read, in order.
        pngs: label and file of its brush strokes as PNG.
        submitted: whether it has an annotation, which may have no regions.
    """

    path: Path
    number: str
    picture: Path
    regions: list[Region]
    pngs: list[tuple[str, Path]]
    submitted: bool


def _find(search: FrameSearch) -> LabelMap:
    root = search.root
    search.add_folders_not_entered()
    reader = ShapeReader(search)
    by_name = PicturesByName(root)
    listed = json_files(root, every=True)
    paths = [path for path in listed if looks_like_label_studio(head(path, root))]
    tasks: list[_Task] = []
    unlabelled: set[Path] = set()
    for path in paths:
        for task in _read_tasks(path, by_name, reader):
            if task.submitted or task.pngs:
                tasks.append(task)
            else:
                unlabelled.add(task.picture)
    label_map = _classes(tasks, paths[0], root)
    greys = dict(zip(label_map.names, label_map.greys, strict=True))
    annotated: Annotated = defaultdict(dict)
    for task in tasks:
        split = split_of(search, task.picture)
        if task.picture in annotated[split]:
            message = f"{task.picture.name} is the picture of several tasks with annotations"
            hint = "keep one task for each picture"
            reader.add_finding("bad-annotations", "error", message, hint, [task.path])
        annotated[split][task.picture] = _layers(reader, task, greys)
    background_only(reader, annotated, "an annotated task")
    reader.report()
    source = ", ".join(shown(path, root) for path in paths[:4])
    source += f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    search.reading.append(f"Label Studio: {count_of(annotated)}, from {source}")
    search.reading.append("a task's picture is the file whose name ends its data.image")
    if count := sum(len(task.pngs) for task in tasks):
        search.reading.append(f"brush strokes of their tasks from {count} PNG files, by task id")
    say_classes(search, label_map, "the labels, by alphabet")
    # Only folders with pictures of tasks: others may hold drawings of the tool.
    pictures = {task.picture for task in tasks}
    folders = {picture.parent for picture in pictures | unlabelled}
    unlabelled |= {p for p in by_name.pictures if p.parent in folders and not _is_brush(p)}
    without = sorted(unlabelled - pictures)
    by_split = [(split_of(search, picture), picture) for picture in without]
    set_frames(search, annotated, "the names of folders", by_split)
    return label_map


LAYOUT = export_layout(
    name="label-studio",
    arrangement="Label Studio's JSON export beside the pictures",
    evidence=evidence,
    find=_find,
)


def _is_brush(path: Path) -> bool:
    return _BRUSH_PNG.fullmatch(path.name) is not None


def _read_tasks(path: Path, by_name: PicturesByName, reader: ShapeReader) -> Iterator[_Task]:
    """Return the tasks of a file whose pictures are there."""
    root = reader.search.root
    content = read_json(path, root)
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise bad_annotations("the file is not a list of tasks", _EXPORT, path, root)
    brushes: dict[str, list[Path]] = defaultdict(list)
    for picture in by_name.pictures:
        if match := _BRUSH_PNG.fullmatch(picture.name):
            brushes[match[1]].append(picture)
    for position, task in enumerate(content, 1):
        number = str(task.get("id", position))
        place = ShapePlace(path, f"task {number[:40]}", None)
        annotation = _annotation(task)
        results = annotation.get("result") if annotation is not None else []
        if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
            reader.refuse(place, "the result of its annotation is not a list of objects")
            continue
        for kind in _kinds_not_read(results):
            message = f"{place.what} has regions of a kind that is not read: {kind}"
            hint = "draw them as polygons, with the brush, or as boxes or ellipses"
            reader.add_finding("bad-annotations", "error", message, hint, [path])
        pngs = _pngs(brushes[number], results, str((annotation or {}).get("id")))
        names = _picture_names(task.get("data"))
        if names and all(map(_is_brush, by_name.pictures)):
            raise no_pictures(names[-1], path, root)
        if _of_several_pictures(results):
            reader.refuse(place, "its regions belong to several pictures, which the file mixes")
            continue
        fitting = map(by_name.find, names)
        annotated = next((picture for picture in fitting if picture is not None), None)
        if annotated is not None:
            yield _Task(path, number, annotated, results, pngs, annotation is not None)
        elif annotation is not None or pngs:
            message = f"{place.what} annotates {names[0][:200] if names else 'no picture'}"
            hint = "add its picture; it is found by the end of data.image"
            reader.add_finding("annotated-picture-missing", "error", message, hint, [path])


def _of_several_pictures(results: list[Region]) -> bool:
    """Whether regions were drawn on several pictures of a task; the export hides on which."""
    shown = [region for region in results if _has_shape(region)]
    return len({(str(r.get("to_name")), str(r.get("item_index") or 0)) for r in shown}) > 1


def _kinds_not_read(results: list[Region]) -> list[str]:
    """Return the kinds of regions that have a label and no known shape, such as bitmasks."""
    unknown = (r for r in results if _labels(r) and not _has_shape(r) and "text" not in r["value"])
    return sorted({str(region.get("type"))[:40] for region in unknown})


def _annotation(task: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first annotation that is not cancelled."""
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list):
        return None
    complete = (a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled"))
    return next(complete, None)


def _pngs(paths: list[Path], results: list[Region], annotation: str) -> list[tuple[str, Path]]:
    """Return label and path of the PNG files of an annotation, in the order of their numbers.

    A name holds the control's name before the label. Both may hold hyphens, so the control is taken
    from the regions, else it is the part before the first hyphen.
    """
    controls = sorted({str(result.get("from_name")) for result in results}, key=len, reverse=True)
    chosen = []
    for path in paths:
        match = _BRUSH_PNG.fullmatch(path.name)
        if match is None or annotation not in (match[2], "None"):
            continue
        named = [c for c in controls if match[3].startswith(f"{c}-")]
        label = match[3].removeprefix(f"{named[0]}-") if named else match[3].partition("-")[2]
        chosen.append((natural_key(match[4]), label, path))
    return [(label, path) for _, label, path in sorted(chosen)]


def _picture_names(data: object) -> list[str]:
    """Return the names that a task's picture may have, the most exact first."""
    if not isinstance(data, dict):
        return []
    values = [data.get("image"), *data.values()]
    names: list[str] = []
    for value in (value for value in values if isinstance(value, str)):
        try:
            url = urlsplit(value.replace("\\", "/"))
            path = parse_qs(url.query, max_num_fields=20).get("d", [unquote(url.path)])[0]
        except ValueError:
            continue
        path = path.replace("\\", "/")
        if PurePosixPath(path).suffix.lower() in SUFFIXES:
            names.append(path)
            if match := _UPLOAD.fullmatch(PurePosixPath(path).name):
                names.append(match[1])
    return names


def _labels(region: Region) -> list[str]:
    """Return the labels of a region."""
    value = region.get("value")
    fields = value.items() if isinstance(value, dict) else ()
    for key, labels in fields:
        if key.endswith("labels") and isinstance(labels, list):
            return [label for label in labels if isinstance(label, str)]
    return []


def _has_shape(region: Region, fields: frozenset[str] = _AREAS | {"x"}) -> bool:
    """Return whether a region has one of some fields, and is no text about another region."""
    value = region.get("value")
    return isinstance(value, dict) and bool(fields & value.keys()) and "text" not in value


def _classes(tasks: list[_Task], path: Path, root: Path) -> LabelMap:
    regions = (region for task in tasks for region in task.regions if _has_shape(region, _AREAS))
    names = {label for region in regions for label in _labels(region)}
    names |= {label for task in tasks for label, _ in task.pngs}
    return classes_of(sorted(names), path, root)


def _layers(reader: ShapeReader, task: _Task, greys: dict[str, int]) -> tuple[MaskLayer, ...]:
    """Return the layers of a task: its regions, then its brush strokes as PNG."""
    shapes: list[Shape] = []
    sizes = set()
    for number, region in enumerate(task.regions, 1):
        if not _has_shape(region):
            continue  # a choice or a text about the picture
        size = picture_size(region.get("original_height"), region.get("original_width"))
        place = ShapePlace(task.path, f"region {number} of task {task.number}", size)
        labels = _labels(region)
        if "rle" in region["value"] and task.pngs:
            continue
        if size is None or region.get("image_rotation"):
            reader.refuse(place, "its original size is missing, or the picture was rotated")
        elif not labels:
            # The tool keeps the region itself and its label apart, in two results of one id.
            if not any(_labels(r) for r in task.regions if r.get("id") == region.get("id")):
                reader.refuse(place, "it has no label")
        else:
            sizes.add(size)
            for label in labels:
                shape = _shape(reader, region["value"], greys.get(label, 0), place, size)
                shapes += [shape] if shape else []
    if len(sizes) > 1:
        place = ShapePlace(task.path, f"task {task.number}", None)
        reader.refuse(place, "its regions state several sizes of one picture")
    layers: list[MaskLayer] = []
    if shapes or not task.pngs:
        layers.append(Shapes(task.path, tuple(shapes), next(iter(sizes), None)))
    for label, path in task.pngs:
        known = "Label Studio's brush strokes (0 and 255)"
        layers.append(Layer(path, ((0, 0), (255, greys[label])), known, threshold=1))
    return tuple(layers)


def _shape(
    reader: ShapeReader, value: dict[str, Any], grey: int, place: ShapePlace, size: tuple[int, int]
) -> Shape | None:
    """Return the shape of a region; its numbers are percentages of width and height."""
    height, width = size
    if "rle" in value:
        return _brush(reader, value["rle"], grey, place, size)
    if "points" in value:
        points = value["points"]
        if not isinstance(points, list):
            reader.refuse(place, "its points are not a list")
            return None
        return reader.polygon([_pixels(p, width, height) for p in points], grey, place)
    if not _AREAS & value.keys():
        reader.without_area(place, "a point has no area")
        return None
    keys = ("x", "y", *(("radiusX", "radiusY") if "radiusX" in value else ("width", "height")))
    numbers = [value.get(key) for key in keys]
    rotation = value.get("rotation") or 0
    if not all(map(is_coordinate, (*numbers, rotation))):
        reader.refuse(place, "its position and size are not numbers")
        return None
    x, y, a, b = (
        n * side / 100
        for n, side in zip(numbers, (width, height) * 2, strict=True)
        if n is not None
    )
    degrees = float(rotation)
    if "radiusX" in value:
        return reader.ellipse((x, y), (a, b), grey, place, degrees)
    return reader.polygon(turned(box(x, y, a, b), (x, y), degrees), grey, place)


def _pixels(point: object, width: int, height: int) -> object:
    """Return a point in pixels; what is not a point stays as it is, to be refused."""
    if isinstance(point, list) and len(point) == 2 and all(map(is_coordinate, point)):
        return point[0] * width / 100, point[1] * height / 100
    return point


def _brush(
    reader: ShapeReader, rle: object, grey: int, place: ShapePlace, size: tuple[int, int]
) -> RunLengths | None:
    try:
        counts = decode_brush(bytes(rle if isinstance(rle, list) else ()), *size)
    except (ValueError, TypeError) as error:
        known = str(error) if isinstance(error, ValueError) and "byte" not in str(error) else ""
        reader.refuse(place, known or "its rle is not a list of bytes")
        return None
    if reader.run_lengths(counts, size, grey, place) is None:
        return None
    return RunLengths(grey, tuple(counts), *size, by_column=False)
