"""Read the frames of a video clip in order, with defined handling of damage.

The file must be regular and local, as for pictures (see [`headstart.data.files`][]). A separate
process decodes it from an open file handle (see [`headstart.data.pictures.video_process`][]).
FFmpeg never sees a file name, so a file called ``concat:...`` or ``http://...`` is an ordinary
file.

| Input | Result |
|---|---|
| a frame that cannot be decoded, or that is incomplete | skipped and counted, and its time is \
reported; later frames up to the next key frame are used as the decoder returns them |
| 100 such frames in a row, or at least 25 that exceed a tenth of all frames so far | an error: \
the remaining frames would not represent the clip. Broken frames before the first good one do not \
count, because a clip may start between key frames |
| the file ends earlier than its header says, or a read fails | the frames so far, and a warning |
| no frame, no video, only sound, another kind of file | an error |
| frames above 8192 x 4320 pixels, or more than 1000 per second | an error |
| timestamps | kept, relative to the first frame, even if their spacing varies |
| a frame without a timestamp, or not later than the previous frame | placed one frame duration \
after the previous frame; later frames shift with it; counted |
| rotation by quarter turns, mirroring | applied, as a player shows it |
| a frame size that changes | every frame keeps its own size |
| the decoder crashes, or spends over a minute on one frame | an error that names the frame |
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
from headstart.data.pictures.formats import resemblance
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
        index: position in the clip; skipped frames count.
        time: seconds since the first frame.
        duration: seconds the frame is shown; ``None`` if the clip does not say.
        aspect: pixel width divided by pixel height.
        mended: whether the timestamp was corrected.
        image: upright RGB pixels, ``(H, W, 3)``.
    """

    index: int
    time: Fraction
    duration: Fraction | None
    aspect: Fraction
    mended: bool
    image: UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Broken:
    """A skipped frame: its position, its time if known, and the reason."""

    index: int
    time: Fraction | None
    why: str


@dataclass(frozen=True)
class Cut:
    """The clip ended early, at ``time``. This is always the last item."""

    time: Fraction
    why: str


@dataclass(frozen=True)
class Clip:
    """An open clip.

    Attributes:
        name: file name.
        tick: time unit in seconds; every timestamp is a multiple of it.
        rate: average frames per second according to the header, or ``None``.
        seconds: duration according to the header, or ``None``.
        moments: iterator over the decoded and skipped frames; can be consumed once.
        digest: function that computes the SHA-256 of the file; returns ``None`` if stopped.
        decoder: the process that decodes the clip.
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
        """Approximate number of frames according to the header, or ``None``."""
        if self.seconds is None or self.rate is None:
            return None
        return max(1, round(self.seconds * self.rate))


def is_clip(path: Path) -> bool:
    """Return whether a file is a clip, judged by its first bytes or else by its suffix.

    Does not need PyAV. For a path that does not exist, only the suffix counts.
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
    a_picture = resemblance(head).endswith(" picture")  # whatever its suffix
    return known or (path.suffix.lower() in SUFFIXES and not a_picture)


def _opened(path: Path) -> BinaryIO:
    """Open a file; follow a symbolic link, because the user named it explicitly."""
    with contextlib.suppress(OSError, RuntimeError):
        path = path.resolve(strict=True)
    return open_regular(path, path.parent, _MAX_BYTES)


@contextlib.contextmanager
def open_clip(
    path: Path, stop: Callable[[], bool] = lambda: False, limits: Limits = _LIMITS
) -> Iterator[Clip]:
    """Open a clip; its decoder stops when the ``with`` block ends.

    Args:
        path: the file.
        stop: polled while waiting; once it returns true, no more frames and no digest follow.
        limits: bounds on frame size, frame rate and decoding time.

    Raises:
        DataError: the file is not a clip or exceeds the limits. Reading ``moments`` also raises
            it, as the table of this module states.
        MissingExtraError: PyAV is not installed.
    """
    with _opened(path) as file:
        head = os.pread(file.fileno(), 512, 0)
        if not head:
            message, hint = "the file is empty (0 bytes)", "copy the file again or remove it"
            raise DataError(Finding("empty-file", "error", message, hint, (str(path),)))
        if (kind := resemblance(head)) != "of no known format":  # no decoder needed
            message = f"the file is {kind}, not a clip"
            hint = "expected MP4, MOV, MKV, WEBM, AVI, MPEG, OGG, FLV, WMV or MXF"
            raise DataError(Finding("not-a-clip", "error", message, hint, (str(path),)))
        require("video")
        with decoding(file, str(path), limits, stop) as decoder:
            header = opened(decoder) or {"tick": None, "rate": None, "seconds": None}
            tick, rate = _fraction(header["tick"]) or Fraction(1, 1000), _fraction(header["rate"])
            moments = _moments(decoder, header, tick, rate)
            yield Clip(
                path.name,
                tick,
                rate,
                header["seconds"],
                moments,
                lambda: _digest(file, stop),
                decoder,
            )


