"""Scores that verdicts are about, as functions of counts pooled over a split.

A run's counts have the shape ``(frames, classes, m)``: what the ``m`` counts are depends on the
score. Counts add up over frames, so a score of any resample of the frames needs nothing else.

| score | counts of a frame and class | formula |
|---|---|---|
| [`DICE`][] | true positive, false positive and false negative pixels | mean over classes of ``2 TP / (2 TP + FP + FN)`` |
| [`ACCURACY`][] | recognised and missed pictures, of one class "all" | ``recognised / (recognised + missed)`` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

Counts = Int64[np.ndarray, "s n k m"]  # seeds, frames, classes, counts
Groups = Int64[np.ndarray, " n"]  # the group of each frame

MIN_FRAMES = 5  # that hold a class, for it to enter a verdict


@dataclass(frozen=True)
class Usable:
    """The classes a verdict is taken over."""

    classes: tuple[int, ...]  # that enter the mean
    left_out: tuple[int, ...]  # foreground that the truth holds, but too rarely
    fallback: bool  # no class is held often enough: the verdict stands on very few frames


@dataclass(frozen=True)
class PooledScore:
    """A score of counts that were summed over frames.

    Attributes:
        name: as in ``scores.json``.
        of: from counts ``(..., k, m)`` to scores ``(...)``.
        truth: from counts ``(..., m)`` to what the truth alone decides, ``(...)``: runs scored on
            the same frames agree about it.
        usable: from counts ``(n, k, m)`` of one run, and groups, to the classes of a verdict.
    """

    name: str
    of: Callable[[Int64[np.ndarray, "*any k m"]], Float64[np.ndarray, "*any"]]
    truth: Callable[[Int64[np.ndarray, "*any m"]], Int64[np.ndarray, "*any"]]
    usable: Callable[[Int64[np.ndarray, "n k m"], Groups | None], Usable]


def true_pixels(counts: Int64[np.ndarray, "*any 3"]) -> Int64[np.ndarray, "*any"]:
    """Pixels of the class in the truth: ``TP + FN``."""
    return np.asarray(counts[..., 0] + counts[..., 2])


def pooled_dice(counts: Int64[np.ndarray, "*any k 3"]) -> Float64[np.ndarray, "*any"]:
    """Mean over classes of ``2 TP / (2 TP + FP + FN)``, from counts already summed over frames.

    Every class given that the truth holds enters; leave background out before.

    Raises:
        ValueError: the truth holds none of the classes.

    >>> pooled_dice(np.array([[6, 2, 2], [0, 4, 0]])).item()
    0.75
    """
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    held = tp + fn > 0
    if not held.any(-1).all():
        raise ValueError("the truth holds none of the classes: there is no dice")
    dice = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return np.asarray((dice * held).sum(-1) / held.sum(-1))


def pooled_accuracy(counts: Int64[np.ndarray, "*any 1 2"]) -> Float64[np.ndarray, "*any"]:
    """The share of the pictures that were recognised.

    >>> pooled_accuracy(np.array([[3, 1]])).item()
    0.75
    """
    recognised, missed = np.moveaxis(counts[..., 0, :], -1, 0)
    return np.asarray(recognised / (recognised + missed))


def usable_classes(counts: Int64[np.ndarray, "n k 3"], groups: Groups | None = None) -> Usable:
    """The foreground classes that a verdict's mean dice is taken over.

    A class enters if the truth of at least five frames holds it; where there are groups, these must
    lie in at least two of them, for one group says nothing about the next. If no class does, all
    classes on at least two frames (in two groups) enter, and ``fallback`` says so.

    Args:
        counts: of any one run; the truth is the same in all. Class 0 is background.
        groups: the group of each frame.

    Raises:
        ValueError: no foreground class is on two frames (in two groups), or shapes do not match.

    >>> counts = np.zeros((6, 4, 3), dtype=np.int64)
    >>> counts[:, :2, 0] = counts[:2, 2, 0] = 9
    >>> usable_classes(counts)
    Usable(classes=(1,), left_out=(2,), fallback=False)
    """
    if counts.ndim != 3 or counts.shape[-1] != 3 or not counts.size:
        raise ValueError(f"counts must have the shape (frames, classes, 3); found {counts.shape}")
    held = true_pixels(counts) > 0
    units = sum_groups(held[None, ..., None].astype(np.int64), groups)[0, ..., 0] > 0
    frames, repeated = held.sum(0), units.sum(0) >= 2
    present = [c for c in range(1, counts.shape[1]) if frames[c] > 0]
    classes = [c for c in present if frames[c] >= MIN_FRAMES and repeated[c]]
    fallback = not classes
    classes = classes or [c for c in present if repeated[c]]
    if not classes:
        unit = "frames" if groups is None else "groups"
        raise ValueError(f"no foreground class is in the truth of two {unit}: nothing to compare")
    return Usable(tuple(classes), tuple(c for c in present if c not in classes), fallback)


def sum_groups(
    counts: Int64[np.ndarray, "s n k m"], groups: Int64[np.ndarray, " g"] | None
) -> Int64[np.ndarray, "s u k m"]:
    """Counts per unit: the frame, or the group where there are groups.

    Raises:
        ValueError: there are not as many groups as frames.
    """
    if groups is None:
        return counts
    if groups.shape != counts.shape[1:2]:
        raise ValueError(f"{counts.shape[1]} frames need as many groups; found {groups.shape}")
    members = [groups == group for group in np.unique(groups)]
    return np.stack([counts[:, those].sum(1) for those in members], axis=1)


def _pictures(counts: Int64[np.ndarray, "*any 2"]) -> Int64[np.ndarray, "*any"]:
    return np.asarray(counts.sum(-1))


def _all_pictures(_counts: Int64[np.ndarray, "n 1 2"], _groups: Groups | None) -> Usable:
    return Usable(classes=(0,), left_out=(), fallback=False)


DICE = PooledScore("dice", pooled_dice, true_pixels, usable_classes)
"""The headline score of a segmentation."""

ACCURACY = PooledScore("accuracy", pooled_accuracy, _pictures, _all_pictures)
"""The headline score of a classification."""
