"""COCO's compressed run lengths.

The string packs the run lengths of a mask, down the columns, first a run outside the object. From
the fourth on, a run is given as its difference to the run two before it. A number consists of
characters with the codes 48 to 111; each less 48 has five bits of the number, lowest first, and a
sixth bit that is 1 if more characters follow. The highest of the bits is the sign.
"""

from __future__ import annotations

import numpy as np

_LONGEST = 7  # characters of one number: 35 bits


def decode_counts(text: str, most: int = 1 << 24) -> list[int]:
    """Return the run lengths of a compressed string.

    Args:
        text: the string.
        most: more run lengths than these are refused before they take memory.

    Raises:
        ValueError: it is not such a string; the message says why.

    >>> decode_counts("52203")
    [5, 2, 2, 2, 5]
    """
    try:
        characters = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    except UnicodeEncodeError:
        raise ValueError("its compressed run lengths hold a character that is not ASCII") from None
    if not len(characters):
        return []
    if np.count_nonzero(characters < 48 + 32) > most:
        raise ValueError(f"it has more than {most:,} compressed run lengths")
    if len(characters) > most * _LONGEST:
        raise ValueError("its compressed run lengths hold a number of more than 35 bits")
    codes = characters.astype(np.int64) - 48
    if codes.min() < 0 or codes.max() > 63:
        raise ValueError("its compressed run lengths hold a character that has no meaning there")
    last = np.flatnonzero(codes < 32)  # the last character of each number
    if not len(last) or last[-1] != len(codes) - 1:
        raise ValueError("its compressed run lengths end in the middle of a number")
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > _LONGEST:
        raise ValueError("its compressed run lengths hold a number of more than 35 bits")
    position = np.arange(len(codes)) - np.repeat(first, lengths)
    numbers = np.add.reduceat((codes & 31) << (5 * position), first)
    numbers = np.where(codes[last] & 16, numbers - (1 << (5 * lengths)), numbers)
    counts = numbers.copy()
    counts[1::2] = np.cumsum(numbers[1::2])
    counts[2::2] = np.cumsum(numbers[2::2])
    return [int(count) for count in counts]
