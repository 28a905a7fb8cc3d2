"""A split of labelled pictures as arrays."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import ExifTags, Image

from headstart.data.decoded_frames import decode, digest
from headstart.data.files import open_regular
from headstart.data.label_map import LabelMap
from headstart.data.layouts.class_folders import ClassDataset, Pictures
from headstart.data.pictures.duplicates import Fingerprints, only_digests

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_NO_MASKS = LabelMap(("picture",), (0,))


@dataclass(frozen=True)
class Labelled:
    """Pictures with their classes.

    Attributes:
        names: of the pictures.
        images: grey or RGB, all of one size; the network brings them to its own.
        labels: index of each one's class.
        digest: SHA-256 of all pictures, labels and class names, in order; of the whole split.
        prints: of the original pictures.
    """

    names: tuple[str, ...]
    images: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"]
    digest: str
    prints: Fingerprints

    def subset(self, indices: Sequence[int] | Int64[np.ndarray, " m"]) -> Labelled:
        """Those at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        if np.array_equal(chosen, np.arange(len(self.names))):
            return self
        names = tuple(self.names[i] for i in chosen)
        prints = self.prints.subset(chosen)
        return Labelled(names, self.images[chosen], self.labels[chosen], self.digest, prints)


def read_labelled_pictures(
    dataset: ClassDataset, split: str, size: tuple[int, int], cache: Path
) -> Labelled:
    """The pictures of a split, as small as they can be kept.

    Pictures of one size that is not above ``size`` are kept at it, for the network to enlarge;
    others are brought to ``size``, with the support widened so that nothing aliases.

    Args:
        dataset: which has the split.
        split: its name.
        size: height and width that the network takes.
        cache: a folder inside the output folder.

    Raises:
        DataError: files cannot be used; every one is named.
        DiskError: the cache cannot be written.
    """
    its = dataset.splits[split]
    if its.pixels is not None:
        whole = _with_labels(_digest_of_pixels(its.pixels), dataset, its)
        images = its.pixels[:, None]
        return Labelled(its.names, images, its.labels, whole, only_digests(its.pixels))
    kept = _common_size(its, dataset.root)
    if kept is None or kept[0] > size[0] or kept[1] > size[1]:
        kept = size
    decoded = decode(its.frames, kept, _NO_MASKS, dataset.root, cache)
    whole = _with_labels(decoded.digest, dataset, its)
    return Labelled(its.names, decoded.images, its.labels, whole, decoded.prints)


def digest_of(dataset: ClassDataset, split: str) -> str:
    """The digest of a split, nothing decoded.

    Raises:
        DataError: files cannot be read; every one is named.
    """
    its = dataset.splits.get(split)
    if its is None:
        return ""
    if its.pixels is not None:
        return _with_labels(_digest_of_pixels(its.pixels), dataset, its)
    return _with_labels(digest(its.frames, dataset.root), dataset, its)


def _digest_of_pixels(pixels: UInt8[np.ndarray, "n h w"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _with_labels(content: str, dataset: ClassDataset, its: Pictures) -> str:
    about = json.dumps([content, list(dataset.names), its.labels.tolist()])
    return hashlib.sha256(about.encode()).hexdigest()


def _common_size(its: Pictures, root: Path) -> tuple[int, int] | None:
    """Height and width of all pictures, by their headers; None where they differ or are damaged."""
    sizes = set()
    for frame in its.frames:
        try:
            sizes.add(_upright_size(frame.image, root))
        except Exception:  # decoders raise nearly everything; decoding says what is wrong
            return None
        if len(sizes) > 1:
            return None
    return sizes.pop()


def _upright_size(path: Path, root: Path) -> tuple[int, int]:
    """Height and width as people see the picture; reads the header only."""
    with open_regular(path, root) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # decoding refuses those
        with Image.open(file, formats=_FORMATS) as picture:
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) > 4
            return (picture.width, picture.height) if turned else (picture.height, picture.width)
