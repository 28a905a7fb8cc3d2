"""Scores for verdicts, computed from counts summed over a split.

The counts of a run have shape ``(frames, classes, m)``; the meaning of the ``m`` counts depends on
the score. Because counts add up over frames, they suffice to score any resample of the frames.

- [`DICE`][]: from true positive, false positive and false negative pixels per frame and class; the
  mean over classes of ``2 TP / (2 TP + FP + FN)``.
- [`ACCURACY`][]: from correct and wrong pictures of one class "all";
  ``correct / (correct + wrong)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from headstart.scores.overlap import dice_of_frames

Counts = Int64[np.ndarray, "s n k m"]  # seeds, frames, classes, counts
Groups = Int64[np.ndarray, " n"]  # the group of each frame

MIN_FRAMES = 5  # frames that must contain a class for it to enter a verdict


@dataclass(frozen=True)
class Usable:
    """The classes that enter a verdict."""

    classes: tuple[int, ...]  # classes in the mean
    left_out: tuple[int, ...]  # foreground classes on too few frames
    fallback: bool  # no class is on enough frames; the verdict rests on very few


@dataclass(frozen=True)
class PooledScore:
    """A score computed from counts summed over frames.

    Attributes:
        name: its key in ``scores.json``.
        of: maps counts ``(..., k, m)`` to scores ``(...)``.
        truth: maps counts ``(..., m)`` to a count ``(...)`` that depends on the truth only, so it
            is the same for all runs scored on the same frames.
        usable: maps the counts ``(n, k, m)`` of one run, and groups, to the classes of a verdict.
        of_frames: maps the counts ``(n, k, m)`` of one run to a score of each frame, over all
            classes; NaN where a frame says nothing.
    """

    name: str
    of: Callable[[Int64[np.ndarray, "... k m"]], Float64[np.ndarray, "..."]]
    truth: Callable[[Int64[np.ndarray, "... m"]], Int64[np.ndarray, "..."]]
    usable: Callable[[Int64[np.ndarray, "n k m"], Groups | None], Usable]
    of_frames: Callable[[Int64[np.ndarray, "n k m"]], Float64[np.ndarray, " n"]]


def true_pixels(counts: Int64[np.ndarray, "*any 3"]) -> Int64[np.ndarray, "*any"]:
    """Return the true pixels of the class: ``TP + FN``."""
    return np.asarray(counts[..., 0] + counts[..., 2])


def pooled_dice(counts: Int64[np.ndarray, "*any k 3"]) -> Float64[np.ndarray, "*any"]:
    """Return the mean over classes of ``2 TP / (2 TP + FP + FN)``, from counts summed over frames.

    Classes without true pixels do not enter. Pass foreground classes only.

    Raises:
        ValueError: the truth contains none of the classes.

    >>> pooled_dice(np.array([[6, 2, 2], [0, 4, 0]])).item()
    0.75
    """
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    present = tp + fn > 0
    if not present.any(-1).all():
        raise ValueError("Dice is undefined: the truth contains none of the classes")
    dice = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return np.asarray((dice * present).sum(-1) / present.sum(-1))


def pooled_accuracy(counts: Int64[np.ndarray, "*any 1 2"]) -> Float64[np.ndarray, "*any"]:
    """Return the share of correctly classified pictures.

    >>> pooled_accuracy(np.array([[3, 1]])).item()
    0.75
    """
    correct, wrong = np.moveaxis(counts[..., 0, :], -1, 0)
    return np.asarray(correct / (correct + wrong))


def usable_classes(counts: Int64[np.ndarray, "n k 3"], groups: Groups | None = None) -> Usable:
    """Return the foreground classes that enter the mean Dice of a verdict.

    A class enters if the truth of at least five frames contains it. With groups, these frames must
    lie in at least two groups, because one group tells nothing about the others. If no class
    qualifies, all classes on at least two frames (in two groups) enter and ``fallback`` is true.

    Args:
        counts: counts of any run; the truth is the same in all runs. Class 0 is background.
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
    on_frame = true_pixels(counts) > 0
    units = sum_groups(on_frame[None, ..., None].astype(np.int64), groups)[0, ..., 0] > 0
    frames, repeated = on_frame.sum(0), units.sum(0) >= 2
    present = [c for c in range(1, counts.shape[1]) if frames[c] > 0]
    classes = [c for c in present if frames[c] >= MIN_FRAMES and repeated[c]]
    fallback = not classes
    classes = classes or [c for c in present if repeated[c]]
    if not classes:
        unit = "frames" if groups is None else "groups"
        raise ValueError(f"nothing to compare: no foreground class is in the truth of two {unit}")
    return Usable(tuple(classes), tuple(c for c in present if c not in classes), fallback)


def sum_groups(
    counts: Int64[np.ndarray, "s n k m"], groups: Int64[np.ndarray, " g"] | None
) -> Int64[np.ndarray, "s u k m"]:
    """Sum counts over the frames of each group; without groups, return them per frame.

    Raises:
        ValueError: ``groups`` does not have one entry per frame.
    """
    if groups is None:
        return counts
    if groups.shape != counts.shape[1:2]:
        raise ValueError(
            f"expected one group for each of {counts.shape[1]} frames; found {groups.shape}"
        )
    members = [groups == group for group in np.unique(groups)]
    return np.stack([counts[:, member].sum(1) for member in members], axis=1)


def _pictures(counts: Int64[np.ndarray, "*any 2"]) -> Int64[np.ndarray, "*any"]:
    return np.asarray(counts.sum(-1))


def _all_pictures(_counts: Int64[np.ndarray, "n 1 2"], _groups: Groups | None) -> Usable:
    return Usable(classes=(0,), left_out=(), fallback=False)


def _right(counts: Int64[np.ndarray, "n 1 2"]) -> Float64[np.ndarray, " n"]:
    return np.asarray(counts[:, 0, 0], dtype=np.float64)


DICE = PooledScore("dice", pooled_dice, true_pixels, usable_classes, dice_of_frames)
"""The headline score of a segmentation."""

ACCURACY = PooledScore("accuracy", pooled_accuracy, _pictures, _all_pictures, _right)
"""The headline score of a classification."""
