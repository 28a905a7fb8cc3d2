"""The windows by which an epoch is validated where pictures have too many: always the same sample.

Each pixel of a picture belongs to one of the windows that hold it: the one that blending gives the
largest weight, which sees most around it. So every pixel is counted once over all windows, and a
sample of windows is a sample of pixels. Windows that show a rare class may be few, and drawn at
random, none of them might be in the sample. They are therefore divided by the rarest foreground
class that they show (or none); each part gives the sample as many windows as the others do, as far
as it has them, and each of these stands for as many windows as were not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.label_map import IGNORE
from headstart.data.pictures.mask_levels import pixels_by_level
from headstart.tasks.windows import window_starts

Size = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window of a picture.

    Attributes:
        frame: index of the picture.
        corner: row and column where it begins.
        own: rows and columns, counted from there, of the pixels that belong to it.
    """

    frame: int
    corner: tuple[int, int]
    own: tuple[slice, slice]


@dataclass(frozen=True)
class Part:
    """The sampled windows whose rarest foreground class is the same.

    Attributes:
        windows: in the order of the pictures.
        weight: the number of windows that each stands for, itself included.
    """

    windows: tuple[Window, ...]
    weight: float


def count_windows(sizes: Iterable[Size], tile: Size) -> int:
    """Return how many windows cover pictures of these heights and widths.

    >>> count_windows([(584, 565)], (128, 128))
    36
    """
    return sum(
        int(np.prod([len(window_starts(side, t)) for side, t in zip(size, tile, strict=True)]))
        for size in sizes
    )


def windows_of(frame: int, size: Size, tile: Size) -> list[Window]:
    """Return the windows of a picture, by rows; their own pixels are all pixels, each once.

    >>> [(w.corner, w.own) for w in windows_of(0, (100, 30), (40, 40))]  # doctest: +ELLIPSIS
    [((0, 0), (slice(0, 35, None), slice(0, 30, None))), ((30, 0), (slice(5, 35, None), ...
    """
    rows, columns = (_places(side, t) for side, t in zip(size, tile, strict=True))
    return [
        Window(frame, (top, left), (of_rows, of_columns))
        for top, of_rows in rows
        for left, of_columns in columns
    ]


def _places(length: int, window: int) -> list[tuple[int, slice]]:
    """Return where windows begin along a side, and which of their pixels belong to them."""
    starts = window_starts(length, window)
    edges = [0, *((one + window + two) // 2 for one, two in pairwise(starts)), length]
    return [
        (start, slice(first - start, end - start))
        for start, (first, end) in zip(starts, pairwise(edges), strict=True)
    ]


def own_truth(truth: UInt8[np.ndarray, "h w"], window: Window) -> UInt8[np.ndarray, "h w"]:
    """Return the classes in a window, with pixels that belong to other windows ignored."""
    own = np.full_like(truth, IGNORE)
    own[window.own] = truth[window.own]
    return own


def sample(
    truths: Sequence[UInt8[np.ndarray, "_ _"]],
    tile: Size,
    num_classes: int,
    at_most: int,
    rng: np.random.Generator,
) -> tuple[Part, ...]:
    """Return a sample of the windows of pictures; see this module.

    Windows in which every pixel is ignored are left out, as they count nowhere.

    Args:
        truths: the true classes of each picture, at its own size.
        tile: height and width of a window.
        num_classes: number of classes, background included.
        at_most: the number of windows to draw; one for each part if that is more.
        rng: generator of the random numbers.
    """
    windows: list[Window] = []
    shows: list[Bool[np.ndarray, " k"]] = []
    for frame, truth in enumerate(truths):
        for window in windows_of(frame, (truth.shape[0], truth.shape[1]), tile):
            (top, left), (rows, columns) = window.corner, window.own
            of_rows = slice(top + rows.start, top + rows.stop)
            part = truth[of_rows, left + columns.start : left + columns.stop]
            shown = pixels_by_level(np.ascontiguousarray(part), num_classes) > 0
            if shown.any():
                windows.append(window)
                shows.append(shown)
    drawn = []
    left_to_draw = at_most
    parts = _by_rarest(np.array(shows, dtype=bool).reshape(len(shows), num_classes))
    for i, indices in enumerate(parts):
        count = min(len(indices), max(1, left_to_draw // (len(parts) - i)))
        left_to_draw -= count
        # one of each stretch, so that all pictures and places are in it
        chosen = [int(rng.choice(stretch)) for stretch in np.array_split(indices, count)]
        drawn.append(Part(tuple(windows[j] for j in chosen), len(indices) / count))
    return tuple(drawn)


def _by_rarest(shows: Bool[np.ndarray, "n k"]) -> list[np.ndarray]:
    """Return the indices of windows by the rarest foreground class that they show, or none.

    Smaller parts come first, so that what they lack goes to the larger ones.
    """
    foreground = shows[:, 1:]
    rarity = np.where(foreground, foreground.sum(0), len(shows) + 1)
    rarest = np.where(foreground.any(1), rarity.argmin(1), -1)
    parts = [np.flatnonzero(rarest == k) for k in np.unique(rarest)]
    return sorted(parts, key=len)
