"""What a picture is answered with: all that the page needs to show, switch and read off.

Everything after this one answer happens in the browser. Class maps and probabilities are bytes,
row by row, deflated (zlib) and in base64; probabilities have 0 to 255 for 0 to 1 and stay at the
size the network works at, where they are made.
"""

from __future__ import annotations

import base64
import io
import threading
import zlib
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from headstart.inference.segmenter import Segmenter, brought
from headstart.scores.segmentation import dice_of_frames

# One network at a time, with all threads it has: two would share the same cores and take twice the
# memory, 4 bytes a class for each pixel of a picture. Decoding and packing go on beside it.
_ALONE = threading.Lock()
_EXACT = 4_000_000  # pixels of a picture that is sent back as PNG; a larger one as JPEG


def answer(
    segmenter: Segmenter,
    image: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h w"] | None = None,
    shown: bool = False,
) -> dict[str, Any]:
    """A picture's classes, as JSON has them.

    Args:
        segmenter: the trained network.
        image: RGB, of any size.
        truth: its true classes, where they are known.
        shown: whether the picture is sent back too, for a browser that has not got or cannot read
            the file.

    Returns:
        ``height``, ``width``; ``map``: class indices; ``mask``: a PNG, to the byte the one that
        ``predict`` writes; ``areas``: the share of each class; ``probabilities``: ``height``,
        ``width`` and ``values``, class by class; then ``picture``, a data address, and ``truth``
        and ``dice`` (``None`` where no foreground is in either), where asked for.
    """
    height, width = image.shape[:2]
    num_classes = len(segmenter.label_map.names)
    with _ALONE:
        pictures = brought(segmenter, [image])
        probs = segmenter.probabilities(pictures)[0]
        (found,) = segmenter.maps(pictures, [(height, width)])
    told: dict[str, Any] = {
        "height": height,
        "width": width,
        "map": _packed(found),
        "mask": _base64(_encoded(segmenter.label_map.to_greys(found), "PNG")),
        "areas": (np.bincount(found.ravel(), minlength=num_classes) / found.size).tolist(),
        "probabilities": {
            "height": probs.shape[1],
            "width": probs.shape[2],
            "values": _packed((probs * 255).round().astype(np.uint8)),
        },
    }
    if shown:
        kind = "PNG" if height * width <= _EXACT else "JPEG"
        told["picture"] = f"data:image/{kind.lower()};base64,{_base64(_encoded(image, kind))}"
    if truth is not None:
        dice = float(dice_of_frames(_counts(found, truth, num_classes))[0])
        told |= {"truth": _packed(truth), "dice": None if np.isnan(dice) else dice}
    return told


def _counts(
    found: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], num_classes: int
) -> Int64[np.ndarray, "1 k 3"]:
    """As [`headstart.scores.segmentation.count`][], without torch."""
    pairs = truth.astype(np.int64).ravel() * num_classes + found.ravel()
    of_pairs = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    hits = np.diagonal(of_pairs)
    return np.stack([hits, of_pairs.sum(0) - hits, of_pairs.sum(1) - hits], axis=1)[None]


def _packed(values: UInt8[np.ndarray, "..."]) -> str:
    return _base64(zlib.compress(np.ascontiguousarray(values).data, 1))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _encoded(pixels: UInt8[np.ndarray, "h w *c"], kind: str) -> bytes:
    buffer = io.BytesIO()
    options = {"quality": 90} if kind == "JPEG" else {}
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
