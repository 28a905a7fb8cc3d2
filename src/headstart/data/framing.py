"""How a picture of any size becomes a picture of the training size."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Framing = Literal["squeeze", "pad", "tile"]
"""``"pad"``: the picture is resized until it fits, keeps its shape, and is padded at the right or
the bottom by its own mirror image; the padding counts nowhere. ``"squeeze"``: it is resized to the
training size, whatever its shape. ``"tile"``: it keeps its own size and is cut into tiles."""


def content_size(own: tuple[int, int], size: tuple[int, int], framing: Framing) -> tuple[int, int]:
    """Return the height and width that a picture has within the training size.

    Args:
        own: its own height and width.
        size: the training size.
        framing: ``"squeeze"`` or ``"pad"``.

    >>> content_size((480, 640), (256, 320), "pad"), content_size((480, 640), (256, 320), "squeeze")
    ((240, 320), (256, 320))
    """
    if framing == "squeeze":
        return size
    scale = min(size[0] / own[0], size[1] / own[1])
    height, width = (max(1, min(s, round(o * scale))) for s, o in zip(size, own, strict=True))
    return height, width


def framed(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int], framing: Framing
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return an image at the training size: resized, and padded by its mirror image."""
    resized = resize_image(image, content_size((image.shape[0], image.shape[1]), size, framing))
    return padded(resized, size)


def padded(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return an image that is at least ``size``, mirrored at its lower and right border."""
    more = [(0, max(0, side - own)) for side, own in zip(size, image.shape[:2], strict=True)]
    return np.pad(image, [*more, (0, 0)], mode="symmetric") if any(map(any, more)) else image


def resize_image(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Resize an image bilinearly, antialiased when shrinking."""
    height, width = size
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def resize_mask(
    mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2"]:
    """Resize a mask by nearest neighbour, which creates no new labels."""
    height, width = size
    if mask.shape == size:
        return mask
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized)
