"""What a ``dataset.toml`` says about the labels: its classes, and how its masks are read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from headstart.data.label_map import (
    Colour,
    LabelMap,
    label_map_of,
    map_of_levels,
    parsed_value,
    read_label_map,
)
from headstart.data.layouts.classes_to_paste import MAPPING, hex_of
from headstart.data.layouts.description import NAME, Description, Value
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.label_palettes import check_palettes
from headstart.data.layouts.label_scale import check_scale
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.frame import Frame, Layer, MaskLayer, Shapes
from headstart.data.pictures.masks import colour_layer
from headstart.errors import DataError, Finding


def described_label_map(
    search: FrameSearch, description: Description, masks: list[Path]
) -> LabelMap | None:
    """Return the classes: those of the description, else those of ``mapping.json`` or the masks.

    Args:
        search: gets findings, and a sentence of the reading.
        description: the content of the file.
        masks: mask files.

    Returns:
        The label map; None with an error among the findings.

    Raises:
        DataError: the classes are no label map; names every problem.
    """
    label_map = _classes(search, description, masks)
    if label_map is not None:
        _say_how_masks_are_read(search, description, label_map)
    return label_map


def _classes(search: FrameSearch, description: Description, masks: list[Path]) -> LabelMap | None:
    levels, colours = _ignored(description)
    if isinstance(description.masks, dict):
        names = ["background", *description.masks]
        free = (level for level in range(256) if level not in levels)
        by_class = label_map_of([*zip(names, free, strict=False)], NAME)
        search.reading.append(
            f"Classes: {', '.join(names)}, each but the background with masks of its own; where "
            "they overlap, the later class counts"
        )
        return _with_ignored(by_class, levels, colours)
    if description.classes:
        pairs = [(name, _plain(value)) for name, value in description.classes.items()]
        label_map = _with_ignored(label_map_of(pairs, NAME), levels, colours)
        listed = ", ".join(f"{value} {name}" for name, value in description.classes.items())
        search.reading.append(f"Classes: {listed}")
        if description.threshold is not None:
            return _two_levels(search, label_map)
        check_scale(search, label_map, masks, NAME)
        check_palettes(search, label_map, masks, NAME)
        return label_map
    if description.threshold is not None:
        return _two_levels(search, _from_mapping(search))
    found = find_label_map(search, masks, ignore=levels)
    return None if found is None else _with_idle_refused(found, levels, colours)


def _say_how_masks_are_read(
    search: FrameSearch, description: Description, label_map: LabelMap
) -> None:
    """Add what decides the labels, apart from the classes, to the reading."""
    if description.threshold is not None:
        dark, bright = sorted(zip(label_map.greys, label_map.names, strict=True))[:2]
        of_class = "their class" if isinstance(description.masks, dict) else bright[1]
        search.reading.append(
            f"Threshold: mask pixels of brightness {description.threshold} or more are {of_class}, "
            f"darker ones are {dark[1]}"
        )
    values = [
        *map(str, label_map.ignore),
        *(hex_of(r << 16 | g << 8 | b) for r, g, b in label_map.ignored_colours),
    ]
    if values:
        kind = _kind(label_map) + ("s" if values[1:] else "")
        search.reading.append(f"Ignored: mask pixels of the {kind} {', '.join(values)}")
    if description.valid is not None:
        search.reading.append(
            f"Ignored: pixels outside the region, which are 0 in {description.valid}"
        )


def _ignored(description: Description) -> tuple[list[int], list[Colour]]:
    """Return the levels and the colours that are ignored.

    Three numbers are three levels; one colour if the classes are colours, or two numbers are equal.

    Raises:
        DataError: a value is there twice.
    """
    given = description.ignore if isinstance(description.ignore, tuple) else (description.ignore,)
    of_classes = [parsed_value(_plain(value)) for value in description.classes.values()]
    one = parsed_value(list(given))
    of_colours = any(isinstance(value, tuple) for value in of_classes)
    if one is not None and (of_colours or len(set(given)) < len(given)):
        values = [one]
    else:
        values = [value for each in given if (value := parsed_value(_plain(each))) is not None]
    if len(set(values)) < len(values):
        raise _no_ignore("ignore has a value twice", "write each level or colour once")
    levels = [value for value in values if isinstance(value, int)]
    return levels, [value for value in values if isinstance(value, tuple)]


def _with_ignored(label_map: LabelMap, levels: list[int], colours: list[Colour]) -> LabelMap:
    """Return a label map of a description's classes with what the description ignores.

    Raises:
        DataError: what is ignored is of another kind than the classes, or is a class.
    """
    _refuse_other_kind(label_map, levels, colours)
    values: tuple[int | Colour, ...] = label_map.colours or label_map.greys
    for name, value in zip(label_map.names, values, strict=True):
        if value in (*levels, *colours):
            message = f"ignore has the {_kind(label_map)} of the class {name}"
            raise _no_ignore(message, "take it out of ignore, or leave the class out")
    return replace(label_map, ignore=tuple(sorted(levels)), ignored_colours=tuple(colours))


def _with_idle_refused(label_map: LabelMap, levels: list[int], colours: list[Colour]) -> LabelMap:
    """Return a label map that is not from the description, and ignores all that it ignores.

    Raises:
        DataError: it does not.
    """
    if label_map.colours and len(levels) == 3 and not colours:  # a colour as three numbers
        red, green, blue = levels
        levels, colours = [], [(red, green, blue)]
    _refuse_other_kind(label_map, levels, colours)
    if {*levels, *colours} - {*label_map.ignore, *label_map.ignored_colours}:
        message = "it says ignore, but the classes are from another file, which does not"
        raise _no_ignore(
            message, f'write "ignore" there too, or the classes as [classes] in {NAME}'
        )
    return label_map


def _refuse_other_kind(label_map: LabelMap, levels: list[int], colours: list[Colour]) -> None:
    if levels if label_map.colours else colours:
        other = "a grey level" if label_map.colours else "a colour"
        kind = _kind(label_map)
        message = f"ignore has {other}, but the classes are {kind}s"
        raise _no_ignore(message, f"give the {kind} of the ignored pixels")


def _kind(label_map: LabelMap) -> str:
    return "colour" if label_map.colours else "grey level"


def _no_ignore(message: str, hint: str) -> DataError:
    return DataError(Finding("label-map", "error", f"{NAME}: {message}", hint))


def _from_mapping(search: FrameSearch) -> LabelMap:
    """Return the classes of ``mapping.json``; without one, the levels after a threshold.

    Raises:
        DataError: it is damaged; names every problem.
    """
    path = search.root / MAPPING
    if not os.path.lexists(path):
        search.reading.append(f"Classes: background, class_1 (there is no {MAPPING})")
        return map_of_levels({"background": 0, "class_1": 255})
    label_map, findings = read_label_map(path)
    search.findings += findings
    search.reading.append(f"Classes: {', '.join(label_map.names)} (from {MAPPING})")
    return label_map


def _two_levels(search: FrameSearch, label_map: LabelMap) -> LabelMap | None:
    """Return two classes as levels; the one with the darker level is what lies below a threshold.

    Classes that are colours get the levels 0 and 255. Ignored values are refused: soft edges pass
    through every level, so that no level marks only the ignored pixels.
    """
    if len(label_map.names) != 2:
        message = f"threshold is for two classes, but {len(label_map.names)} are named"
        hint = "name two classes, such as background = 0 and tool = 255, or leave threshold out"
        search.add_finding("label-map", "error", message, hint)
        return None
    if label_map.ignore or label_map.ignored_colours:
        message = (
            f"{MAPPING} has ignore, and {NAME} a threshold, which leaves only two levels, one for "
            "each class"
        )
        hint = (
            f"leave ignore out of {MAPPING}, or threshold out of {NAME}; leave out regions by "
            "valid, the pattern of masks of the region that counts"
        )
        search.add_finding("label-map", "error", message, hint, [search.root / MAPPING])
        return None
    if not label_map.colours:
        return label_map
    background, other = (sum(colour) for colour in label_map.colours)
    return LabelMap(label_map.names, (0, 255) if background < other else (255, 0))


def _plain(value: Value) -> object:
    """Return a level or colour as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def can_be_nearest(search: FrameSearch, label_map: LabelMap) -> bool:
    """Say that pixels get the nearest colour's class; add an error if the classes are levels."""
    if label_map.colours:
        search.reading.append(
            "Each mask pixel is the class whose colour is nearest, by RGB distance (nearest = true)"
        )
        return True
    message = "nearest = true is for classes that are colours, but the classes are grey levels"
    hint = 'write the classes as colours; the grey level 128 is "#808080"; or leave nearest out'
    search.add_finding("label-map", "error", message, hint)
    return False


