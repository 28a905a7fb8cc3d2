"""TIFF files that Pillow refuses, such as JPEG 2000 or 16-bit colour, through tifffile.

The directory of a page is read here first, so that no decoder meets an absurd size, and so that a
file that is cut short is told from one that needs the extra ``tiff``.
"""

from __future__ import annotations

import io
import logging
import math
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Num

from headstart.data.pictures.refusals import (
    damaged,
    grey_channels,
    needs_extra,
    no_such_page,
    require_size,
    several_pages,
    too_deep,
    too_many_channels,
    unknown_compression,
)
from headstart.errors import MissingExtraError
from headstart.system.packages import require

_SILENT = logging.NullHandler()
_MAX_PAGE = 9_999
_MAX_NUMBERS = 1 << 20  # of one tag; decoders hold them as Python integers
_MAX_SEGMENTS = 1 << 18  # strips or tiles
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_FAULTS = (ValueError, struct.error, OSError, OverflowError)

_JPEG_2000 = (33005, 34712)
_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34926, 50000, *_JPEG_2000)  # none, LZW, Deflate, Zstandard
WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2


@dataclass(frozen=True)
class Directory:
    """What the directory of one page says.

    Attributes:
        height, width: stored size.
        orientation: EXIF orientation, 1 (as stored) to 8.
        samples: number of channels.
        bits: bits of each channel.
        kind: 1 unsigned integers, 2 integers, 3 floating point.
        compression, photometric: numbers of the TIFF specification.
        alpha: whether the last channel is an alpha channel.
        extra: number of channels beyond grey or RGB.
        segment: height and width of a strip or tile.
        offsets, counts: position and length of each strip or tile.
        alone: whether the file has no other page.
    """

    height: int
    width: int
    orientation: int
    samples: int
    bits: tuple[int, ...]
    kind: int
    compression: int
    photometric: int
    alpha: bool
    extra: int
    segment: tuple[int, int]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    alone: bool


def refuse_absurd_directory(file: BinaryIO | io.BytesIO, name: str, page: int) -> None:
    """Refuse a page with a tag of more than a million numbers.

    Any other fault is left to the decoder, which may be more tolerant.

    Raises:
        DataError: ``damaged-picture``.
    """
    try:
        tags, _ = _Tags.of_page(file, page)
    except (*_FAULTS, IndexError):
        return
    if tags.absurd:
        raise damaged(name, f"tag {tags.absurd[0]} claims more than {_MAX_NUMBERS:,} numbers")


def read_directory(file: BinaryIO | io.BytesIO, name: str, page: int | None) -> Directory:
    """Return the directory of a page; without ``page`` of the only one.

    Raises:
        DataError: the directory is damaged, there are several pages, or not this one.
    """
    try:
        tags, more = _Tags.of_page(file, page or 0)
        height, width = tags.number(257, 0), tags.number(256, 0)
        tiled = 322 in tags.entries
        rows, columns = (323, 322) if tiled else (278, 256)
        segment_rows = tags.number(rows, height)
        samples, extras = tags.number(277, 1), tags.numbers(338)
        directory = Directory(
            height=height,
            width=width,
            orientation=tags.number(274, 1) if 1 <= tags.number(274, 1) <= 8 else 1,
            samples=samples,
            bits=tags.numbers(258) or (1,),
            kind=tags.number(339, 1),
            compression=tags.number(259, 1),
            photometric=tags.number(262, -1),
            alpha=bool(extras) and extras[-1] in (1, 2),
            extra=samples - (3 if tags.number(262, -1) == _RGB else 1),
            segment=(segment_rows if tiled else min(segment_rows, height),
                     tags.number(columns, width)),
            offsets=tags.numbers(324 if tiled else 273),
            counts=tags.numbers(325 if tiled else 279),
            alone=not more and not page,
        )  # fmt: skip
    except IndexError:
        raise no_such_page(name, page or 0) from None
    except _FAULTS as error:
        raise damaged(name, error) from error
    if page is None and not directory.alone:
        raise several_pages(name)
    return directory


