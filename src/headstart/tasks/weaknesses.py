"""Where a network is weak, in words made from its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer

from headstart.errors import printable

WEAK = 0.6  # a score below it is told
FEW = 5  # pictures; a class with fewer hardly has a score
_OFTEN = 0.1  # of the frames without a class: predicted in more of them is told
_APART = 0.15  # precision and recall: nearer ones are told together


def quoted(name: str) -> str:
    """A name as Markdown shows it unchanged, in a table too.

    >>> quoted("a|b`c")
    "`a/b'c`"
    """
    return f"`{printable(name).replace('|', '/').replace('`', chr(39))}`"


def weak_classes(
    scores: Mapping[str, Any], counts: Integer[np.ndarray, "n k 3"], names: Sequence[str]
) -> list[str]:
    """What a segmentation does badly, or hardly tested; a sentence a class, background first.

    Args:
        scores: content of ``scores.json``.
        counts: TP, FP, FN by frame and class, as in ``frames.csv``.
        names: of the classes.
    """
    split, told = scores["split"], []
    in_truth = counts[..., 0] + counts[..., 2] > 0
    invented = (counts[..., 1] > 0) & ~in_truth
    for k, name in enumerate(names):
        its = scores["classes"][name]
        frames, absent = its["frames"], int((~in_truth[:, k]).sum())
        parts = []
        if its["dice"] is None:
            parts.append(f"in no {split} frame: whether it is found is not known")
        elif its["dice"] < WEAK:
            parts.append(f"dice {its['dice']:.2f}: {_reason(its['precision'], its['recall'])}")
        if 0 < frames < FEW:
            parts.append(f"in {_counted(frames, f'{split} frame')} only, on which its score rests")
        if k and absent and (wrong := int(invented[:, k].sum())) > _OFTEN * absent:
            parts.append(f"predicted in {wrong} of the {absent} {split} frames that do not show it")
        if parts:
            told.append(f"{quoted(name)}: {'; '.join(parts)}.")
    return told


def weak_labels(
    scores: Mapping[str, Any], confusion: Int64[np.ndarray, "k k"], names: Sequence[str]
) -> list[str]:
    """What a classification does badly, or hardly tested.

    Args:
        scores: content of ``scores.json``.
        confusion: pictures by true class (row) and predicted class (column).
        names: of the classes.
    """
    split, told = scores["split"], []
    for k, name in enumerate(names):
        its = scores["classes"][name]
        pictures, recall, precision = its["pictures"], its["recall"], its["precision"]
        parts = []
        if not pictures:
            parts.append(f"no {split} picture is of it: whether it is recognised is not known")
        elif recall < WEAK or (precision is not None and precision < WEAK):
            parts.append(_reason(precision, recall, "pictures"))
        others = np.where(np.arange(len(names)) == k, 0, confusion[k])
        if pictures and recall < WEAK and others.any():
            most = int(others.argmax())
            parts.append(f"most often taken for {quoted(names[most])} ({others[most]} times)")
        if 0 < pictures < FEW:
            its_pictures = _counted(pictures, f"{split} picture")
            parts.append(f"{its_pictures} only, on which its score rests")
        if parts:
            told.append(f"{quoted(name)}: {'; '.join(parts)}.")
    return told


def _reason(precision: float | None, recall: float, of: str = "pixels") -> str:
    """Which of the two is low; ``precision`` is None where the class is never predicted."""
    if precision is None:
        return "it is never predicted"
    missed = f"only {recall:.0%} of its {of} are found (recall)"
    invented = f"only {precision:.0%} of the {of} given to it are right (precision)"
    if recall < precision - _APART:
        return f"much is missed: {missed}"
    if precision < recall - _APART:
        return f"too much is taken for it: {invented}"
    return f"{missed}, and {invented}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("s" if count != 1 else "")
