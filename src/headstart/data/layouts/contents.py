"""What the pixels of a few files say: a picture, labels, or a region that is always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.pictures.reading import colour_codes, read_image, read_luma
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError

Content = Literal["picture", "labels", "region", "unreadable"]
"""``region``: labels that hardly differ from file to file, such as a field of view."""

_SAMPLED = 6  # files
_ANY_RANGE = ReadingRules(value_range="percentile")
_SIDE = 160  # pixels of a file that are looked at, along each side
_LEVELS = 48  # distinct colours, at most, of labels
_FLAT = 8  # colours that cover nearly all of a mask, whatever its edges have
_FLAT_SHARE = 0.9
_NEAR_AN_END = 40  # grey levels from black or white: labels saved as JPEG
_SAME = 0.97  # share of pixels that two files of a region have in common
_IN_COMMON = 0.7  # Jaccard index of the smaller of its sides


Look = Callable[[Path], UInt8[np.ndarray, "h w 3"] | None]
"""Return a file's pixels, at most a few thousand of them; None if it cannot be read."""


def look_into(root: Path) -> Look:
    """Return a function that decodes files of a dataset, each once.

    Args:
        root: folder of the dataset.
    """
    return cache(lambda path: _read(path, root))


def content_of(paths: Sequence[Path], look: Look) -> Content:
    """Return what most of some files show.

    Args:
        paths: files of one kind, in order; a few are decoded.
        look: decodes a file.
    """
    samples = _samples(paths, look)
    if not samples:
        return "unreadable"
    labels = [looks_like_labels(image) for image in samples]
    if 2 * sum(labels) <= len(labels):
        return "picture"
    return "region" if _all_alike(samples) else "labels"


def _samples(paths: Sequence[Path], look: Look) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    step = max(1, len(paths) // _SAMPLED)
    return [image for path in paths[::step][:_SAMPLED] if (image := look(path)) is not None]


def _read(path: Path, root: Path) -> UInt8[np.ndarray, "h w 3"] | None:
    try:
        image = read_image(path, root)
    except DataError as error:
        codes = {finding.code for finding in error.findings}
        if codes == {"picture-depth"}:  # shown somehow, so that pictures and masks look different
            return _read_deep(path, root)
        if codes != {"transparent-picture"}:
            return None
        image = read_luma(path, root)[..., None].repeat(3, -1)  # a mask on a transparent layer
    return _thinned(image)


def _read_deep(path: Path, root: Path) -> UInt8[np.ndarray, "h w 3"] | None:
    try:
        return _thinned(read_image(path, root, _ANY_RANGE))
    except DataError:
        return None


def _thinned(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    height, width = image.shape[:2]
    return image[:: max(1, height // _SIDE), :: max(1, width // _SIDE)]


def looks_like_labels(image: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether a picture has few colours, or few but for soft edges or what JPEG smears."""
    pixels = image.reshape(-1, 3)
    _, counts = np.unique(colour_codes(image), return_counts=True)
    if len(counts) <= min(_LEVELS, max(2, len(pixels) // 8)):
        return True
    if float(np.sort(counts)[-_FLAT:].sum()) >= _FLAT_SHARE * len(pixels):
        return True
    grey = pixels.max(1)
    is_grey = bool((pixels.max(1) - pixels.min(1) <= 8).all())
    at_an_end = (grey <= _NEAR_AN_END) | (grey >= 255 - _NEAR_AN_END)
    return is_grey and float(at_an_end.mean()) > 0.97 and bool((grey > 127).any())


def colours_in(paths: Sequence[Path], look: Look) -> float:
    """Return the median number of colours in a few files."""
    images = _samples(paths, look)
    counts = [len(np.unique(colour_codes(image))) for image in images]
    return float(np.median(counts)) if counts else 0.0


def _all_alike(samples: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> bool:
    """Whether there are several files, and no two differ in more than a few pixels.

    Small objects in other places differ in few pixels, too, but have hardly one in common.
    """
    if len(samples) < 3 or len({image.shape for image in samples}) > 1:
        return False
    shown = [image[..., 0] > 127 for image in samples]
    smaller = shown[0].mean() < 0.5  # is what they show smaller than what they do not?
    first, *others = (each == smaller for each in shown)
    if not bool(first.any()):
        return False
    return all(
        float((first == other).mean()) >= _SAME
        and int((first & other).sum()) >= _IN_COMMON * int((first | other).sum())
        for other in others
    )


def overlap(one: Sequence[Path], other: Sequence[Path], look: Look) -> float:
    """Return the mean Jaccard index of what a few pairs of label files show.

    It is high for two observers of the same objects, and low for two classes.
    """
    values = [
        int((shown & also).sum()) / either
        for shown, also in _pairs(one, other, look)
        if (either := int((shown | also).sum()))
    ]
    return float(np.mean(values)) if values else 0.0


def share_inside(one: Sequence[Path], other: Sequence[Path], look: Look) -> float:
    """Return the mean share of what a few label files show that others of the pairs show, too."""
    values = [
        int((shown & also).sum()) / own
        for shown, also in _pairs(one, other, look)
        if (own := int(shown.sum()))
    ]
    return float(np.mean(values)) if values else 0.0


def _pairs(
    one: Sequence[Path], other: Sequence[Path], look: Look
) -> Iterator[tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]]:
    """Yield what a few pairs of label files show."""
    step = max(1, len(one) // _SAMPLED)
    for a, b in list(zip(one, other, strict=True))[::step][:_SAMPLED]:
        first, second = look(a), look(b)
        if first is not None and second is not None and first.shape == second.shape:
            yield first.max(2) > 0, second.max(2) > 0
