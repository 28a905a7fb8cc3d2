"""From samples of more than 8 bits to 0 .. 255, by a declared range of values."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Num, UInt8

ValueRange = tuple[int, int] | Literal["percentile"]
"""The values to show as 0 and 255; or ``"percentile"``, a picture's own 0.5 and 99.5 percentiles.
"""

_PERCENTILES = (0.5, 99.5)
_ROWS = 256  # mapped at a time, so that large pictures need little memory


def limits(samples: Num[np.ndarray, "*shape"], value_range: ValueRange) -> tuple[float, float]:
    """Return the values that become 0 and 255.

    A percentile ``q`` is the smallest sample that at least ``q`` percent of all samples, of all
    channels together, do not exceed. So it does not depend on rounding or on the order of samples.

    >>> limits(np.arange(1000), "percentile")
    (4.0, 994.0)
    """
    if value_range != "percentile":
        low, high = value_range
        return float(low), float(high)
    low, high = np.percentile(samples, _PERCENTILES, method="inverted_cdf").tolist()
    return float(low), float(high)


def to_eight_bits(
    samples: Num[np.ndarray, "*shape"], low: float | int, high: float | int
) -> UInt8[np.ndarray, "*shape"]:
    """Map ``low`` to 0 and ``high`` to 255, linearly and rounded; clip what lies outside.

    If both are equal, only larger samples become 255.

    >>> to_eight_bits(np.array([0, 100, 300, 500, 900]), 100, 500)
    array([  0,   0, 128, 255, 255], dtype=uint8)
    """
    levels = np.empty(samples.shape, dtype=np.uint8)
    for top in range(0, len(samples), _ROWS):
        part = samples[top : top + _ROWS].astype(np.float64)
        share = (part - low) / (high - low) if high > low else np.where(part > low, 1.0, 0.0)
        levels[top : top + _ROWS] = np.rint(255 * np.clip(share, 0, 1))
    return levels
