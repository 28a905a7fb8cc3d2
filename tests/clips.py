"""Clips as cameras and accidents make them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np


def picture(i: int, height: int = 32, width: int = 40) -> np.ndarray:
    """Bright at the top left and nowhere else; its brightness tells which it is."""
    pixels = np.full((height, width, 3), 30, np.uint8)
    pixels[: height // 2, : width // 2] = 100 + 2 * (i % 70)
    return pixels


def make_clip(
    path: Path,
    times: Sequence[int] = range(20),
    *,
    container: str = "mp4",
    codec: str = "libx264",
    tick: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (32, 40),
    rotation: int | None = None,
    every_key: bool = False,
    at_front: bool = False,
) -> Path:
    """A clip with one picture at each of ``times``, in ticks."""
    flags = {"movflags": "faststart"} if at_front else {}
    with av.open(str(path), "w", format=container, options=flags) as out:
        options = {"g": "1"} if every_key else {}
        stream: Any = out.add_stream(codec, rate=1 / tick, options=options)
        its_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.height, stream.width, stream.pix_fmt = *size, its_format
        stream.codec_context.time_base = stream.time_base = tick
        stream.codec_context.flags |= av.codec.context.Flags.frame_duration
        if rotation is not None:
            stream.set_display_rotation(rotation)
        lasts = [b - a for a, b in pairwise(times)] + [max(1, round(Fraction(1, 25) / tick))]
        for i, pts in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(i, *size), "rgb24")
            frame.pts, frame.time_base, frame.duration = pts, tick, lasts[i]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def make_sound(path: Path) -> Path:
    """Half a second of silence and no picture."""
    with av.open(str(path), "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), "fltp", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        out.mux(stream.encode(samples))
        out.mux(stream.encode(None))
    return path


def damage(path: Path, frames: Sequence[int]) -> Path:
    """Overwrites the packets of some frames."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as clip:
        packets = [p for p in clip.demux(video=0) if p.size]
        where = [(p.pos, p.size, bytes(p)) for p in packets]
    for i in frames:
        position, size, its = where[i]
        start = content.index(its, max(0, position or 0))
        content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    return path


def frames_in(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Time and pixels of each frame."""
    with av.open(str(path)) as clip:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24"))
            for frame in clip.decode(video=0)
        ]
