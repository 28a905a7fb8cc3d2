"""Cache computed files inside the output folder, keyed by the content of their inputs.

The cache holds decoded frames, near-duplicate pairs and the features of frozen layers. Each key has
a folder with the SHA-256 of every file; the folder gets its final name only once it is complete.
The key is a hash of all inputs, so stale results are never read. A damaged folder is computed
again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from headstart.system.disk import disk_errors, waiting_lock
from headstart.system.host import this_machine

_INDEX = "sha256.json"  # hashes of all other files
_IN_MEMORY = 4 << 30  # bytes; larger arrays are mapped from the disk


def cached(cache: Path, made_from: Any, make: Callable[[Path], None]) -> Path:
    """Return the cached folder; call ``make`` to fill it if it is missing or damaged.

    If several processes ask for the same folder, one makes it and the others wait. Machines that
    share the disk make it side by side, because their locks may not exclude each other; the first
    to finish names it.

    Args:
        cache: the folder that holds all keys; created if missing.
        made_from: all inputs that decide the content, as a JSON value.
        make: writes its files into the given folder. It should write to files, not map them: on a
            full disk a write raises an error, while a memory map kills the process.

    Raises:
        DiskError: the cache cannot be written.
    """
    key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:32]
    folder, own = cache / key, ".".join(filter(None, (key, this_machine())))
    partial = cache / f"{own}.partial"
    with waiting_lock(cache / f"{own}.lock"), disk_errors(folder):
        _sweep_others(cache, partial)
        if not _intact(folder):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
            partial.mkdir()
            try:
                make(partial)
                (partial / _INDEX).write_text(json.dumps(_hashes(partial)))
                _into_place(partial, folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder


def _into_place(partial: Path, folder: Path) -> None:
    """Give a complete folder its name, unless another machine was first."""
    try:
        partial.rename(folder)
    except OSError:
        if not _intact(folder):
            raise


def _sweep_others(cache: Path, own: Path) -> None:
    """Remove what killed processes left of other keys; a key that is being made is locked.

    What other machines make is left alone: their locks are not seen here.
    """
    for partial in cache.glob("*.partial"):
        _, _, machine = partial.stem.partition(".")
        if partial != own and machine in ("", this_machine()):
            lock = FileLock(partial.with_suffix(".lock"), timeout=0, fallback_to_soft=False)
            with contextlib.suppress(Timeout), lock:
                shutil.rmtree(partial, ignore_errors=True)


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.name != _INDEX:
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _intact(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / _INDEX).read_bytes()) == _hashes(folder))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def write_array(path: Path, dtype: str, shape: tuple[int, ...], parts: Iterable[bytes]) -> None:
    """Write an ``.npy`` file part by part, in constant memory.

    Args:
        path: the file.
        dtype: type string of NumPy, for example ``"<f4"``.
        shape: shape of the complete array.
        parts: the bytes of the array, in order.
    """
    with path.open("wb") as file:
        write_header(file, dtype, shape)
        for part in parts:
            file.write(part)


def write_header(file: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """Write the header of an ``.npy`` file; its data must follow."""
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def open_array(path: Path) -> Any:
    """Return the array in an ``.npy`` file, mapped from the disk if it is large.

    A mapped array is copy-on-write, because torch requires writable arrays.
    """
    return np.load(path, mmap_mode="c" if is_mapped(path) else None)


def is_mapped(path: Path) -> bool:
    """Return whether a file is large enough to be mapped instead of read into memory."""
    return path.stat().st_size >= _IN_MEMORY
