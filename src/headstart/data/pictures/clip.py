"""Frames of a clip, one after the other, by stated rules.

The file is opened as pictures are (regular, local; see [`headstart.data.files`][]) and handed,
open, to a process that decodes it (see [`headstart.data.pictures.video_process`][]): no name reaches FFmpeg, so
that ``concat:...`` or ``http://...`` is the name of a file like any other.

| found | what happens |
|---|---|
| a frame that cannot be decoded, or of which pieces are missing | left out, counted, its time \
named; those after it, up to the next key frame, are used as the decoder gives them |
| 100 such frames in a row, or 25 that are more than a tenth of all so far | an error: what is \
left would not stand for the clip. Frames before the first that can be decoded do not count here: \
a clip may be cut in the middle |
| the file ends before its header says, or cannot be read on | the frames so far, and a warning |
| no frame, no video, only sound, another kind of file | an error |
| frames of more than 8192 x 4320 pixels, or more than 1000 a second | an error |
| times | as the clip has them, counted from its first frame, however they vary |
| a frame without a time, or not after the one before it | follows it by a frame's duration, and \
so do the later ones; counted |
| rotation by quarter turns, mirroring | applied, as people see it |
| a size that changes | every frame comes at its own size |
| the decoder dies, or computes for over a minute on a frame | an error that names the frame |
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import open_regular
from headstart.data.pictures.reading import resemblance
from headstart.data.pictures.video_process import Decoding, Limits, decoding, opened
from headstart.errors import DataError, Finding
from headstart.system.packages import require

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts",
            ".m2ts", ".ogv", ".flv", ".wmv", ".mxf", ".3gp")  # fmt: skip
_MAGIC = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"OggS", b"\x00\x00\x01\xba", b"0&\xb2u\x8ef\xcf\x11")
_STILLS = (b"avif", b"avis", b"heic", b"heix", b"heis", b"mif1", b"msf1")  # in MP4's container
_MAX_BYTES = 1 << 42
_IN_A_ROW, _MANY, _SHARE = 100, 25, 10
_RATE = Fraction(25)  # where the header says none
_LIMITS = Limits()


@dataclass(frozen=True)
class Picture:
    """A decoded frame.

    Attributes:
        index: its place in the clip, those that are left out counted.
        time: seconds since the first frame.
        duration: for how many seconds it stands, where the clip says.
        aspect: width of a pixel by its height.
        mended: whether its time is not the clip's own.
        image: upright, RGB.
    """

    index: int
    time: Fraction
    duration: Fraction | None
    aspect: Fraction
    mended: bool
    image: UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Broken:
    """A frame that is left out: its place, its time where it is known, and why."""

    index: int
    time: Fraction | None
    why: str


@dataclass(frozen=True)
class Cut:
    """The clip ended at ``time``, before it should have. Nothing comes after it."""

    time: Fraction
    why: str


@dataclass(frozen=True)
class Clip:
    """A clip that is being read.

    Attributes:
        name: of the file.
        tick: seconds; every time is a multiple of it.
        rate: frames a second on average, where the header says.
        seconds: how long it should be, where the header says.
        moments: what comes out of it, once.
        digest: computes the SHA-256 of the file; None when asked to stop.
        decoder: its process.
    """

    name: str
    tick: Fraction
    rate: Fraction | None
    seconds: float | None
    moments: Iterator[Picture | Broken | Cut]
    digest: Callable[[], str | None]
    decoder: Decoding

    @property
    def frames(self) -> int | None:
        """About how many frames it should have, where the header says."""
        if self.seconds is None or self.rate is None:
            return None
        return max(1, round(self.seconds * self.rate))


def is_clip(path: Path) -> bool:
    """Whether a file is to be read as a clip: by its first bytes, or else by its name's ending.

    Needs no PyAV. What names nothing that is there goes by the ending alone.
    """
    if path.is_dir():
        return False
    try:
        with _opened(path) as file:
            head = file.read(512)
    except DataError:
        head = b""
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILLS
    known = (
        head.startswith(_MAGIC)
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (head[:1] == head[188:189] == head[376:377] == b"G")  # packets of MPEG-TS
    )
    a_picture = resemblance(head).endswith(" picture")  # whatever its name ends in
    return known or (path.suffix.lower() in SUFFIXES and not a_picture)


def _opened(path: Path) -> BinaryIO:
    """The file itself, where a link names it: the user has named the link."""
    with contextlib.suppress(OSError, RuntimeError):
        path = path.resolve(strict=True)
    return open_regular(path, path.parent, _MAX_BYTES)


@contextlib.contextmanager
def open_clip(
    path: Path, stop: Callable[[], bool] = lambda: False, limits: Limits = _LIMITS
) -> Iterator[Clip]:
    """Opens a clip; its decoder ends with the ``with`` block.

    Args:
        path: the file.
        stop: asked while waiting; when true, no more frames come, and no digest.
        limits: what it may ask for.

    Raises:
        DataError: it is no clip, or not one within the limits; names it. Reading ``moments`` raises
            it too, by the rules in this module's table.
        MissingExtraError: PyAV is not installed.
    """
    with _opened(path) as file:
        head = os.pread(file.fileno(), 512, 0)
        if not head:
            message, hint = "the file is empty (0 bytes)", "copy it again or remove it"
            raise DataError(Finding("empty-file", "error", message, hint, (str(path),)))
        if (its_kind := resemblance(head)) != "of no known format":  # needs no decoder to see
            message = f"the file is {its_kind}, not a clip"
            hint = "expected MP4, MOV, MKV, WEBM, AVI, MPEG, OGG, FLV, WMV or MXF"
            raise DataError(Finding("not-a-clip", "error", message, hint, (str(path),)))
        require("video")
        with decoding(file, str(path), limits, stop) as its:
            said = opened(its) or {"tick": None, "rate": None, "seconds": None}
            tick, rate = _fraction(said["tick"]) or Fraction(1, 1000), _fraction(said["rate"])
            moments = _moments(its, said, tick, rate)
            seconds = said["seconds"]
            yield Clip(path.name, tick, rate, seconds, moments, lambda: _digest(file, stop), its)


def _digest(file: BinaryIO, stop: Callable[[], bool]) -> str | None:
    """SHA-256 of a file; the place from which the decoder reads it on is not moved."""
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(file.fileno(), 1 << 20, at):
        if stop():
            return None
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()


def _fraction(pair: list[int] | None) -> Fraction | None:
    return None if pair is None else Fraction(pair[0], pair[1])


class _Clock:
    """Times that only go forward, in ticks from the first."""

    def __init__(self, usual: int) -> None:
        self._usual = usual  # ticks from one frame to the next
        self._shift = 0
        self._last: int | None = None

    def next(self, pts: int | None) -> tuple[int, bool]:
        """When a frame is, and whether that had to be mended."""
        if self._last is None:
            self._shift, self._last = -(pts or 0), 0
            return 0, pts is None
        at = self._last + self._usual if pts is None else pts + self._shift
        mended = pts is None
        if at <= self._last:
            self._shift += self._last + self._usual - at
            at, mended = self._last + self._usual, True
        self._last = at
        return at, mended

    def about(self, pts: int | None) -> int | None:
        """When something is that moves no clock."""
        return None if pts is None or self._last is None else max(0, pts + self._shift)


def _moments(
    its: Decoding, said: dict[str, Any], tick: Fraction, rate: Fraction | None
) -> Iterator[Picture | Broken | Cut]:
    usual = max(1, round(1 / (rate or _RATE) / tick))
    clock, end, index, broken = _Clock(usual), Fraction(0), 0, _BrokenSoFar()
    while (heard := its.message(index)) is not None and heard["kind"] != "end":
        if heard["kind"] == "broken":
            about = clock.about(heard["pts"])
            moment = None if about is None else about * tick
            end = max(end, moment + usual * tick) if moment is not None else end
            yield Broken(index, moment, heard["why"])
            if reason := broken.too_many(heard["why"]):
                hint = "copy the clip again from where it came, or cut out what can be played"
                raise its.error("broken-clip", f"{reason}, the last at frame {index}", hint)
        else:
            image = its.pixels(index, heard["height"], heard["width"])
            if image is None:
                return
            at, mended = clock.next(heard["pts"])
            lasts = heard["duration"] * tick if heard["duration"] else None
            end = max(end, at * tick + (lasts or usual * tick))
            aspect = _fraction(heard["aspect"]) or Fraction(1)
            broken.good()
            yield Picture(index, at * tick, lasts, aspect, mended, image)
        index += 1
    if heard is None:
        return
    if not broken.any_good:
        message = f"the clip has no frame that can be decoded ({index} were tried)"
        raise its.error("no-frames", message, "copy it again from where it came")
    if heard["why"] or _is_missing(said, end, usual * tick):
        yield Cut(end, heard["why"] or f"its header says {said['seconds']:.2f} s")


def _is_missing(said: dict[str, Any], end: Fraction, usual: Fraction) -> bool:
    """Whether the header promised more; only about where it counts sound in, too."""
    if said["seconds"] is None:
        return False
    room = 2 * usual if said["exact"] else 2 * usual + 1
    return bool(end + room < said["seconds"])


class _BrokenSoFar:
    """Counts, from the first frame that can be decoded on."""

    def __init__(self) -> None:
        self.any_good = False
        self._all = self._broken = self._in_a_row = 0

    def good(self) -> None:
        self.any_good, self._in_a_row = True, 0
        self._all += 1

    def too_many(self, why: str) -> str | None:
        """After one more; says so if they are."""
        if not self.any_good:
            return None
        self._all, self._broken = self._all + 1, self._broken + 1
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            return f"{self._in_a_row} frames in a row cannot be decoded ({why})"
        if self._broken >= _MANY and self._broken * _SHARE > self._all:
            return f"{self._broken} of {self._all} frames cannot be decoded ({why})"
        return None
