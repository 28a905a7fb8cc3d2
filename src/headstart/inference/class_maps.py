"""Class maps from probabilities, without torch: an ONNX file needs none of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, UInt8

PictureSizes = Sequence[tuple[int, int]]
AT_ONCE = 1 << 20
"""Classes times pixels that are resized at once."""


def resized(
    probs: Float32[np.ndarray, "k h w"], size: tuple[int, int], rows: slice = slice(None)
) -> Float32[np.ndarray, "k h2 w2"]:
    """Return maps resized bilinearly, as torch does with ``align_corners=False``.

    Args:
        probs: the maps.
        size: their new height and width.
        rows: the rows of the resized maps to return.

    >>> resized(np.array([[[0, 1]]], np.float32), (1, 4)).round(2)
    array([[[0.  , 0.25, 0.75, 1.  ]]], dtype=float32)
    """
    for axis, length, part in ((1, size[0], rows), (2, size[1], slice(None))):
        old = probs.shape[axis]
        new = np.arange(length, dtype=np.float32)[part]
        if old == length:
            probs = np.take(probs, new.astype(np.int64), axis)
            continue
        at = (new + np.float32(0.5)) * np.float32(old / length)
        at = np.maximum(at - np.float32(0.5), 0)
        low = np.minimum(at.astype(np.int64), old - 1)
        high = np.minimum(low + 1, old - 1)
        share = (at - low.astype(np.float32)).reshape((-1, 1) if axis == 1 else (-1,))
        below, above = np.take(probs, low, axis), np.take(probs, high, axis)
        probs = below * (1 - share) + above * share
    return probs


def class_maps(
    probs: Float32[np.ndarray, "n k h w"],
    sizes: PictureSizes,
    min_area: float,
    contents: PictureSizes = (),
) -> list[UInt8[np.ndarray, "_ _"]]:
    """Return the most probable class of each pixel, at each picture's own size.

    A test ensures that [`headstart.tasks.class_maps.class_maps`][] gives the same with torch.

    Args:
        probs: of a batch of pictures.
        sizes: height and width of each.
        min_area: a foreground class that is the most probable on a smaller share of a picture is
            not predicted there; its pixels get the most probable of the other classes.
        contents: height and width of each within the probabilities, which are padded at the right
            and the bottom; empty: none is padded.
    """
    contents = contents or [(probs.shape[2], probs.shape[3])] * len(probs)

    def one(p: Float32[np.ndarray, "k h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "_ _"]:
        left_out = np.zeros(len(p), bool)
        classes = _best(p, size, left_out)
        if min_area:
            left_out = np.bincount(classes.ravel(), minlength=len(p)) / classes.size < min_area
            left_out[0] = False
        return _best(p, size, left_out) if left_out.any() else classes

    of_pictures = zip(probs, sizes, contents, strict=True)
    return [one(p[:, :height, :width], size) for p, size, (height, width) in of_pictures]


def _best(
    probs: Float32[np.ndarray, "k h w"], size: tuple[int, int], left_out: Bool[np.ndarray, " k"]
) -> UInt8[np.ndarray, "_ _"]:
    """Return the most probable class that is not left out, at a size, some rows at a time.

    All rows of a large photograph at once would take gigabytes.
    """
    classes = np.empty(size, np.uint8)
    step = max(1, AT_ONCE // (len(probs) * size[1]))
    for top in range(0, size[0], step):
        rows = slice(top, top + step)
        part = resized(probs, size, rows)
        part[left_out] = -1
        classes[rows] = part.argmax(0)
    return classes
