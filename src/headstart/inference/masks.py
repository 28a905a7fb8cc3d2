"""Masks and overlays of pictures, as PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from headstart.data.pictures.frame import Frame, read_frame
from headstart.errors import DataError, Finding
from headstart.inference.annotation_formats import AnnotationFormat
from headstart.inference.annotation_writer import write_annotations
from headstart.inference.mask_files import mask_png
from headstart.inference.output_folder import claimed_pictures
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.plots.overlay import overlay_with_legend
from headstart.system.disk import write_atomic

_BATCH = 8


def predict(
    segmenter: Segmenter,
    frames: Sequence[Frame],
    root: Path,
    out: Path,
    form: AnnotationFormat | None = None,
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

    Returns:
        The files or folders of the annotations.

    Raises:
        UsageError: ``out`` holds predictions from other weights or pictures, or annotations that
            differ from the predictions.
        LockedError: another process is using ``out``.
        DataError: pictures cannot be read; all are named, after the others have been written.
        DiskError: a file cannot be written.
    """
    with claimed_pictures(out, segmenter.digest, frames, ("masks", "overlays")):
        findings = _predict_all(segmenter, frames, root, out)
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


def _predict_all(
    segmenter: Segmenter, frames: Sequence[Frame], root: Path, out: Path
) -> list[Finding]:
    """Write the masks and overlays; return what is wrong with pictures that cannot be read."""
    findings: list[Finding] = []
    for start in range(0, len(frames), _BATCH):
        pictures = []
        for frame in frames[start : start + _BATCH]:
            try:
                pictures.append((frame.name, read_frame(frame, root)))
            except DataError as e:
                findings.extend(e.findings)
        if pictures:
            _predict_batch(segmenter, pictures, out)
    return findings


def _predict_batch(
    segmenter: Segmenter, pictures: Sequence[tuple[str, UInt8[np.ndarray, "_ _ 3"]]], out: Path
) -> None:
    maps = class_maps_of(segmenter, [image for _, image in pictures])
    for (name, image), indices in zip(pictures, maps, strict=True):
        mask = mask_png(indices, segmenter.label_map)
        write_atomic(out / "masks" / f"{name}.png", mask)
        shown = overlay_with_legend(image, indices, segmenter.label_map.names)
        write_atomic(out / "overlays" / f"{name}.png", png(shown))


def png(pixels: UInt8[np.ndarray, "h w *c"]) -> bytes:
    """Return a picture or a mask as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
