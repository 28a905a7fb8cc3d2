"""The height and width to train at, from those of the pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import picture_header
from headstart.errors import DataError

LONGEST_ON_CPU, LONGEST_ON_GPU = 320, 512
"""The longer side that is trained at unless ``--size`` says otherwise, in pixels."""

TILE_ON_CPU, TILE_ON_GPU = 128, 256
"""The sides of a tile unless ``--size`` says otherwise, in pixels."""

ANY_SIZE = 8192
"""A longer side that leaves pictures as large as they are."""

_MULTIPLE = 32  # networks halve a picture up to five times
_SMALL, _OF_SMALL = 128, 8  # on small pictures, multiples of 32 would change the shape
_LOOKED_AT = 200  # pictures, evenly spread; each takes a tenth of a millisecond


def fitting_size(sizes: Sequence[tuple[int, int]], longest: int) -> tuple[int, int]:
    """Return the size to train at: the pictures' median shape, not enlarged beyond their own size.

    The longer side is the median longer side, at most ``longest``; the aspect ratio is the median
    one. Both sides are rounded to multiples of 32, for pictures of less than 128 pixels of 8.

    Args:
        sizes: heights and widths of the pictures.
        longest: the most pixels of the longer side.

    Raises:
        ValueError: there are no pictures.

    >>> fitting_size([(256, 320)], 320), fitting_size([(3000, 4000), (3000, 4000)], 320)
    ((256, 320), (256, 320))
    >>> fitting_size([(584, 565)], 512), fitting_size([(32, 40)], 320)
    ((512, 480), (32, 40))
    """
    if not sizes:
        raise ValueError("there are no pictures")
    aspect = math.exp(median(math.log(width / height) for height, width in sizes))
    long = min(float(longest), median(max(size) for size in sizes))
    multiple = _MULTIPLE if long >= _SMALL else _OF_SMALL
    height, width = (long, long * aspect) if aspect < 1 else (long / aspect, long)
    rounded = (max(multiple, round(side / multiple) * multiple) for side in (height, width))
    return next(rounded), next(rounded)


def half_the_pixels(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size of about half as many pixels.

    >>> half_the_pixels((256, 320)), half_the_pixels((64, 80))
    ((192, 224), (48, 56))
    """
    multiple = _MULTIPLE if max(size) > _SMALL else _OF_SMALL
    height, width = (max(multiple, round(side * 0.5**0.5 / multiple) * multiple) for side in size)
    return height, width


def size_for(frames: Sequence[Frame], root: Path, longest: int) -> tuple[int, int] | None:
    """Return the [`fitting_size`][] of frames; None if no picture's header can be read.

    Reads at most 200 headers. What is wrong with a picture is said when it is decoded.
    """
    step = max(1, len(frames) // _LOOKED_AT)
    sizes = [size for frame in frames[::step] if (size := _size(frame, root)) is not None]
    return fitting_size(sizes, longest) if sizes else None


def longest_side(device: str) -> int:
    """Return the longer side that is trained at by default: on an NVIDIA GPU, or elsewhere."""
    return LONGEST_ON_GPU if device == "cuda" else LONGEST_ON_CPU


def tile_size(size: tuple[int, int], device: str) -> tuple[int, int]:
    """Return the size of tiles on a device: square, no side longer than ``size``'s.

    >>> tile_size((256, 320), "cpu"), tile_size((64, 80), "cuda")
    ((128, 128), (64, 64))
    """
    side = min(TILE_ON_GPU if device == "cuda" else TILE_ON_CPU, *size)
    return side, side


def _size(frame: Frame, root: Path) -> tuple[int, int] | None:
    if frame.crop is not None:
        return frame.crop.height, frame.crop.width
    try:
        return picture_header(frame.image, root, frame.rules).upright
    except DataError:
        return None
