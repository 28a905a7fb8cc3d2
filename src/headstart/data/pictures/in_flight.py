"""Decodes pictures in parallel, within a budget of pixels that are in memory at once.

Threads decode small pictures as fast as the cores allow. Large photographs take turns: each one
needs a few hundred megabytes while it is decoded, resized and compared.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from headstart.data.pictures.frame import Frame
from headstart.data.pictures.opening import Header, read_header
from headstart.data.pictures.reading import fitting_bytes, picture_header
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError
from headstart.system.memory import give_back

MOST_PIXELS = 40_000_000
"""Pixels in flight: one photograph of 24 megapixels, or hundreds of frames of a video."""

_MOST_ITEMS = 256
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def fits(held: int, size: int, limit: int) -> bool:
    """Return whether a picture may join those in flight; one above the limit goes alone.

    >>> fits(20, 30, 50), fits(20, 31, 50), fits(0, 60, 50)
    (True, False, True)
    """
    return held == 0 or held + size <= limit


def run_and_give_back(work: Callable[[], _Result], pixels: int) -> _Result:
    """Return the result of ``work``, which decodes a picture; give back the memory of a large one.

    Args:
        work: decodes the picture, and returns what is kept of it.
        pixels: the picture's number of pixels.
    """
    result = work()
    give_back(pixels)
    return result


def in_order(
    pool: Executor,
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    pixels: Callable[[_Item], int],
    limit: int = MOST_PIXELS,
) -> Iterator[_Result]:
    """Yield the result of ``work`` for each item, in order, computed in parallel.

    Args:
        pool: the threads.
        work: decodes an item, and returns what is kept of it.
        items: what to decode.
        pixels: returns the number of pixels that an item decodes to.
        limit: most pixels of items that are in work, or done and not yet yielded. An item with more
            is decoded alone.
    """
    started: deque[tuple[Future[_Result], int]] = deque()
    held = 0
    try:
        for item in items:
            size = pixels(item)
            while len(started) == _MOST_ITEMS or not fits(held, size, limit):
                future, done = started.popleft()
                yield future.result()
                held -= done
            started.append((pool.submit(run_and_give_back, partial(work, item), size), size))
            held += size
        while started:
            yield started.popleft()[0].result()
    finally:
        for future, _ in started:
            future.cancel()


def pixels_of(frame: Frame, root: Path) -> int:
    """Return the number of pixels of a frame's picture; 0 if its header cannot be read."""
    return pixels_in(frame.image, root, frame.rules)


def pixels_in(path: Path, root: Path, rules: ReadingRules = NO_RULES) -> int:
    """Return the number of pixels of a picture; 0 if its header cannot be read."""
    return _pixels(partial(picture_header, path, root, rules))


def pixels_in_bytes(content: bytes, rules: ReadingRules = NO_RULES) -> int:
    """Return the number of pixels of a picture file in memory; 0 if its header cannot be read."""
    rules = fitting_bytes(content, "the picture", rules)
    return _pixels(partial(read_header, io.BytesIO(content), "the picture", rules.page))


def _pixels(read: Callable[[], Header]) -> int:
    try:
        header = read()
    except DataError:
        return 0  # decoding it says what is wrong
    return header.height * header.width