def described_mask(
    masks: list[tuple[Path, str]], description: Description, label_map: LabelMap, frame: Frame
) -> Path | tuple[MaskLayer, ...]:
    """Return the mask of a frame.

    Args:
        masks: its mask files with their class, ``""`` for all; none if it shows background only.
        description: the content of the file.
        label_map: the classes.
        frame: the frame, still without its mask.
    """
    if not masks:
        return (Shapes(frame.image, ()),)  # shows background only
    if isinstance(description.masks, dict):
        grey = dict(zip(label_map.names, label_map.greys, strict=True))
        return tuple(
            Layer(path, ((0, 0),), f"the masks of {name}", grey[name], ignored=label_map.ignore,
                  threshold=description.threshold)
            for path, name in masks
        )  # fmt: skip
    if len(masks) == 1 and description.threshold is None and not description.nearest:
        return masks[0][0]
    if label_map.colours:
        return tuple(colour_layer(path, label_map, description.nearest) for path, _ in masks)
    if description.threshold is not None:
        dark, bright = sorted(label_map.greys)
        levels: tuple[tuple[int, int], ...] = ((0, dark), (255, bright))
    else:
        levels = tuple((grey, grey) for grey in label_map.greys)
    return tuple(
        Layer(
            path, levels, "the label map", ignored=label_map.ignore, threshold=description.threshold
        )
        for path, _ in masks
    )
