"""What was computed once from the same content, kept inside the output folder.

Decoded frames, near-duplicate pairs and the features of frozen layers are kept the same way: a
folder for each key, which has its name only when it is complete, with the SHA-256 of every file.
The key is the hash of what the content was made from, so nothing stale is ever read; a damaged
folder is made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.system.disk import disk_errors, waiting_lock

_INDEX = "sha256.json"  # of all other files
_IN_MEMORY = 4 << 30  # bytes; larger arrays are read from the disk as they are needed


def cached(cache: Path, made_from: Any, make: Callable[[Path], None]) -> Path:
    """The folder with the files that ``make`` writes; made only if it is not there intact.

    Of several processes one makes it, and the others wait.

    Args:
        cache: the folder of all keys; made if need be.
        made_from: what decides the content, as JSON can write it.
        make: writes its files into the folder it is given. Files should be appended to rather than
            mapped: a full disk is then an error, where a map would end the process.

    Raises:
        DiskError: the cache cannot be written.
    """
    key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:32]
    folder, partial = cache / key, cache / f"{key}.partial"
    with waiting_lock(cache / f"{key}.lock"), disk_errors(folder):
        if not _intact(folder):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(partial, ignore_errors=True)  # a killed process left it
            partial.mkdir()
            try:
                make(partial)
                (partial / _INDEX).write_text(json.dumps(_hashes(partial)))
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder


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
    """Writes an ``.npy`` file part by part, so that memory stays flat.

    Args:
        path: the file.
        dtype: as NumPy writes it, for example ``"<f4"``.
        shape: of the whole array.
        parts: its bytes, in order.
    """
    with path.open("wb") as file:
        write_header(file, dtype, shape)
        for part in parts:
            file.write(part)


def write_header(file: Any, dtype: str, shape: tuple[int, ...]) -> None:
    """Writes the header of an ``.npy`` file whose bytes will follow."""
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def open_array(path: Path) -> Any:
    """The array in an ``.npy`` file, mapped from the disk if it is large.

    It is copied on write, because torch wants arrays that it may write to.
    """
    return np.load(path, mmap_mode="c" if is_mapped(path) else None)


def is_mapped(path: Path) -> bool:
    """Whether a file is too large to be read into memory."""
    return path.stat().st_size >= _IN_MEMORY
