"""What a study compares: starts, and methods of training from them.

A study's arm is named by its start and, where pictures without labels are learned from, or where
the training is the longer control, by its method: ``scratch``, ``scratch+semi-supervised``,
``imagenet+supervised-longer``. So everything that compares starts compares methods, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from headstart.config.start_names import NAMED_STARTS, SCRATCH_LONGER
from headstart.data.augmentation import StrongChanges
from headstart.data.settings_files import FrozenModel

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


def no_average(recipe: str) -> tuple[str, str]:
    """Return why a recipe without an average cannot be semi-supervised, and what to do.

    The average of the weights is the teacher.
    """
    hint = "take the recipe default, or set average = 0.995 in your own"
    return f"the recipe {recipe} has no average of the weights", hint


def start_of_arm(arm: str) -> str:
    """Return the start of an arm."""
    return parted(arm)[0]


def crossed(starts: Iterable[str], methods: Iterable[str]) -> tuple[str, ...]:
    """Return the arms of starts and methods, method by method.

    Of arms that a study has, only the starts count, so that its command can be repeated.

    >>> crossed(["scratch", "imagenet"], ["supervised", "semi-supervised"])
    ('scratch', 'imagenet', 'scratch+semi-supervised', 'imagenet+semi-supervised')
    >>> crossed(["scratch", "scratch+semi-supervised"], ["semi-supervised"])
    ('scratch+semi-supervised',)
    """
    starts = tuple(dict.fromkeys(map(start_of_arm, starts)))
    return tuple(
        start if method == SUPERVISED else f"{start}+{method}"
        for method in methods
        for start in starts
    )


def spelt_once(arms: Iterable[str], known: Iterable[str] = ()) -> tuple[str, ...]:
    """Return arms without those that are another spelling of the path of a start.

    Args:
        arms: with names or paths as starts.
        known: arms whose starts keep their spelling.

    >>> spelt_once(["runs/a/", "scratch", "./runs/a"], known=["runs/a+semi-supervised"])
    ('runs/a', 'scratch')
    """
    spelling: dict[str, str] = {}
    named = (*NAMED_STARTS, SCRATCH_LONGER)

    def spelt(arm: str) -> str:
        start = start_of_arm(arm)
        place = start if start in named else os.path.realpath(start)
        return spelling.setdefault(place, start) + arm.removeprefix(start)

    for arm in known:
        spelt(arm)
    return tuple(dict.fromkeys(map(spelt, arms)))


class Teacher(FrozenModel):
    """How a segmentation learns from pictures without labels, too.

    The average of the weights is the teacher; see [`headstart.training.semi_supervised`][].

    Attributes:
        batch: pictures without labels per step.
        confidence: the least probability of a class that the network learns from the teacher.
        by_class: whether classes of which the teacher is less sure need less: ``confidence`` times
            the mean probability of the pixels of a class in the batch, over that of the surest.
        balance: in ``[0, 1]``; a pixel of a class with ``n`` sure pixels in the batch weighs
            ``n ** -balance``, scaled so that the mean weight is 1. 0: all pixels weigh the same; 1:
            all classes do.
        weight: of the loss on pictures without labels, beside that on labelled ones.
        ramp: the share of all steps during which the weight rises from 0.
        dropped: the probability with which a channel of the coarsest features of these pictures is
            set to 0 in the network, and not in the teacher.
        changes: what is done to the pictures that the network sees, and not to the teacher's.
    """

    batch: Annotated[int, Field(ge=1, le=65536)] = 10
    confidence: Annotated[float, Field(ge=0, lt=1)] = 0.9
    by_class: bool = False
    balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.2
    dropped: Annotated[float, Field(ge=0, lt=1)] = 0.0
    changes: StrongChanges = StrongChanges()
