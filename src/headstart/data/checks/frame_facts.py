"""Decodes the frames of a dataset once, and keeps what its checks compare."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from headstart.data.files import shown
from headstart.data.layouts.dataset import Dataset
from headstart.data.pictures.duplicates import Fingerprints, fingerprint, joined
from headstart.data.pictures.frame import Frame, read_frame
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading import exif_orientation
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
                pixels[0] = np.bincount(mask.ravel(), minlength=classes)[:classes]
        except DataError as error:
            return error
        height, width = image.shape[:2]
        name = shown(frame.image, dataset.root)
        return FrameFacts((frame,), (name,), ((height, width),), pixels, fingerprint(image))

    seen = []
    for frame, result in zip(frames, pool.map(one, frames), strict=True):
        if isinstance(result, DataError):
            findings += result.findings
        else:
            seen.append(result)
            findings += _turned(frame, dataset)
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


def _turned(frame: Frame, dataset: Dataset) -> list[Finding]:
    """Return a finding if EXIF rotates the image and not the mask, so that they may not match."""
    if frame.mask is None:
        return []
    orientation = exif_orientation(frame.image, dataset.root)
    if all(orientation == exif_orientation(mask, dataset.root) for mask in frame.masks):
        return []
    return [
        Finding(
            "exif-orientation",
            "warning",
            "the image is rotated or mirrored by its EXIF orientation, its mask is not",
            "compare both; if they do not match, remove the orientation from the image",
            (shown(frame.image, dataset.root),),
        )
    ]
