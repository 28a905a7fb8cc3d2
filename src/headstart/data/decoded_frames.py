"""Decode a split in parallel, at the training size or its own, and cache it by content.

The cache lies inside the output folder, never beside the data or in a home folder, because the
pictures may show patients.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from headstart.data.cache import cached, open_array, write_header
from headstart.data.files import merged, read_file
from headstart.data.framing import Framing, content_size, framed, resize_mask
from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.own_size import open_arrays, some_arrays
from headstart.data.pictures.duplicates import THUMBNAIL, Fingerprints, fingerprint
from headstart.data.pictures.frame import ColourLayer, Frame, Layer, MaskLayer, Shapes, read_frame
from headstart.data.pictures.in_flight import in_order, pixels_of
from headstart.data.pictures.mask_levels import pixels_by_level
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading_rules import NO_RULES
from headstart.errors import DataError, Finding

_VERSION = 3  # cache format; raise it when decoding or resizing changes
_FILES = ("images.npy", "thumbnails.npy", "masks.npy", "truth.u8")
_OWN_SIZE = ("pictures.u8", "thumbnails.npy", "truth.u8")
_OF_LABELS = ("masks.npy", "truth.u8")  # exist only with labels


@dataclass(frozen=True)
class Decoded:
    """Decoded frames as arrays.

    Attributes:
        names: frame names, in the order of the split.
        images: RGB images at the training size, ``(N, 3, H, W)``; of no pixels if the frames were
            decoded at their own sizes.
        pictures: RGB images at their own sizes, ``(H, W, 3)`` each; empty if the frames were
            decoded at a training size.
        masks: class indices at the training size, ``(N, H, W)``; ``None`` without labels, and at
            the frames' own sizes. Pixels that count nowhere have the index ``IGNORE`` of
            [`headstart.data.label_map`][].
        present: whether a frame shows a class at the mask's original size, ``(N, K)``.
        truth: class indices at each mask's original size; empty if not kept. Like ``pictures``,
            they are read from the disk when asked for if they are large.
        sizes: height and width of each original picture.
        digest: SHA-256 of the contents of all files, in order, and of any crops, mask layers and
            reading rules.
        contents: height and width of each frame within its image, which is padded to the training
            size at the right and the bottom; the padding is ignored in ``masks``. Empty: no image
            is padded.
        prints: fingerprints of the original pictures, to find duplicates without decoding again.
    """

    names: tuple[str, ...]
    images: UInt8[np.ndarray, "n 3 h w"]
    masks: UInt8[np.ndarray, "n h w"] | None
    present: Bool[np.ndarray, "n k"]
    truth: Sequence[UInt8[np.ndarray, "_ _"]]
    sizes: tuple[tuple[int, int], ...]
    digest: str
    prints: Fingerprints
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]] = ()
    contents: tuple[tuple[int, int], ...] = ()

    def subset(self, indices: Sequence[int] | Int64[np.ndarray, "m"]) -> Decoded:
        """Return the frames at ``indices``, in that order; the digest stays that of the split.

        Arrays are copied, unless ``indices`` names all frames in order.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if np.array_equal(chosen, np.arange(len(self.names))):
            return self
        return Decoded(
            names=tuple(self.names[i] for i in chosen),
            images=self.images[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            present=self.present[chosen],
            truth=some_arrays(self.truth, chosen.tolist()),
            sizes=tuple(self.sizes[i] for i in chosen),
            digest=self.digest,
            prints=self.prints.subset(chosen),
            pictures=some_arrays(self.pictures, chosen.tolist()),
            contents=tuple(self.contents[i] for i in chosen) if self.contents else (),
        )

    @property
    def padded(self) -> bool:
        """Whether an image is padded, so that its mask has ignored pixels."""
        return any(content != self.images.shape[2:] for content in self.contents)

    def channels_first(self) -> Iterator[UInt8[np.ndarray, "3 _ _"]]:
        """Yield every image, at the training size or, if the frames have none, at its own."""
        if self.pictures:
            return (picture.transpose(2, 0, 1) for picture in self.pictures)
        return iter(self.images)


def decode(
    frames: Sequence[Frame],
    size: tuple[int, int],
    label_map: LabelMap,
    root: Path,
    cache: Path,
    keep_truth: bool = True,
    framing: Framing = "squeeze",
) -> Decoded:
    """Return all frames at ``size``; decode them in parallel once, then read them from ``cache``.

    The cache key is a hash of the file contents: changed files are decoded again, moved datasets
    are not.

    Args:
        frames: frames that all have labels or all have none.
        size: height and width for training.
        label_map: label map of the masks.
        root: the dataset folder, for messages and to refuse links that leave it.
        cache: a folder inside the output folder.
        keep_truth: also keep the masks at their original size, for scoring.
        framing: how frames become frames of that size; with ``"tile"`` they keep their own.

    Raises:
        DataError: files cannot be used; names all of them.
        DiskError: the cache cannot be written.
        ValueError: there are no frames, or only some have labels.
    """
    labelled = [f.mask is not None for f in frames]
    if not frames or any(labelled) != all(labelled):
        raise ValueError(
            f"{sum(labelled)} of {len(frames)} frames have labels, expected all or none"
        )
    with ThreadPoolExecutor() as pool:
        digest = _digest(pool, frames, root)
        made_from = [
            _VERSION, digest, labelled[0], None if framing == "tile" else size, label_map.greys,
            label_map.ignore, keep_truth, *(["padded"] if framing == "pad" else []),
            *((label_map.colours, label_map.ignored_colours) if label_map.colours else ()),
        ]  # fmt: skip

        def make(folder: Path) -> None:
            _write(folder, pool, frames, size, framing, label_map, root, keep_truth)

        folder = cached(cache, made_from, make)
    return _read(folder, tuple(f.name for f in frames), digest, size, framing)


def digest(frames: Sequence[Frame], root: Path) -> str:
    """Return the SHA-256 of the contents of all files, in order; see [`Decoded`][].

    Raises:
        DataError: files cannot be read; names all of them.
    """
    with ThreadPoolExecutor() as pool:
        return _digest(pool, frames, root)


def _digest(pool: ThreadPoolExecutor, frames: Sequence[Frame], root: Path) -> str:
    paths = [p for f in frames for p in (f.image, *f.masks, *((f.valid,) if f.valid else ()))]

    def one(path: Path) -> bytes | DataError:
        try:
            return hashlib.sha256(read_file(path, root)).digest()
        except DataError as e:
            return e

    digests = list(pool.map(one, paths))
    findings = [f for d in digests if isinstance(d, DataError) for f in d.findings]
    if findings:
        raise DataError(merged(findings))
    total = hashlib.sha256(b"".join(d for d in digests if isinstance(d, bytes)))
    for frame in frames:
        if frame.crop is not None or isinstance(frame.mask, tuple):
            layers = frame.mask if isinstance(frame.mask, tuple) else ()
            rules = [_rules(layer) for layer in layers]
            total.update(repr((frame.crop, frame.mask is None, rules)).encode())
            published = [isinstance(layer, Layer) and layer.published for layer in layers]
            if any(published) and frame.crop is None:  # a crop tells EndoVis's frames apart
                total.update(repr(published).encode())
        if frame.valid is not None:
            total.update(b"valid")
        if frame.rules != NO_RULES:
            total.update(repr(frame.rules).encode())
    return total.hexdigest()


def _rules(layer: MaskLayer) -> object:
    """Return what decides how a layer is read, apart from its path."""
    if isinstance(layer, Layer) and not layer.ignored and layer.threshold is None:
        return layer.levels, layer.others
    if isinstance(layer, Shapes):
        return layer.shapes, layer.size
    nearest = ("nearest",) if isinstance(layer, ColourLayer) and layer.nearest else ()
    rules = replace(layer, path=Path(), known="", hint="")
    return (rules, *nearest) if nearest else rules


def _write(
    folder: Path,
    pool: ThreadPoolExecutor,
    frames: Sequence[Frame],
    size: tuple[int, int],
    framing: Framing,
    label_map: LabelMap,
    root: Path,
    keep_truth: bool,
) -> None:
    """Decode all frames into a cache folder, with only a few frames in memory at a time."""
    classes = len(label_map.names)
    findings: list[Finding] = []
    sizes, present = [], []
    digests: list[str] = []
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context((folder / name).open("wb"))
            for name in (_OWN_SIZE if framing == "tile" else _FILES)
            if frames[0].mask or name not in _OF_LABELS
        }
        shapes = {"images.npy": (3, *size), "thumbnails.npy": THUMBNAIL, "masks.npy": size}
        for name in shapes.keys() & files.keys():
            write_header(files[name], "|u1", (len(frames), *shapes[name]))

        def one(frame: Frame) -> _Frame | DataError:
            return _decode_one(frame, size, framing, label_map, root)

        for frame in in_order(pool, one, frames, lambda frame: pixels_of(frame, root)):
            if isinstance(frame, DataError):
                findings.extend(frame.findings)
                continue
            sizes.append(frame.size)
            digests += frame.prints.digests
            images = files["pictures.u8" if framing == "tile" else "images.npy"]
            images.write(frame.image.tobytes())
            files["thumbnails.npy"].write(frame.prints.thumbnails.tobytes())
            shows = np.zeros(classes, dtype=bool)
            if frame.truth is not None:
                if frame.mask is not None:
                    files["masks.npy"].write(frame.mask.tobytes())
                files["truth.u8"].write(
                    np.ascontiguousarray(frame.truth).data if keep_truth else b""
                )
                shows = pixels_by_level(frame.truth, classes) > 0
            present.append(shows.tolist())
    if findings:
        raise DataError(merged(findings))
    about = {"sizes": sizes, "present": present, "digests": digests}
    (folder / "frames.json").write_text(json.dumps(about))


