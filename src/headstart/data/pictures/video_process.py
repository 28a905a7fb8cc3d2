"""The process that decodes a clip, seen from outside: started, listened to, ended, outlived."""

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
        pipe: the end of what it writes into.
        limits: what the clip may ask for.
        stop: asked while waiting for it; when true, nothing more is waited for.
    """

    name: str
    process: subprocess.Popen[bytes]
    pipe: int
    limits: Limits
    stop: Callable[[], bool]

    def message(self, frame: int) -> dict[str, Any] | None:
        """What the decoder says next; None when asked to stop.

        Args:
            frame: which is waited for, for what is said when it does not come.

        Raises:
            DataError: it has died, is silent for too long, or refuses the clip.
        """
        length = bytearray(4)
        if not self._fill(length, frame):
            return None
        (size,) = struct.unpack("!I", length)
        text = bytearray(min(size, _HEADER))
        if not self._fill(text, frame):
            return None
        try:
            heard = _checked(json.loads(text))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._died(frame) from None
        if heard["kind"] == "refused":
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
        if height * width > self.limits.pixels:
            raise self._died(frame)
        image = np.empty((height, width, 3), np.uint8)
        return image if self._fill(image.reshape(-1).data, frame) else None

    def _fill(self, buffer: bytearray | memoryview, frame: int) -> bool:
        """Fills it with what the decoder says next; false when asked to stop.

        A decoder may fall silent within a message, so every piece is waited for with the same care.
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
                text = f"the decoder has said nothing for {self.limits.silence} s at frame {frame}"
                raise self.error("decoder-silent", text, _CONVERT)
        return True

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


def _checked(heard: Any) -> dict[str, Any]:
    """A message as the decoder's own documentation has it; one that was taken over may say more.

    Raises:
        ValueError, KeyError, TypeError: it is not.
    """
    kinds = {
        "opened": ("width", "height", "tick", "rate", "seconds", "exact"),
        "frame": ("height", "width", "aspect", "pts", "duration"),
        "broken": ("pts", "why"),
        "refused": ("why", "message"),
        "end": ("why",),
    }
    made = {"kind": heard["kind"], **{name: heard[name] for name in kinds[heard["kind"]]}}
    least = 1 if made["kind"] == "frame" else 0  # a header may not know
    for name, value in made.items():
        if name in ("width", "height"):
            right = type(value) is int and value >= least
        elif name in ("tick", "rate", "aspect"):
            right = value is None or (
                [type(part) for part in value] == [int, int] and min(value) > 0
            )
        elif name in ("pts", "duration"):
            right = value is None or type(value) is int
        elif name == "seconds":
            right = value is None or (type(value) in (int, float) and math.isfinite(value))
        else:
            right = value is None or type(value) in (str, bool)
        if not right:
            raise ValueError(name)
    return made


@contextlib.contextmanager
def decoding(
    file: BinaryIO, name: str, limits: Limits, stop: Callable[[], bool]
) -> Iterator[Decoding]:
    """Starts a decoder on an opened file; it is ended with the ``with`` block."""
    ours, theirs = os.pipe()
    its = json.dumps(asdict(limits))
    try:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", decoder.__file__, str(theirs), its],
                stdin=file,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs,),
                start_new_session=True,  # a Ctrl-C is for us: we decide what becomes of it
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads reserve address space
            )
        finally:
            os.close(theirs)
        try:
            yield Decoding(name, process, ours, limits, stop)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(ours)


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
