"""One frame of a dataset: its files, and how to read its picture."""

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
    """The part of a released picture inside its black border; all lengths in pixels.

    Attributes:
        full: required height and width of the uncropped picture.
        top, left: first row and column to keep.
        height, width: number of rows and columns to keep.
    """

    full: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Row and column slices that index an array."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Layer:
    """One of several masks that together label a frame; later layers cover earlier ones.

    Attributes:
        path: the mask file.
        levels: pairs of a grey level in the file and the matching grey level of the label map.
            Background pixels cover nothing.
        known: the source of these levels, for messages.
        others: label map level of all other grey levels; ``None`` if there must be none.
        hint: advice for the user if a mask has other levels.
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
        name: file stem or folder name, unique in its split.
        image: the image file.
        mask: the mask file, or the layers of the mask; ``None`` for an unlabelled picture.
        group: the video or patient the frame comes from, if known.
        crop: the part of image and mask to use; ``None`` for all of it.
    """

    name: str
    image: Path
    mask: Path | tuple[Layer, ...] | None = None
    group: str | None = None
    crop: Crop | None = None

    @property
    def masks(self) -> tuple[Path, ...]:
        """All mask files of the frame."""
        if isinstance(self.mask, tuple):
            return tuple(layer.path for layer in self.mask)
        return () if self.mask is None else (self.mask,)


def read_frame(frame: Frame, root: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a frame's picture and apply its crop.

    Raises:
        DataError: the file cannot be read, see
            [`read_image`][headstart.data.pictures.reading.read_image], or does not have the size
            that its crop requires.
    """
    image = read_image(frame.image, root)
    if frame.crop is None:
        return image
    if image.shape[:2] != frame.crop.full:
        (height, width), (h, w) = frame.crop.full, image.shape[:2]
        message = f"the picture is {w} x {h} pixels, expected the released size {width} x {height}"
        hint = "use the frames as released; headstart crops them when it reads them"
        where = (shown(frame.image, root),)
        raise DataError(Finding("not-as-released", "error", message, hint, where))
    return np.ascontiguousarray(image[frame.crop.window])
