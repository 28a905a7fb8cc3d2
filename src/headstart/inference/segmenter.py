"""A trained network, with what it takes to use it, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from headstart.data.decoded_frames import resize_image
from headstart.data.label_map import LabelMap

Pictures = UInt8[np.ndarray, "n 3 h w"]
Sizes = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Segmenter:
    """A trained network with what it takes to use it.

    PyTorch or ONNX Runtime may be behind it: who uses one loads neither.

    Attributes:
        size: height and width it was trained at, to which pictures are brought.
        label_map: its classes.
        min_area: see [`class_maps`][headstart.inference.segmenter.class_maps].
        digest: SHA-256 of the file of weights, or of the ONNX file.
        probabilities: of each class at each pixel, ``(n, k, h, w)``, of RGB pictures of ``size``,
            ``(n, 3, h, w)``.
        maps: the most probable class of each pixel of these pictures, each at the height and width
            given for it.
    """

    size: tuple[int, int]
    label_map: LabelMap
    min_area: float
    digest: str
    probabilities: Callable[[Pictures], Float32[np.ndarray, "n k h w"]]
    maps: Callable[[Pictures, Sizes], list[UInt8[np.ndarray, "_ _"]]]


def brought(segmenter: Segmenter, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Pictures:
    """Pictures of any size as the network takes them."""
    return np.stack([resize_image(image, segmenter.size).transpose(2, 0, 1) for image in pictures])


def class_maps_of(
    segmenter: Segmenter, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
) -> list[UInt8[np.ndarray, "_ _"]]:
    """The most probable class of each pixel, at each picture's own size."""
    sizes = [(image.shape[0], image.shape[1]) for image in pictures]
    return segmenter.maps(brought(segmenter, pictures), sizes)


def resized(
    probs: Float32[np.ndarray, "k h w"], size: tuple[int, int]
) -> Float32[np.ndarray, "k h2 w2"]:
    """Bilinear between pixel centres, without widening: what torch calls ``align_corners=False``.

    >>> resized(np.array([[[0, 1]]], np.float32), (1, 4)).round(2)
    array([[[0.  , 0.25, 0.75, 1.  ]]], dtype=float32)
    """
    for axis, length in ((1, size[0]), (2, size[1])):
        there = probs.shape[axis]
        if there == length:
            continue
        at = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(there / length)
        at = np.maximum(at - np.float32(0.5), 0)
        low = np.minimum(at.astype(np.int64), there - 1)
        high = np.minimum(low + 1, there - 1)
        share = (at - low.astype(np.float32)).reshape((-1, 1) if axis == 1 else (-1,))
        below, above = np.take(probs, low, axis), np.take(probs, high, axis)
        probs = below * (1 - share) + above * share
    return probs


def class_maps(
    probs: Float32[np.ndarray, "n k h w"], sizes: Sizes, min_area: float
) -> list[UInt8[np.ndarray, "_ _"]]:
    """The most probable class of each pixel, at each picture's own size.

    The same as [`headstart.tasks.class_maps.class_maps`][], without torch: a test holds them together.

    Args:
        probs: of a batch of pictures.
        sizes: height and width of each.
        min_area: a foreground class that is the most probable on a smaller share of a picture is
            not predicted there; its pixels go to what is the most probable without it.
    """

    def one(p: Float32[np.ndarray, "k h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "_ _"]:
        p = resized(p, size)
        classes = p.argmax(0)
        if min_area:
            area = np.bincount(classes.ravel(), minlength=len(p)) / classes.size
            too_small = area < min_area
            too_small[0] = False
            classes = np.where(too_small[:, None, None], -1, p).argmax(0)
        return np.asarray(classes, dtype=np.uint8)

    return [one(p, size) for p, size in zip(probs, sizes, strict=True)]
