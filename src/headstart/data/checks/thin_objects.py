"""Finds objects that would be too thin to see in whole pictures, for which tiles do better."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.framing import resize_mask
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding

THIN = 3
"""Pixels: narrower parts are called thin."""

_SHARE = 0.25  # of a class's pixels; less is the rim of objects that are seen well
_LOST = 0.1  # more of them thin than in the pictures as they are
_LOOKED_AT = 20  # frames, evenly spread

Hidden = Callable[[tuple[int, int]], str | None]
"""Function from the size of whole pictures to what it would hide, in words; None: nothing."""


def thin_objects(hidden: Hidden, size: tuple[int, int] | None) -> tuple[Finding, ...]:
    """Return a finding if whole pictures of the default size would hide objects.

    Args:
        hidden: result of [`hidden_objects`][].
        size: the default size on a CPU; None: it is not known.
    """
    objects = None if size is None else hidden(size)
    if size is None or objects is None:
        return ()
    height, width = size
    message = (
        f"at {height}x{width}, the default size of whole pictures on a CPU, large shares of these "
        f"classes lie in parts less than {THIN} pixels wide: {objects}"
    )
    hint = (
        "train and study cut tiles from the pictures at their own size instead; --size "
        f"{height}x{width} trains on whole pictures"
    )
    return (Finding("thin-objects", "info", message, hint),)


def hidden_objects(dataset: Dataset) -> Hidden:
    """Return a function from a size to the classes much of which it would make thin.

    A pixel of a class lies in a thin part if no disc of three pixels across that lies within the
    class holds it (morphological opening). The background counts as a class: it may be a membrane
    between cells. Looks at up to 20 training frames; those that cannot be read are named elsewhere.
    """
    names = dataset.label_map.names

    @functools.cache
    def masks() -> list[UInt8[np.ndarray, "_ _"]]:
        return _masks(dataset.splits.get("train", ()), dataset)

    @functools.cache
    def own_share(k: int) -> float:
        return _thin_share(masks(), k)

    @functools.cache
    def hidden(size: tuple[int, int]) -> str | None:
        if not any(max(mask.shape) > 1.1 * max(size) for mask in masks()):
            return None
        resized = [resize_mask(mask, size) for mask in masks()]
        small = {k: _thin_share(resized, k) for k in range(len(names))}
        named = [
            f"{share:.0%} of the pixels of {names[k]} ({own_share(k):.0%} at the pictures' own "
            "size)"
            for k, share in small.items()
            if share >= _SHARE and share - own_share(k) >= _LOST
        ]
        return ", ".join(named) or None

    return hidden


def _masks(frames: Sequence[Frame], dataset: Dataset) -> list[UInt8[np.ndarray, "_ _"]]:
    def one(frame: Frame, label_map: LabelMap) -> UInt8[np.ndarray, "h w"] | None:
        try:
            return read_labelled(frame, label_map, dataset.root)[1]
        except DataError:
            return None

    step = max(1, -(-len(frames) // _LOOKED_AT))
    read = (one(frame, dataset.label_map) for frame in frames[::step])
    return [mask for mask in read if mask is not None]


def _thin_share(masks: Sequence[UInt8[np.ndarray, "_ _"]], k: int) -> float:
    """Return the share of a class's pixels that lie in thin parts; 0 without any."""
    pixels = thin = 0
    for mask in masks:
        shown = mask == k
        if shown.any():
            pixels += int(shown.sum())
            thin += int((shown & ~_opened(shown)).sum())
    return thin / max(pixels, 1)


def _opened(shown: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the opening with a disc of three pixels across.

    What leaves the picture counts as if it went on.
    """
    kept = functools.reduce(np.logical_and, _neighbours(shown, beyond=True))
    opened: Bool[np.ndarray, "h w"] = functools.reduce(
        np.logical_or, _neighbours(kept, beyond=False)
    )
    return opened


def _neighbours(
    shown: Bool[np.ndarray, "h w"], *, beyond: bool
) -> tuple[Bool[np.ndarray, "h w"], ...]:
    """Return each pixel's own value and those above, below, left and right of it."""
    wider = np.pad(shown, 1, constant_values=beyond)
    middle = slice(1, -1)
    before, after = slice(None, -2), slice(2, None)
    return (
        shown,
        wider[before, middle], wider[after, middle], wider[middle, before], wider[middle, after],
    )  # fmt: skip
