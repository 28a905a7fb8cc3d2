"""Find exact and near duplicates, which make test scores look better than they are.

Frames of one video resemble each other. Two pictures are *near* when their thumbnails (40 wide, 32
high, RGB, each pixel the mean of its area) differ by a root mean square of at most ``NEAR`` grey
levels. On EndoVis 2017 this threshold lies in a gap: neighbouring frames of a video differ by less
than 4.2, other nearest pictures by more than 8.5.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8
from PIL import Image

from headstart.data.pictures.frame import Frame, read_frame
from headstart.data.pictures.in_flight import in_order, pixels_of

NEAR = 5.0
THUMBNAIL = (32, 40, 3)

_BLOCK = 2048  # rows and columns of distances held at once: 16 MB


@dataclass(frozen=True)
class Fingerprints:
    """Digests and thumbnails that identify pictures.

    Attributes:
        digests: SHA-256 of each picture's size and pixels; equal for a copy in another
            lossless file format.
        thumbnails: RGB, 40 wide, 32 high; empty if near duplicates are meaningless, as for
            tiny pictures.
    """

    digests: tuple[str, ...]
    thumbnails: UInt8[np.ndarray, "n 32 40 3"]

    def subset(self, indices: Int64[np.ndarray, "m"]) -> Fingerprints:
        """Return the fingerprints at ``indices``, in that order."""
        small = self.thumbnails[indices] if len(self.thumbnails) else self.thumbnails
        return Fingerprints(tuple(self.digests[i] for i in indices), small)


def fingerprint(image: UInt8[np.ndarray, "h w 3"]) -> Fingerprints:
    """Return the fingerprint of one image; combine several with [`joined`][]."""
    content = hashlib.sha256(repr(image.shape).encode())
    content.update(np.ascontiguousarray(image).data)
    small = Image.fromarray(image).resize((40, 32), Image.Resampling.BOX)
    return Fingerprints((content.hexdigest(),), np.asarray(small)[None])


def only_digests(images: Iterable[UInt8[np.ndarray, "h w"]]) -> Fingerprints:
    """Return digests without thumbnails, for tiny pictures that all resemble each other."""
    digests = tuple(
        hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest() for image in images
    )
    return Fingerprints(digests, np.empty((0, *THUMBNAIL), dtype=np.uint8))


def joined(parts: Iterable[Fingerprints]) -> Fingerprints:
    """Concatenate fingerprints."""
    parts = list(parts)
    digests = tuple(digest for part in parts for digest in part.digests)
    none = np.empty((0, *THUMBNAIL), dtype=np.uint8)
    return Fingerprints(digests, np.concatenate([none, *(part.thumbnails for part in parts)]))


def fingerprints(frames: Sequence[Frame], root: Path, pool: Executor) -> Fingerprints:
    """Return the fingerprints of frames, decoded in parallel.

    Raises:
        DataError: a picture cannot be read; names the first one.
    """
    pixels = functools.partial(pixels_of, root=root)
    return joined(in_order(pool, lambda f: fingerprint(read_frame(f, root)), frames, pixels))


def copies(of: Fingerprints, among: Fingerprints) -> Int64[np.ndarray, "n"]:
    """Return for each picture the index of its first exact copy in ``among``, or -1."""
    first: dict[str, int] = {}
    for index, digest in enumerate(among.digests):
        first.setdefault(digest, index)
    return np.array([first.get(digest, -1) for digest in of.digests], dtype=np.int64)


def nearest(
    of: Fingerprints, among: Fingerprints
) -> tuple[Int64[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
    """Return for each picture the index of and distance to the most similar one in ``among``.

    The distance is the root mean square difference of the thumbnails, in grey levels from 0 to
    255, by ``|a - b|^2 = |a|^2 - 2ab + |b|^2`` in blocks: memory does not grow with the product of
    the two counts. If ``among`` is empty, the index is -1 and the distance infinite.
    """
    index = np.full(len(of.digests), -1, dtype=np.int64)
    distance = np.full(len(of.digests), np.inf, dtype=np.float32)
    for start, begin, squared in _squared_distances(of, among):
        best = distance[start : start + len(squared)]
        column = squared.argmin(1)
        smallest = np.sqrt(squared[np.arange(len(squared)), column])
        better = smallest < best
        best[better] = smallest[better]
        index[start : start + len(squared)][better] = begin + column[better]
    return index, distance


def near(of: Fingerprints, among: Fingerprints) -> Bool[np.ndarray, "n m"]:
    """Return an ``(n, m)`` matrix: is picture n within ``NEAR`` of picture m in ``among``?"""
    is_near = np.zeros((len(of.thumbnails), len(among.thumbnails)), dtype=bool)
    for start, begin, squared in _squared_distances(of, among):
        height, width = squared.shape
        is_near[start : start + height, begin : begin + width] = np.sqrt(squared) <= NEAR
    return is_near


def distances(
    of: UInt8[np.ndarray, "n 32 40 3"], among: UInt8[np.ndarray, "m 32 40 3"]
) -> Float32[np.ndarray, "n m"]:
    """Return the distance, as in [`nearest`][], of each thumbnail to each one in ``among``."""
    distance: Float32[np.ndarray, "n m"] = np.sqrt(_squared(_rows(of), _rows(among)))
    return distance


def _squared_distances(
    of: Fingerprints, among: Fingerprints
) -> Iterator[tuple[int, int, Float32[np.ndarray, "_ _"]]]:
    """Yield the first row, first column and mean squared differences of each block."""
    for start in range(0, len(of.thumbnails), _BLOCK):
        a = _rows(of.thumbnails[start : start + _BLOCK])
        for begin in range(0, len(among.thumbnails), _BLOCK):
            b = _rows(among.thumbnails[begin : begin + _BLOCK])
            yield start, begin, _squared(a, b)


def _squared(
    a: Float32[np.ndarray, "n 3840"], b: Float32[np.ndarray, "m 3840"]
) -> Float32[np.ndarray, "n m"]:
    squared: Float32[np.ndarray, "n m"] = a @ b.T
    squared *= -2
    squared += (a * a).sum(1)[:, None]
    squared += (b * b).sum(1)
    squared.clip(0, out=squared)
    squared /= a.shape[1]
    return squared


def _rows(thumbnails: UInt8[np.ndarray, "n 32 40 3"]) -> Float32[np.ndarray, "n 3840"]:
    """Return centred rows, so that float32 resolves a distance of 0.1 grey levels."""
    return thumbnails.reshape(len(thumbnails), -1).astype(np.float32) - 128
