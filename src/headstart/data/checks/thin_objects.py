"""Finds objects that would be too thin to see in whole pictures, for which tiles do better."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.framing import content_size, resize_mask
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
_DISC = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)  # three pixels across in each direction
_FEWEST = 3  # of these that show a class, or all of them: a single speck says little


@dataclass(frozen=True)
class HiddenClasses:
    """Classes that whole pictures of some size would hide.

    Attributes:
        named: each with the share of its pixels in thin parts, in words.
        most: whether these are half of the classes or more. Then tiles are the default; with fewer,
            the others, which may have to be seen as a whole, would pay for these.
    """

    named: tuple[str, ...]
    most: bool


Hidden = Callable[[tuple[int, int]], HiddenClasses | None]
"""Function from the size of whole pictures to the classes that it would hide; None: none."""


def thin_objects(hidden: Hidden, size: tuple[int, int] | None) -> tuple[Finding, ...]:
    """Return a finding if whole pictures of the default size would hide classes.

    Args:
        hidden: result of [`hidden_objects`][].
        size: the default size on a CPU; None: it is not known.
    """
    classes = None if size is None else hidden(size)
    if size is None or classes is None:
        return ()
    height, width = size
    message = (
        f"at {height}x{width}, the default size of whole pictures on a CPU, large shares of these "
        f"classes lie in parts less than {THIN} pixels wide: {', '.join(classes.named)}"
    )
    hint = "--tile trains on tiles, cut from the pictures at their own size"
    if classes.most:
        hint = (
            "train, study and pretrain cut tiles from the pictures at their own size instead; "
            f"--size {height}x{width} trains on whole pictures"
        )
    return (Finding("thin-objects", "info", message, hint),)


def hidden_objects(dataset: Dataset) -> Hidden:
    """Return a function from a size to the classes much of which it would make thin.

    A pixel of a class lies in a thin part if no disc of three pixels across that lies within the
    class holds it (morphological opening). A class that a size leaves no pixel of is thin in full.
    The background counts as a class: it may be a membrane between cells. Looks at up to 20 training
    frames; those that cannot be read are named elsewhere.
    """
    names = dataset.label_map.names

    @functools.cache
    def masks() -> list[UInt8[np.ndarray, "_ _"]]:
        return some_masks(dataset)

    @functools.cache
    def shown() -> tuple[int, ...]:
        counts = [sum(bool((mask == k).any()) for mask in masks()) for k in range(len(names))]
        return tuple(k for k, n in enumerate(counts) if n >= min(_FEWEST, len(masks())))

    @functools.cache
    def own_share(k: int) -> float:
        return thin_share(masks(), k)

    @functools.cache
    def hidden(size: tuple[int, int]) -> HiddenClasses | None:
        if not any(max(mask.shape) > 1.1 * max(size) for mask in masks()):
            return None
        smaller = [shrunk(mask, size) for mask in masks()]
        shares = {k: thin_share(smaller, k) for k in shown()}
        thin = [k for k, n in shares.items() if n >= _SHARE and n - own_share(k) >= _LOST]
        named = tuple(
            f"{shares[k]:.0%} of the pixels of {names[k]} ({own_share(k):.0%} at the pictures' own "
            "size)"
            for k in thin
        )
        return HiddenClasses(named, 2 * len(thin) >= len(shares)) if thin else None

    return hidden


def some_masks(dataset: Dataset) -> list[UInt8[np.ndarray, "_ _"]]:
    """Return class indices of up to 20 training frames, evenly spread, at their own sizes."""
    frames = dataset.splits.get("train", ())

    def one(frame: Frame, label_map: LabelMap) -> UInt8[np.ndarray, "h w"] | None:
        try:
            return read_labelled(frame, label_map, dataset.root)[1]
        except DataError:
            return None

    step = max(1, -(-len(frames) // _LOOKED_AT))
    read = (one(frame, dataset.label_map) for frame in frames[::step])
    return [mask for mask in read if mask is not None]


def shrunk(mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2"]:
    """Return a mask as it lies within the training size, without the padding."""
    return resize_mask(mask, content_size((mask.shape[0], mask.shape[1]), size, "pad"))


def thin_share(masks: Sequence[UInt8[np.ndarray, "_ _"]], k: int) -> float:
    """Return the share of a class's pixels that lie in thin parts; 1 if there are none."""
    pixels = thin = 0
    for mask in masks:
        shown = mask == k
        if shown.any():
            pixels += int(shown.sum())
            thin += int((shown & ~_opened(shown)).sum())
    return thin / pixels if pixels else 1.0


def _opened(shown: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the opening with a disc; what leaves the picture counts as if it went on."""
    from scipy import ndimage

    kept = ndimage.binary_erosion(shown, _DISC, border_value=1)
    opened: Bool[np.ndarray, "h w"] = ndimage.binary_dilation(kept, _DISC)
    return opened
