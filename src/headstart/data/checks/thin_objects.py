"""Says where objects would be too thin to see at the training size, and tiles would do better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from headstart.data.framing import resize_mask
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.masks import read_labelled
from headstart.data.training_size import LONGEST_ON_CPU, size_for
from headstart.errors import DataError, Finding

THIN = 3
"""Pixels: narrower parts are called thin."""

_SHARE = 0.25  # of a class's pixels; less is the rim of objects that are seen well
_LOST = 0.1  # more of them thin than in the pictures as they are
_LOOKED_AT = 20  # frames, evenly spread
_DISC = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)  # three pixels across in each direction


def thin_objects(dataset: Dataset) -> list[Finding]:
    """Return a finding if resizing to the default size makes much of a class thin.

    A pixel of a class lies in a thin part if no disc of three pixels across that lies within the
    class holds it (morphological opening). Looks at up to 20 training frames; those that cannot be
    read are named elsewhere.
    """
    frames = dataset.splits.get("train", ())
    size = size_for(frames, dataset.root, LONGEST_ON_CPU)
    if size is None:
        return []
    masks = _masks(frames, dataset)
    if not any(max(mask.shape) > 1.1 * max(size) for mask in masks):
        return []
    count = len(dataset.label_map.names)
    small = _thin_shares([resize_mask(mask, size) for mask in masks], count)
    suspects = np.flatnonzero(small >= _SHARE) + 1
    if not len(suspects):
        return []
    own = _thin_shares(masks, count)
    named = [
        f"{small[k - 1]:.0%} of the pixels of {dataset.label_map.names[k]} ({own[k - 1]:.0%} at "
        "the pictures' own size)"
        for k in suspects
        if small[k - 1] - own[k - 1] >= _LOST
    ]
    if not named:
        return []
    height, width = size
    message = (
        f"at {height}x{width}, the default size on a CPU, large shares of these classes lie in "
        f"parts less than {THIN} pixels wide: " + ", ".join(named)
    )
    hint = "train with --tile, which cuts tiles from the pictures at their own size"
    return [Finding("thin-objects", "info", message, hint)]


def _masks(frames: Sequence[Frame], dataset: Dataset) -> list[UInt8[np.ndarray, "_ _"]]:
    def one(frame: Frame, label_map: LabelMap) -> UInt8[np.ndarray, "h w"] | None:
        try:
            return read_labelled(frame, label_map, dataset.root)[1]
        except DataError:
            return None

    step = max(1, -(-len(frames) // _LOOKED_AT))
    read = (one(frame, dataset.label_map) for frame in frames[::step])
    return [mask for mask in read if mask is not None]


def _thin_shares(
    masks: Sequence[UInt8[np.ndarray, "_ _"]], num_classes: int
) -> Float[np.ndarray, " k"]:
    """Return the share of each foreground class's pixels that lie in thin parts; 0 without any."""
    pixels, thin = np.zeros((2, num_classes - 1), dtype=np.int64)
    for mask in masks:
        for k in range(1, num_classes):
            shown = mask == k
            if shown.any():
                pixels[k - 1] += int(shown.sum())
                thin[k - 1] += int((shown & ~_opened(shown)).sum())
    return thin / np.maximum(pixels, 1)


def _opened(shown: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the opening with a disc; what leaves the picture counts as if it went on."""
    from scipy import ndimage

    kept = ndimage.binary_erosion(shown, _DISC, border_value=1)
    opened: Bool[np.ndarray, "h w"] = ndimage.binary_dilation(kept, _DISC)
    return opened
