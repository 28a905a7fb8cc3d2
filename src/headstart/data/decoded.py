"""A split, decoded once: in parallel, brought to the training size, cached by content.

The cache lies inside the output folder, never beside the data or in a home folder: these are
patients' pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from headstart.data.files import merged, read_file, shown
from headstart.data.folders import Frame
from headstart.data.label_map import LabelMap
from headstart.data.pictures import read_image, read_mask
from headstart.errors import DataError, Finding

_VERSION = 1  # of what is cached; raise it when decoding or resizing changes
_IN_MEMORY = 4 << 30  # larger arrays are read from the disk as they are needed


@dataclass(frozen=True)
class Decoded:
    """Frames as arrays.

    Attributes:
        names: of the frames, in the split's order.
        images: at the training size, RGB, ``(n, 3, h, w)``.
        masks: class indices at the training size, ``(n, h, w)``; None without labels.
        present: which frame shows which class, at the mask's own size.
        truth: class indices at each mask's own size; empty where it was not kept.
        sizes: height and width of each original picture.
        digest: SHA-256 of all the files' contents, in order.
    """

    names: tuple[str, ...]
    images: UInt8[np.ndarray, "n 3 h w"]
    masks: UInt8[np.ndarray, "n h w"] | None
    present: Bool[np.ndarray, "n k"]
    truth: tuple[UInt8[np.ndarray, "h2 w2"], ...]
    sizes: tuple[tuple[int, int], ...]
    digest: str

    def subset(self, indices: Sequence[int]) -> Decoded:
        """The frames at ``indices``, in that order; the digest stays that of the whole."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Decoded(
            names=tuple(self.names[i] for i in chosen),
            images=self.images[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            present=self.present[chosen],
            truth=tuple(self.truth[i] for i in chosen) if self.truth else (),
            sizes=tuple(self.sizes[i] for i in chosen),
            digest=self.digest,
        )


def resize_image(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Bilinear, with the support widened when shrinking, so that nothing aliases."""
    height, width = size
    if image.shape[:2] == size:
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def resize_mask(
    mask: UInt8[np.ndarray, "h w"], size: tuple[int, int]
) -> UInt8[np.ndarray, "h2 w2"]:
    """The label at each new pixel's centre; no label is invented."""
    height, width = size
    if mask.shape == size:
        return mask
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized)


