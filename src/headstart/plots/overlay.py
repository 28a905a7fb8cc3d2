"""Classes in colour over a picture, with a legend.

Needs neither torch nor matplotlib, so that what only shows predictions loads neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_LEGIBLE = 320  # an overlay is enlarged by whole factors until it is this wide

# Okabe and Ito's colours, told apart by people who do not see red and green as others do, then
# others of even lightness. Background has none.
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


def colour(k: int) -> tuple[int, int, int]:
    """RGB of foreground class ``k`` (1 and up); repeats after twelve."""
    return COLOURS[(k - 1) % len(COLOURS)]


_PALETTE = np.array([(0, 0, 0), *(colour(k) for k in range(1, 256))], dtype=np.float32)


def overlay(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], opacity: float = 0.5
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with its foreground classes in colour, their outlines opaque.

    Args:
        image: RGB.
        classes: class indices of the same size; 0 is left as it is.
        opacity: of the colour inside the outlines, in ``[0, 1]``.
    """
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
    seen = image.copy()  # only what is coloured is computed: a clip has many frames
    mixed = (1 - alpha) * image[inside] + alpha * _PALETTE[classes[inside]]
    seen[inside] = mixed.round()
    return seen


def overlay_with_legend(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], names: Sequence[str]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The overlay, enlarged until legible, with the classes to be seen named below it."""
    picture = enlarged(overlay(image, classes))
    seen = [int(k) for k in np.unique(classes) if k] or [0]
    return np.concatenate([picture, legend(seen, names, picture.shape[1])])


def enlarged(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """By the whole factor that makes it wide enough for names below it."""
    factor = -(-_LEGIBLE // picture.shape[1])
    return picture.repeat(factor, 0).repeat(factor, 1)


def legend(
    classes: Sequence[int], names: Sequence[str], width: int
) -> UInt8[np.ndarray, "h {width} 3"]:
    """A strip that names classes beside their colours; background has none.

    Args:
        classes: which.
        names: of all classes, background first.
        width: in pixels; it is as high as it has to be.
    """
    side = max(12, width // 32)
    font = ImageFont.load_default(size=side)
    line = round(side * 1.5)
    places: list[tuple[int, int, int, str]] = []
    x, y = line // 2, line // 4
    for k in classes:
        label = names[k].replace("_", " ") if k else "background only"
        wide = round(font.getlength(label)) + 2 * line
        if places and x + wide > width:
            x, y = line // 2, y + line
        places.append((x, y, k, label))
        x += wide
    sheet = Image.new("RGB", (width, y + line + line // 4), "white")
    draw = ImageDraw.Draw(sheet)
    for x, y, k, label in places:
        if k:
            box = (x, y + (line - side) // 2, x + side, y + (line + side) // 2)
            draw.rectangle(box, fill=colour(k))
        draw.text((x + line, y + line // 2), label, fill="#222222", font=font, anchor="lm")
    return np.asarray(sheet)
