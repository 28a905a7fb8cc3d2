"""Masks and overlays of pictures, as PNG files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from headstart.data.pictures.frame import Frame, read_by, read_frame
from headstart.errors import DataError, Finding, UsageError
from headstart.inference import probability_files
from headstart.inference.annotation_writer import write_annotations
from headstart.inference.format_names import AnnotationFormat, ProbabilityFormat
from headstart.inference.mask_files import holds_another, mask_png, masks_differ
from headstart.inference.output_folder import claimed_pictures
from headstart.inference.segmenter import Segmenter, brought, maps_of, probability_rows
from headstart.plots.overlay import overlay_with_legend
from headstart.system.disk import write_atomic
from headstart.system.memory import give_back

_KEPT_PIXELS = 16_000_000  # of a batch; larger pictures are read twice


@dataclass(frozen=True)
class _Picture:
    """A picture as the network takes it; and as it is, unless a batch of such is too large."""

    frame: Frame
    small: UInt8[np.ndarray, "h w 3"]
    size: tuple[int, int]
    image: UInt8[np.ndarray, "_ _ 3"] | None


def predict(
    segmenter: Segmenter,
    frames: Sequence[Frame],
    root: Path,
    out: Path,
    form: AnnotationFormat | None = None,
    probabilities: ProbabilityFormat | None = None,
) -> tuple[Path, ...]:
    """Write a mask and an overlay of every picture.

    ``out/masks/<name>.png`` holds the dataset's grey levels or colours at the picture's own size,
    ``out/overlays/<name>.png`` shows the classes over the picture, with a legend.

    Args:
        segmenter: the trained network.
        frames: the pictures.
        root: their folder, for messages; links that leave it are refused.
        out: the folder to write to; the same call again writes the same files.
        form: the format of annotations to write beside the masks, if all pictures can be read;
            None: only masks.
        probabilities: the format of calibrated probabilities to write for each class; None: none.

    Returns:
        The files or folders of the annotations.

    Raises:
        UsageError: ``out`` holds predictions from other weights or pictures; or masks or
            annotations that differ from the predictions, perhaps because somebody corrected them.
            These are kept, others are written.
        LockedError: another process is using ``out``.
        DataError: pictures cannot be read; all are named, after the others have been written.
        DiskError: a file cannot be written.
    """
    frames = read_by(frames, root, segmenter.rules)
    findings: list[Finding] = []
    batches = _readable(segmenter, frames, root, findings)
    first = next(batches, None)  # a folder is made only if there is something to write
    if first is None and findings:
        raise DataError(findings)
    folders: tuple[str, ...] = ("masks", "overlays")
    if probabilities is not None:
        folders += probability_files.folders_of(segmenter.names, probabilities)
    with claimed_pictures(out, segmenter.digest, frames, folders):
        kept: list[str] = []
        if probabilities is not None:
            probability_files.write_classes(out, segmenter, probabilities)
        for batch in chain([] if first is None else [first], batches):
            kept += _predict_batch(segmenter, batch, root, out)
            if probabilities is not None:
                _write_probabilities(segmenter, batch, out, probabilities)
        if kept:
            raise UsageError([*masks_differ(out, kept).findings, *findings])
        annotations: tuple[Path, ...] = ()
        if form is not None and not findings:
            annotations = write_annotations(form, frames, root, segmenter.label_map, out)
    if findings and form is not None:
        message = f"no annotations were written to {out}, because they would lack pictures"
        hint = "correct the pictures, then run the same command"
        findings.append(Finding("annotations-left-out", "warning", message, hint))
    if findings:
        raise DataError(findings)
    return annotations


def _readable(
    segmenter: Segmenter, frames: Sequence[Frame], root: Path, findings: list[Finding]
) -> Iterator[list[_Picture]]:
    """Yield pictures in batches; add what is wrong with others to ``findings``."""
    for start in range(0, len(frames), segmenter.batch):
        pictures, pixels = [], 0
        for frame in frames[start : start + segmenter.batch]:
            try:
                image = read_frame(frame, root)
            except DataError as e:
                findings.extend(e.findings)
                continue
            size = image.shape[0], image.shape[1]
            pixels += size[0] * size[1]
            kept = image if pixels <= _KEPT_PIXELS else None
            pictures.append(_Picture(frame, brought(segmenter, image), size, kept))
        if pictures:
            yield pictures


def _predict_batch(
    segmenter: Segmenter, pictures: Sequence[_Picture], root: Path, out: Path
) -> list[str]:
    """Write masks and overlays; return the masks that were there and are others."""
    kept = []
    own = segmenter.of(pictures[0].frame.name)  # the only picture, if networks differ
    maps = maps_of(own, [p.small for p in pictures], [p.size for p in pictures])
    for picture, indices in zip(pictures, maps, strict=True):
        name, image = picture.frame.name, picture.image
        if image is None:
            image = read_frame(picture.frame, root)
        mask, path = mask_png(indices, segmenter.label_map), out / "masks" / f"{name}.png"
        if holds_another(path, mask):
            kept.append(f"masks/{name}.png")
            continue
        write_atomic(path, mask)
        overlay = png(overlay_with_legend(image, indices, segmenter.label_map.names))
        write_atomic(out / "overlays" / f"{name}.png", overlay)
        give_back(indices.size)
    return kept


def _write_probabilities(
    segmenter: Segmenter, pictures: Sequence[_Picture], out: Path, form: ProbabilityFormat
) -> None:
    """Write the probabilities of a batch, which the network predicts a second time.

    Masks are made apart, so they are the same bytes with and without probabilities.
    """
    for picture in pictures:
        name, size = picture.frame.name, picture.size
        rows = probability_rows(segmenter.of(name), picture.small, size)
        probability_files.write_probabilities(out, name, rows, size, segmenter, form)
        give_back(len(segmenter.names) * size[0] * size[1])


def png(pixels: UInt8[np.ndarray, "h w *c"]) -> bytes:
    """Return a picture or a mask as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
