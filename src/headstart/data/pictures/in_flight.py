"""Decodes pictures in parallel, within a budget of pixels that are in memory at once.

Threads decode small pictures as fast as the cores allow. Large photographs take turns: each one
needs a few hundred megabytes while it is decoded, resized and compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TypeVar

from headstart.data.pictures.frame import Frame
from headstart.data.pictures.reading import NO_RULES, ReadingRules, picture_header
from headstart.errors import DataError
from headstart.system.memory import give_back

MOST_PIXELS = 50_000_000
"""Pixels in flight: two photographs of 24 megapixels, or hundreds of frames of a video."""

_MOST_ITEMS = 256
_LARGE = 4_000_000  # pixels of a picture whose memory is given back at once
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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

    def one(item: _Item, size: int) -> _Result:
        result = work(item)
        if size > _LARGE:
            give_back()
        return result

    started: deque[tuple[Future[_Result], int]] = deque()
    held = 0
    try:
        for item in items:
            size = pixels(item)
            while started and (held + size > limit or len(started) == _MOST_ITEMS):
                future, done = started.popleft()
                yield future.result()
                held -= done
            started.append((pool.submit(one, item, size), size))
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
    try:
        header = picture_header(path, root, rules)
    except DataError:
        return 0  # decoding it says what is wrong
    return header.height * header.width
