"""Writes predicted masks once more, in the format of an annotation tool."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import shown
from headstart.data.label_map import LabelMap
from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import picture_header
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.annotation_formats import FILES_OF, AnnotatedPicture
from headstart.inference.format_names import LABELME_FOLDER, AnnotationFormat
from headstart.inference.mask_files import class_map, unknown_values, values_in
from headstart.system.disk import disk_errors, sweep, write_atomic


def write_annotations(
    form: AnnotationFormat, frames: Sequence[Frame], root: Path, label_map: LabelMap, out: Path
) -> tuple[Path, ...]:
    """Write the masks in ``out/masks`` as annotations beside them.

    The caller holds the lock of ``out``. Masks are read one by one, so that memory does not grow
    with their number, apart from the annotations themselves where one file holds them all.

    Args:
        form: the format.
        frames: the pictures, each with a mask in ``out/masks``.
        root: the folder of the pictures.
        label_map: the classes.
        out: the folder of the masks.

    Returns:
        The files of the annotations, or the folder of those that have one for each picture.

    Raises:
        DataError: a mask is damaged, holds other levels than the label map, or is not of the size
            of its picture.
        UsageError: annotations exist and differ: somebody may have corrected them. Other files are
            written.
        DiskError: a file cannot be written.
    """
    changed, written, swept = [], set(), {out}  # the lock swept out
    pictures = _annotated(frames, root, label_map, out)
    for name, text in FILES_OF[form](pictures, label_map.names):
        path, content = out / name, text.encode()
        written.add(out / PurePosixPath(name).parts[0])
        with disk_errors(path):
            if path.parent not in swept:
                swept.add(path.parent)
                sweep(path.parent)
            if path.exists():
                if path.read_bytes() != content:
                    changed.append(shown(path, out))
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    if changed:
        message = f"annotations in {out} exist and differ from the predictions; they are kept"
        hint = "move them away, or choose another --out: nothing is overwritten"
        raise UsageError(Finding("annotations-differ", "error", message, hint, tuple(changed)))
    return tuple(sorted(written))


def _annotated(
    frames: Iterable[Frame], root: Path, label_map: LabelMap, out: Path
) -> Iterator[AnnotatedPicture]:
    for frame in frames:
        mask = out / "masks" / f"{frame.name}.png"
        folder = (out / LABELME_FOLDER / frame.name).parent
        yield AnnotatedPicture(
            name=frame.name,
            file_name=PurePosixPath(shown(frame.image, root)).as_posix(),
            beside=os.path.relpath(
                frame.image.parent.resolve() / frame.image.name, folder.resolve()
            ),
            indices=_uncropped(frame, _of_its_size(frame, root, mask, label_map, out)),
        )


def _of_its_size(
    frame: Frame, root: Path, mask: Path, label_map: LabelMap, out: Path
) -> UInt8[np.ndarray, "h w"]:
    indices = _class_map(mask, label_map, out)
    size = _size(frame, root)
    if indices.shape != size:
        message = (
            f"the mask is {indices.shape[1]} x {indices.shape[0]} pixels, its picture "
            f"{frame.image.name} {size[1]} x {size[0]} (width x height)"
        )
        hint = "save the mask at the picture's size, or delete it to have it predicted again"
        raise DataError(Finding("size-differs", "error", message, hint, (shown(mask, out),)))
    return indices


def _size(frame: Frame, root: Path) -> tuple[int, ...]:
    if frame.crop is None:
        return picture_header(frame.image, root, frame.rules).upright
    return np.broadcast_to(np.uint8(0), frame.crop.full)[frame.crop.window].shape


def _class_map(mask: Path, label_map: LabelMap, out: Path) -> UInt8[np.ndarray, "h w"]:
    values, known = values_in(mask, out, label_map)
    if unknown := np.setdiff1d(values, [*known]).tolist():
        raise unknown_values(unknown, label_map, shown(mask, out))
    return class_map(values, known)


def _uncropped(frame: Frame, indices: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h2 w2"]:
    """Return the class map at the size of the picture's file, which a tool will open."""
    if frame.crop is None:
        return indices
    full = np.zeros(frame.crop.full, dtype=np.uint8)
    full[frame.crop.window] = indices
    return full
