"""Masks and overlays of pictures, from a finished run or an ONNX file."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from headstart.data.layouts.folders import Frame
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.onnx_metadata import is_onnx
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.plots.overlay import overlay_with_legend
from headstart.system.disk import disk_errors, locked, sweep, write_atomic

_BATCH = 8
_MARK = "made-of.txt"


def open_segmenter(run_or_onnx: Path, device: str = "auto") -> Segmenter:
    """A trained network, from a run's folder or from the ONNX file of one.

    The file is run by ONNX Runtime and loads no torch.

    Raises:
        DataError: it is neither, is not finished, or segments nothing.
        UsageError: there is no such device.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if is_onnx(run_or_onnx):
        from headstart.inference.onnx_network import check_device, load_onnx

        check_device(device)
        return load_onnx(run_or_onnx)
    import torch

    from headstart.inference.torch_network import load_segmenter
    from headstart.system.devices import pick_device

    return load_segmenter(run_or_onnx, torch.device(pick_device(device)))


def predict(segmenter: Segmenter, frames: Sequence[Frame], root: Path, out: Path) -> None:
    """Writes a mask and an overlay of every picture.

    ``out/masks/<name>.png`` holds the dataset's grey levels at the picture's own size,
    ``out/overlays/<name>.png`` the classes over the picture, with a legend.

    Args:
        segmenter: the trained network.
        frames: the pictures.
        root: their folder, for messages; links that leave it are refused.
        out: where to; the same command again writes the same files.

    Raises:
        UsageError: ``out`` holds what this would overwrite and did not come from these weights.
        LockedError: another process works there.
        DataError: pictures cannot be read; every one is named, after the others are written.
        DiskError: a file cannot be written.
    """
    with claimed_pictures(out, segmenter.digest, frames, ("masks", "overlays")):
        _predict_all(segmenter, frames, root, out)


def _predict_all(segmenter: Segmenter, frames: Sequence[Frame], root: Path, out: Path) -> None:
    findings: list[Finding] = []
    for start in range(0, len(frames), _BATCH):
        pictures = []
        for frame in frames[start : start + _BATCH]:
            try:
                pictures.append((frame.name, read_frame(frame, root)))
            except DataError as e:
                findings.extend(e.findings)
        if pictures:
            _predict_some(segmenter, pictures, out)
    if findings:
        raise DataError(findings)


@contextlib.contextmanager
def claimed(out: Path, weights: str, what: str, digest: str) -> Iterator[None]:
    """Holds ``out`` for this process alone, marked as made by these weights of this input.

    The mark comes first, so that a kill right after it leaves a folder that can be gone on with.
    A folder that is refused is left as it is.

    Args:
        out: the folder; made if need be.
        weights: their SHA-256.
        what: kind of the input, in one word.
        digest: SHA-256 that tells it from others.

    Raises:
        UsageError: ``out`` holds something else.
        LockedError: another process works there.
        DiskError: it cannot be written.
    """
    made_of = f"weights {weights}\n{what} {digest}\n"
    _refuse_others(out, made_of, what)
    with locked(out):
        _refuse_others(out, made_of, what)  # another process may have been here since
        write_atomic(out / _MARK, made_of)
        yield


def _refuse_others(out: Path, made_of: str, what: str) -> None:
    with disk_errors(out):
        # The mark alone is what a clip leaves that could not be read to its end.
        ours = (_MARK, ".lock")
        there = out.exists() and [
            p for p in out.iterdir() if ".tmp-" not in p.name and p.name not in ours
        ]
        mark = out / _MARK
        if there and not (mark.exists() and mark.read_text() == made_of):
            these = "these pictures" if what == "pictures" else f"this {what}"
            message = f"{out} is not empty and was not made with these weights of {these}"
            hint = "choose another --out: nothing is overwritten"
            raise UsageError(Finding("not-empty", "error", message, hint))


@contextlib.contextmanager
def claimed_pictures(
    out: Path, weights: str, frames: Sequence[Frame], folders: Sequence[str]
) -> Iterator[None]:
    """The same of pictures in files; makes ``folders`` in it.

    Raises:
        UsageError, LockedError, DiskError: as [`claimed`][].
    """
    its = hashlib.sha256("\n".join(ascii(str(f.image)) for f in frames).encode())
    with claimed(out, weights, "pictures", its.hexdigest()):
        with disk_errors(out):
            for name in folders:
                (out / name).mkdir(exist_ok=True)
                sweep(out / name)
        yield


def _predict_some(
    segmenter: Segmenter, pictures: Sequence[tuple[str, UInt8[np.ndarray, "_ _ 3"]]], out: Path
) -> None:
    maps = class_maps_of(segmenter, [image for _, image in pictures])
    for (name, image), indices in zip(pictures, maps, strict=True):
        mask = segmenter.label_map.to_greys(indices)
        write_atomic(out / "masks" / f"{name}.png", png(mask))
        shown = overlay_with_legend(image, indices, segmenter.label_map.names)
        write_atomic(out / "overlays" / f"{name}.png", png(shown))


def png(pixels: UInt8[np.ndarray, "h w *c"]) -> bytes:
    """A picture or a mask as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
