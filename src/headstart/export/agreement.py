"""Whether ONNX Runtime answers as PyTorch does, on real pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from headstart.data.decoded_frames import resize_image
from headstart.errors import Finding, HeadstartError
from headstart.inference.classifier import Classifier
from headstart.inference.segmenter import Segmenter, brought, class_maps_of

TOLERANCE = 1e-4
"""No probability may differ by more."""
_ALONE = 3  # pictures are compared again, alone and at another size
_MULTIPLE = 8  # to which the network pads: the other size is none of it

Images = list[UInt8[np.ndarray, "_ _ _"]]


@dataclass(frozen=True)
class Comparison:
    """One call of both.

    Attributes:
        size: height and width of the pictures.
        batch: how many.
        largest_difference: of a probability.
    """

    size: tuple[int, int]
    batch: int
    largest_difference: float


@dataclass(frozen=True)
class Agreement:
    """How far they are from each other.

    Attributes:
        pictures: real ones, on which they were compared.
        tolerance: see [`TOLERANCE`][].
        largest_difference: of a probability, over all comparisons.
        other_class_share: of the pixels, at the pictures' own sizes, that get another class; of the
            pictures, where these have a class.
        compared: each comparison.
    """

    pictures: int
    tolerance: float
    largest_difference: float
    other_class_share: float
    compared: tuple[Comparison, ...]


def of_segmenters(ours: Segmenter, theirs: Segmenter, images: Images) -> Agreement:
    """Compares all pictures at the network's size, some alone at another, classes at their own.

    Args:
        ours: run by ONNX Runtime.
        theirs: by PyTorch.
        images: RGB, of any size, ``(h, w, 3)``.

    Raises:
        HeadstartError: they do not agree.
    """
    odd = (_no_multiple(ours.size[0]), _no_multiple(ours.size[1]))
    alone = [np.stack([resize_image(i, odd).transpose(2, 0, 1)]) for i in images[:_ALONE]]
    compared = [
        _compared(odd if i else ours.size, ours.probabilities(batch), theirs.probabilities(batch))
        for i, batch in enumerate((brought(ours, images), *alone))
    ]
    pairs = zip(class_maps_of(ours, images), class_maps_of(theirs, images), strict=True)
    return _agreed(compared, np.concatenate([(a != b).ravel() for a, b in pairs]), len(images))


def of_classifiers(ours: Classifier, theirs: Classifier, images: Images) -> Agreement:
    """Compares all pictures at once, and some alone.

    Args:
        ours: run by ONNX Runtime.
        theirs: by PyTorch.
        images: not above the network's size, ``(c, h, w)``.

    Raises:
        HeadstartError: they do not agree.
    """
    batches = (images, *([image] for image in images[:_ALONE]))
    pairs = [(ours.probabilities(batch), theirs.probabilities(batch)) for batch in batches]
    compared = [_compared(ours.size, *pair) for pair in pairs]
    differs = pairs[0][0].argmax(1) != pairs[0][1].argmax(1)
    return _agreed(compared, differs, len(images))


def _no_multiple(side: int) -> int:
    return side - side % _MULTIPLE + _MULTIPLE + 3


def _compared(
    size: tuple[int, int],
    ours: Float32[np.ndarray, "b *rest"],
    theirs: Float32[np.ndarray, "b *rest"],
) -> Comparison:
    return Comparison(size, len(ours), float(np.abs(ours - theirs).max()))


def _agreed(
    compared: list[Comparison], differs: Bool[np.ndarray, " _"], pictures: int
) -> Agreement:
    largest = float(np.max([one.largest_difference for one in compared]))
    if not largest <= TOLERANCE:  # NaN is not
        message = (
            f"ONNX Runtime and PyTorch differ by {largest:.2g} in a probability, at most "
            f"{TOLERANCE:.0e} was expected; nothing was written"
        )
        hint = "other versions of torch or onnxruntime may do better; please report it"
        raise HeadstartError(Finding("onnx-differs", "error", message, hint))
    return Agreement(pictures, TOLERANCE, largest, float(differs.mean()), tuple(compared))
