"""Files that name the classes of masks, as annotation tools and datasets bring them.

| File | Content |
|---|---|
| ``class_dict.csv`` | columns ``name``, ``r``, ``g``, ``b``: a colour for each class |
| ``labelmap.txt`` | CVAT: lines ``name:r,g,b:parts:actions`` after a comment line |
| ``_classes.csv`` | Roboflow: columns ``Pixel Value``, ``Class``: a grey level for each class |
| ``dataset.json`` | nnU-Net: ``labels``, an object of names and levels (version 1: the reverse) |
| ``obj_class_to_machine_color.json`` | Supervisely, beside the folders of its ``masks_machine``: \
an object of names and colours; a grey colour is a level |
| ``classes.txt`` | one name per line; its level is the line's number, from 0, or from 1 if \
none is called background |

A class called ``ignore`` is none: its level or colour marks pixels that are ignored, as in
[`headstart.data.label_map`][].
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.data.files import read_file, shown
from headstart.data.label_map import LabelMap, backgrounds, label_map_of
from headstart.data.layouts.annotations.annotation_files import read_json
from headstart.errors import DataError, Finding

Pairs = list[tuple[str, object]]
"""Class names, each with its grey level or its colour as a list."""

_MAX_BYTES = 1 << 20
_LABELMAP_LINE = re.compile(r"(?P<name>.*?):(?P<colour>\d+,\d+,\d+)(:[^:]*){0,2}")
_WITHOUT_COLOUR = re.compile(r"(?P<name>[^:]+)::[^:]*:[^:]*")
_NAMES_SHOWN = 8
_FOLDERS = 64


def label_map_beside(root: Path) -> tuple[LabelMap, str] | None:
    """Return the label map that a file beside pictures and masks brings.

    Args:
        root: The folder that holds the file. If it holds several, the first one in the table above
            is read.

    Returns:
        The label map, and a sentence that says where it is from; None if there is no such file.

    Raises:
        DataError: The file cannot be read, or its names and levels are no label map.
    """
    found = _first_file(root, root)
    if found is None:
        return None
    path, pairs = found
    label_map = label_map_of(pairs, path.name)
    return label_map, classes_sentence(label_map, path.name)


def _first_file(folder: Path, root: Path) -> tuple[Path, Pairs] | None:
    """Return the first file in the table above that a folder holds, and its classes."""
    for name, read in _READERS:
        path = folder / name
        if path.is_file() and (pairs := read(path, root)) is not None:
            label_map_of(pairs, shown(path, root))  # refuses what is no label map
            return path, pairs
    return None


def classes_below(
    root: Path, masks: Sequence[Path], *, skip_broken: bool = False
) -> dict[str, Pairs]:
    """Return the classes of files in the folders between a dataset and its masks.

    Several tasks of one annotation tool, unpacked side by side, bring one each. In each folder the
    first file in the table above is read.

    Args:
        root: The dataset's folder, whose own file is not looked at.
        masks: Mask files; the folders of the first few different ones are looked into.
        skip_broken: Whether to leave out files that cannot be read.

    Returns:
        Class names and values by the path of their file.

    Raises:
        DataError: As for [`label_map_beside`][], unless ``skip_broken``.
    """
    folders: dict[Path, None] = {}
    for mask in masks:
        folders |= dict.fromkeys(p for p in mask.parents if p != root and p.is_relative_to(root))
        if len(folders) > _FOLDERS:
            break
    found = {}
    for folder in folders:
        try:
            first = _first_file(folder, root)
        except DataError:
            if not skip_broken:
                raise
            continue
        if first is not None:
            found[shown(first[0], root)] = first[1]
    return found


def disagreement(files: Mapping[str, Pairs]) -> tuple[str, str] | None:
    """Return two files of which one gives a class another value, or a value another class.

    Files may list their classes in any order, and may lack classes of others.

    >>> disagreement({"a": [("tool", 1), ("tip", 2)], "b": [("tip", 2)], "c": [("tip", 1)]})
    ('a', 'c')
    """
    of_name: dict[str, tuple[str, str]] = {}
    of_value: dict[str, tuple[str, str]] = {}
    for file, pairs in files.items():
        for name, value in pairs:
            known_value, there = of_name.setdefault(name, (str(value), file))
            known_name, other = of_value.setdefault(str(value), (name, file))
            if known_value != str(value) or known_name != name:
                return there if known_value != str(value) else other, file
    return None


def together(files: Mapping[str, Pairs]) -> Pairs:
    """Return the classes of files that agree, each once."""
    by_name: dict[str, object] = {}
    for pairs in files.values():
        by_name |= dict(pairs)
    return [*by_name.items()]


def classes_sentence(label_map: LabelMap, source: str) -> str:
    """Return a sentence that names the classes and where they are from.

    >>> classes_sentence(LabelMap(("background", "tool"), (0, 1), (255,)), "labels.csv")
    'Classes: background, tool (from labels.csv); level 255 counts nowhere'
    """
    names = ", ".join(label_map.names[:_NAMES_SHOWN])
    names += ", ..." if len(label_map.names) > _NAMES_SHOWN else ""
    ignored = [f"level {level}" for level in label_map.ignore]
    ignored += [f"colour {colour}" for colour in label_map.ignored_colours]
    rest = f"; {', '.join(ignored)} counts nowhere" if ignored else ""
    return f"Classes: {names} (from {source}){rest}"


def with_background(names: Sequence[str]) -> Pairs:
    """Return names with levels from 0, after a background if none of them is one.

    >>> with_background(["tool"]), with_background(["tool", "void"])
    ([('background', 0), ('tool', 1)], [('tool', 0), ('void', 1)])
    """
    ordered = [*names] if backgrounds(names) else ["background", *names]
    return [(name, level) for level, name in enumerate(ordered)]


def read_class_dict(path: Path, root: Path) -> Pairs:
    """Return the classes and colours of a ``class_dict.csv``."""
    pairs: Pairs = []
    for line, row in _rows(path, root, ("name", "r", "g", "b")):
        colour = [_number(row[channel]) for channel in "rgb"]
        if None in colour:
            raise _broken(path, root, f"line {line} has no colour of three numbers", "name,r,g,b")
        pairs.append((row["name"], colour))
    return pairs


def voc_colour(k: int) -> list[int]:
    """Return the colour of class ``k`` in the challenge's palette.

    >>> voc_colour(1), voc_colour(15), voc_colour(255)
    ([128, 0, 0], [192, 128, 128], [224, 224, 192])
    """
    # The three lowest bits of k are the highest bits of red, green and blue; and so on.
    return [sum((k >> 3 * j + c & 1) << 7 - j for j in range(3)) for c in range(3)]


def read_labelmap(path: Path, root: Path) -> Pairs:
    """Return the classes and colours of CVAT's ``labelmap.txt``.

    Datumaro leaves the colours out where they are those of the VOC challenge.
    """
    pairs: Pairs = []
    lines = [
        (number, line)
        for number, line in enumerate(_text(path, root).splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    bare = [_WITHOUT_COLOUR.fullmatch(line.strip()) for _, line in lines]
    if all(bare):
        return [(match["name"].strip(), voc_colour(k)) for k, match in enumerate(bare) if match]
    for number, line in lines:
        match = _LABELMAP_LINE.fullmatch(line.strip())
        if match is None:
            message = f"line {number} is not a name and a colour"
            raise _broken(path, root, message, "name:r,g,b::")
        pairs.append((match["name"].strip(), [_number(v) for v in match["colour"].split(",")]))
    return pairs


def read_classes_csv(path: Path, root: Path) -> Pairs:
    """Return the classes and levels of Roboflow's ``_classes.csv``."""
    pairs: Pairs = []
    for line, row in _rows(path, root, ("pixel value", "class")):
        level = _number(row["pixel value"])
        if level is None:
            raise _broken(path, root, f"line {line} has no level", "Pixel Value, Class")
        pairs.append((row["class"], level))
    return pairs


