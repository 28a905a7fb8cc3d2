"""The layout ``yolo``: pictures, and outlines in text files as Ultralytics YOLO writes them.

::

    data.yaml                     names: [...], and the folders: train, val, test
    images/train/<stem>.*         labels/train/<stem>.txt           or
    train/images/<stem>.*         train/labels/<stem>.txt

Each line of a text file is one outline: ``class x1 y1 x2 y2 x3 y3 ...``, with x and y as shares of
the picture's width and height. Later lines cover earlier ones. A picture without a text file, or
with an empty one, shows only background. Instead of ``data.yaml``, ``classes.txt`` may name the
classes, one a line.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from headstart.data.files import listing, read_file, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.annotations.annotated_frames import (
    Annotated,
    background_only,
    classes_of,
    count_of,
    report_two_splits,
    say_classes,
    set_frames,
)
from headstart.data.layouts.annotations.annotation_files import (
    PicturesByName,
    bad_annotations,
    no_pictures,
)
from headstart.data.layouts.annotations.annotation_shapes import ShapePlace, ShapeReader
from headstart.data.layouts.annotations.json_heads import first_files, head
from headstart.data.layouts.name_patterns import usual_split
from headstart.data.layouts.pairing import FrameSearch, export_layout
from headstart.data.layouts.splitting import NO_SPLIT
from headstart.data.pictures.frame import Polygon, Shapes
from headstart.data.pictures.reading import picture_header
from headstart.errors import DataError, Finding

_MAX_YAML = 1 << 18  # 254 names of 100 characters take a tenth of it
_MAX_LABELS = 1 << 24
_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")
_MARGIN = 0.01  # shares may be off by rounding, as Ultralytics accepts
_YAML_HINT = "write names: [first, second, ...] and train: images/train, val: images/val"


def evidence(root: Path) -> Path | None:
    """Return the YAML file that names classes, or ``classes.txt`` if there are label files."""
    return None if (root / "mapping.json").exists() else _classes_file(root)


def _classes_file(root: Path) -> Path | None:
    """Return ``data.yaml``, another YAML file that names classes, or ``classes.txt``."""
    names = first_files(root, (".yaml", ".yml", "classes.txt"))
    files = [name for name in names if not name.endswith(".txt")]
    for name in sorted(files, key=lambda name: not name.startswith("data.")):
        text = head(root / name, root)
        if re.search(r"^names\s*:", text, re.M) and re.search(
            r"^(train|val|test|path|nc)\s*:", text, re.M
        ):
            return root / name
    if "classes.txt" in names and (root / "images").is_dir() and _has_labels(root / "labels"):
        return root / "classes.txt"
    return None


def _has_labels(folder: Path) -> bool:
    """Whether a folder, or one of a split in it, holds text files; masks may lie there, too."""
    splits = (folder / name for name in listing(folder, folder) if usual_split(name))
    return any(first_files(each, (".txt",)) for each in (folder, *splits))


def _find(search: FrameSearch) -> LabelMap:
    root = search.root
    search.add_folders_not_entered()
    path = _classes_file(root)
    assert path is not None
    settings = _read_yaml(path, root) if path.suffix != ".txt" else {}
    names = _names(path, root, settings)
    label_map = classes_of(names, path, root)
    greys = [label_map.greys[label_map.names.index(name)] for name in names]
    reader = ShapeReader(search)
    annotated: Annotated = defaultdict(dict)
    label_files: set[Path] = set()
    if not PicturesByName(root).pictures:
        labels = next((p for p in sorted(root.rglob("*.txt")) if p.parent != root), None)
        if labels is None:
            raise _classes_alone(path, root)
        raise no_pictures(f"{labels.stem}.* (by the name of {shown(labels, root)})", path, root)
    split_of: dict[Path, str] = {}
    for split, folder, pictures in _pictures(search, settings, path):
        for picture in pictures:
            labels = _labels_of(picture, root)
            label_files.add(labels)
            if picture not in split_of:
                split_of[picture] = split
                annotated[split][picture] = (_read_labels(reader, labels, picture, greys),)
            elif split_of[picture] != split:
                report_two_splits(reader, picture, (split_of[picture], split))
        _unpaired(reader, folder, label_files)
    background_only(reader, annotated, "YOLO")
    reader.report()
    search.reading.append(f"YOLO segmentation: {count_of(annotated)}, as {shown(path, root)} says")
    search.reading.append("a picture's labels have its name, in labels/ in place of images/")
    say_classes(search, label_map, shown(path, root))
    set_frames(search, annotated, "data.yaml, or the names of folders")
    return label_map


LAYOUT = export_layout(
    name="yolo",
    arrangement="data.yaml, images/train/ and labels/train/ of YOLO segmentation",
    evidence=evidence,
    find=_find,
)


def _classes_alone(path: Path, root: Path) -> DataError:
    message = f"{path.name} names classes, but the folder holds neither pictures nor labels"
    hint = "put the folders of pictures and labels beside it, such as images/ and labels/"
    return DataError(
        Finding("export-without-pictures", "error", message, hint, (shown(path, root),))
    )


def _read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """Return the settings; every scalar is text, so that a class may be called ``no``.

    An alias refers to a value that exists once, so it cannot take more memory than the file.
    """
    content = read_file(path, root, _MAX_YAML)
    try:
        values = yaml.load(content.decode("utf-8-sig"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError) or not str(error)
        reason = "it is nested too deeply" if deep else str(error).splitlines()[0][:200]
        message = f"the file is not valid YAML: {reason}"
        raise bad_annotations(message, _YAML_HINT, path, root) from None
    if not isinstance(values, dict):
        raise bad_annotations("the file holds no settings", _YAML_HINT, path, root)
    return {key: value for key, value in values.items() if isinstance(key, str)}


def _names(path: Path, root: Path, settings: dict[str, Any]) -> list[str]:
    """Return the class names in the order of their numbers."""
    if path.suffix == ".txt":
        try:
            text = read_file(path, root, _MAX_YAML).decode("utf-8-sig")
        except UnicodeDecodeError:
            message = "the file is not UTF-8 text"
            raise bad_annotations(message, "save it as UTF-8", path, root) from None
        return [line.strip() for line in text.splitlines() if line.strip()]
    names = settings.get("names")
    if isinstance(names, dict):
        numbers = {key: name for key, name in names.items() if isinstance(key, str)}
        if set(numbers) != {str(k) for k in range(len(names))}:
            message = "the numbers of names are not 0, 1, 2, ..."
            raise bad_annotations(message, _YAML_HINT, path, root)
        names = [numbers[str(k)] for k in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_annotations("names is not a list of class names", _YAML_HINT, path, root)
    return names


def _pictures(
    search: FrameSearch, settings: dict[str, Any], path: Path
) -> Iterator[tuple[str, Path, list[Path]]]:
    """Return split, folder and pictures of each folder that the settings name, or that exists."""
    root = search.root
    base = _inside(root, root, settings.get("path")) or root
    given: set[Path] = set()
    named = [key for key in _SPLIT_KEYS if isinstance(settings.get(key), (str, list))]
    for key in named:
        values = settings[key] if isinstance(settings[key], list) else [settings[key]]
        split = usual_split(key)
        assert split is not None
        for value in (value for value in values if isinstance(value, str) and value):
            folder = _inside(root, base, value)
            if folder is None:
                message = f"{key} is {value[:200]}, which is not in the dataset"
                hint = "give the folder of the pictures, relative to the dataset"
                search.add_finding("annotated-picture-missing", "error", message, hint, [path])
            elif folder in given:
                search.reading.append(f"{key} names the folder of another split; it is not used")
            elif folder.is_file():
                given.add(folder)
                yield split, root, _listed(search, folder)
            else:
                given.add(folder)
                yield split, folder, PicturesByName(folder).pictures
    if named:
        return
    for parent in (root / "images", root):
        splits = [(usual_split(name), name) for name in listing(parent, root)]
        for split, name in splits:
            folder = parent / name
            if split is not None and folder.is_dir():
                given.add(folder)
                yield split, folder, PicturesByName(folder).pictures
        if given:
            return
    folder = root / "images" if (root / "images").is_dir() else root
    yield NO_SPLIT, folder, PicturesByName(folder).pictures


def _inside(root: Path, base: Path, value: object) -> Path | None:
    """Return what a path means in a dataset: its longest end that exists there.

    YOLO's exports often start their paths with ``../``, or hold a path of another machine.
    """
    if not isinstance(value, str):
        return None
    parts = [p for p in PurePosixPath(value.replace("\\", "/")).parts if p not in ("/", "..", ".")]
    for start in range(len(parts) + 1):
        for folder in dict.fromkeys((base, root)):
            path = folder.joinpath(*parts[start:])
            try:
                if start < len(parts) and path.exists():
                    return path if path.resolve().is_relative_to(root.resolve()) else None
            except (OSError, ValueError):  # a name too long, or with a zero byte
                return None
    return root if not parts else None


def _listed(search: FrameSearch, path: Path) -> list[Path]:
    """Return the pictures that a text file lists, one a line."""
    text = read_file(path, search.root, _MAX_LABELS).decode("utf-8", "replace")
    by_name = PicturesByName(search.root)
    paths = []
    for line in filter(None, map(str.strip, text.splitlines())):
        picture = by_name.find(line)
        if picture is None:
            message = f"{line[:200]} is listed, but {by_name.why_not(line)}"
            hint = "add the picture, or remove the line"
            search.add_finding("annotated-picture-missing", "error", message, hint, [path])
        else:
            paths.append(picture)
    return paths


def _labels_of(picture: Path, root: Path) -> Path:
    """Return the text file of a picture: ``labels`` takes the place of the last ``images``."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    for k in reversed(range(len(parts) - 1)):
        if parts[k].lower() == "images":
            parts[k] = "labels"
            break
    return root.joinpath(*parts)


