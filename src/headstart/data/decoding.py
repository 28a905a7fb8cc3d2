"""The process that decodes a clip, seen from outside: started, listened to, ended, outlived."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing import BufferTooShort, Pipe
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, TypeVar

import numpy as np
from jaxtyping import UInt8

from headstart.data import decoder
from headstart.errors import DataError, Finding

T = TypeVar("T")

_HEADER = 1 << 16  # bytes of a message that is not pixels
_CONVERT = "convert it: ffmpeg -i CLIP -vf scale=1920:-2 -r 25 OTHER.mp4"


@dataclass(frozen=True)
class Limits:
    """What a clip may ask for.

    Attributes:
        pixels: of a frame.
        rate: frames a second.
        memory: bytes of address space of the decoder.
        seconds: of computing for one frame.
        silence: seconds in which the decoder says nothing, computing or not.
    """

    pixels: int = 8192 * 4320
    rate: int = 1000
    memory: int = 4 << 30
    seconds: int = 60
    silence: int = 300


@dataclass(frozen=True)
class Decoding:
    """A decoder at work on a file.

    Attributes:
        name: of the file, for messages.
        process: the decoder.
        pipe: what it writes to.
        limits: what the clip may ask for.
        stop: asked while waiting for it; when true, nothing more is waited for.
    """

    name: str
    process: subprocess.Popen[bytes]
    pipe: Connection
    limits: Limits
    stop: Callable[[], bool]

    def message(self, frame: int) -> dict[str, Any] | None:
        """What the decoder says next; None when asked to stop.

        Args:
            frame: which is waited for, for what is said when it does not come.

        Raises:
            DataError: it has died, is silent for too long, or refuses the clip.
        """
        heard = self._next(frame, lambda: json.loads(self.pipe.recv_bytes(_HEADER)))
        if heard is not None and heard["kind"] == "refused":
            raise self._refusal(heard["why"], heard["message"])
        return heard

    def _refusal(self, why: str, said: str) -> DataError:
        if why == "memory":
            text = f"decoding the clip takes more than {self.limits.memory / 2**30:g} GiB"
            return self.error("clip-memory", text, _CONVERT)
        if why == "no video":
            text = f"the file holds no video, but {said}"
            return self.error("no-video", text, "give the clip itself")
        text = f"the clip is damaged, cut short before its index, or none that can be read ({said})"
        hint = "copy it again from where it came, or convert it: ffmpeg -i CLIP OTHER.mp4"
        return self.error("not-a-clip", text, hint)

    def pixels(self, frame: int, height: int, width: int) -> UInt8[np.ndarray, "h w 3"] | None:
        """The pixels that follow the message of a frame; None when asked to stop."""

        def receive() -> UInt8[np.ndarray, "h w 3"]:
            if height * width > self.limits.pixels:
                raise ValueError
            image = np.empty((height, width, 3), np.uint8)
            if self.pipe.recv_bytes_into(image.reshape(-1).data) != image.size:
                raise ValueError
            return image

        return self._next(frame, receive)

    def _next(self, frame: int, receive: Callable[[], T]) -> T | None:
        until = time.monotonic() + self.limits.silence
        try:
            while not self.pipe.poll(0.2):
                if self.stop():
                    return None
                if time.monotonic() > until:
                    text = f"the decoder has said nothing for {self.limits.silence} s"
                    raise self.error("decoder-silent", f"{text} at frame {frame}", _CONVERT)
            return receive()
        except (EOFError, OSError, ValueError, BufferTooShort):
            raise self._died(frame) from None

    def _died(self, frame: int) -> DataError:
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it talks nonsense instead
            self.process.kill()
            status = self.process.wait()
        why = f"with status {status}"
        if status < 0:
            why = f"by signal {-status}, {signal.Signals(-status).name}"
        if status == -signal.SIGXCPU:
            why = f"because a frame took over {self.limits.seconds} s of computing"
        text = f"the decoder died at frame {frame} ({why}); the clip is damaged or made to harm"
        return self.error("decoder-died", text, _CONVERT)

    def error(self, code: str, message: str, hint: str) -> DataError:
        """About this clip."""
        return DataError(Finding(code, "error", message, hint, (self.name,)))


@contextlib.contextmanager
def decoding(
    file: BinaryIO, name: str, limits: Limits, stop: Callable[[], bool]
) -> Iterator[Decoding]:
    """Starts a decoder on an opened file; it is ended with the ``with`` block."""
    ours, theirs = Pipe(duplex=False)
    process = subprocess.Popen(
        [sys.executable, "-P", decoder.__file__, str(theirs.fileno()), json.dumps(asdict(limits))],
        stdin=file,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
        start_new_session=True,  # a Ctrl-C is for us: we decide what becomes of the decoder
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread reserves address space
    )
    theirs.close()
    try:
        yield Decoding(name, process, ours, limits, stop)
    finally:
        process.kill()
        process.wait()
        ours.close()


def opened(its: Decoding) -> dict[str, Any] | None:
    """What the clip's header says, within the limits; None when asked to stop.

    Raises:
        DataError: it is no clip, or not one within the limits.
    """
    said = its.message(0)
    if said is None:
        return None
    width, height, rate = said["width"], said["height"], said["rate"]
    if width * height > its.limits.pixels:
        text = f"frames of {width} x {height} pixels, expected at most {its.limits.pixels:,} in all"
        raise its.error("frame-size", text, _CONVERT)
    if rate is not None and rate[0] > its.limits.rate * rate[1]:
        per_second = f"{rate[0] / rate[1]:,.0f} frames a second"
        raise its.error("frame-rate", f"{per_second}, expected at most {its.limits.rate}", _CONVERT)
    return said
