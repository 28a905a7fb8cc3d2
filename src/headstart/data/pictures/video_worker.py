"""Frames of a clip, decoded where a crash harms nobody. Run as a process, never imported for use.

FFmpeg reads what strangers made, in C. So it gets a process of its own, which imports nothing of
headstart, is given the opened file instead of a name, may open no other, and has its memory and its
time for a frame limited. What it finds goes into a pipe as lengths and pixels, never as pickles: a
decoder that was taken over cannot make its parent run code. [`headstart.data.pictures.clip`][] is the other
end.

``python decoder.py PIPE LIMITS``, the clip on standard input. Messages are JSON objects, each after
its length in four bytes:

| kind | holds |
|---|---|
| opened | what the header says |
| frame | ``height``, ``width``, ``aspect`` of a pixel, ``pts`` and ``duration`` in ticks; upright \
RGB pixels follow |
| broken | ``pts`` of a packet or frame that is no picture, and why |
| refused | ``why`` (memory, no clip, no video) and ``message``: nothing more comes |
| end | ``why``, if the file could not be read to its end |
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import resource
import struct
import sys
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

# Containers people keep clips in. Those that name other files (playlists, concat, image sequences)
# are not among them, and no protocol is allowed that could open one.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,mxf"
# What PyAV imports only when it meets a stream or a frame: then no file may be opened any more.
_KINDS = ("audio", "subtitles", "video")
_LATER = ("numpy", *(f"av.{k}.{m}" for k in _KINDS for m in ("stream", "codeccontext")))


def main() -> None:
    """Decodes standard input into a pipe."""
    pipe = open(int(sys.argv[1]), "wb")  # noqa: PTH123, SIM115 - a number, open to the end
    limits = json.loads(sys.argv[2])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, limits["memory"])
    with contextlib.suppress(BrokenPipeError):  # nobody wants more
        try:
            _decode(pipe, limits)
        except MemoryError:
            _send(pipe, kind="refused", why="memory", message="")


def _limit(which: int, value: int) -> None:
    """Systems that cannot limit one thing do without."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(which, (value, value))


def _send(pipe: BinaryIO, **message: Any) -> None:
    text = json.dumps(message).encode()
    pipe.write(struct.pack("!I", len(text)) + text)
    pipe.flush()


def _decode(pipe: BinaryIO, limits: dict[str, int]) -> None:
    import av

    for later in _LATER:
        importlib.import_module(later)
    _limit(resource.RLIMIT_NOFILE, 0)  # what is open stays open
    allowed = {"protocol_whitelist": "none", "format_whitelist": FORMATS}
    clock = _Clock(limits["seconds"])
    clock.renew()
    try:
        container = av.open(_Bytes(), "r", options=allowed)
        stream: Any = container.streams.best("video")
    except MemoryError:  # FFmpeg's own is a child of both
        raise
    except av.FFmpegError as error:
        _send(pipe, kind="refused", why="no clip", message=error.strerror or "no format fits")
        return
    if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
        kinds = sorted({each.type for each in container.streams} - {"video"})
        its = {"audio": "sound", "subtitle": "subtitles"}
        what = ", ".join(its.get(kind, kind) for kind in kinds) or "nothing at all"
        _send(pipe, kind="refused", why="no video", message=what)
        return
    context = stream.codec_context
    context.thread_count = 1  # beside the network; and an error belongs to the packet it came with
    context.options = {"max_pixels": str(limits["pixels"])}
    seconds = None
    if container.duration is not None:  # some containers count it from 0, not from the first frame
        seconds = (container.duration - max(container.start_time or 0, 0)) / 1_000_000
    own = stream.duration is not None and stream.time_base is not None
    _send(
        pipe,
        kind="opened",
        width=context.width,
        height=context.height,
        tick=_pair(stream.time_base),
        rate=_pair(stream.average_rate),
        seconds=float(stream.duration * stream.time_base) if own else seconds,
        exact=own or len(container.streams) == 1,
    )
    _send(pipe, kind="end", why=_all_frames(pipe, container, stream, clock))


def _all_frames(pipe: BinaryIO, container: Any, stream: Any, clock: _Clock) -> str | None:
    """Sends them; what kept the file from being read to its end, if anything did."""
    import av

    packets = container.demux(stream)
    # One for all frames: each frame's own would start threads, and they pile up until none start.
    colours = av.video.reformatter.VideoReformatter()
    while True:
        clock.renew()
        try:
            packet = next(packets, None)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            return error.strerror or "the file cannot be read on"
        if packet is None:
            return None
        try:
            frames = packet.decode()
        except av.EOFError:
            return None
        except MemoryError:
            raise
        except av.FFmpegError as error:
            _send(pipe, kind="broken", pts=packet.pts, why=error.strerror or "damaged")
            continue
        for frame in frames:
            clock.renew()
            if frame.is_corrupt:
                _send(pipe, kind="broken", pts=frame.pts, why="pieces are missing")
                continue
            try:
                rgb = colours.reformat(frame, format="rgb24", threads=1)
            except MemoryError:
                raise
            except av.FFmpegError as error:
                _send(pipe, kind="broken", pts=frame.pts, why=error.strerror or "no colours")
                continue
            pixels, turned = _upright(rgb.to_ndarray(), frame)
            height, width = pixels.shape[:2]
            aspect = _pair(stream.sample_aspect_ratio)
            its = {"pts": frame.pts, "duration": frame.duration}
            if aspect and turned:
                aspect.reverse()
            _send(pipe, kind="frame", height=height, width=width, aspect=aspect, **its)
            pipe.write(pixels.reshape(-1).data)
            pipe.flush()


class _Bytes:
    """Standard input without its name, from which FFmpeg would guess a format."""

    def __init__(self) -> None:
        file = sys.stdin.buffer
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class _Clock:
    """Ends this process when one frame takes more than some seconds of computing."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._renewed = -math.inf

    def renew(self) -> None:
        used = time.process_time()
        if used - self._renewed >= 1:
            self._renewed = used
            with contextlib.suppress(OSError, ValueError):
                _, hard = resource.getrlimit(resource.RLIMIT_CPU)
                resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used) + self._seconds, hard))


def _pair(value: Fraction | None) -> list[int] | None:
    return [value.numerator, value.denominator] if value else None


def _upright(
    pixels: UInt8[np.ndarray, "h w 3"], frame: Any
) -> tuple[UInt8[np.ndarray, "h2 w2 3"], bool]:
    """A frame's pixels as people see them, and whether height and width have changed places.

    The display matrix is applied where it turns by right angles or mirrors.
    """
    import numpy as np

    turned = False
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].tolist()
            if b == c == 0 and a and d:
                pixels = pixels[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
            elif a == d == 0 and b and c:
                pixels, turned = pixels.transpose(1, 0, 2), not turned
                pixels = pixels[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1]
    return np.ascontiguousarray(pixels), turned


if __name__ == "__main__":
    main()
