"""Label Studio's run lengths of brush strokes.

The numbers of an ``rle`` are bytes, and the bytes a stream of bits, highest first: 32 bits with the
number of values, 5 bits with the size of a value less 1, and four sizes of run lengths less 1, each
in 4 bits. Then sections follow until all values are there: 1 bit that tells whether one value is
repeated, 2 bits that choose the size of the run length, the run length less 1, and the repeated
value or as many values. The values are the red, green, blue and alpha of the pixels along the rows.
The packing is that of thi.ng's ``rle-pack``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.data.pictures.refusals import MAX_PIXELS

_CHANNELS = 4


def sections(data: bytes) -> Iterator[tuple[int, int, list[int]]]:
    """Return start and stop of each section, and its value, or its values if they differ.

    Raises:
        ValueError: the bytes end too early, or hold more values than they announce.

    >>> [*sections(bytes([0, 0, 0, 4, 57, 27, 252, 111, 224]))]
    [(0, 4, [127])]
    """
    bits = _Bits(data)
    count = bits.read(32)
    if count > MAX_PIXELS * _CHANNELS:
        raise ValueError(f"its run lengths announce {count} values, more than a picture has")
    value_bits = bits.read(5) + 1
    length_bits = [bits.read(4) + 1 for _ in range(4)]
    start = 0
    while start < count:
        repeated = bits.read(1)
        length = bits.read(length_bits[bits.read(2)]) + 1
        if start + length > count:
            raise ValueError(f"its run lengths hold more than the {count} values they announce")
        values = bits.read_many(value_bits, 1 if repeated else length)
        yield start, start + length, values
        start += length


def decode_brush(data: bytes, height: int, width: int) -> list[int]:
    """Return the lengths of the runs of transparent and painted pixels, along the rows.

    A pixel is painted if its alpha is not 0, as in Label Studio's own export to COCO.

    Raises:
        ValueError: as for [`sections`][], or the values are not those of such a picture.
    """
    edges: list[int] = []  # pixels where painted and transparent change
    painted, stop = False, 0
    for start, stop, values in sections(data):
        if len(values) == 1:
            first = -(-(start - 3) // _CHANNELS)  # the first pixel whose alpha is in the section
            alphas = [(first, values[0])] if first * _CHANNELS + 3 < stop else []
        else:
            offset = (3 - start) % _CHANNELS
            first = (start + offset) // _CHANNELS
            alphas = list(enumerate(values[offset::_CHANNELS], first))
        for pixel, alpha in alphas:
            if (alpha != 0) != painted:
                edges.append(pixel)
                painted = not painted
    if stop != height * width * _CHANNELS:
        raise ValueError(
            f"its run lengths hold {stop} values, expected {width} x {height} x {_CHANNELS}"
        )
    return [int(length) for length in np.diff([0, *edges, height * width])]


class _Bits:
    """Reads numbers from a stream of bits, highest first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def read(self, size: int) -> int:
        start, self.position = self.position, self.position + size
        self._check()
        first, last = start // 8, -(-self.position // 8)
        number = int.from_bytes(self.data[first:last], "big")
        return number >> (last * 8 - self.position) & ((1 << size) - 1)

    def read_many(self, size: int, count: int) -> list[int]:
        if count == 1:
            return [self.read(size)]
        start, self.position = self.position, self.position + size * count
        self._check()
        first, last = start // 8, -(-self.position // 8)
        bits = np.unpackbits(np.frombuffer(self.data[first:last], dtype=np.uint8))
        table = bits[start - first * 8 :][: size * count].reshape(count, size)
        return [int(value) for value in table @ (1 << np.arange(size - 1, -1, -1, dtype=np.int64))]

    def _check(self) -> None:
        if self.position > len(self.data) * 8:
            raise ValueError("its run lengths end too early")
