"""The names of starts: where the initial weights of a run come from, unless it is a path."""

from __future__ import annotations

from typing import Literal, get_args

PretextName = Literal[
    "colorization", "chroma", "masked-denoising", "masked-colorization", "vicreg",
    "imagenet-colorization", "imagenet-chroma", "imagenet-masked-denoising",
    "imagenet-masked-colorization", "imagenet-vicreg",
]  # fmt: skip
"""Pretexts from new weights, and the same from published ones."""
PRETEXT_NAMES: tuple[str, ...] = get_args(PretextName)
OF_GREY = ("masked-denoising", "vicreg")  # pretexts that learn from grey pictures, too
SCRATCH, SCRATCH_LONGER, IMAGENET = "scratch", "scratch-longer", "imagenet"
NAMED_STARTS = (SCRATCH, IMAGENET, *PRETEXT_NAMES)
"""Starts that are named on the command line rather than given as a file."""
_FROM_IMAGENET = f"{IMAGENET}-"


def pretext_itself(start: str) -> str:
    """Return the name of a start's pretext, whatever weights it begins with.

    >>> pretext_itself("imagenet-colorization"), pretext_itself("colorization")
    ('colorization', 'colorization')
    """
    return start.removeprefix(_FROM_IMAGENET)


def views(start: str) -> int:
    """Return how many changed copies of each picture the network of a pretext sees in a step.

    >>> views("imagenet-vicreg"), views("colorization")
    (2, 1)
    """
    return 2 if pretext_itself(start) == "vicreg" else 1


def is_published(start: str) -> bool:
    """Return whether a start begins with published weights, perhaps with a pretext after them.

    >>> is_published("imagenet"), is_published("imagenet-chroma"), is_published("chroma")
    (True, True, False)
    """
    return start == IMAGENET or (start in PRETEXT_NAMES and start.startswith(_FROM_IMAGENET))