def read_labelled(
    frame: Frame, label_map: LabelMap, root: Path
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Picture and class indices of one frame.

    Raises:
        DataError: either cannot be read, their sizes differ, or the mask holds a grey level that
            is not in the label map.
    """
    assert frame.mask is not None
    findings: list[Finding] = []
    arrays = []
    for path, read in ((frame.image, read_image), (frame.mask, read_mask)):
        try:
            arrays.append(read(path, root))
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(findings)
    image, grey = arrays
    where = (shown(frame.mask, root),)
    if image.shape[:2] != grey.shape:
        (h, w), (mh, mw) = image.shape[:2], grey.shape
        message = (
            f"mask is {mw} wide and {mh} high, its image {w} wide and {h} high; expected the same"
        )
        hint = "export the mask again at the image's size"
        findings.append(Finding("size-differs", "error", message, hint, where))
    unknown = label_map.unknown_levels(grey)
    if unknown:
        levels = ", ".join(map(str, unknown[:8])) + (", ..." if len(unknown) > 8 else "")
        message = f"grey levels {levels} are not in the label map {dict(zip(label_map.names, label_map.greys, strict=True))}"
        hint = "correct the mask, or name the level in mapping.json"
        findings.append(Finding("unknown-grey", "error", message, hint, where))
    if findings:
        raise DataError(findings)
    return image, label_map.to_indices(grey)


def decode(
    frames: Sequence[Frame],
    size: tuple[int, int],
    label_map: LabelMap,
    root: Path,
    cache: Path,
    keep_truth: bool = True,
) -> Decoded:
    """All frames at ``size``; decoded in parallel the first time, read from ``cache`` after that.

    The cache is found by the content of the files, so a changed file is decoded anew and a moved
    dataset is not.

    Args:
        frames: all labelled or all without labels.
        size: height and width to train at.
        label_map: of the masks.
        root: the dataset's folder, for messages and to refuse links that leave it.
        cache: a folder inside the output folder.
        keep_truth: keep the masks at their own size too, for scoring.

    Raises:
        DataError: one or more files cannot be used; every one is named.
    """
    with ThreadPoolExecutor() as pool:
        digest = _digest(pool, frames, root)
        key = hashlib.sha256(
            json.dumps([_VERSION, digest, size, label_map.greys, keep_truth]).encode()
        ).hexdigest()[:32]
        names = tuple(f.name for f in frames)
        found = _read_cache(cache / key, names, digest)
        if found is None:
            _write_cache(cache / key, pool, frames, size, label_map, root, keep_truth)
            found = _read_cache(cache / key, names, digest)
    assert found is not None
    return found


def _digest(pool: ThreadPoolExecutor, frames: Sequence[Frame], root: Path) -> str:
    paths = [p for f in frames for p in (f.image, f.mask) if p is not None]

    def one(path: Path) -> bytes | DataError:
        try:
            return hashlib.sha256(read_file(path, root)).digest()
        except DataError as e:
            return e

    digests = list(pool.map(one, paths))
    findings = [f for d in digests if isinstance(d, DataError) for f in d.findings]
    if findings:
        raise DataError(merged(findings))
    return hashlib.sha256(b"".join(d for d in digests if isinstance(d, bytes))).hexdigest()


def _write_cache(
    folder: Path,
    pool: ThreadPoolExecutor,
    frames: Sequence[Frame],
    size: tuple[int, int],
    label_map: LabelMap,
    root: Path,
    keep_truth: bool,
) -> None:
    """Decodes into memory-mapped files in a folder that gets its name when it is complete."""
    labelled, classes = all(f.mask is not None for f in frames), len(label_map.names)
    partial = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shape = (len(frames), *size)
    images = np.lib.format.open_memmap(
        partial / "images.npy", "w+", np.uint8, (len(frames), 3, *size)
    )
    masks = None
    if labelled:
        masks = np.lib.format.open_memmap(partial / "masks.npy", "w+", np.uint8, shape)

    def one(i: int) -> tuple[UInt8[np.ndarray, "h w"] | None, tuple[int, int]] | DataError:
        try:
            if masks is None:
                image, truth = read_image(frames[i].image, root), None
            else:
                image, truth = read_labelled(frames[i], label_map, root)
                masks[i] = resize_mask(truth, size)
            images[i] = resize_image(image, size).transpose(2, 0, 1)
            return truth, (image.shape[0], image.shape[1])
        except DataError as e:
            return e

    findings: list[Finding] = []
    sizes, present = [], []
    try:
        with (partial / "truth.u8").open("wb") as f:
            for result in pool.map(one, range(len(frames))):
                if isinstance(result, DataError):
                    findings.extend(result.findings)
                    continue
                truth, original = result
                sizes.append(original)
                pixels = np.bincount([] if truth is None else truth.ravel(), minlength=classes)
                present.append((pixels > 0).tolist())
                if truth is not None and keep_truth:
                    f.write(truth.tobytes())
        if findings:
            raise DataError(merged(findings))
        for array in (images, masks):
            if array is not None:
                array.flush()
        index = {"sizes": sizes, "present": present, "sha256": _hashes(partial)}
        (partial / "index.json").write_text(json.dumps(index))
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.name != "index.json":
            with path.open("rb") as f:
                hashes[path.name] = hashlib.file_digest(f, "sha256").hexdigest()
    return hashes


def _read_cache(folder: Path, names: tuple[str, ...], digest: str) -> Decoded | None:
    """The cached arrays, or None where there are none; a damaged cache is removed."""
    try:
        index = json.loads((folder / "index.json").read_bytes())
        if _hashes(folder) != index["sha256"]:
            raise ValueError("damaged")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    sizes = tuple((int(h), int(w)) for h, w in index["sizes"])
    truth: tuple[UInt8[np.ndarray, "h w"], ...] = ()
    if (folder / "truth.u8").stat().st_size:
        flat = np.memmap(folder / "truth.u8", np.uint8, "r")
        ends = np.cumsum([h * w for h, w in sizes])
        truth = tuple(
            flat[end - h * w : end].reshape(h, w) for end, (h, w) in zip(ends, sizes, strict=True)
        )
    return Decoded(
        names=names,
        images=_open(folder / "images.npy"),
        masks=_open(folder / "masks.npy") if (folder / "masks.npy").exists() else None,
        present=np.array(index["present"], dtype=bool),
        truth=truth,
        sizes=sizes,
        digest=digest,
    )


def _open(path: Path) -> UInt8[np.ndarray, "..."]:
    if path.stat().st_size < _IN_MEMORY:
        return np.load(path)  # type: ignore[no-any-return]
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
