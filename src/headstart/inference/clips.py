"""Predicting a clip: an overlay as a clip, the area of each class over time, and masks.

Frames are decoded and predicted in small batches, so that memory does not grow with the clip. Files
have temporary names until all of them are complete. [`headstart.data.pictures.clip`][] defines
which frames are left out and which clips are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from headstart.data.pictures.clip import Broken, Clip, Cut, Picture
from headstart.errors import Finding
from headstart.inference.output_folder import claimed
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.inference.video_writer import writing
from headstart.system.disk import disk_errors
from headstart.system.signals import Stopping

_BATCH, _PIXELS = 8, 16_000_000  # frames in a batch, and at most so many pixels
_NAMED = 5  # frames that a warning names


@dataclass(frozen=True)
class ClipPrediction:
    """A clip that was predicted.

    Attributes:
        frames: the number of predicted frames.
        skipped: the number of frames that cannot be decoded and were left out.
        seconds: from the first frame to the end of the last.
        size: height and width of the first frame.
        encoder: the encoder of the overlay.
        masks: the folder of the masks; None: none were written.
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
        """Return an object of schema 1; ``out`` is the folder of the files."""
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
) -> ClipPrediction:
    """Write ``out/overlay.mp4``, ``areas.csv`` and ``timeline.png``, and masks if asked for.

    The overlay has the clip's own times. All its frames have the size of the first; each mask has
    its own frame's size.

    Args:
        segmenter: the trained network.
        clip: opened with ``stopping.asked``, and not read yet.
        out: the folder to write to. The same call again writes the same table and masks to the
            byte, and the same overlay to the pixel (x264 may differ by a byte).
        stopping: says whether a signal came; asked before the first frame and after each batch.
        masks: whether to write ``out/masks/<frame>.png``, in the dataset's grey levels.
        step: hears how many frames are done, of about how many.

    Raises:
        DataError: the clip cannot be used, by the rules in [`headstart.data.pictures.clip`][].
        UsageError: ``out`` holds predictions from other weights or another clip.
        LockedError: another process is using ``out``.
        DiskError: a file cannot be written; ``out`` then holds no new file.
        InterruptedRun: a signal came; ``out`` then holds no new file.
    """
    notes = _Notes()
    batches = _batches(clip, notes)
    first = next(batches, [])  # errors of the clip come before a folder is made
    digest = clip.digest()  # takes seconds for a long clip
    _raise_if_stopped(stopping, out)
    assert digest is not None
    with (
        claimed(out, segmenter.digest, "clip", digest),
        disk_errors(out),
        writing(out, clip, first[0], segmenter.label_map, masks) as files,
    ):
        for batch in chain([first], batches):
            maps = class_maps_of(segmenter, [picture.image for picture in batch])
            for picture, classes in zip(batch, maps, strict=True):
                files.add(picture, classes)
            if step is not None:
                step(files.frames, clip.frames)
            _raise_if_stopped(stopping, out)
        _raise_if_stopped(stopping, out)
    return ClipPrediction(
        frames=files.frames,
        skipped=notes.broken,
        seconds=float(files.end),
        size=first[0].image.shape[:2],
        encoder=files.encoder,
        masks=out / "masks" if masks else None,
        warnings=notes.warnings(clip),
    )


def _raise_if_stopped(stopping: Stopping, out: Path) -> None:
    if stopping.asked():
        message = f"stopped before the end of the clip; {out} holds no predictions of it"
        hint = "the same command again starts from the first frame"
        raise stopping.interrupted(Finding("interrupted", "info", message, hint))


@dataclass
class _Notes:
    """What warnings say about a clip; memory does not grow with the clip."""

    broken: int = 0
    retimed: int = 0
    named: list[str] = field(default_factory=list)
    cut: Cut | None = None
    sizes: set[tuple[int, ...]] = field(default_factory=set)
    changed: Fraction | None = None

    def about(self, moment: Picture | Broken | Cut) -> None:
        """Note one moment."""
        if isinstance(moment, Cut):
            self.cut = moment
        elif isinstance(moment, Broken):
            self.broken += 1
            if len(self.named) < _NAMED:
                at = "" if moment.time is None else f" at {float(moment.time):.3f} s"
                self.named.append(f"{moment.index}{at}")
        else:
            self.retimed += moment.mended
            if self.sizes and moment.image.shape not in self.sizes and self.changed is None:
                self.changed = moment.time
            if len(self.sizes) < 2:
                self.sizes.add(moment.image.shape)

    def warnings(self, clip: Clip) -> tuple[Finding, ...]:
        """Return the notes as findings."""
        findings: list[Finding] = []

        def warn(code: str, message: str, hint: str) -> None:
            findings.append(Finding(code, "warning", message, hint, (clip.name,)))

        if self.broken:
            more = self.broken - len(self.named)
            which = ", ".join(self.named) + (f" and {more} more" if more else "")
            message = f"{self.broken} frames cannot be decoded and are left out: {which}"
            hint = "frames after such a frame, up to the next key frame, may be smeared"
            warn("broken-frames", message, hint)
        if self.cut is not None:
            message = f"the clip ends early, at {float(self.cut.time):.3f} s ({self.cut.why})"
            warn("clip-cut-short", message, "the frames before were used; copy the clip again")
        if self.retimed:
            message = f"{self.retimed} frames have no time, or a time before the previous frame's"
            warn("clip-times", message, "each was placed right after the frame before it")
        if self.changed is not None:
            message = f"the size of the frames changes, first at {float(self.changed):.3f} s"
            warn("frame-size-changes", message, "the overlay has the size of the first frame")
        return tuple(findings)


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