def _read_labels(reader: ShapeReader, labels: Path, picture: Path, greys: list[int]) -> Shapes:
    """Return the outlines of a picture."""
    root = reader.search.root
    if not labels.exists():
        return Shapes(labels, ())
    try:
        size = picture_header(picture, root).upright
        text = read_file(labels, root, _MAX_LABELS).decode("utf-8", "replace")
    except DataError as error:
        for finding in error.findings:
            reader.search.findings.append(finding)
        return Shapes(labels, ())
    shapes = []
    for number, line in enumerate(text.splitlines(), 1):
        if words := line.split():
            place = ShapePlace(labels, f"line {number} of {labels.name}", size)
            polygon = _outline(reader, words, greys, place)
            shapes += [polygon] if polygon else []
    return Shapes(labels, tuple(shapes), size)


def _outline(
    reader: ShapeReader, words: list[str], greys: list[int], place: ShapePlace
) -> Polygon | None:
    try:
        number, *values = map(float, words)
    except ValueError:
        reader.refuse(place, "it holds something that is not a number")
        return None
    assert place.size is not None
    height, width = place.size
    if not (number.is_integer() and 0 <= number < len(greys)):
        message = f"{place.what}: class {words[0][:40]} is not declared; there are {len(greys)}"
        hint = "add it to the names, or correct the line"
        reader.add_finding("undeclared-class", "error", message, hint, [place.path])
    elif len(values) == 4:
        message = f"{place.what} is a box (class x y width height); a box is not a mask"
        hint = "label outlines, and export as YOLO segmentation"
        reader.add_finding("boxes-not-masks", "error", message, hint, [place.path])
    elif len(values) % 2:
        reader.refuse(place, "it is not a class, followed by x and y in turns")
    elif not all(-_MARGIN <= value <= 1 + _MARGIN for value in values):
        reader.refuse(place, "x and y are not shares of the picture's width and height, 0 to 1")
    else:
        points = [(x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)]
        return reader.polygon(points, greys[int(number)], place)
    return None


def _unpaired(reader: ShapeReader, folder: Path, paired: set[Path]) -> None:
    """Report text files in the folder of labels whose picture is missing."""
    root = reader.search.root
    labels = _labels_of(folder / "x.txt", root).parent
    if labels == folder or not labels.is_dir():
        return
    for path in sorted(labels.rglob("*.txt")):
        if path not in paired and path.name != "classes.txt":
            hint = "add the picture, or remove its labels"
            message = f"{path.name} holds labels, but there is no such picture"
            reader.add_finding("annotated-picture-missing", "error", message, hint, [path])
