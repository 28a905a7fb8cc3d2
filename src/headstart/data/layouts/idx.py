"""Fashion-MNIST as it is published: four idx files, plain or gzipped; fetched where asked for.

An idx file is a big-endian header (a magic number, then the length of each dimension, 32 bits each)
and the values, a byte each. MNIST has the same files; the names of the classes are told apart by
the labels' content.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.files import merged, open_regular, shown
from headstart.errors import DataError, DiskError, Finding

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""Pictures and labels, by split."""

_IMAGES, _LABELS = 2051, 2049  # magic numbers
_GZIP = 0x1F8B  # its first two bytes
_KINDS = {_IMAGES: "pictures", _LABELS: "labels"}
_MOST = 1 << 30  # bytes of values
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
"""Fashion-MNIST's."""
_FASHION = "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"  # its labels, train

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


def find_idx(root: Path) -> dict[str, Path]:
    """Those of the four files that a folder holds, by their plain names; plain before gzipped."""
    names = [name for pair in FILES.values() for name in pair]
    found = {}
    for name in names:
        for path in (root / name, root / f"{name}.gz"):
            if name not in found and path.exists():
                found[name] = path
    return found


def unread_idx(root: Path) -> tuple[Finding, ...]:
    """A warning where files are there both plain and gzipped: which of the two is read."""
    found = find_idx(root).values()
    both = [path.name for path in found if path.suffix != ".gz" and Path(f"{path}.gz").exists()]
    if not both:
        return ()
    message = "a file is there plain and gzipped; the plain one is read"
    hint = "remove one of the two"
    return (Finding("idx-twice", "warning", message, hint, tuple(both)),)


def read_idx(
    root: Path,
) -> tuple[tuple[str, ...], dict[str, tuple[UInt8[np.ndarray, "n h w"], Int64[np.ndarray, " n"]]]]:
    """Names of the classes; pictures and labels by split.

    Raises:
        DataError: a file is missing, damaged, of another kind, pictures and labels differ in
            number, or there is too little to learn; every fault is named.
    """
    found = find_idx(root)
    findings = []
    if absent := [n for pair in FILES.values() for n in pair if n not in found]:
        message = f"{root} lacks some of the four files of an idx dataset"
        hint = "they end in -idx3-ubyte and -idx1-ubyte, or in that and .gz"
        findings.append(Finding("idx-missing", "error", message, hint, tuple(absent)))
    values: dict[str, UInt8[np.ndarray, "*any"]] = {}
    for name, path in found.items():
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
            hint = "the two files do not belong together: fetch both again"
            files = tuple(shown(found[name], root) for name in (pictures, labels))
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
    """As for folders: two classes of two pictures to learn, and none that is met in test only."""
    train, test = FILES["train"][1], FILES["test"][1]
    counts = np.bincount(values[train], minlength=256)
    findings = []
    if (counts > 0).sum() < 2:
        message = f"all training labels are {np.argmax(counts)}, expected at least two classes"
        hint = "fetch the file again"
        findings.append(Finding("too-few-classes", "error", message, hint, (train,)))
    if few := np.flatnonzero(counts == 1).tolist():
        message = f"classes with one training picture: {few}; expected two, one of them validates"
        hint = "add pictures, or remove the class"
        findings.append(Finding("too-few-pictures", "error", message, hint, (train,)))
    if unknown := np.setdiff1d(values[test], np.flatnonzero(counts)).tolist():
        message = f"the test split has labels that train has not: {unknown}"
        hint = "the files do not belong together: fetch all four again"
        findings.append(Finding("unknown-class", "error", message, hint, (test,)))
    return findings


def _header(labels: UInt8[np.ndarray, " n"]) -> bytes:
    return struct.pack(">II", _LABELS, len(labels))


def _read(path: Path, root: Path, magic: int) -> UInt8[np.ndarray, "*any"]:
    where = (shown(path, root),)

    def refuse(code: str, message: str) -> DataError:
        hint = "fetch the file again; its published SHA-256 tells whether it is whole"
        return DataError(Finding(code, "error", message, hint, where))

    dimensions = 3 if magic == _IMAGES else 1
    length = 4 + 4 * dimensions
    with open_regular(path, root) as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            header = file.read(length)
            if len(header) < length:
                raise refuse("idx-truncated", f"{len(header)} bytes, not even a whole header")
            found, *shape = struct.unpack(f">{1 + dimensions}I", header)
            if found != magic:
                zipped = found >> 16 == _GZIP
                unknown = "gzip: its name should end in .gz" if zipped else "nothing known"
                kind = _KINDS.get(found, unknown)
                message = f"the file begins with {found} ({kind}), expected {magic}"
                raise refuse("idx-magic", f"{message} ({_KINDS[magic]})")
            count = int(np.prod(np.array(shape, dtype=object)))
            if not 0 < count <= _MOST:
                raise refuse("idx-size", f"the header promises {count:,} values")
            content = file.read(count + 1)
        except (OSError, EOFError, zlib.error) as e:
            raise refuse("idx-damaged", f"the file cannot be unpacked: {e}") from None
    if len(content) != count:
        got = f"{len(content):,}" if len(content) < count else "more"
        raise refuse("idx-truncated", f"the header promises {count:,} values; there are {got}")
    # A copy, because torch wants arrays that it may write to.
    return np.frombuffer(bytearray(content), dtype=np.uint8).reshape(shape)


def fetch_fashion_mnist() -> Path:
    """The folder with Fashion-MNIST; fetched over https and checked by SHA-256 the first time.

    Raises:
        DataError: it cannot be fetched, or is not what was published.
        DiskError: it cannot be written.
    """
    import pooch
    from requests.exceptions import RequestException

    folder = Path(pooch.os_cache("headstart")) / "fashion-mnist"
    pooch.get_logger().setLevel("ERROR")  # what goes wrong is said below
    for name, sha256 in _PUBLISHED.items():
        try:
            pooch.retrieve(_URL + name, f"sha256:{sha256}", fname=name, path=folder)
        except RequestException as e:
            message = f"Fashion-MNIST cannot be fetched from {_URL}: {type(e).__name__}"
            hint = f"put {', '.join(_PUBLISHED)} into a folder and give that folder"
            raise DataError(Finding("no-network", "error", message, hint)) from None
        except OSError as e:
            message = f"cannot write Fashion-MNIST to {folder}: {e.strerror or e}"
            hint = f"make room, or put {', '.join(_PUBLISHED)} into a folder and give that folder"
            raise DiskError(Finding("disk", "error", message, hint)) from e
        except ValueError:
            message = f"the download of {_URL}{name} was cut short, or is not what was published"
            hint = "try again; nothing of it was kept"
            raise DataError(Finding("bad-download", "error", message, hint)) from None
    return folder
