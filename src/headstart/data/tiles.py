"""Tiles for training: crops of pictures at their own size, drawn at random.

A picture that is smaller than a tile is mirrored at its lower and right border.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt8

FOREGROUND = 1 / 3
"""The share of tiles that certainly show a class, as in nnU-Net: else tiles of pictures with few
small objects show hardly any. The others lie anywhere."""

_PIXELS = 500  # remembered of each class in each frame

ClassPixels = tuple[Int64[np.ndarray, "_ 2"], ...]
"""For each foreground class in a frame, the rows and columns of some of its pixels."""


def class_pixels(
    mask: UInt8[np.ndarray, "h w"], num_classes: int, rng: np.random.Generator
) -> ClassPixels:
    """Return up to 500 pixels of each foreground class that a mask shows."""
    flat, pixels = mask.ravel(), []
    for k in range(1, num_classes):
        places = np.flatnonzero(flat == k)
        if len(places) > _PIXELS:
            places = rng.choice(places, _PIXELS, replace=False)
        if len(places):
            pixels.append(np.stack(np.divmod(places, mask.shape[1]), axis=1))
    return tuple(pixels)


def draw_corners(
    rng: np.random.Generator,
    sizes: Sequence[tuple[int, int]],
    tile: tuple[int, int],
    pixels: Sequence[ClassPixels] = (),
) -> Int64[np.ndarray, "b 2"]:
    """Draw the first row and column of one tile in each picture.

    A third of the tiles hold a pixel of a foreground class: first the class is drawn, all classes
    in the picture alike, then one of its pixels, then one of the tiles that hold it. The others are
    drawn from all tiles of the picture alike. Each picture always uses five random numbers.

    Args:
        rng: generator of the random numbers.
        sizes: height and width of each picture.
        tile: height and width of the tiles.
        pixels: of the foreground classes in each picture; empty: all tiles lie anywhere.
    """
    numbers = rng.random((len(sizes), 5))
    corners = np.zeros((len(sizes), 2), dtype=np.int64)
    for i, (size, (sort, of_class, of_pixel, *at)) in enumerate(zip(sizes, numbers, strict=True)):
        room = [max(0, side - t) for side, t in zip(size, tile, strict=True)]
        first, last = np.zeros(2, dtype=np.int64), np.array(room)
        if pixels and pixels[i] and sort < FOREGROUND:
            places = pixels[i][int(of_class * len(pixels[i]))]
            pixel = places[int(of_pixel * len(places))]
            first, last = np.maximum(first, pixel - tile + 1), np.minimum(last, pixel)
        corners[i] = first + (np.array(at) * (last - first + 1)).astype(np.int64)
    return corners