@dataclass(frozen=True)
class _Frame:
    """One decoded frame, and its labels at their original size.

    Image and mask are at the training size; the image of a frame that keeps its own is
    ``(H, W, 3)``.
    """

    size: tuple[int, int]
    prints: Fingerprints
    image: UInt8[np.ndarray, "_ _ _"]
    mask: UInt8[np.ndarray, "h w"] | None
    truth: UInt8[np.ndarray, "h2 w2"] | None


def _decode_one(
    frame: Frame, size: tuple[int, int], framing: Framing, label_map: LabelMap, root: Path
) -> _Frame | DataError:
    try:
        if frame.mask is None:
            image, truth = read_frame(frame, root), None
        else:
            image, truth = read_labelled(frame, label_map, root)
    except DataError as e:
        return e
    height, width, _ = image.shape
    if framing == "tile":
        return _Frame((height, width), fingerprint(image), image, None, truth)
    mask = None
    if truth is not None:
        content = content_size((height, width), size, framing)
        mask = np.full(size, IGNORE, np.uint8)
        mask[: content[0], : content[1]] = resize_mask(truth, content)
    small = framed(image, size, framing).transpose(2, 0, 1)
    return _Frame((height, width), fingerprint(image), small, mask, truth)


def _read(
    folder: Path, names: tuple[str, ...], digest: str, size: tuple[int, int], framing: Framing
) -> Decoded:
    """Read the frames from an intact cache folder."""
    about = json.loads((folder / "frames.json").read_bytes())
    sizes = tuple((int(h), int(w)) for h, w in about["sizes"])
    labels, masks, pictures = (folder / n for n in ("masks.npy", "truth.u8", "pictures.u8"))
    has_truth = masks.exists() and masks.stat().st_size
    at_own_size = framing == "tile"
    no_pixels = np.zeros((len(names), 3, 0, 0), np.uint8)
    contents = sizes if at_own_size else (content_size(own, size, framing) for own in sizes)
    return Decoded(
        names=names,
        images=no_pixels if at_own_size else open_array(folder / "images.npy"),
        pictures=open_arrays(pictures, sizes, 3) if at_own_size else (),
        masks=open_array(labels) if labels.exists() else None,
        present=np.array(about["present"], dtype=bool),
        truth=open_arrays(masks, sizes) if has_truth else (),
        sizes=sizes,
        contents=tuple(contents),
        digest=digest,
        prints=Fingerprints(tuple(about["digests"]), open_array(folder / "thumbnails.npy")),
    )


def channel_statistics(
    images: Iterable[UInt8[np.ndarray, "3 h w"]],
) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel over all pictures, in ``[0, 1]``.

    Exact integer sums make the result independent of the order of summation.
    """
    histogram = np.zeros((3, 256), dtype=np.int64)
    for image in images:
        for c in range(3):
            histogram[c] += pixels_by_level(image[c])
    levels = np.arange(256)
    means, stds = [], []
    for counts in histogram:
        total = int(counts.sum())
        mean = int((counts * levels).sum()) / total
        square = int((counts * levels**2).sum()) / total
        means.append(mean / 255)
        stds.append(max((square - mean**2) ** 0.5 / 255, 1 / 255))
    return means, stds
