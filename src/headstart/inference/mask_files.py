"""Files of predicted masks: grey levels or, where the classes are colours, a palette of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from PIL import Image

from headstart.data.files import shown
from headstart.data.label_map import LabelMap
from headstart.data.pictures.palettes import read_palette
from headstart.data.pictures.reading import read_colours, read_mask
from headstart.errors import DataError, Finding, UsageError
from headstart.system.disk import disk_errors

_SHOWN = 8  # values in a message


def mask_png(indices: UInt8[np.ndarray, "h w"], label_map: LabelMap) -> bytes:
    """Return a class map as the content of a PNG file.

    Grey levels are written as they are. Colours are written as a palette, so that a viewer shows
    the dataset's colours; the index of a pixel is that of its class.

    Raises:
        ValueError: an index is not that of a class.
    """
    levels = label_map.to_greys(indices)
    picture = Image.fromarray(levels)
    if label_map.colours:  # their levels are 0, 1, 2, ...
        picture = Image.frombytes("P", picture.size, levels.tobytes())
        picture.putpalette([value for colour in label_map.colours for value in colour])
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def holds_another(path: Path, mask: bytes) -> bool:
    """Whether a file is there whose pixels are not those of a mask, or that cannot be read."""
    with disk_errors(path):
        if not path.exists() or (before := path.read_bytes()) == mask:
            return False
    try:
        with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(mask)) as new:
            forms = [(picture.mode, picture.size, picture.getpalette()) for picture in (old, new)]
            return forms[0] != forms[1] or not np.array_equal(np.asarray(old), np.asarray(new))
    except (OSError, ValueError, SyntaxError):
        return True


def masks_differ(out: Path, kept: Sequence[str]) -> UsageError:
    """Return the error for masks in ``out`` that differ from the predictions and are kept.

    Somebody may have corrected them.
    """
    message = f"{len(kept)} masks in {out} differ from the predictions; they are kept"
    hint = "move them away, or choose another --out: nothing is overwritten"
    return UsageError(Finding("masks-differ", "error", message, hint, tuple(kept)))


def values_in(
    path: Path,
    root: Path,
    label_map: LabelMap,
    counted: Bool[np.ndarray, "h2 w2"] | None = None,
) -> tuple[Int64[np.ndarray, "h w"], dict[int, int]]:
    """Return the values of a mask of a label map's classes, and the class index of known values.

    Values are grey levels or, for classes that are colours, ``red << 16 | green << 8 | blue``. For
    these a plain grey mask may also hold the numbers of the classes.

    Args:
        path: the mask.
        root: the folder that links must not leave.
        label_map: the classes.
        counted: the pixels that say whether a grey mask holds numbers or colours; None: all do.

    Raises:
        DataError: the mask cannot be read, or its grey levels could be numbers as well as colours.
    """
    of_level = {grey: k for k, grey in enumerate(label_map.greys)}
    if not label_map.colours:
        return read_mask(path, root, label_map.greys[0]).astype(np.int64), of_level
    of_colour = {
        red << 16 | green << 8 | blue: k for k, (red, green, blue) in enumerate(label_map.colours)
    }
    background = next(iter(of_colour))
    colours = read_colours(path, root, background=background)
    if read_palette(path, root) or not _is_grey(colours):
        return colours, of_colour
    levels = colours & 255
    some = counted if counted is not None and counted.shape == colours.shape else ...
    as_levels = np.isin(levels[some], [*of_level]).all()
    as_colours = np.isin(colours[some], [*of_colour]).all()
    if as_levels and as_colours and not _same(levels[some], colours[some], of_level, of_colour):
        message = "the grey levels of the mask could be the numbers of classes, or their colours"
        hint = "save the mask in colours, with a palette or as RGB"
        raise DataError(Finding("ambiguous-mask", "error", message, hint, (shown(path, root),)))
    return (levels, of_level) if as_levels else (colours, of_colour)


def class_map(values: Int64[np.ndarray, "h w"], known: dict[int, int]) -> UInt8[np.ndarray, "h w"]:
    """Return the class indices of values, all of which are known."""
    present, inverse = np.unique(values, return_inverse=True)
    indices = np.array([known[value] for value in present.tolist()], dtype=np.uint8)
    return indices[inverse].reshape(values.shape)


def unknown_values(values: Sequence[int], label_map: LabelMap, name: str) -> DataError:
    """Return the error of a mask with values that are of no class.

    Args:
        values: grey levels; for classes that are colours, their numbers.
        label_map: the classes.
        name: the file.
    """
    more = ", ..." if len(values) > _SHOWN else ""
    if not label_map.colours:
        levels = ", ".join(map(str, values[:_SHOWN])) + more
        message = f"the mask has the grey levels {levels}; expected {listed(label_map)}"
        hint = "correct the mask"
        return DataError(Finding("unknown-grey", "error", message, hint, (name,)))
    colours = ", ".join(f"#{value:06x}" for value in values[:_SHOWN]) + more
    message = f"the mask has the colours {colours}; expected {listed(label_map)}"
    hint = "correct the mask; draw without anti-aliasing"
    return DataError(Finding("unknown-colour", "error", message, hint, (name,)))


def listed(label_map: LabelMap) -> str:
    """Return the classes with their grey levels or colours, for messages.

    >>> listed(LabelMap(("background", "tool"), (0, 128)))
    'background (0), tool (128)'
    """
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in label_map.colours]
    values: Sequence[object] = colours or label_map.greys
    return ", ".join(f"{n} ({v})" for n, v in zip(label_map.names, values, strict=True))


def _is_grey(colours: Int64[np.ndarray, "h w"]) -> bool:
    return bool((colours == (colours & 255) * 0x010101).all())


def _same(
    levels: Int64[np.ndarray, "..."],
    colours: Int64[np.ndarray, "..."],
    of_level: dict[int, int],
    of_colour: dict[int, int],
) -> bool:
    pairs = zip(np.unique(levels).tolist(), np.unique(colours).tolist(), strict=True)
    return all(of_level[level] == of_colour[colour] for level, colour in pairs)
