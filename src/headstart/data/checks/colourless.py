"""Whether pictures have colour, without which a network cannot learn to restore it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.data.pictures.frame import Frame, read_frame
from headstart.errors import DataError

_SAMPLED = 8  # pictures
_EQUAL = 3  # largest difference between the channels of a grey pixel, as JPEG leaves it


def colourless(frames: Sequence[Frame], root: Path) -> bool:
    """Return whether eight pictures, spread over all, have no pixel that is not grey.

    Pictures that cannot be read say nothing; whoever decodes all of them reports them.
    """
    seen = False
    for frame in frames[:: max(1, -(-len(frames) // _SAMPLED))]:
        try:
            pixels = read_frame(frame, root).astype(np.int16)
        except DataError:
            continue
        if np.ptp(pixels, axis=-1).max() > _EQUAL:
            return False
        seen = True
    return seen
