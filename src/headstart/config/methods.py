"""What a study compares: starts, and methods of training from them.

A study's arm is named by its start and, where pictures without labels are learned from, or where
the training is the longer control, by its method: ``scratch``, ``scratch+semi-supervised``,
``imagenet+supervised-longer``. So everything that compares starts compares methods, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Method = Literal["supervised", "semi-supervised", "supervised-longer"]
SUPERVISED, SEMI_SUPERVISED, SUPERVISED_LONGER = METHODS = (
    "supervised", "semi-supervised", "supervised-longer",
)  # fmt: skip


def parted(arm: str) -> tuple[str, Method]:
    """Return the start and the method of an arm.

    >>> parted("imagenet+semi-supervised"), parted("runs/a+b")
    (('imagenet', 'semi-supervised'), ('runs/a+b', 'supervised'))
    """
    start, plus, method = arm.rpartition("+")
    if plus and method == SEMI_SUPERVISED:
        return start, "semi-supervised"
    if plus and method == SUPERVISED_LONGER:
        return start, "supervised-longer"
    return arm, "supervised"


def start_of_arm(arm: str) -> str:
    """Return the start of an arm."""
    return parted(arm)[0]


def crossed(starts: Iterable[str], methods: Iterable[str]) -> tuple[str, ...]:
    """Return the arms of starts and methods, method by method.

    >>> crossed(["scratch", "imagenet"], ["supervised", "semi-supervised"])
    ('scratch', 'imagenet', 'scratch+semi-supervised', 'imagenet+semi-supervised')
    """
    starts = tuple(starts)
    return tuple(
        start if method == SUPERVISED else f"{start}+{method}"
        for method in methods
        for start in starts
    )
