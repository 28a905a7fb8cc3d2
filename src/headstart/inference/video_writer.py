"""Writing the overlay, areas, timeline and masks of a clip: all of them, or none."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Float, UInt8

from headstart.data.framing import resize_image, resize_mask
from headstart.data.label_map import LabelMap
from headstart.data.pictures.clip import Clip, Picture
from headstart.errors import DataError, Finding
from headstart.inference.mask_files import holds_another, mask_png, masks_differ
from headstart.plots import curves
from headstart.plots.overlay import enlarged, legend, overlay
from headstart.system.disk import into_place, temporary_name
from headstart.system.spreadsheets import cell

_STRETCHES = 2000  # at least so many in the timeline of a long clip: about one per pixel
_RATE = Fraction(25)  # frames per second, if the clip names no rate
# Encoders in order of preference, with their options and the finest tick they take.
_ENCODERS: dict[str, tuple[dict[str, str], int]] = {
    "libx264": ({"preset": "veryfast", "crf": "20"}, 1_000_000),
    "mpeg4": ({"b": "8M"}, 65_535),
}
_SHORTEST = Fraction(1, 500)  # MP4 counts its length in ms; a shorter last frame would be lost
_BT709 = 1  # FFmpeg's number for it; stated in the file so that players need not guess


class ClipFiles:
    """The files of a clip while they are written, frame by frame; see [`writing`][]."""

    def __init__(
        self,
        areas: TextIO,
        names: Sequence[str],
        show: Callable[[Picture, UInt8[np.ndarray, "_ _"]], None],
        keep: Callable[[Picture, UInt8[np.ndarray, "_ _"]], None],
        encoder: str,
        usual: Fraction,
    ) -> None:
        self._rows = csv.writer(areas, lineterminator="\n")
        self._rows.writerow(["frame", "seconds", *map(cell, names)])
        self._classes, self._show, self._keep, self._usual = len(names), show, keep, usual
        self.encoder, self.frames, self.end = encoder, 0, Fraction(0)
        self.timeline = Timeline()

    def add(self, picture: Picture, classes: UInt8[np.ndarray, "h w"]) -> None:
        """Write one frame and its class map."""
        shares = np.bincount(classes.ravel(), minlength=self._classes) / classes.size
        seconds = f"{float(picture.time):.6f}"
        self._rows.writerow([picture.index, seconds, *(f"{share:.6f}" for share in shares)])
        self.end = picture.time + (picture.duration or self._usual)
        self.timeline.add(picture.time, self.end, shares)
        self._show(picture, classes)
        self._keep(picture, classes)
        self.frames += 1


@contextlib.contextmanager
def writing(
    out: Path, clip: Clip, first: Picture, label_map: LabelMap, masks: bool
) -> Iterator[ClipFiles]:
    """Yield files with temporary names; they get their own names if the ``with`` block succeeds.

    Args:
        out: the folder, which exists.
        clip: gives the name and the times.
        first: the first frame, which gives the overlay's size.
        label_map: the classes.
        masks: whether to write masks.

    Raises:
        OSError: a file cannot be written.
        DataError: the encoder does not take the clip's size or times.
    """
    names = ("overlay.mp4", "areas.csv", "timeline.png", "masks")
    film, table, chart, folder = (temporary_name(out / name) for name in names)
    try:
        with contextlib.ExitStack() as stack:
            if masks:
                folder.mkdir()
            areas = stack.enter_context(table.open("w", newline="", encoding="utf-8"))
            encoder = _pick_encoder()
            show = stack.enter_context(_overlay(film, encoder, clip, first, label_map.names))

            def keep(picture: Picture, classes: UInt8[np.ndarray, "_ _"]) -> None:
                if masks:
                    path = folder / f"{picture.index:06d}.png"
                    path.write_bytes(mask_png(classes, label_map))

            usual = 1 / (clip.rate or _RATE)
            clip_files = ClipFiles(areas, label_map.names, show, keep, encoder, usual)
            yield clip_files
        title = f"{clip.name}: where each class is seen"
        chart.write_bytes(curves.areas(*clip_files.timeline.stretches(), label_map.names, title))
        for path in (film, table, chart, *((*sorted(folder.iterdir()), folder) if masks else ())):
            _flush(path)
        # From here on only names change, which takes no more space on the disk.
        if masks:
            _add_masks(folder, out / "masks")
        for path, name in zip((film, table, chart), names[:3], strict=True):
            into_place(path, out / name)
    finally:
        for path in (film, table, chart):
            path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _add_masks(new: Path, path: Path) -> None:
    """Move masks to where those of an earlier, killed command may be.

    They are moved one by one, because a folder cannot replace another atomically: whenever the
    process is killed, each frame has its mask or none.

    Raises:
        UsageError: masks there are others, perhaps because somebody corrected them; they are kept.
    """
    if not path.exists():
        into_place(new, path)
        return
    earlier = sorted(mask for mask in path.glob("*.png") if mask.stem.isdecimal())
    if kept := [mask.name for mask in earlier if _differs(mask, new / mask.name)]:
        raise masks_differ(path, kept)
    for mask in sorted(new.iterdir()):
        mask.replace(path / mask.name)
    _flush(path)


def _differs(mask: Path, new: Path) -> bool:
    """Whether a mask shows other pixels than the new one; libraries compress in several ways."""
    return not new.exists() or holds_another(mask, new.read_bytes())


def _pick_encoder() -> str:
    import av

    for name in _ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        return name
    message = f"PyAV has none of the encoders {', '.join(_ENCODERS)}"
    hint = 'install its wheel: pip install --force-reinstall "headstart[video]"'
    raise DataError(Finding("no-encoder", "error", message, hint))


@contextlib.contextmanager
def _overlay(
    path: Path, encoder: str, clip: Clip, first: Picture, names: Sequence[str]
) -> Iterator[Callable[[Picture, UInt8[np.ndarray, "_ _"]], None]]:
    """Yield a function that adds a frame to an MP4: its overlay above a legend, at its own time."""
    import av

    options, finest = _ENCODERS[encoder]
    size = first.image.shape[:2]
    strip = legend(range(1, len(names)), names, enlarged(first.image).shape[1])
    height, width = even(np.concatenate([enlarged(first.image), strip])).shape[:2]
    tick = clip.tick if clip.tick.denominator <= finest else Fraction(1, min(finest, 60_000))
    try:
        with path.open("xb") as file, av.open(file, "w", format="mp4") as container:
            stream: Any = container.add_stream(encoder, rate=clip.rate or _RATE, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.sample_aspect_ratio = first.aspect
            stream.codec_context.time_base = stream.time_base = tick
            stream.codec_context.flags |= av.codec.context.Flags.frame_duration
            for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
                setattr(stream.codec_context, name, _BT709)  # as a range, 1 is 16 to 235
            colours, last = av.video.reformatter.VideoReformatter(), -1

            def show(picture: Picture, classes: UInt8[np.ndarray, "_ _"]) -> None:
                nonlocal last
                image = resize_image(picture.image, size)
                coloured = enlarged(overlay(image, resize_mask(classes, size)))
                sheet = even(np.concatenate([coloured, strip]))
                frame = av.VideoFrame.from_ndarray(sheet, "rgb24")
                frame = colours.reformat(frame, format="yuv420p", dst_colorspace=_BT709, threads=1)
                last = max(round(picture.time / tick), last + 1)
                frame.pts, frame.time_base = last, tick
                duration = max(picture.duration or 1 / (clip.rate or _RATE), _SHORTEST)
                frame.duration = max(1, round(duration / tick))
                container.mux(stream.encode(frame))

            yield show
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        message = f"the overlay cannot be encoded ({encoder}): {error.strerror}"
        hint = "convert the clip: ffmpeg -i CLIP -vf scale=1920:-2 -r 25 OTHER.mp4"
        raise DataError(Finding("encoding", "error", message, hint, (clip.name,))) from error


def even(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return a picture with an even number of rows and columns, by repeating the last ones.

    >>> even(np.zeros((3, 4, 3), np.uint8)).shape
    (4, 4, 3)
    """
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


