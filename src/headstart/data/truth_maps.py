"""Class maps at their original size, in one file: small ones in memory, large ones on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_IN_MEMORY = 1 << 26  # bytes; a larger file is read map by map


class _Opened:
    """A file that is open as long as something refers to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


@dataclass(frozen=True, eq=False)
class MapsOnDisk(Sequence[UInt8[np.ndarray, "_ _"]]):
    """Class maps that are read each time they are asked for, so that none stays in memory.

    A memory map would keep every page that was read once.

    Attributes:
        file: the open file; the maps can be read even after another process removed it.
        places: offset, height and width of each map.
    """

    file: _Opened
    places: tuple[tuple[int, int, int], ...]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "_ _"]:  # type: ignore[override]
        offset, height, width = self.places[index]
        content = bytearray(height * width)
        view, read = memoryview(content), 0
        while read < len(view):
            if not (got := os.preadv(self.file.number, [view[read:]], offset + read)):
                raise OSError(f"{self.file.path} is shorter than the maps in it")
            read += got
        return np.frombuffer(content, np.uint8).reshape(height, width)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "_ _"]]:
        return (self[i] for i in range(len(self)))


def open_maps(path: Path, sizes: Sequence[tuple[int, int]]) -> Sequence[UInt8[np.ndarray, "_ _"]]:
    """Return the maps in a file, one after another, with these heights and widths."""
    ends = np.cumsum([h * w for h, w in sizes]).tolist()
    places = tuple((end - h * w, h, w) for end, (h, w) in zip(ends, sizes, strict=True))
    if path.stat().st_size > _IN_MEMORY:
        return MapsOnDisk(_Opened(path), places)
    flat = np.fromfile(path, np.uint8)
    return tuple(flat[at : at + h * w].reshape(h, w) for at, h, w in places)


def some_maps(
    maps: Sequence[UInt8[np.ndarray, "_ _"]], indices: Sequence[int]
) -> Sequence[UInt8[np.ndarray, "_ _"]]:
    """Return the maps at these indices, without reading them."""
    if isinstance(maps, MapsOnDisk):
        return MapsOnDisk(maps.file, tuple(maps.places[i] for i in indices))
    return tuple(maps[i] for i in indices) if maps else ()
