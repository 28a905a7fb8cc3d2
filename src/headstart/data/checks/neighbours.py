"""Frames in order, such as slices of a volume or frames of a video, torn apart by the splits.

Frames are in the natural order of their names. The question is whether a frame's most similar other
frame, by the distance of thumbnails, is at most two places away. In random order that happens to
about ``4 / (n - 1)`` of ``n`` frames; the frames of a video do so nearly always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from headstart.data.checks.frame_facts import FrameFacts
from headstart.data.files import natural_key
from headstart.data.pictures.duplicates import distances
from headstart.errors import Finding

_NEAR = 2  # places
_ASKED = 500  # frames, evenly spread, whose most similar one is looked for
_BLOCK = 2048  # pictures
_MOST = 0.5  # share of frames, so that the statement holds for most of them
_RESOLVED = 0.1  # grey levels, the resolution of distances in float32
_DEVIATIONS = 4.0  # of chance; small datasets need them


@dataclass(frozen=True)
class Order:
    """How often a frame's most similar other frame is near it in order.

    Attributes:
        asked: number of frames for which this was looked up.
        near: number of those with their most similar frame within two places.
        chance: the number expected in random order.
        deviation: standard deviation of that number. Pairs of frames are often each other's most
            similar one, so that the variance is up to twice that of independent frames.
    """

    asked: int
    near: int
    chance: float
    deviation: float

    @property
    def in_order(self) -> bool:
        """Whether most frames resemble a neighbour most, clearly more often than by chance."""
        return (
            self.near >= _MOST * self.asked
            and self.near > self.chance + _DEVIATIONS * self.deviation
        )


def order_of(thumbnails: UInt8[np.ndarray, "n 32 40 3"]) -> Order:
    """Return how far the order of pictures is one in which neighbours resemble each other.

    Where a picture nearby and one far away are equally similar, the most similar one counts as far
    away. Of many pictures, 500 evenly spread ones are compared with all.
    """
    count = len(thumbnails)
    asked = np.unique(np.linspace(0, count - 1, min(count, _ASKED)).round().astype(np.int64))
    if count < 2:
        return Order(len(asked), 0, 0.0, 0.0)
    closest, closest_far = np.full((2, len(asked)), np.inf)
    for begin in range(0, count, _BLOCK):  # memory does not grow with the number of pictures
        distance = distances(thumbnails[asked], thumbnails[begin : begin + _BLOCK])
        gap = np.abs(asked[:, None] - np.arange(begin, begin + distance.shape[1]))
        nearby = np.where((gap > 0) & (gap <= _NEAR), distance, np.inf)
        closest = np.minimum(closest, nearby.min(1))
        closest_far = np.minimum(closest_far, np.where(gap > _NEAR, distance, np.inf).min(1))
    neighbours = np.minimum(asked, _NEAR) + np.minimum(count - 1 - asked, _NEAR)
    chance = neighbours / (count - 1)
    deviation = float(np.sqrt(2 * (chance * (1 - chance)).sum()))
    return Order(
        len(asked), int((closest + _RESOLVED < closest_far).sum()), float(chance.sum()), deviation
    )


def neighbouring_pictures(splits: Mapping[str, FrameFacts], drawn: bool) -> list[Finding]:
    """Return a finding if most frames of a held-out split lie next to training frames like them.

    Only frames without a group count, and only splits whose names are numbered together: where two
    splits have frames of the same names, each was numbered by itself.

    Args:
        splits: the readable frames by split.
        drawn: whether headstart drew the splits, which then part any neighbours.
    """
    in_order = _numbered_together(splits)
    of_split = np.array([split for split, _ in in_order])
    beside = _beside(of_split == "train")
    torn_splits = [
        split
        for split in dict.fromkeys(split for split, _ in in_order)
        if split != "train" and (drawn or beside[of_split == split].mean() > _MOST)
    ]
    held_out = np.isin(of_split, torn_splits)
    torn = held_out & beside
    if not torn.any():
        return []
    prints = [splits[split].prints.thumbnails for split, _ in in_order]
    order = order_of(np.stack([part[k] for part, (_, k) in zip(prints, in_order, strict=True)]))
    if not order.in_order:
        return []
    message = (
        "neighbouring pictures resemble each other, as slices of one volume or frames of a video "
        f"do: {order.near} of {order.asked} have their most similar picture within {_NEAR} places "
        f"in the order of their names (about {order.chance:.0f} by chance), and {torn.sum()} of "
        f"{held_out.sum()} {' and '.join(torn_splits)} pictures lie next to a training picture"
    )
    blocks = (
        "name the volume or video of each picture in groups.csv; if all come from one, name blocks "
        "of consecutive pictures there, such as block1, block2, ..."
        if drawn
        else "keep each volume or video in one split, or, if all come from one, give each split a "
        "block of consecutive pictures; where headstart drew the validation split, name volumes, "
        "videos or blocks in groups.csv"
    )
    hint = (
        "random splits leak between neighbours, and the scores say nothing about other volumes or "
        f"videos: {blocks}"
    )
    files = tuple(
        splits[split].files[k]
        for (split, k), is_torn in zip(in_order, torn.tolist(), strict=True)
        if is_torn
    )
    return [Finding("neighbouring-pictures", "warning", message, hint, files)]


def _beside(train: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Return which frames are next to a training frame."""
    beside = np.zeros_like(train)
    beside[1:] |= train[:-1]
    beside[:-1] |= train[1:]
    return beside


def _numbered_together(splits: Mapping[str, FrameFacts]) -> list[tuple[str, int]]:
    """Return split and index of frames without a group, in natural order of their names.

    Begins with the training frames and adds each split that repeats none of the names so far. Empty
    if that leaves one split, or a name has no number.
    """
    places: dict[str, tuple[str, int]] = {}
    parts = 0
    for split, seen in splits.items():
        ungrouped = {
            frame.name: (split, k) for k, frame in enumerate(seen.frames) if frame.group is None
        }
        if ungrouped and not ungrouped.keys() & places.keys():
            places |= ungrouped
            parts += 1
    if parts < 2 or not all(re.search("[0-9]", name) for name in places):
        return []
    return [places[name] for name in sorted(places, key=natural_key)]
