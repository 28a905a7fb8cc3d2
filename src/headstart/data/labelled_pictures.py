"""Read a split of labelled pictures for classification into arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.decoded_frames import decode, digest
from headstart.data.label_map import LabelMap
from headstart.data.layouts.class_dataset import ClassDataset, LabelledSplit
from headstart.data.pictures.duplicates import Fingerprints, only_digests
from headstart.data.pictures.reading import picture_header
from headstart.errors import DataError

_NO_MASKS = LabelMap(("picture",), (0,))


@dataclass(frozen=True)
class Labelled:
    """Pictures with their classes.

    Attributes:
        names: picture names.
        images: grey or RGB images of one size, ``(N, C, H, W)``; the network resizes them.
        labels: class index of each picture, ``(N,)``.
        digest: SHA-256 of the pictures, labels and class names of the full split, in order.
        prints: fingerprints of the original pictures.
    """

    names: tuple[str, ...]
    images: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"]
    digest: str
    prints: Fingerprints

    def subset(self, indices: Sequence[int] | Int64[np.ndarray, " m"]) -> Labelled:
        """Return the pictures at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        if np.array_equal(chosen, np.arange(len(self.names))):
            return self
        names = tuple(self.names[i] for i in chosen)
        prints = self.prints.subset(chosen)
        return Labelled(names, self.images[chosen], self.labels[chosen], self.digest, prints)


def read_labelled_pictures(
    dataset: ClassDataset, split: str, size: tuple[int, int], cache: Path
) -> Labelled:
    """Read the pictures of a split, and keep small pictures at their original size.

    If all pictures share one size of at most ``size``, they keep it, and the network enlarges them.
    Otherwise all are resized to ``size``, antialiased when shrinking.

    Args:
        dataset: the dataset.
        split: name of the split.
        size: input height and width of the network.
        cache: a folder inside the output folder.

    Raises:
        DataError: files cannot be used; names all of them.
        DiskError: the cache cannot be written.
    """
    pictures = dataset.splits[split]
    if pictures.pixels is not None:
        content = _with_labels(_digest_of_pixels(pictures.pixels), dataset, pictures)
        images = pictures.pixels[:, None]
        return Labelled(
            pictures.names, images, pictures.labels, content, only_digests(pictures.pixels)
        )
    kept = _common_size(pictures, dataset.root)
    if kept is None or kept[0] > size[0] or kept[1] > size[1]:
        kept = size
    decoded = decode(pictures.frames, kept, _NO_MASKS, dataset.root, cache)
    content = _with_labels(decoded.digest, dataset, pictures)
    return Labelled(pictures.names, decoded.images, pictures.labels, content, decoded.prints)


def digest_of(dataset: ClassDataset, split: str) -> str:
    """Return the digest of a split without decoding it.

    Raises:
        DataError: files cannot be read; names all of them.
    """
    pictures = dataset.splits.get(split)
    if pictures is None:
        return ""
    if pictures.pixels is not None:
        return _with_labels(_digest_of_pixels(pictures.pixels), dataset, pictures)
    return _with_labels(digest(pictures.frames, dataset.root), dataset, pictures)


def _digest_of_pixels(pixels: UInt8[np.ndarray, "n h w"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _with_labels(content: str, dataset: ClassDataset, pictures: LabelledSplit) -> str:
    about = json.dumps([content, list(dataset.names), pictures.labels.tolist()])
    return hashlib.sha256(about.encode()).hexdigest()


def _common_size(pictures: LabelledSplit, root: Path) -> tuple[int, int] | None:
    """Return the height and width shared by all pictures; ``None`` if they differ or are damaged.

    Reads only the headers.
    """
    sizes = set()
    for frame in pictures.frames:
        try:
            sizes.add(picture_header(frame.image, root, frame.rules).upright)
        except DataError:  # decoding reports the problem later
            return None
        if len(sizes) > 1:
            return None
    return sizes.pop()
