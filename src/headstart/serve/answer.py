"""The answer to a picture: classes, probabilities and mask, as JSON.

The page sends no further request about the picture. Class maps and probabilities are bytes, row by
row, deflated (zlib) and in base64. Probabilities are calibrated, scaled to 0 to 255, and have the
size of [`probability_map`][headstart.inference.segmenter.probability_map].
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

from headstart.data.label_map import IGNORE
from headstart.inference.mask_files import mask_png
from headstart.inference.segmenter import Segmenter, brought, maps_of, probability_map
from headstart.scores.calibration import calibrated
from headstart.scores.overlap import dice_of_frames

# The network segments one picture at a time, with all threads: two would share the same cores and
# take twice the memory. Others are decoded and packed meanwhile.
_NETWORK = threading.Lock()
_PNG_PIXELS = 4_000_000  # a larger picture is sent back as JPEG


def answer(
    segmenter: Segmenter,
    image: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h w"] | None = None,
    shown: bool = False,
) -> dict[str, Any]:
    """Segment a picture and return the answer for the page.

    Args:
        segmenter: the trained network.
        image: RGB, of any size.
        truth: the true classes, where they are known; 255 for pixels that are ignored.
        shown: send the picture back too, for a browser that does not have or cannot read the file.

    Returns:
        ``height``, ``width``; ``map``: class indices; ``mask``: the PNG that ``predict`` writes,
        byte for byte; ``areas``: the share of each class; ``probabilities``: ``height``, ``width``
        and ``values``, class by class; ``picture``, a data URL, if ``shown``; ``truth`` and
        ``dice`` if ``truth`` is given (``None`` without foreground in truth and prediction), and
        ``ignored``: whether there are pixels that are ignored.
    """
    height, width = image.shape[:2]
    num_classes = len(segmenter.label_map.names)
    given = brought(segmenter, image)
    picture = _data_url(image) if shown else ""
    del image  # a photograph takes as much memory as a map of its classes, which comes next
    with _NETWORK:
        probs = probability_map(segmenter, given, (height, width))
        (classes,) = maps_of(segmenter, [given], [(height, width)])
    certain = calibrated(probs, segmenter.temperature, axis=0)
    response: dict[str, Any] = {
        "height": height,
        "width": width,
        "map": _packed(classes),
        "mask": _base64(mask_png(classes, segmenter.label_map)),
        "areas": (np.bincount(classes.ravel(), minlength=num_classes) / classes.size).tolist(),
        "probabilities": {
            "height": probs.shape[1],
            "width": probs.shape[2],
            "values": _packed((certain * 255).round().astype(np.uint8)),
        },
    }
    if shown:
        response["picture"] = picture
    if truth is not None:
        dice = float(dice_of_frames(_counts(classes, truth, num_classes))[0])
        response |= {
            "truth": _packed(truth),
            "dice": None if np.isnan(dice) else dice,
            "ignored": bool((truth == IGNORE).any()),
        }
    return response


def _counts(
    classes: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"], num_classes: int
) -> Int64[np.ndarray, "1 k 3"]:
    """Return what [`headstart.scores.counts.count`][] does, without torch or ignored pixels."""
    valid = truth != IGNORE
    pairs = truth[valid].astype(np.int64) * num_classes + classes[valid]
    confusion = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    hits = np.diagonal(confusion)
    return np.stack([hits, confusion.sum(0) - hits, confusion.sum(1) - hits], axis=1)[None]


def _packed(values: UInt8[np.ndarray, "..."]) -> str:
    return _base64(zlib.compress(np.ascontiguousarray(values).data, 1))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _data_url(image: UInt8[np.ndarray, "h w 3"]) -> str:
    kind = "PNG" if image.size // 3 <= _PNG_PIXELS else "JPEG"
    options = {"quality": 90} if kind == "JPEG" else {}
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{_base64(buffer.getvalue())}"
