"""Class maps of pictures at their own size: overlapping windows with blended edges; no torch.

Windows overlap by a quarter or more. Each pixel's probabilities are the mean over the windows that
hold it, weighted by ``sin^2(pi (y + 1/2) / h) sin^2(pi (x + 1/2) / w)`` for row y and column x of
an h x w window: 1 in its centre, nearly 0 at its borders, where the network sees only one side.
Memory grows with the width of a picture, not with its height: finished rows are given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32, UInt8

from headstart.data.framing import padded
from headstart.data.pictures.mask_levels import pixels_by_level

Corners = list[tuple[int, int]]
Answer = Callable[[UInt8[np.ndarray, "n 3 h w"], Corners], Float32[np.ndarray, "n k h w"]]
"""A network: from windows, and the row and column where each begins, to class probabilities."""

Seen = Callable[[slice, Float32[np.ndarray, "k n w"]], None]
"""Hears some rows of a picture and the class probabilities of their pixels, each row once."""

_BATCH = 8
_AT_ONCE = 1 << 24  # classes times pixels whose probabilities are kept


def window_starts(length: int, window: int) -> list[int]:
    """Return where windows begin along a side, evenly spaced, the last one at its end.

    >>> window_starts(100, 40), window_starts(30, 40)
    ([0, 30, 60], [0])
    """
    if length <= window:
        return [0]
    steps = -(-(length - window) // max(1, window - window // 4))
    return [round(i * (length - window) / steps) for i in range(steps + 1)]


def blended(
    picture: UInt8[np.ndarray, "h w 3"], window: tuple[int, int], answer: Answer
) -> Iterator[tuple[slice, Float32[np.ndarray, "k n w"]]]:
    """Yield the class probabilities of a picture from above: some rows, and their probabilities.

    A picture that is smaller than a window is mirrored at its lower and right border.

    Args:
        picture: at its own size.
        window: height and width of the windows.
        answer: the network.
    """
    (height, width), (high, wide) = picture.shape[:2], window
    picture = padded(picture, window)
    weights = np.outer(_weights(high), _weights(wide))
    tops = window_starts(height, high)
    # sums over the rows that the windows from `top` on reach
    sums, total = np.zeros((0, high, picture.shape[1]), np.float32), np.zeros((0, 0), np.float32)
    for top, following in zip(tops, [*tops[1:], height], strict=True):
        corners = [(top, left) for left in window_starts(width, wide)]
        for start in range(0, len(corners), _BATCH):
            part = corners[start : start + _BATCH]
            cuts = [picture[top : top + high, left : left + wide] for _, left in part]
            probs = answer(np.stack(cuts).transpose(0, 3, 1, 2), part)
            if not len(sums):
                sums = np.zeros((probs.shape[1], high, picture.shape[1]), np.float32)
                total = np.zeros(sums.shape[1:], np.float32)
            for (_, left), of_window in zip(part, probs, strict=True):
                sums[:, :, left : left + wide] += weights * of_window
                total[:, left : left + wide] += weights
        done = following - top
        yield slice(top, following), sums[:, :done, :width] / total[:done, :width]
        for rows in (sums, total):
            rows[..., : high - done, :] = rows[..., done:, :].copy()
            rows[..., high - done :, :] = 0


def _weights(side: int) -> Float32[np.ndarray, " n"]:
    places = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    weights: Float32[np.ndarray, " n"] = np.sin(np.float32(np.pi) * places) ** 2
    return weights


def class_map(
    picture: UInt8[np.ndarray, "h w 3"],
    window: tuple[int, int],
    answer: Answer,
    min_area: float,
    seen: Seen | None = None,
) -> UInt8[np.ndarray, "h w"]:
    """Return the most probable class of each pixel of a picture, by [`blended`][] windows.

    Args:
        picture: at its own size.
        window: height and width of the windows.
        answer: the network.
        min_area: a foreground class that is the most probable on a smaller share of the picture is
            not predicted there; its pixels get the most probable of the other classes. A picture
            whose probabilities are too many to keep is then segmented once more.
        seen: hears all probabilities, from above.
    """
    classes = np.empty(picture.shape[:2], np.uint8)
    kept, count = [], 0
    for rows, probs in blended(picture, window, answer):
        classes[rows], count = probs.argmax(0), len(probs)
        if seen is not None:
            seen(rows, probs)
        if count * classes.size <= _AT_ONCE:
            kept.append((rows, probs))
    pixels = pixels_by_level(classes, count)
    left_out = pixels / classes.size < min_area
    left_out[0] = False
    if (left_out & (pixels > 0)).any():  # else nothing would change
        for rows, probs in kept or blended(picture, window, answer):
            probs[left_out] = -1
            classes[rows] = probs.argmax(0)
    return classes
