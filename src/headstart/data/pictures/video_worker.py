"""Decode the frames of a clip in a separate process, so that a crash does no harm.

FFmpeg is C code that reads untrusted files. This script therefore runs in its own process, which
imports nothing from headstart, receives an open file instead of a name, can open no other file, and
has limited memory and limited time per frame. It writes lengths and pixels to a pipe, never
pickles, so a compromised decoder cannot make its parent run code. The parent reads the pipe in
[`headstart.data.pictures.video_process`][].

Usage: ``python video_worker.py PIPE LIMITS``, with the clip on standard input. Messages are JSON
objects; each follows its length in four bytes:

| kind | content |
|---|---|
| opened | the fields of the header |
| frame | ``height``, ``width``, pixel ``aspect``, ``pts`` and ``duration`` in ticks; upright RGB \
pixels follow |
| broken | ``pts`` of a packet or frame that cannot be decoded, and ``why`` |
| refused | ``why`` (memory, no clip, no video) and ``message``; nothing follows |
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

# Common containers of clips. Formats that refer to other files (playlists, concat, image sequences)
# are excluded, and no protocol that could open a file is allowed.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,mxf"
# PyAV imports these only when it meets a stream or a frame, when no file can be opened any more.
_KINDS = ("audio", "subtitles", "video")
_LATER = ("numpy", *(f"av.{k}.{m}" for k in _KINDS for m in ("stream", "codeccontext")))


def main() -> None:
    """Decode standard input into a pipe."""
    pipe = open(int(sys.argv[1]), "wb")  # noqa: PTH123, SIM115 - a descriptor, open until exit
    limits = json.loads(sys.argv[2])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, limits["memory"])
    with contextlib.suppress(BrokenPipeError):  # the parent has stopped reading
        try:
            _decode(pipe, limits)
        except MemoryError:
            _send(pipe, kind="refused", why="memory", message="")


def _limit(which: int, value: int) -> None:
    """Set a resource limit, where the system supports it."""
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
    _limit(resource.RLIMIT_NOFILE, 0)  # open files stay open
    allowed = {"protocol_whitelist": "none", "format_whitelist": FORMATS}
    clock = _CpuTimeLimit(limits["seconds"])
    clock.renew()
    try:
        container = av.open(_Bytes(), "r", options=allowed)
        stream: Any = container.streams.best("video")
    except MemoryError:  # FFmpeg's own MemoryError is also an FFmpegError
        raise
    except av.FFmpegError as error:
        _send(pipe, kind="refused", why="no clip", message=error.strerror or "no format fits")
        return
    if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
        kinds = sorted({each.type for each in container.streams} - {"video"})
        words = {"audio": "sound", "subtitle": "subtitles"}
        others = ", ".join(words.get(kind, kind) for kind in kinds) or "unknown data"
        _send(pipe, kind="refused", why="no video", message=others)
        return
    context = stream.codec_context
    context.thread_count = 1  # leaves cores to the network, and ties an error to its packet
    context.options = {"max_pixels": str(limits["pixels"])}
    seconds = None
    if container.duration is not None:  # some containers count from 0, not from the first frame
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


def _all_frames(pipe: BinaryIO, container: Any, stream: Any, clock: _CpuTimeLimit) -> str | None:
    """Send all frames; return why the file could not be read to its end, or ``None``."""
    import av

    packets = container.demux(stream)
    # Shared by all frames: a reformatter per frame would start threads that accumulate.
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
            times = {"pts": frame.pts, "duration": frame.duration}
            if aspect and turned:
                aspect.reverse()
            _send(pipe, kind="frame", height=height, width=width, aspect=aspect, **times)
            pipe.write(pixels.reshape(-1).data)
            pipe.flush()


class _Bytes:
    """Standard input without a name; FFmpeg would guess a format from a name."""

    def __init__(self) -> None:
        file = sys.stdin.buffer
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class _CpuTimeLimit:
    """Limit on the CPU time of one frame; the system kills this process beyond it."""

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
    """Return the upright pixels of a frame, and whether height and width were swapped.

    Only display matrices that rotate by right angles or mirror are applied.
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
