"""Returns memory that was freed to the system, and recognises that there is too little."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

_LARGE = 4_000_000  # pixels


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library than that of GNU
        return None
    return trim


def give_back(pixels: int) -> None:
    """Return to the system what the C library keeps of freed memory, after work on a picture.

    GNU's library keeps freed blocks of up to 32 MB for each thread: with large pictures, that is
    more than what is in use. It takes milliseconds, so it is done after large pictures only.

    Args:
        pixels: the picture's number of pixels.
    """
    trim = _trim()
    if trim is not None and pixels > _LARGE:
        trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is short: of the machine, or of a GPU."""
    # torch raises RuntimeError for it on a CPU, and a subclass on a GPU
    words = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in words or "can't allocate memory" in words)
    )