class Timeline:
    """Shares of the classes over time, in stretches that are merged in pairs if there are many."""

    def __init__(self) -> None:
        self._ends: list[tuple[Fraction, Fraction]] = []
        self._sums: list[Float[np.ndarray, " k"]] = []
        self._counts: list[int] = []
        self._each = 1  # frames in a stretch

    def add(self, begin: Fraction, end: Fraction, shares: Float[np.ndarray, " k"]) -> None:
        """Add one frame."""
        if self._counts and self._counts[-1] < self._each:
            self._ends[-1] = (self._ends[-1][0], end)
            self._sums[-1] = self._sums[-1] + shares
            self._counts[-1] += 1
        else:
            self._ends.append((begin, end))
            self._sums.append(shares)
            self._counts.append(1)
        if len(self._counts) >= 2 * _STRETCHES:
            self._merge()

    def _merge(self) -> None:
        pairs = range(0, len(self._counts) - 1, 2)
        assert len(self._counts) % 2 == 0
        self._ends = [(self._ends[i][0], self._ends[i + 1][1]) for i in pairs]
        self._sums = [self._sums[i] + self._sums[i + 1] for i in pairs]
        self._counts = [self._counts[i] + self._counts[i + 1] for i in pairs]
        self._each *= 2

    def stretches(self) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n k"]]:
        """Return begin and end of each stretch in seconds, and the mean shares in it."""
        ends = np.array([(float(a), float(b)) for a, b in self._ends])
        return ends, np.array(self._sums) / np.array(self._counts)[:, None]