def read_tiff(
    file: BinaryIO | io.BytesIO, name: str, page: int | None, max_pixels: int, reason: str
) -> tuple[Num[np.ndarray, "h w *c"], Directory]:
    """Return the samples of a page as stored, ``(h, w)`` or ``(h, w, c)``, black at 0.

    Args:
        file: the opened file.
        name: name of the file in findings.
        page: the page, counted from 0; ``None`` for the only one.
        max_pixels: larger pictures are refused before any pixel is decoded.
        reason: why Pillow cannot read the file, for the message if tifffile is missing.

    Raises:
        DataError: the page cannot be read.
    """
    directory = read_directory(file, name, page)
    _require_readable(directory, file, name, max_pixels)
    try:
        require("tiff")
    except MissingExtraError as error:
        missing = error.findings[0].message
        why = f"this kind of TIFF cannot be read by Pillow ({reason}), and {missing}"
        raise needs_extra(name, "tiff", why) from error
    import tifffile

    logging.getLogger("tifffile").addHandler(_SILENT)  # its faults become findings
    try:
        file.seek(0)
        with tifffile.TiffFile(file, name="picture.tif") as pages:
            decoded = pages.pages[page or 0]
            samples = decoded.asarray(maxworkers=1)
            axes = decoded.axes
        if axes == "SYX":
            samples = np.moveaxis(samples, 0, 2)
    except Exception as error:  # decoders raise nearly everything on nearly random bytes
        raise damaged(name, error) from error
    shape = (directory.height, directory.width)
    if samples.shape != (shape if directory.samples == 1 else (*shape, directory.samples)):
        raise damaged(name, f"its samples have the shape {samples.shape}")
    if directory.photometric == WHITE_IS_ZERO:
        levels = samples[..., :-1] if directory.alpha else samples
        np.subtract(levels.dtype.type(2 ** directory.bits[0] - 1), levels, out=levels)
    if directory.samples == 4 and not directory.alpha:
        samples = samples[..., :3]
    return samples, directory


