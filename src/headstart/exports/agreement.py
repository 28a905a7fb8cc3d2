"""Comparing ONNX Runtime with PyTorch on real pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.errors import Finding, HeadstartError
from headstart.inference.predictor import Images, Predictor

TOLERANCE = 1e-4
"""The largest difference of a probability that is accepted."""


@dataclass(frozen=True)
class BatchComparison:
    """The comparison on one batch.

    Attributes:
        size: height and width of the network's input.
        batch: the number of pictures.
        largest_difference: of a probability.
    """

    size: tuple[int, int]
    batch: int
    largest_difference: float


@dataclass(frozen=True)
class Agreement:
    """The comparison on all pictures.

    Attributes:
        pictures: the number of real pictures.
        tolerance: see [`TOLERANCE`][].
        largest_difference: of a probability, over all batches.
        other_class_share: the share of pixels, at the pictures' own sizes, or of pictures that get
            another class.
        compared: the comparison on each batch.
    """

    pictures: int
    tolerance: float
    largest_difference: float
    other_class_share: float
    compared: tuple[BatchComparison, ...]


def compare(exported: Predictor, original: Predictor, images: Images) -> Agreement:
    """Compare a network in two runtimes.

    Args:
        exported: the network, run by ONNX Runtime.
        original: the same, run by PyTorch.
        images: pictures as [`as_sample`][headstart.inference.predictor.Predictor.as_sample] gives
            them.

    Raises:
        HeadstartError: a probability differs by more than [`TOLERANCE`][].
    """
    ours, theirs = exported.answers(images), original.answers(images)
    compared = tuple(
        BatchComparison(size, len(a), float(np.abs(a - b).max()))
        for size, a, b in zip(ours.sizes, ours.probabilities, theirs.probabilities, strict=True)
    )
    largest = float(np.max([batch.largest_difference for batch in compared]))
    if not largest <= TOLERANCE:  # true for NaN, too
        message = (
            f"ONNX Runtime and PyTorch differ by {largest:.2g} in a probability, expected at most "
            f"{TOLERANCE:.0e}; nothing was written"
        )
        hint = "try other versions of torch or onnxruntime, and please report this"
        raise HeadstartError(Finding("onnx-differs", "error", message, hint))
    pairs = zip(ours.classes, theirs.classes, strict=True)
    differs = np.concatenate([(a != b).ravel() for a, b in pairs])
    return Agreement(len(images), TOLERANCE, largest, float(differs.mean()), compared)