def read_class_names(path: Path, root: Path) -> Pairs:
    """Return the classes of a ``classes.txt``; their levels are the numbers of their lines."""
    return with_background(
        [line.strip() for line in _text(path, root).splitlines() if line.strip()]
    )


def labels_of(dataset: Any, path: Path, root: Path) -> Pairs | None:
    """Return the classes and levels of nnU-Net's ``dataset.json``; None if it has no ``labels``.

    Args:
        dataset: The content of the file.
        path: The file, for messages.
        root: The folder that messages name files relative to.

    Raises:
        DataError: The labels are regions of several levels, or no object of names and levels.
    """
    labels = dataset.get("labels") if isinstance(dataset, dict) else None
    if labels is None:
        return None
    if not isinstance(labels, dict):
        raise _broken(path, root, "labels is not an object", '"labels": {"background": 0}')
    if regions := [name for name, level in labels.items() if isinstance(level, list)]:
        message = f"the labels are regions of several levels: {', '.join(regions[:_NAMES_SHOWN])}"
        hint = "give each level one name; headstart learns classes that do not overlap"
        where = (shown(path, root),)
        raise DataError(Finding("label-map", "error", message, hint, where))
    by_level = all(re.fullmatch(r"[0-9]{1,3}", level) for level in labels)
    if labels and by_level and all(isinstance(name, str) for name in labels.values()):
        return [(str(name), int(level)) for level, name in labels.items()]
    return [*labels.items()]