def _require_readable(
    directory: Directory, file: BinaryIO | io.BytesIO, name: str, max_pixels: int
) -> None:
    """Refuse what would need too much memory, is cut short, or is no grey or RGB picture."""
    require_size(name, directory.width, directory.height, max_pixels)
    if directory.kind == 3:
        raise too_deep(name, "floating point")
    if directory.samples not in (1, 3, 4) and not (directory.samples == 2 and directory.alpha):
        raise too_many_channels(name, directory.samples)
    if directory.photometric not in (WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise too_deep(name, f"in a colour space of its own ({directory.photometric})")
    if directory.extra != (1 if directory.samples in (2, 4) else 0):
        if directory.photometric != _RGB and directory.samples in (3, 4):
            raise grey_channels(name, directory.samples)
        raise too_many_channels(name, directory.samples)
    bits = set(directory.bits)
    if len(bits) > 1 or not bits <= {*range(8, 17), 32} or directory.kind not in (1, 2):
        raise too_deep(name, f"of {', '.join(map(str, sorted(bits)))} bits per channel")
    if directory.photometric == WHITE_IS_ZERO and directory.kind == 2:
        raise too_deep(name, "of negative levels, the largest of them black")
    if directory.compression not in _COMPRESSIONS:
        raise unknown_compression(name, f"TIFF's method {directory.compression}")
    rows, columns = directory.segment
    if rows < 1 or columns < 1 or rows * columns > max_pixels:
        raise damaged(name, f"its tiles are {columns} x {rows} pixels")
    end = file.seek(0, io.SEEK_END)
    expected = math.ceil(directory.height / rows) * math.ceil(directory.width / columns)
    segments = len(directory.offsets)
    if segments not in (expected, expected * directory.samples) or segments > _MAX_SEGMENTS:
        raise damaged(name, f"it has {segments} strips or tiles instead of {expected}")
    if len(directory.counts) != segments:
        raise damaged(name, f"it has {segments} strips or tiles and {len(directory.counts)} sizes")
    for offset, count in zip(directory.offsets, directory.counts, strict=True):
        if count < 1 or offset < 1 or offset + count > end:
            raise damaged(name, f"a strip or tile at byte {offset} ends behind the end of the file")
        if directory.compression in _JPEG_2000:
            _require_small_codestream(file, name, offset, rows * columns)


def _require_small_codestream(
    file: BinaryIO | io.BytesIO, name: str, offset: int, pixels: int
) -> None:
    """Refuse a JPEG 2000 codestream that decodes to more pixels than its tile has."""
    file.seek(offset)
    head = file.read(42)
    if len(head) < 42 or not head.startswith(b"\xff\x4f\xff\x51"):
        raise damaged(name, f"no JPEG 2000 codestream begins at byte {offset}")
    right, bottom, left, top = struct.unpack(">4I", head[8:24])
    channels = struct.unpack(">H", head[40:42])[0]
    if right <= left or bottom <= top or (right - left) * (bottom - top) > pixels or channels > 4:
        raise damaged(name, f"a codestream claims {right - left} x {bottom - top} pixels")


@dataclass(frozen=True)
class _Tags:
    """The tags of one directory: type, count and value or offset of each."""

    file: BinaryIO | io.BytesIO
    order: str
    big: bool
    entries: dict[int, tuple[int, int, bytes]]

    @classmethod
    def of_page(cls, file: BinaryIO | io.BytesIO, page: int) -> tuple[_Tags, bool]:
        """Return the tags of a page, and whether another page follows.

        Raises:
            IndexError: there is no such page.
            ValueError, struct.error: the file is damaged.
        """
        file.seek(0)
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack(order + "H", head[2:4])[0] == 43
        (at,) = struct.unpack(order + "Q", head[8:16]) if big else (
            struct.unpack(order + "I", head[4:8])
        )  # fmt: skip
        if not 0 <= page <= _MAX_PAGE:
            raise IndexError(page)
        seen = {0}
        for _ in range(page):
            seen.add(at)
            _, at = _entries(file, order, big, at)
            if at in seen:  # the end, or a circle
                raise IndexError(page)
        seen.add(at)
        entries, following = _entries(file, order, big, at)
        return cls(file, order, big, entries), following not in seen

    @property
    def absurd(self) -> list[int]:
        """Tags with too many numbers."""
        return [
            tag
            for tag, (kind, count, _) in self.entries.items()
            if kind not in (1, 2, 6, 7) and count > _MAX_NUMBERS
        ]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the integers of a tag; none if it is missing."""
        if tag not in self.entries:
            return ()
        kind, count, value = self.entries[tag]
        if kind not in _LETTERS or count > _MAX_NUMBERS:
            raise ValueError(f"tag {tag} has {count} values of type {kind}")
        letters = f"{self.order}{count}{_LETTERS[kind]}"
        size = struct.calcsize(letters)
        if size > len(value):
            self.file.seek(struct.unpack(self.order + ("Q" if self.big else "I"), value)[0])
            value = self.file.read(size)
        return struct.unpack(letters, value[:size])

    def number(self, tag: int, otherwise: int) -> int:
        """Return the first integer of a tag; ``otherwise`` if it is missing."""
        return (*self.numbers(tag), otherwise)[0]


def _entries(
    file: BinaryIO | io.BytesIO, order: str, big: bool, at: int
) -> tuple[dict[int, tuple[int, int, bytes]], int]:
    """Return the entries of the directory at an offset, and the offset of the following one."""
    file.seek(at)
    counted, entry, offset = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (count,) = struct.unpack(order + counted, file.read(struct.calcsize(order + counted)))
    if not 0 < count <= 4096:
        raise ValueError(f"a directory claims {count} tags")
    size = struct.calcsize(order + entry)
    table = file.read(size * count)
    if len(table) < size * count:
        raise ValueError("a directory is cut short")
    rest = file.read(struct.calcsize(order + offset))
    # Some writers leave out the offset of a following directory at the end of the file.
    following = int.from_bytes(rest, "little" if order == "<" else "big")
    entries: dict[int, tuple[int, int, bytes]] = {}
    for start in range(0, len(table), size):
        tag, kind, number, value = struct.unpack(order + entry, table[start : start + size])
        entries.setdefault(tag, (kind, number, value))
    return entries, following
