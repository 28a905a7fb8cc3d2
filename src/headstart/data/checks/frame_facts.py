"""Decodes the frames of a dataset once, and keeps what its checks compare."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from headstart.data.files import shown
from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.duplicates import Fingerprints, fingerprint, joined
from headstart.data.pictures.frame import Frame, Layer, Shapes, read_frame
from headstart.data.pictures.in_flight import in_order, pixels_of
from headstart.data.pictures.mask_levels import pixels_by_level
from headstart.data.pictures.masks import is_turned_too, read_labelled
from headstart.data.pictures.opening import Header
from headstart.data.pictures.reading import is_partly_painted, nearly_opaque, picture_header
from headstart.errors import DataError, Finding


@dataclass(frozen=True)
class FrameFacts:
    """What is kept of the readable frames of a split.

    Attributes:
        frames: the frames.
        files: their pictures, relative to the dataset.
        sizes: heights and widths.
        pixels: number of pixels by class, without those that count nowhere.
        prints: fingerprints of the pictures.
    """

    frames: tuple[Frame, ...]
    files: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    pixels: Int64[np.ndarray, "n k"]
    prints: Fingerprints


def see_frames(
    frames: tuple[Frame, ...], dataset: Dataset, pool: Executor, findings: list[Finding]
) -> FrameFacts:
    """Decode frames in parallel; add to ``findings`` the faults of unreadable files."""
    classes = len(dataset.label_map.names)

    def one(frame: Frame) -> FrameFacts | DataError:
        try:
            pixels = np.zeros((1, classes), dtype=np.int64)
            if frame.mask is None:
                image = read_frame(frame, dataset.root)
            else:
                image, mask = read_labelled(frame, dataset.label_map, dataset.root)
                pixels[0] = pixels_by_level(mask, classes)
        except DataError as error:
            return error
        height, width = image.shape[:2]
        name = shown(frame.image, dataset.root)
        return FrameFacts((frame,), (name,), ((height, width),), pixels, fingerprint(image))

    seen = []
    seen_in_order = in_order(pool, one, frames, lambda frame: pixels_of(frame, dataset.root))
    for frame, result in zip(frames, seen_in_order, strict=True):
        if isinstance(result, DataError):
            findings += result.findings
        else:
            seen.append(result)
            findings += _turned(frame, dataset.root)
            findings += nearly_opaque(frame.image, dataset.root, frame.rules)
            findings += _unpainted(frame, dataset.root)
    nothing = FrameFacts((), (), (), np.zeros((0, classes), dtype=np.int64), joined(()))
    return together([nothing, *seen])


def together(parts: Iterable[FrameFacts]) -> FrameFacts:
    """Concatenate facts."""
    parts = list(parts)
    return FrameFacts(
        tuple(frame for part in parts for frame in part.frames),
        tuple(file for part in parts for file in part.files),
        tuple(size for part in parts for size in part.sizes),
        np.concatenate([part.pixels for part in parts]) if parts else np.zeros((0, 0), np.int64),
        joined(part.prints for part in parts),
    )


def _unpainted(frame: Frame, root: Path) -> list[Finding]:
    """Return an info if a mask is read whose transparent pixels are background."""
    layers = frame.mask if isinstance(frame.mask, tuple) else ()
    if any(isinstance(layer, Layer) and layer.published for layer in layers):
        return []
    transparent = tuple(shown(path, root) for path in frame.masks if is_partly_painted(path, root))
    if not transparent:
        return []
    message = "where a mask is transparent, it shows the background"
    hint = "no action is needed if that is so"
    return [Finding("background-transparent", "info", message, hint, transparent)]


def _turned(frame: Frame, root: Path) -> list[Finding]:
    """Return a finding if EXIF rotates the image, and the mask does not say so too."""
    if frame.mask is None:
        return []
    header = picture_header(frame.image, root, frame.rules)
    orientation = header.orientation
    if is_turned_too(frame, root):
        message = (
            "the image is rotated by its EXIF orientation, and its mask has the size of the image "
            "as stored, so the orientation is applied to both"
        )
        hint = "no action is needed if the picture and its mask match"
        where = (shown(frame.image, root),)
        return [Finding("exif-orientation", "info", message, hint, where)]
    follow = all(orientation == picture_header(mask, root).orientation for mask in frame.masks)
    layers = frame.mask if isinstance(frame.mask, tuple) else ()
    shapes = [layer for layer in layers if isinstance(layer, Shapes)]
    if follow and (orientation == 1 or all(_of_upright(each, header) for each in shapes)):
        return []
    message = "the EXIF orientation rotates or mirrors the image, but not its mask"
    if shapes:
        message = (
            "the EXIF orientation rotates or mirrors the image; its annotations are taken to be "
            "drawn on it as it is shown, which nothing confirms"
        )
    hint = "compare both; if they do not match, remove the orientation from the image"
    return [Finding("exif-orientation", "warning", message, hint, (shown(frame.image, root),))]


def _of_upright(shapes: Shapes, header: Header) -> bool:
    """Whether an annotation file gives the size of the picture as it is shown, and not as stored.

    A text file of YOLO gives none.
    """
    stored = (header.height, header.width)
    return shapes.path.suffix != ".txt" and shapes.size == header.upright != stored
