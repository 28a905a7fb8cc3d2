"""One frame of a dataset: which files it is made of, and how its picture is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import shown
from headstart.data.pictures.reading import read_image
from headstart.errors import DataError, Finding


@dataclass(frozen=True)
class Crop:
    """The part of a released picture that shows something; all lengths in pixels.

    Attributes:
        full: height and width that a picture must have before it is cut.
        top, left: the first row and column that are kept.
        height, width: how many are kept.
    """

    full: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Layer:
    """One mask of several that make a frame's labels: each covers those before it.

    Attributes:
        path: where the mask is.
        levels: pairs of a grey level in the file and the label map's grey level that it stands
            for. What stands for the background covers nothing.
        known: where these levels come from, for messages.
        others: what all further levels stand for; ``None``: there must be none.
        hint: what to do where there are.
    """

    path: Path
    levels: tuple[tuple[int, int], ...]
    known: str
    others: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class Frame:
    """One picture of a dataset.

    Attributes:
        name: unique in its split: the stem, or the folder's name.
        image: where the picture is.
        mask: where its mask is, or the layers that make it; ``None`` for an unlabelled picture.
        group: the video or patient it comes from, where that is known.
        crop: the part of picture and mask that is used; ``None``: all of it.
    """

    name: str
    image: Path
    mask: Path | tuple[Layer, ...] | None = None
    group: str | None = None
    crop: Crop | None = None

    @property
    def masks(self) -> tuple[Path, ...]:
        """The files its labels are in."""
        if isinstance(self.mask, tuple):
            return tuple(layer.path for layer in self.mask)
        return () if self.mask is None else (self.mask,)


def read_frame(frame: Frame, root: Path) -> UInt8[np.ndarray, "h w 3"]:
    """A frame's picture, cut where the frame says so.

    Raises:
        DataError: the file cannot be read, see [`read_image`][headstart.data.pictures.reading.read_image],
            or has not the size that it must have to be cut.
    """
    image = read_image(frame.image, root)
    if frame.crop is None:
        return image
    if image.shape[:2] != frame.crop.full:
        (height, width), (h, w) = frame.crop.full, image.shape[:2]
        message = f"the picture is {w} wide and {h} high, expected {width} and {height} as released"
        hint = "give the frames as they were released; they are cut when they are read"
        where = (shown(frame.image, root),)
        raise DataError(Finding("not-as-released", "error", message, hint, where))
    return np.ascontiguousarray(image[frame.crop.window])
