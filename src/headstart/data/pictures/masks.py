"""Read the labels of one frame: from mask files and annotations to class indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import merged, shown
from headstart.data.label_map import IGNORE, Colour, LabelMap
from headstart.data.pictures.frame import (
    ColourLayer,
    Frame,
    Layer,
    MaskLayer,
    Shapes,
    read_frame,
)
from headstart.data.pictures.mask_colours import (
    NEAREST_HINT,
    SOFT_EDGES,
    has_soft_edges,
    nearest,
)
from headstart.data.pictures.mask_levels import (
    SOFT_EDGED,
    THRESHOLD_HINT,
    describe_levels,
    pixels_by_level,
)
from headstart.data.pictures.opening import turned
from headstart.data.pictures.reading import (
    TRANSPARENT,
    picture_header,
    read_colours,
    read_luma,
    read_mask,
    read_region,
)
from headstart.data.pictures.shapes import draw
from headstart.errors import DataError, Finding

_PIXELS = ("coloured-mask", "transparent-mask")  # findings whose hint a layer may replace

_OF_MAP = "the label map"

Labels = UInt8[np.ndarray, "h w"]


def read_labelled(
    frame: Frame, label_map: LabelMap, root: Path
) -> tuple[UInt8[np.ndarray, "h w 3"], Labels]:
    """Read the picture and the class indices of one frame.

    Pixels that count nowhere have the index [`IGNORE`][headstart.data.label_map.IGNORE].

    Raises:
        DataError: a file cannot be read, the sizes differ, or the mask holds a grey level or colour
            that neither the label map nor a layer knows.
    """
    assert frame.mask is not None
    findings: list[Finding] = []
    image = None
    try:
        image = read_frame(frame, root)
    except DataError as e:
        findings.extend(e.findings)
    size = None if image is None else image.shape[:2]
    labels = None
    for layer in _layers(frame, label_map):
        try:
            above = _read_layer(layer, label_map, frame, size, root)
        except DataError as e:
            findings.extend(e.findings)
            continue
        # masks of a broken picture are read for their faults alone; their sizes may differ
        broken = image is None
        labels = above if labels is None or broken else np.where(above == 0, labels, above)
    if frame.valid is not None:
        try:
            outside = _placed(read_region(frame.valid, root), frame.valid, frame, size, root)
            if labels is not None and image is not None:
                labels = np.where(outside == 0, np.uint8(IGNORE), labels)
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    assert image is not None and labels is not None
    return image, labels


def _layers(frame: Frame, label_map: LabelMap) -> tuple[MaskLayer, ...]:
    """Return the layers of a frame; a single mask file is one layer in label map levels."""
    if isinstance(frame.mask, tuple):
        return frame.mask
    assert frame.mask is not None
    if label_map.colours:
        return (colour_layer(frame.mask, label_map),)
    levels = tuple((g, g) for g in label_map.greys)
    return (Layer(frame.mask, levels, _OF_MAP, ignored=label_map.ignore),)


def colour_layer(path: Path, label_map: LabelMap, nearest: bool = False) -> ColourLayer:
    """Return the layer of a mask file in the colours of a label map."""
    colours = tuple(zip(label_map.colours, label_map.greys, strict=True))
    return ColourLayer(path, colours, _OF_MAP, label_map.ignored_colours, nearest=nearest)


def _read_layer(
    layer: MaskLayer,
    label_map: LabelMap,
    frame: Frame,
    size: tuple[int, ...] | None,
    root: Path,
) -> Labels:
    """Return the class indices of one layer, turned and cropped like its image."""
    index = {grey: k for k, grey in enumerate(label_map.greys)}
    if isinstance(layer, Shapes):
        return _drawn(layer, index, frame, size, root)
    if isinstance(layer, ColourLayer):
        return _coloured(layer, label_map, index, frame, size, root)
    where = (shown(layer.path, root),)
    background = next((level for level, to in layer.levels if to == label_map.greys[0]), None)
    try:
        if layer.others is None and layer.threshold is None:
            grey = read_mask(layer.path, root, None if layer.published else background)
        else:
            hard = layer.threshold is None and not layer.published
            grey = read_luma(layer.path, root, on_black=not layer.published, hard=hard)
    except DataError as e:
        if layer.hint and all(f.code in _PIXELS for f in e.findings):
            raise DataError([replace(f, hint=layer.hint) for f in e.findings]) from e
        raise
    if layer.threshold is not None:
        grey = np.where(grey >= layer.threshold, np.uint8(255), np.uint8(0))
    findings: list[Finding] = []
    try:
        grey = _placed(grey, layer.path, frame, size, root)
    except DataError as e:
        findings += e.findings
    table = np.full(256, index.get(layer.others, 0) if layer.others is not None else 0, np.uint8)
    known = [level for level, _ in layer.levels]
    table[known] = [index[target] for _, target in layer.levels]
    table[list(layer.ignored)] = IGNORE
    histogram = pixels_by_level(grey)
    present = np.flatnonzero(histogram)
    unknown = np.setdiff1d(present, [*known, *layer.ignored]).tolist()
    if unknown and layer.others is None:
        message = f"grey levels {_few(unknown)} are not in {layer.known}"
        if describe_levels(histogram) == "soft edges":
            findings.append(Finding("soft-mask", "error", SOFT_EDGED, THRESHOLD_HINT, where))
        else:
            hint = layer.hint or (
                "correct the mask, or add the level to mapping.json. The classes are "
                f"{_listed(label_map)}"
            )
            findings.append(Finding("unknown-grey", "error", message, hint, where))
    if findings:
        raise DataError(findings)
    return np.take(table, grey)


def _coloured(
    layer: ColourLayer,
    label_map: LabelMap,
    index: dict[int, int],
    frame: Frame,
    size: tuple[int, ...] | None,
    root: Path,
) -> Labels:
    unpainted = next((_code(c) for c, grey in layer.colours if index[grey] == 0), TRANSPARENT)
    colours = read_colours(layer.path, root, layer.nearest, unpainted)
    codes = _placed(colours, layer.path, frame, size, root)
    known = {_code(colour): index[grey] for colour, grey in layer.colours}
    known |= {_code(colour): IGNORE for colour in layer.ignored}
    present, inverse = np.unique(codes, return_inverse=True)
    if layer.nearest:
        indices = np.array([*known.values()], dtype=np.uint8)[nearest(present, [*known])]
        return np.take(indices, inverse).reshape(codes.shape)
    if unknown := [f"#{code:06x}" for code in present.tolist() if code not in known]:
        where = (shown(layer.path, root),)
        if has_soft_edges(codes, [*known]):
            raise DataError(Finding("soft-colours", "error", SOFT_EDGES, NEAREST_HINT, where))
        message = f"colours {_few(unknown)} are not in {layer.known}"
        hint = layer.hint or (
            f"correct the mask, or add the colour to the classes, which are {_listed(label_map)}"
        )
        raise DataError(Finding("unknown-colour", "error", message, hint, where))
    table = np.array([known[code] for code in present.tolist()], dtype=np.uint8)
    return table[inverse].reshape(codes.shape)


def _code(colour: Colour) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _drawn(
    shapes: Shapes,
    index: dict[int, int],
    frame: Frame,
    size: tuple[int, ...] | None,
    root: Path,
) -> Labels:
    height, width = size or shapes.size or (1, 1)
    if size is not None and shapes.size is not None and size == shapes.size[::-1] != shapes.size:
        orientation = picture_header(frame.image, root, frame.rules).orientation
        if orientation > 4:  # annotated as stored, not as a viewer shows it
            return turned(draw(shapes.shapes, index, *shapes.size), orientation)
    if size is not None and shapes.size is not None and size != shapes.size:
        message = f"the annotations are for {_text(shapes.size)}, the picture has {_text(size)}"
        hint = "export the annotations again for the picture at its present size"
        where = (shown(shapes.path, root),)
        raise DataError(Finding("size-differs", "error", message, hint, where))
    return draw(shapes.shapes, index, height, width)


def _placed(
    mask: np.ndarray, path: Path, frame: Frame, size: tuple[int, ...] | None, root: Path
) -> np.ndarray:
    """Return a mask turned and cropped like its image.

    A mask with the stored size of its image, and without an orientation of its own, is turned by
    the EXIF orientation of the image.

    Raises:
        DataError: it has another size than its image.
    """
    crop = frame.crop
    expected = crop.full if crop is not None else size
    if size is not None and expected is not None and mask.shape == expected[::-1] != expected:
        orientation = picture_header(frame.image, root, frame.rules).orientation
        if orientation > 4 and picture_header(path, root).orientation == 1:
            mask = turned(mask, orientation)
    if expected is not None and mask.shape != tuple(expected):
        message = f"the mask has {_text(mask.shape)}, its image {_text(expected)}"
        hint = "export the mask again at the size of the image"
        where = (shown(path, root),)
        raise DataError(Finding("size-differs", "error", message, hint, where))
    return mask if crop is None else mask[crop.window]


def is_turned_too(frame: Frame, root: Path) -> bool:
    """Whether the EXIF orientation of a frame's picture is applied to all its masks too.

    So it is if the orientation swaps height and width, and the masks have the stored size and no
    orientation of their own. For a square picture the size does not tell. Reads only headers.

    Raises:
        DataError: a header cannot be read.
    """
    picture = picture_header(frame.image, root, frame.rules)
    stored = (picture.height, picture.width)
    if picture.orientation < 5 or stored[0] == stored[1]:
        return False
    masks = [picture_header(path, root) for path in frame.masks]
    layers = frame.mask if isinstance(frame.mask, tuple) else ()
    shapes = [layer.size for layer in layers if isinstance(layer, Shapes)]
    as_stored = [m.orientation == 1 and (m.height, m.width) == stored for m in masks]
    as_stored += [size == stored for size in shapes]
    return bool(as_stored) and all(as_stored)


def _listed(label_map: LabelMap) -> str:
    """Return the classes with their grey levels or colours."""
    colours = [f"#{_code(colour):06x}" for colour in label_map.colours]
    values: Sequence[object] = colours or label_map.greys
    return _few([f"{value} {n}" for n, value in zip(label_map.names, values, strict=True)])


def _text(size: Sequence[int]) -> str:
    return f"{size[1]} x {size[0]} pixels"


def _few(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
