"""The layout ``idx``: Fashion-MNIST as published, in four files, which may be gzipped.

The files are downloaded on request.

An idx file is a big-endian header (a magic number, then the length of each dimension, 32 bits each)
and the values, one byte each. MNIST has the same files; a hash of the labels tells which dataset it
is, and so the names of the classes.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.files import merged, open_regular, shown
from headstart.data.layouts.class_dataset import (
    ClassDataset,
    LabelledSplit,
    reading_of,
    with_validation,
)
from headstart.data.layouts.dataset import Layout
from headstart.errors import DataError, DiskError, Finding

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""Pictures and labels, by split."""

_IMAGES, _LABELS = 2051, 2049  # magic numbers
_GZIP = 0x1F8B  # the first two bytes of a gzip file
_KINDS = {_IMAGES: "pictures", _LABELS: "labels"}
_MAX_VALUES = 1 << 30
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The classes of Fashion-MNIST."""
# SHA-256 of the training labels of Fashion-MNIST
_FASHION = "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"

_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
_PUBLISHED = {  # SHA-256
    f"{name}-ubyte.gz": sha256
    for name, sha256 in (
        ("train-images-idx3", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )
}


FASHION_MNIST = "fashion-mnist"
"""In the place of a folder: download the dataset, unless a folder has this name."""


def recognise(root: Path) -> Callable[[], ClassDataset] | None:
    """Return the reader of a folder with idx files, or of the word ``fashion-mnist``."""
    if str(root) == FASHION_MNIST and not root.exists():
        return lambda: _read_dataset(fetch_fashion_mnist())
    return partial(_read_dataset, root) if find_idx(root) else None


def _read_dataset(root: Path) -> ClassDataset:
    names, arrays = read_idx(root)
    splits = {
        split: LabelledSplit(tuple(f"{i:05}" for i in range(len(labels))), labels, (), pixels)
        for split, (pixels, labels) in arrays.items()
    }
    splits = with_validation(splits)
    reading = reading_of("four idx files", names, splits, list(arrays))
    return ClassDataset(root, LAYOUT.name, names, splits, unread_idx(root), reading)


LAYOUT = Layout(
    name="idx",
    arrangement="the four files of Fashion-MNIST",
    recognise=recognise,
)


def find_idx(root: Path) -> dict[str, Path]:
    """Return the idx files in a folder by plain name; a plain file takes precedence over gzip."""
    names = [name for pair in FILES.values() for name in pair]
    paths = {}
    for name in names:
        for path in (root / name, root / f"{name}.gz"):
            if name not in paths and path.exists():
                paths[name] = path
    return paths


def unread_idx(root: Path) -> tuple[Finding, ...]:
    """Return a warning if a file exists both plain and gzipped."""
    paths = find_idx(root).values()
    both = [path.name for path in paths if path.suffix != ".gz" and Path(f"{path}.gz").exists()]
    if not both:
        return ()
    message = "a file exists both plain and gzipped; headstart reads the plain one"
    hint = "remove one of the two"
    return (Finding("idx-twice", "warning", message, hint, tuple(both)),)


def read_idx(
    root: Path,
) -> tuple[tuple[str, ...], dict[str, tuple[UInt8[np.ndarray, "n h w"], Int64[np.ndarray, " n"]]]]:
    """Return the names of the classes, and pictures and labels by split.

    Raises:
        DataError: a file is missing or damaged or has the wrong type, the numbers of pictures and
            labels differ, or there are too few classes or pictures; names every fault.
    """
    paths = find_idx(root)
    findings = []
    if absent := [n for pair in FILES.values() for n in pair if n not in paths]:
        message = f"{root} lacks some of the four files of an idx dataset"
        hint = "the names end in -idx3-ubyte or -idx1-ubyte, with or without .gz"
        findings.append(Finding("idx-missing", "error", message, hint, tuple(absent)))
    values: dict[str, UInt8[np.ndarray, "*any"]] = {}
    for name, path in paths.items():
        try:
            values[name] = _read(path, root, _IMAGES if "-images-" in name else _LABELS)
        except DataError as e:
            findings.extend(e.findings)
    for split, (pictures, labels) in FILES.items():
        if {pictures, labels} <= values.keys() and len(values[pictures]) != len(values[labels]):
            message = (
                f"the {split} split has {len(values[pictures])} pictures, but "
                f"{len(values[labels])} labels"
            )
            hint = "the two files do not belong together: download both again"
            files = tuple(shown(paths[name], root) for name in (pictures, labels))
            findings.append(Finding("idx-count", "error", message, hint, files))
    findings = findings or _check_labels(values)
    if findings:
        raise DataError(merged(findings))
    train = values[FILES["train"][1]]
    fashion = hashlib.sha256(_header(train) + train.tobytes()).hexdigest() == _FASHION
    highest = int(max(values[labels].max(initial=0) for _, labels in FILES.values()))
    names = CLASSES if fashion else tuple(str(k) for k in range(max(highest + 1, 2)))
    splits = {s: (values[p], values[n].astype(np.int64)) for s, (p, n) in FILES.items()}
    return names, splits


def _check_labels(values: dict[str, UInt8[np.ndarray, "*any"]]) -> list[Finding]:
    """Require two classes, two training pictures of each, and no class that only test has."""
    train, test = FILES["train"][1], FILES["test"][1]
    counts = np.bincount(values[train], minlength=256)
    findings = []
    if (counts > 0).sum() < 2:
        message = f"all training labels are {np.argmax(counts)}, expected at least two classes"
        hint = "download the file again"
        findings.append(Finding("too-few-classes", "error", message, hint, (train,)))
    if few := np.flatnonzero(counts == 1).tolist():
        message = f"classes with one training picture: {few}; expected two, one to validate"
        hint = "add pictures, or remove the class"
        findings.append(Finding("too-few-pictures", "error", message, hint, (train,)))
    if unknown := np.setdiff1d(values[test], np.flatnonzero(counts)).tolist():
        message = f"the test split has labels that the training split lacks: {unknown}"
        hint = "the files do not belong together: download all four again"
        findings.append(Finding("unknown-class", "error", message, hint, (test,)))
    return findings


def _header(labels: UInt8[np.ndarray, " n"]) -> bytes:
    return struct.pack(">II", _LABELS, len(labels))


def _read(path: Path, root: Path, magic: int) -> UInt8[np.ndarray, "*any"]:
    where = (shown(path, root),)

    def refuse(code: str, message: str) -> DataError:
        hint = "download the file again, and compare it with its published SHA-256"
        return DataError(Finding(code, "error", message, hint, where))

    dimensions = 3 if magic == _IMAGES else 1
    length = 4 + 4 * dimensions
    with open_regular(path, root) as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            header = file.read(length)
            if len(header) < length:
                raise refuse("idx-truncated", f"{len(header)} bytes, shorter than the header")
            found_magic, *shape = struct.unpack(f">{1 + dimensions}I", header)
            if found_magic != magic:
                gzipped = found_magic >> 16 == _GZIP
                unknown = "gzip: the name should end in .gz" if gzipped else "unknown"
                kind = _KINDS.get(found_magic, unknown)
                message = f"the file begins with {found_magic} ({kind}), expected {magic}"
                raise refuse("idx-magic", f"{message} ({_KINDS[magic]})")
            count = int(np.prod(np.array(shape, dtype=object)))
            if not 0 < count <= _MAX_VALUES:
                raise refuse("idx-size", f"the header announces {count:,} values")
            content = file.read(count + 1)
        except (OSError, EOFError, zlib.error) as e:
            raise refuse("idx-damaged", f"the file cannot be decompressed: {e}") from None
    if len(content) != count:
        got = f"{len(content):,}" if len(content) < count else "more"
        raise refuse("idx-truncated", f"the header announces {count:,} values; the file has {got}")
    # A copy, because torch wants arrays that it may write to.
    return np.frombuffer(bytearray(content), dtype=np.uint8).reshape(shape)


def fetch_fashion_mnist() -> Path:
    """Return the folder with Fashion-MNIST; download it and check its SHA-256 the first time.

    Raises:
        DataError: the download fails or has another hash.
        DiskError: the files cannot be written.
    """
    import pooch
    from requests.exceptions import RequestException

    folder = Path(pooch.os_cache("headstart")) / "fashion-mnist"
    pooch.get_logger().setLevel("ERROR")  # errors are reported below
    for name, sha256 in _PUBLISHED.items():
        try:
            pooch.retrieve(_URL + name, f"sha256:{sha256}", fname=name, path=folder)
        except RequestException as e:
            message = f"Fashion-MNIST cannot be downloaded from {_URL}: {type(e).__name__}"
            hint = f"download {', '.join(_PUBLISHED)} into a folder, and give that folder"
            raise DataError(Finding("no-network", "error", message, hint)) from None
        except OSError as e:
            message = f"cannot write Fashion-MNIST to {folder}: {e.strerror or e}"
            hint = f"free space, or put {', '.join(_PUBLISHED)} into a folder and give that folder"
            raise DiskError(Finding("disk", "error", message, hint)) from e
        except ValueError:
            message = f"the download of {_URL}{name} is incomplete or has another SHA-256"
            hint = "try again; the incomplete file was removed"
            raise DataError(Finding("bad-download", "error", message, hint)) from None
    return folder
