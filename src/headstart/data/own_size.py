"""Pictures and class maps at their own sizes, in one file: in memory if small, else on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

_IN_MEMORY = 1 << 26  # bytes; a larger file is read array by array


class _Opened:
    """A file that is open as long as something refers to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


@dataclass(frozen=True, eq=False)
class OnDisk(Sequence[UInt8[np.ndarray, "_ _ *c"]]):
    """Arrays that are read each time they are asked for, so that none stays in memory.

    A memory map would keep every page that was read once.

    Attributes:
        file: the open file; it can be read even after another process removed it.
        places: offset, height and width of each array.
        channels: the length of their third dimension, if they have one.
    """

    file: _Opened
    places: tuple[tuple[int, int, int], ...]
    channels: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "_ _ *c"]:  # type: ignore[override]
        return self.rows(index, 0, self.places[index][1])

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "_ _ *c"]]:
        return (self[i] for i in range(len(self)))

    def rows(self, index: int, first: int, end: int) -> UInt8[np.ndarray, "_ _ *c"]:
        """Return the rows ``[first, end)`` of an array."""
        offset, _, width = self.places[index]
        row = width * int(np.prod(self.channels, dtype=int))
        content = bytearray((end - first) * row)
        view, read = memoryview(content), 0
        while read < len(view):
            at = offset + first * row + read
            if not (got := os.preadv(self.file.number, [view[read:]], at)):
                raise OSError(f"{self.file.path} is shorter than the arrays in it")
            read += got
        return np.frombuffer(content, np.uint8).reshape(end - first, width, *self.channels)


Arrays = Sequence[UInt8[np.ndarray, "_ _ *c"]]


def open_arrays(path: Path, sizes: Sequence[tuple[int, int]], *channels: int) -> Arrays:
    """Return the arrays in a file, one after another, with these heights and widths."""
    depth = int(np.prod(channels, dtype=int))
    ends = np.cumsum([h * w * depth for h, w in sizes]).tolist()
    places = tuple((end - h * w * depth, h, w) for end, (h, w) in zip(ends, sizes, strict=True))
    if path.stat().st_size > _IN_MEMORY:
        return OnDisk(_Opened(path), places, channels)
    flat = np.fromfile(path, np.uint8)
    return tuple(flat[at : at + h * w * depth].reshape(h, w, *channels) for at, h, w in places)


def some_arrays(arrays: Arrays, indices: Sequence[int]) -> Arrays:
    """Return the arrays at these indices, without reading them."""
    if isinstance(arrays, OnDisk):
        places = tuple(arrays.places[i] for i in indices)
        return OnDisk(arrays.file, places, arrays.channels)
    return tuple(arrays[i] for i in indices) if arrays else ()


def cut(
    arrays: Arrays,
    index: int,
    size: tuple[int, int],
    corner: tuple[int, int],
    window: tuple[int, int],
) -> UInt8[np.ndarray, "h w *c"]:
    """Return a window of an array; beyond its borders, the array is mirrored.

    Args:
        arrays: at their own sizes.
        index: of one of them.
        size: its height and width.
        corner: row and column of the window's first pixel; may lie outside.
        window: height and width of the window.

    >>> [int(i) for i in _mirrored(-2, 7, 3)]
    [1, 0, 0, 1, 2, 2, 1]
    """
    rows = _mirrored(corner[0], window[0], size[0])
    columns = _mirrored(corner[1], window[1], size[1])
    first, end = int(rows.min()), int(rows.max()) + 1
    if isinstance(arrays, OnDisk):
        part = arrays.rows(index, first, end)
    else:
        part = arrays[index][first:end]
    return part.take(rows - first, 0).take(columns, 1)


def _mirrored(first: int, count: int, length: int) -> Int64[np.ndarray, " n"]:
    """Return ``count`` positions from ``first`` on, reflected at the edges of the outer pixels."""
    positions = np.arange(first, first + count) % (2 * length)
    return np.where(positions < length, positions, 2 * length - 1 - positions)
