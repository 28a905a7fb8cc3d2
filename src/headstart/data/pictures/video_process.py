"""Start, read from and stop the process that decodes a clip."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from headstart.data.pictures import video_worker as decoder
from headstart.errors import DataError, Finding

_HEADER = 1 << 16  # maximal bytes of a message without pixels
_CONVERT = "convert it: ffmpeg -i CLIP -vf scale=1920:-2 -r 25 OTHER.mp4"


@dataclass(frozen=True)
class Limits:
    """Limits on a clip and its decoder.

    Attributes:
        pixels: maximal pixels per frame.
        rate: maximal frames per second.
        memory: bytes of address space for the decoder.
        seconds: CPU seconds for one frame.
        silence: wall-clock seconds that the decoder may stay silent.
    """

    pixels: int = 8192 * 4320
    rate: int = 1000
    memory: int = 4 << 30
    seconds: int = 60
    silence: int = 300


@dataclass(frozen=True)
class Decoding:
    """A running decoder of one file.

    Attributes:
        name: name of the file, for messages.
        process: the decoder process.
        pipe: file descriptor to read the decoder's messages from.
        limits: limits on the clip.
        stop: polled while waiting; once it returns true, waiting ends.
    """

    name: str
    process: subprocess.Popen[bytes]
    pipe: int
    limits: Limits
    stop: Callable[[], bool]

    def message(self, frame: int) -> dict[str, Any] | None:
        """Return the decoder's next message, or ``None`` if stopped.

        Args:
            frame: index of the awaited frame, for error messages.

        Raises:
            DataError: the decoder died, was silent for too long, or refused the clip.
        """
        length = bytearray(4)
        if not self._fill(length, frame):
            return None
        (size,) = struct.unpack("!I", length)
        text = bytearray(min(size, _HEADER))
        if not self._fill(text, frame):
            return None
        try:
            message = _checked(json.loads(text))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._died(frame) from None
        if message["kind"] == "refused":
            raise self._refusal(message["why"], message["message"])
        return message

    def _refusal(self, why: str, detail: str) -> DataError:
        if why == "memory":
            text = f"decoding the clip takes more than {self.limits.memory / 2**30:g} GiB"
            return self.error("clip-memory", text, _CONVERT)
        if why == "no video":
            text = f"the file holds no video, only {detail}"
            return self.error("no-video", text, "pass the file of the clip itself")
        text = f"the file is not a readable clip; it may be damaged or truncated ({detail})"
        hint = "copy the file again from its source, or convert it: ffmpeg -i CLIP OTHER.mp4"
        return self.error("not-a-clip", text, hint)

    def pixels(self, frame: int, height: int, width: int) -> UInt8[np.ndarray, "h w 3"] | None:
        """Return the pixels that follow a frame's message, or ``None`` if stopped."""
        if height * width > self.limits.pixels:
            raise self._died(frame)
        image = np.empty((height, width, 3), np.uint8)
        return image if self._fill(image.reshape(-1).data, frame) else None

    def _fill(self, buffer: bytearray | memoryview, frame: int) -> bool:
        """Fill the buffer from the pipe; return false if stopped.

        The time limit applies to every read, because a decoder may fall silent within a message.
        """
        left, until = memoryview(buffer), time.monotonic() + self.limits.silence
        while left:
            ready, _, _ = select.select([self.pipe], [], [], 0.2)
            if self.stop():
                return False
            if ready:
                got = os.readv(self.pipe, [left])
                if got == 0:
                    raise self._died(frame)
                left, until = left[got:], time.monotonic() + self.limits.silence
            elif time.monotonic() > until:
                text = f"the decoder was silent for {self.limits.silence} s at frame {frame}"
                raise self.error("decoder-silent", text, _CONVERT)
        return True

    def _died(self, frame: int) -> DataError:
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it still runs, but sent an invalid message
            self.process.kill()
            status = self.process.wait()
        why = f"with status {status}"
        if status < 0:
            why = f"by signal {-status}, {signal.Signals(-status).name}"
        if status == -signal.SIGXCPU:
            why = f"because a frame took over {self.limits.seconds} s of CPU time"
        text = f"the decoder died at frame {frame} ({why}); the clip is damaged or malicious"
        return self.error("decoder-died", text, _CONVERT)

    def error(self, code: str, message: str, hint: str) -> DataError:
        """Return an error about this clip."""
        return DataError(Finding(code, "error", message, hint, (self.name,)))


def _checked(message: Any) -> dict[str, Any]:
    """Return the documented fields of a message; a compromised decoder could send anything.

    Raises:
        ValueError, KeyError, TypeError: a field is missing or has the wrong type.
    """
    kinds = {
        "opened": ("width", "height", "tick", "rate", "seconds", "exact"),
        "frame": ("height", "width", "aspect", "pts", "duration"),
        "broken": ("pts", "why"),
        "refused": ("why", "message"),
        "end": ("why",),
    }
    fields = {"kind": message["kind"], **{name: message[name] for name in kinds[message["kind"]]}}
    least = 1 if fields["kind"] == "frame" else 0  # a header may lack its size
    for name, value in fields.items():
        if name in ("width", "height"):
            valid = type(value) is int and value >= least
        elif name in ("tick", "rate", "aspect"):
            valid = value is None or (
                [type(part) for part in value] == [int, int] and min(value) > 0
            )
        elif name in ("pts", "duration"):
            valid = value is None or type(value) is int
        elif name == "seconds":
            valid = value is None or (type(value) in (int, float) and math.isfinite(value))
        else:
            valid = value is None or type(value) in (str, bool)
        if not valid:
            raise ValueError(name)
    return fields


@contextlib.contextmanager
def decoding(
    file: BinaryIO, name: str, limits: Limits, stop: Callable[[], bool]
) -> Iterator[Decoding]:
    """Start a decoder for an open file; stop it when the ``with`` block ends."""
    read_end, write_end = os.pipe()
    options = json.dumps(asdict(limits))
    try:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", decoder.__file__, str(write_end), options],
                stdin=file,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(write_end,),
                start_new_session=True,  # Ctrl-C reaches only this process, which stops the decoder
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads reserve address space
            )
        finally:
            os.close(write_end)
        try:
            yield Decoding(name, process, read_end, limits, stop)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(read_end)


def opened(worker: Decoding) -> dict[str, Any] | None:
    """Return the header of the clip, or ``None`` if stopped.

    Raises:
        DataError: the file is not a clip or exceeds the limits.
    """
    header = worker.message(0)
    if header is None:
        return None
    limits = worker.limits
    width, height, rate = header["width"], header["height"], header["rate"]
    if width * height > limits.pixels:
        text = f"frames of {width} x {height} pixels, expected at most {limits.pixels:,} in all"
        raise worker.error("frame-size", text, _CONVERT)
    if rate is not None and rate[0] > limits.rate * rate[1]:
        per_second = f"{rate[0] / rate[1]:,.0f} frames a second"
        raise worker.error("frame-rate", f"{per_second}, expected at most {limits.rate}", _CONVERT)
    return header
