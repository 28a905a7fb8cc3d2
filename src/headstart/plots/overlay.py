"""Classes in colour over a picture, with a legend.

Imports neither torch nor matplotlib, which take seconds to load.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_AT_ONCE = 1 << 21  # pixels
_LEGIBLE = 320  # minimum width in pixels; smaller overlays are enlarged by a whole factor

# The colour-blind-safe palette of Okabe and Ito, then colours of similar lightness. Background
# has no colour.
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
    (170, 255, 195),
    (145, 30, 180),
    (250, 190, 212),
    (128, 128, 0),
    (70, 240, 240),
)


IGNORED = 255
"""Index of pixels that are ignored, in maps of true classes; never the index of a class."""
_GREY = (150, 150, 150)


def colour(k: int) -> tuple[int, int, int]:
    """Return the RGB colour of foreground class ``k`` (1 or more); repeats after twelve.

    Ignored pixels, with the index [`IGNORED`][], are grey.
    """
    return _GREY if k == IGNORED else COLOURS[(k - 1) % len(COLOURS)]


def label(k: int, names: Sequence[str]) -> str:
    """Return the name of foreground class ``k`` for a legend, or ``"ignored"``."""
    return "ignored" if k == IGNORED else names[k].replace("_", " ")


_PALETTE = np.array([(0, 0, 0), *(colour(k) for k in range(1, 256))], dtype=np.float32)


def overlay(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], opacity: float = 0.5
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture with foreground classes in colour and opaque outlines.

    Args:
        image: RGB.
        classes: class indices, same size; 0 stays uncoloured, and [`IGNORED`][] is grey.
        opacity: opacity of the colour inside the outlines, in ``[0, 1]``.
    """
    rows = max(1, _AT_ONCE // max(1, classes.shape[1]))
    if rows < len(classes):
        return _in_strips(image, classes, opacity, rows)
    return _blended(image, classes, opacity)


def _blended(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], opacity: float
) -> UInt8[np.ndarray, "h w 3"]:
    inside = classes > 0
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        ahead = [slice(None)] * 2
        behind = [slice(None)] * 2
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        differs = classes[tuple(ahead)] != classes[tuple(behind)]
        edge[tuple(ahead)] |= differs
        edge[tuple(behind)] |= differs
    alpha = np.where(edge[inside], 1.0, opacity)[:, None]
    blended = image.copy()  # blend foreground pixels only: a clip has many frames
    mixed = (1 - alpha) * image[inside] + alpha * _PALETTE[classes[inside]]
    blended[inside] = mixed.round()
    return blended


def _in_strips(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], opacity: float, rows: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the overlay of a large photograph, which takes some 100 bytes a pixel at once.

    A strip has a row of its neighbours above and below, because outlines depend on them.
    """
    blended = np.empty_like(image)
    for start in range(0, len(classes), rows):
        first, end = max(0, start - 1), min(len(classes), start + rows)
        part = slice(first, end + 1)
        strip = _blended(image[part], classes[part], opacity)
        blended[start:end] = strip[start - first : end - first]
    return blended


def overlay_with_legend(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], names: Sequence[str]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the overlay, enlarged until legible, above a legend of its classes."""
    picture = enlarged(overlay(image, classes))
    visible = [int(k) for k in np.unique(classes) if k] or [0]
    return np.concatenate([picture, legend(visible, names, picture.shape[1])])


def enlarged(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Enlarge by a whole factor until a legend below is legible."""
    factor = -(-_LEGIBLE // picture.shape[1])
    return picture.repeat(factor, 0).repeat(factor, 1)


def legend(
    classes: Sequence[int], names: Sequence[str], width: int
) -> UInt8[np.ndarray, "h {width} 3"]:
    """Return a strip of class names next to their colours.

    Args:
        classes: the classes to name; 0 is written as "background only", without a colour, and
            [`IGNORED`][] as "ignored".
        names: names of all classes, background first.
        width: width in pixels; the height follows.
    """
    side = max(12, width // 32)
    font = ImageFont.load_default(size=side)
    line = round(side * 1.5)
    places: list[tuple[int, int, int, str]] = []
    x, y = line // 2, line // 4
    for k in classes:
        text = label(k, names) if k else "background only"
        wide = round(font.getlength(text)) + 2 * line
        if places and x + wide > width:
            x, y = line // 2, y + line
        places.append((x, y, k, text))
        x += wide
    sheet = Image.new("RGB", (width, y + line + line // 4), "white")
    draw = ImageDraw.Draw(sheet)
    for x, y, k, text in places:
        if k:
            box = (x, y + (line - side) // 2, x + side, y + (line + side) // 2)
            draw.rectangle(box, fill=colour(k))
        draw.text((x + line, y + line // 2), text, fill="#222222", font=font, anchor="lm")
    return np.asarray(sheet)
