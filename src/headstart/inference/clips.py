"""A clip, frame by frame: an overlay as a clip, how much each class covers, and masks.

Frames pass through a few at a time, so that memory stays flat however long the clip is. What is
written bears a temporary name until all of it is there. Which frames are left out, and when a clip
is given up, stands in [`headstart.data.pictures.clip`][].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from headstart.data.pictures.clip import Broken, Clip, Cut, Picture
from headstart.errors import Finding, InterruptedRun
from headstart.inference.clip_outputs import writing
from headstart.inference.masks import claimed
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.system.disk import disk_errors
from headstart.system.signals import Stopping

_BATCH, _PIXELS = 8, 16_000_000  # frames at a time, fewer where they are large
_NAMED = 5  # frames that a warning names


@dataclass(frozen=True)
class Written:
    """What came of a clip.

    Attributes:
        frames: predicted.
        skipped: left out, because they cannot be decoded.
        seconds: from the first frame to the end of the last.
        size: height and width of the first frame.
        encoder: of the overlay.
        masks: their folder, where they were asked for.
        warnings: about frames, times and sizes.
    """

    frames: int
    skipped: int
    seconds: float
    size: tuple[int, int]
    encoder: str
    masks: Path | None
    warnings: tuple[Finding, ...]

    def to_json(self, out: Path) -> dict[str, Any]:
        """As one object; ``out`` is the folder that was written to."""
        return {
            "schema": 1,
            "frames": self.frames,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 6),
            "size": list(self.size),
            "encoder": self.encoder,
            "overlay": str(out / "overlay.mp4"),
            "areas": str(out / "areas.csv"),
            "timeline": str(out / "timeline.png"),
            "masks": None if self.masks is None else str(self.masks),
            "warnings": [finding.to_json() for finding in self.warnings],
        }


def predict_clip(
    segmenter: Segmenter,
    clip: Clip,
    out: Path,
    stopping: Stopping,
    masks: bool = False,
    step: Callable[[int, int | None], None] | None = None,
) -> Written:
    """Writes ``out/overlay.mp4``, ``areas.csv``, ``timeline.png``, and with ``masks`` a mask each.

    The overlay has the clip's own times. Every frame has the first one's size there, masks have
    each frame's own.

    Args:
        segmenter: the trained network.
        clip: opened with ``stopping.asked``, nothing of it read.
        out: where to; the same command again writes the same: table and masks to the byte, overlay
            to the pixel (x264 was seen to spend a byte more or less on the same frames).
        stopping: asked after every few frames, and before the first.
        masks: whether to write ``out/masks/<frame>.png``, in the dataset's grey levels.
        step: told how many frames are done, of about how many.

    Raises:
        DataError: the clip cannot be used, by the rules in [`headstart.data.pictures.clip`][].
        UsageError: ``out`` holds what this would overwrite and was not made with these weights of
            this clip.
        LockedError: another process works there.
        DiskError: a file cannot be written. Nothing new then bears a name in ``out``.
        InterruptedRun: a signal came; the same holds.
    """
    notes = _Notes()
    batches = _batches(clip, notes)
    first = next(batches, [])  # what is wrong with the clip is said before a folder is made
    digest = clip.digest()  # of a long clip some seconds
    _unless(stopping, out)
    assert digest is not None
    with (
        claimed(out, segmenter.digest, "clip", digest),
        disk_errors(out),
        writing(out, clip, first[0], segmenter.label_map, masks) as reel,
    ):
        for batch in chain([first], batches):
            maps = class_maps_of(segmenter, [picture.image for picture in batch])
            for picture, classes in zip(batch, maps, strict=True):
                reel.add(picture, classes)
            if step is not None:
                step(reel.frames, clip.frames)
            _unless(stopping, out)
        _unless(stopping, out)
    return Written(
        frames=reel.frames,
        skipped=notes.broken,
        seconds=float(reel.end),
        size=first[0].image.shape[:2],
        encoder=reel.encoder,
        masks=out / "masks" if masks else None,
        warnings=notes.warnings(clip),
    )


def _unless(stopping: Stopping, out: Path) -> None:
    if stopping.signal is not None:
        message = f"stopped before the clip's end; nothing of it is in {out}"
        hint = "the same command again begins anew"
        raise InterruptedRun(Finding("interrupted", "info", message, hint), stopping.signal)


@dataclass
class _Notes:
    """What there is to be told about a clip, in flat memory."""

    broken: int = 0
    mended: int = 0
    named: list[str] = field(default_factory=list)
    cut: Cut | None = None
    sizes: set[tuple[int, ...]] = field(default_factory=set)
    changed: Fraction | None = None

    def about(self, moment: Picture | Broken | Cut) -> None:
        """Takes note of one moment."""
        if isinstance(moment, Cut):
            self.cut = moment
        elif isinstance(moment, Broken):
            self.broken += 1
            if len(self.named) < _NAMED:
                at = "" if moment.time is None else f" at {float(moment.time):.3f} s"
                self.named.append(f"{moment.index}{at}")
        else:
            self.mended += moment.mended
            if self.sizes and moment.image.shape not in self.sizes and self.changed is None:
                self.changed = moment.time
            if len(self.sizes) < 2:
                self.sizes.add(moment.image.shape)

    def warnings(self, clip: Clip) -> tuple[Finding, ...]:
        """As findings."""
        found: list[Finding] = []

        def warn(code: str, message: str, hint: str) -> None:
            found.append(Finding(code, "warning", message, hint, (clip.name,)))

        if self.broken:
            more = self.broken - len(self.named)
            which = ", ".join(self.named) + (f" and {more} more" if more else "")
            message = f"{self.broken} frames cannot be decoded and are left out: {which}"
            hint = "the frames after one, up to the next key frame, may be smeared"
            warn("broken-frames", message, hint)
        if self.cut is not None:
            message = f"the clip ends early, at {float(self.cut.time):.3f} s ({self.cut.why})"
            warn("clip-cut-short", message, "what is there was used; copy the clip again")
        if self.mended:
            message = f"{self.mended} frames had no time, or one that goes backwards"
            warn("clip-times", message, "they follow the frame before them")
        if self.changed is not None:
            message = f"the frames' size changes, first at {float(self.changed):.3f} s"
            warn("frame-size-changes", message, "the overlay has the first one's size")
        return tuple(found)


def _batches(clip: Clip, notes: _Notes) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for moment in clip.moments:
        notes.about(moment)
        if isinstance(moment, Picture):
            batch.append(moment)
            height, width = moment.image.shape[:2]
            if len(batch) >= min(_BATCH, max(1, _PIXELS // (height * width))):
                yield batch
                batch = []
    if batch:
        yield batch
