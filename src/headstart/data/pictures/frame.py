"""One frame of a dataset: its files, and how to read its picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import shown
from headstart.data.label_map import Colour
from headstart.data.pictures.reading import picture_header, read_image
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules, fitting
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
    """A mask of grey levels, one of several that together label a frame.

    Attributes:
        path: the mask file.
        levels: pairs of a grey level in the file and the matching grey level of the label map.
        known: the source of these levels, for messages.
        others: label map level of all other grey levels; ``None`` if there must be none.
        hint: advice for the user if a mask has other levels.
        ignored: grey levels in the file of pixels that are ignored.
        threshold: the file is read as 255 from this brightness up and as 0 below; None: as it is.
        published: it is a file of a published dataset, and read as it is: transparent pixels are
            no background, and where ``others`` is given, alpha and soft edges mean nothing.
    """

    path: Path
    levels: tuple[tuple[int, int], ...]
    known: str
    others: int | None = None
    hint: str = ""
    ignored: tuple[int, ...] = ()
    threshold: int | None = None
    published: bool = field(default=False, repr=False)  # runs have recorded hashes without it

    @property
    def may_ignore(self) -> bool:
        """Whether the file may hold pixels that are ignored."""
        return bool(self.ignored)


@dataclass(frozen=True)
class ColourLayer:
    """A mask of colours, one of several that together label a frame.

    Attributes:
        path: the mask file.
        colours: pairs of a colour in the file and the matching grey level of the label map.
        known: the source of these colours, for messages.
        ignored: colours of pixels that are ignored.
        hint: advice for the user if a mask has other colours.
        nearest: each pixel is read as the nearest of these colours and of the ignored ones, by RGB
            distance, also in lossy files.
    """

    path: Path
    colours: tuple[tuple[Colour, int], ...]
    known: str
    ignored: tuple[Colour, ...] = ()
    hint: str = ""
    nearest: bool = field(default=False, repr=False)  # runs have recorded hashes of the others

    @property
    def may_ignore(self) -> bool:
        """Whether the file may hold pixels that are ignored."""
        return bool(self.ignored)


@dataclass(frozen=True)
class Polygon:
    """An outline in an annotation file.

    Attributes:
        grey: grey level of its class in the label map; None for pixels that are ignored.
        rings: closed outlines as ``(x, y)`` in pixels, where ``(0, 0)`` is the picture's upper left
            corner and ``(0.5, 0.5)`` the centre of its first pixel. A pixel belongs to the polygon
            if its centre lies inside an odd number of rings, so a ring inside another is a hole.
    """

    grey: int | None
    rings: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class RunLengths:
    """A mask in an annotation file, as the lengths of runs.

    Attributes:
        grey: as in [`Polygon`][].
        counts: lengths of the runs, first one outside the object, alternating.
        height, width: size of the mask; the runs add up to its pixels.
        by_column: whether runs go down the columns, as in COCO, or along the rows.
        top, left: position of the mask in the picture.
    """

    grey: int | None
    counts: tuple[int, ...]
    height: int
    width: int
    by_column: bool = True
    top: int = 0
    left: int = 0


Shape = Polygon | RunLengths


@dataclass(frozen=True)
class Shapes:
    """The annotations of a frame in an annotation file, drawn at the size of the picture.

    Later shapes cover earlier ones.

    Attributes:
        path: the annotation file, for messages.
        shapes: in drawing order; empty for a picture that shows only background.
        size: height and width that the file states for the picture; None if it states none.
    """

    path: Path
    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None = None

    @property
    def may_ignore(self) -> bool:
        """Whether a shape marks pixels that are ignored."""
        return any(shape.grey is None for shape in self.shapes)


MaskLayer = Layer | ColourLayer | Shapes
"""One of the layers that label a frame. Later layers cover earlier ones; background pixels cover
nothing."""


@dataclass(frozen=True)
class Frame:
    """One picture of a dataset.

    Attributes:
        name: file stem or folder name, unique in its split.
        image: the image file.
        mask: the mask file, in levels of the label map, or the layers of the mask; ``None`` for an
            unlabelled picture.
        group: the video or patient the frame comes from, if known.
        crop: the part of image and mask to use; ``None`` for all of it.
        valid: a mask of the region that counts, such as a field of view; pixels that are 0 there
            count nowhere. ``None`` if every pixel counts.
        rules: how to read the picture, as far as its file leaves it open.
    """

    name: str
    image: Path
    mask: Path | tuple[MaskLayer, ...] | None = None
    group: str | None = None
    crop: Crop | None = None
    valid: Path | None = None
    rules: ReadingRules = NO_RULES

    @property
    def may_ignore(self) -> bool:
        """Whether its own layers or region, apart from the label map, may leave out pixels."""
        layers = self.mask if isinstance(self.mask, tuple) else ()
        return self.valid is not None or any(layer.may_ignore for layer in layers)

    @property
    def masks(self) -> tuple[Path, ...]:
        """All files of the frame's mask, apart from annotation files, which serve many frames."""
        if isinstance(self.mask, tuple):
            return tuple(layer.path for layer in self.mask if not isinstance(layer, Shapes))
        return () if self.mask is None else (self.mask,)


def read_by(frames: Iterable[Frame], root: Path, rules: ReadingRules) -> tuple[Frame, ...]:
    """Return frames that are read by rules of other pictures where they have none of their own.

    Args:
        frames: the pictures, such as new ones.
        root: their folder.
        rules: those of the dataset that a run was trained on, say. A page is for files that have
            several.
    """
    if rules == NO_RULES:
        return tuple(frames)

    def ruled(frame: Frame) -> ReadingRules:
        if frame.rules.page is not None:
            return frame.rules.or_else(rules)
        header = partial(picture_header, frame.image, root)
        return frame.rules.or_else(fitting(rules, header))

    return tuple(replace(frame, rules=ruled(frame)) for frame in frames)


def read_frame(frame: Frame, root: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a frame's picture and apply its crop.

    Raises:
        DataError: the file cannot be read, see
            [`read_image`][headstart.data.pictures.reading.read_image], or does not have the size
            that its crop requires.
    """
    image = read_image(frame.image, root, frame.rules)
    if frame.crop is None:
        return image
    if image.shape[:2] != frame.crop.full:
        (height, width), (h, w) = frame.crop.full, image.shape[:2]
        message = f"the picture is {w} x {h} pixels, expected the released size {width} x {height}"
        hint = "use the frames as released; headstart crops them when it reads them"
        where = (shown(frame.image, root),)
        raise DataError(Finding("not-as-released", "error", message, hint, where))
    return np.ascontiguousarray(image[frame.crop.window])
