"""Weak and hardly tested classes of a network, in sentences for the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer

from headstart.errors import printable

WEAK = 0.6
"""Scores below this are weak."""
FEW = 5
"""A class in fewer scored pictures is hardly tested."""
_OFTEN = 0.1  # share of the frames without a class; more frames with false predictions are reported
_APART = 0.15  # precision and recall that differ by less are reported together


def quoted(name: str) -> str:
    """Return a name as Markdown code that also works inside a table.

    >>> quoted("a|b`c")
    "`a/b'c`"
    """
    return f"`{printable(name).replace('|', '/').replace('`', chr(39))}`"


def weak_classes(
    scores: Mapping[str, Any], counts: Integer[np.ndarray, "n k 3"], names: Sequence[str]
) -> list[str]:
    """Return a sentence for each weak or hardly tested class of a segmentation.

    Args:
        scores: content of ``scores.json``.
        counts: TP, FP, FN by frame and class, as in ``frames.csv``.
        names: names of the classes, background first.
    """
    split, sentences = scores["split"], []
    in_truth = counts[..., 0] + counts[..., 2] > 0
    invented = (counts[..., 1] > 0) & ~in_truth
    for k, name in enumerate(names):
        of_class = scores["classes"][name]
        frames, absent = of_class["frames"], int((~in_truth[:, k]).sum())
        dice, parts = of_class["dice"], []
        if dice is None:
            parts.append(f"not tested, as no {split} frame shows it")
        elif dice < WEAK:
            reason = _reason(of_class["precision"], of_class["recall"])
            parts.append(f"dice {dice:.2f}: {reason}")
        if 0 < frames < FEW:
            parts.append(f"tested on only {_counted(frames, f'{split} frame')}")
        if k and absent and (wrong := int(invented[:, k].sum())) > _OFTEN * absent:
            parts.append(f"predicted in {wrong} of the {absent} {split} frames that do not show it")
        if parts:
            sentences.append(f"{quoted(name)}: {'; '.join(parts)}.")
    return sentences


def weak_labels(
    scores: Mapping[str, Any], confusion: Int64[np.ndarray, "k k"], names: Sequence[str]
) -> list[str]:
    """Return a sentence for each weak or hardly tested class of a classification.

    Args:
        scores: content of ``scores.json``.
        confusion: pictures by true class (row) and predicted class (column).
        names: names of the classes.
    """
    split, sentences = scores["split"], []
    for k, name in enumerate(names):
        of_class = scores["classes"][name]
        pictures, recall, precision = (of_class[n] for n in ("pictures", "recall", "precision"))
        parts = []
        if not pictures:
            parts.append(f"not tested, as no {split} picture shows it")
        elif recall < WEAK or (precision is not None and precision < WEAK):
            parts.append(_reason(precision, recall, "pictures"))
        others = np.where(np.arange(len(names)) == k, 0, confusion[k])
        if pictures and recall < WEAK and others.any():
            most = int(others.argmax())
            parts.append(f"most often mistaken for {quoted(names[most])} ({others[most]} times)")
        if 0 < pictures < FEW:
            parts.append(f"tested on only {_counted(pictures, f'{split} picture')}")
        if parts:
            sentences.append(f"{quoted(name)}: {'; '.join(parts)}.")
    return sentences


def _reason(precision: float | None, recall: float, of: str = "pixels") -> str:
    """Say which of the two is low; ``precision`` is None if the class is never predicted."""
    if precision is None:
        return "it is never predicted"
    low_recall = f"only {recall:.0%} of its {of} are found (recall)"
    low_precision = f"only {precision:.0%} of the {of} predicted as it are right (precision)"
    if recall < precision - _APART:
        return f"often missed, {low_recall}"
    if precision < recall - _APART:
        return f"predicted too often, {low_precision}"
    return f"{low_recall}, and {low_precision}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("s" if count != 1 else "")
