"""Pictures that are in several splits, and so are both learned from and scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from headstart.data.checks.leaks import Overlap, find_overlap
from headstart.data.pictures.duplicates import Fingerprints


def overlaps(
    prints: Mapping[str, Fingerprints], budget: Int64[np.ndarray, "m"], scored: str, cache: Path
) -> dict[tuple[str, str], Overlap]:
    """Compare the scored and the validation split with the training pictures and each other.

    Args:
        prints: fingerprints of the pictures by split.
        budget: indices of the training pictures that the run learns from.
        scored: the scored split.
        cache: folder inside the output folder.
    """
    train, validation = prints["train"], prints["validation"]
    shared = {}
    for split in dict.fromkeys((scored, "validation")):
        shared[split, "training"] = find_overlap(prints[split], train, cache, budget)
    if scored != "validation":
        shared[scored, "validation"] = find_overlap(prints[scored], validation, cache)
    return shared
