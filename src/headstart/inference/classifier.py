"""A trained classifier, with what it takes to use it, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from headstart.data.decoded_frames import resize_image

Small = Sequence[UInt8[np.ndarray, "_ _ _"]]


@dataclass(frozen=True)
class Classifier:
    """A trained network with what it takes to use it.

    PyTorch or ONNX Runtime may be behind it: who uses one loads neither.

    Attributes:
        size: height and width it was trained at.
        names: of its classes.
        digest: SHA-256 of the file of weights, or of the ONNX file.
        probabilities: of each class, of pictures not above ``size``, each ``(c, h, w)``, grey or
            RGB; it brings them to its size.
    """

    size: tuple[int, int]
    names: tuple[str, ...]
    digest: str
    probabilities: Callable[[Small], Float32[np.ndarray, "n k"]]


def not_above(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "3 h2 w2"]:
    """As pictures are kept to be trained on: shrunk to ``size``, enlarged by the network only."""
    if image.shape[0] > size[0] or image.shape[1] > size[1]:
        image = resize_image(image, size)
    return np.ascontiguousarray(image.transpose(2, 0, 1))