def _digest(file: BinaryIO, stop: Callable[[], bool]) -> str | None:
    """Return the SHA-256 of a file without moving the decoder's read position."""
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(file.fileno(), 1 << 20, at):
        if stop():
            return None
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()


def _fraction(pair: list[int] | None) -> Fraction | None:
    return None if pair is None else Fraction(pair[0], pair[1])


class _FrameClock:
    """Strictly increasing frame times, in ticks since the first frame."""

    def __init__(self, usual: int) -> None:
        self._usual = usual  # ticks from one frame to the next
        self._shift = 0
        self._last: int | None = None

    def next(self, pts: int | None) -> tuple[int, bool]:
        """Return the time of the next frame and whether it was corrected."""
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
        """Return the time of a skipped frame, without advancing the clock."""
        return None if pts is None or self._last is None else max(0, pts + self._shift)


def _moments(
    decoder: Decoding, header: dict[str, Any], tick: Fraction, rate: Fraction | None
) -> Iterator[Picture | Broken | Cut]:
    usual = max(1, round(1 / (rate or _RATE) / tick))
    clock, end, index, broken = _FrameClock(usual), Fraction(0), 0, _BrokenSoFar()
    while (message := decoder.message(index)) is not None and message["kind"] != "end":
        if message["kind"] == "broken":
            about = clock.about(message["pts"])
            moment = None if about is None else about * tick
            end = max(end, moment + usual * tick) if moment is not None else end
            yield Broken(index, moment, message["why"])
            if reason := broken.too_many(message["why"]):
                hint = "copy the clip again from its source, or cut out the playable part"
                raise decoder.error("broken-clip", f"{reason}, the last at frame {index}", hint)
        else:
            image = decoder.pixels(index, message["height"], message["width"])
            if image is None:
                return
            at, mended = clock.next(message["pts"])
            lasts = message["duration"] * tick if message["duration"] else None
            end = max(end, at * tick + (lasts or usual * tick))
            aspect = _fraction(message["aspect"]) or Fraction(1)
            broken.good()
            yield Picture(index, at * tick, lasts, aspect, mended, image)
        index += 1
    if message is None:
        return
    if not broken.any_good:
        text = f"no frame of the clip can be decoded ({index} tried)"
        raise decoder.error("no-frames", text, "copy the clip again from its source")
    if message["why"] or _is_missing(header, end, usual * tick):
        yield Cut(end, message["why"] or f"its header says {header['seconds']:.2f} s")


def _is_missing(header: dict[str, Any], end: Fraction, usual: Fraction) -> bool:
    """Return whether the clip is shorter than its header says.

    The tolerance is larger where the stated duration includes the sound track.
    """
    if header["seconds"] is None:
        return False
    room = 2 * usual if header["exact"] else 2 * usual + 1
    return bool(end + room < header["seconds"])


class _BrokenSoFar:
    """Count broken frames, starting at the first good frame."""

    def __init__(self) -> None:
        self.any_good = False
        self._all = self._broken = self._in_a_row = 0

    def good(self) -> None:
        self.any_good, self._in_a_row = True, 0
        self._all += 1

    def too_many(self, why: str) -> str | None:
        """Count one more broken frame; return the reason if there are too many."""
        if not self.any_good:
            return None
        self._all, self._broken = self._all + 1, self._broken + 1
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            return f"{self._in_a_row} frames in a row cannot be decoded ({why})"
        if self._broken >= _MANY and self._broken * _SHARE > self._all:
            return f"{self._broken} of {self._all} frames cannot be decoded ({why})"
        return None
