"""What a ``dataset.toml`` says about the labels: its classes, and how its masks are read."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.data.label_map import (
    Colour,
    LabelMap,
    label_map_of,
    map_of_levels,
    parsed_value,
    read_label_map,
)
from headstart.data.layouts.classes_to_paste import MAPPING
from headstart.data.layouts.description import NAME, Description, Value
from headstart.data.layouts.label_discovery import find_label_map
from headstart.data.layouts.label_palettes import check_palettes
from headstart.data.layouts.label_scale import check_scale
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.frame import Frame, Layer, MaskLayer, Shapes
from headstart.data.pictures.masks import colour_layer


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
    ignored = description.ignore if isinstance(description.ignore, tuple) else (description.ignore,)
    values = [parsed_value(_plain(value)) for value in ignored]
    levels = [value for value in values if isinstance(value, int)]
    if isinstance(description.masks, dict):
        names = ["background", *description.masks]
        free = (level for level in range(256) if level not in levels)
        return map_of_levels(dict(zip(names, free, strict=False)), levels)
    if not description.classes:
        if description.threshold is not None:
            return _two_levels(search, _from_mapping(search))
        label_map = find_label_map(search, masks, ignore=levels)
        _refuse_idle_ignore(search, values, label_map)
        return label_map
    pairs: list[tuple[str, object]] = [(n, _plain(v)) for n, v in description.classes.items()]
    pairs += [("ignore", [_plain(value) for value in ignored])] if ignored else []
    label_map = label_map_of(pairs, NAME)
    listed = ", ".join(f"{value} {name}" for name, value in description.classes.items())
    search.reading.append(f"Classes: {listed}")
    if description.threshold is not None:
        return _two_levels(search, label_map)
    check_scale(search, label_map, masks, NAME)
    check_palettes(search, label_map, masks, NAME)
    return label_map


def _from_mapping(search: FrameSearch) -> LabelMap:
    """Return the classes of ``mapping.json``; without one, the levels after a threshold.

    Raises:
        DataError: it is damaged; names every problem.
    """
    path = search.root / MAPPING
    if not os.path.lexists(path):
        return map_of_levels({"background": 0, "class_1": 255})
    label_map, findings = read_label_map(path)
    search.findings += findings
    search.reading.append(f"Classes: {', '.join(label_map.names)} (from {MAPPING})")
    return label_map


def _two_levels(search: FrameSearch, label_map: LabelMap) -> LabelMap | None:
    """Return two classes as levels; the one with the darker level is what lies below a threshold.

    Classes that are colours get the levels 0 and 255. Ignored values are refused: soft edges pass
    through every level, so that no level marks only the pixels that count nowhere.
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


def _refuse_idle_ignore(
    search: FrameSearch, values: list[int | Colour | None], label_map: LabelMap | None
) -> None:
    """Add an error if the file ignores what the classes, which are not its own, do not ignore."""
    if label_map is None:
        return
    known = {*label_map.ignore, *label_map.ignored_colours}
    if any(value not in known for value in values):
        message = f"{NAME} says ignore, but the classes are from another file, which does not"
        hint = f'write "ignore" there too, or the classes as [classes] in {NAME}'
        search.add_finding("label-map", "error", message, hint)


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