def _read_dataset_json(path: Path, root: Path) -> Pairs | None:
    return labels_of(read_json(path, root), path, root)


def read_machine_colours(path: Path, root: Path) -> Pairs:
    """Return the classes of Supervisely's ``obj_class_to_machine_color.json``.

    Where all colours are grey, as that tool chooses them, they are grey levels. Black is the
    background, which the file leaves out.
    """
    colours = read_json(path, root)
    named = colours.items() if isinstance(colours, dict) else ()
    if not named or not all(_is_colour(colour) for _, colour in named):
        raise _broken(path, root, "it is no object of names and colours", '{"tool": [1, 1, 1]}')
    grey = all(len(set(colour)) == 1 for _, colour in named)
    pairs: Pairs = [(name, colour[0] if grey else colour) for name, colour in named]
    if backgrounds([name for name, _ in pairs]) or [0, 0, 0] in colours.values():
        return pairs
    return [("background", 0 if grey else [0, 0, 0]), *pairs]


def _is_colour(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(channel) is int and 0 <= channel <= 255 for channel in value)
    )


_READERS: tuple[tuple[str, Callable[[Path, Path], Pairs | None]], ...] = (
    ("class_dict.csv", read_class_dict),
    ("labelmap.txt", read_labelmap),
    ("_classes.csv", read_classes_csv),
    ("dataset.json", _read_dataset_json),
    ("obj_class_to_machine_color.json", read_machine_colours),
    ("classes.txt", read_class_names),
)


def _rows(path: Path, root: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Return line numbers and rows of a CSV file, by the lower-case names of ``columns``."""
    expected = ",".join(columns)
    table: list[tuple[int, dict[str, str]]] = []
    reader = csv.reader(io.StringIO(_text(path, root), newline=""), skipinitialspace=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not set(columns) <= set(header):
            message = f"the columns are {', '.join(header) or 'none'}"
            raise _broken(path, root, message, expected)
        for row in reader:
            if any(cell.strip() for cell in row):
                cells = [cell.strip() for cell in row]
                if len(cells) < len(header):
                    message = f"line {reader.line_num} is incomplete"
                    raise _broken(path, root, message, expected)
                table.append((reader.line_num, dict(zip(header, cells, strict=False))))
    except csv.Error as error:
        raise _broken(path, root, f"the file is not valid CSV: {error}", expected) from error
    return table


def _text(path: Path, root: Path) -> str:
    try:
        return read_file(path, root, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 text (byte {error.start})"
        raise DataError(
            Finding("label-map", "error", message, "save it as UTF-8", (shown(path, root),))
        ) from error


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) and int(text) < 256 else None


def _broken(path: Path, root: Path, message: str, line: str) -> DataError:
    hint = f"write it as {line}"
    return DataError(Finding("label-map", "error", message, hint, (shown(path, root),)))
