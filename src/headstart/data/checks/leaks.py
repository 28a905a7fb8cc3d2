"""How many pictures of one split are also in another, exactly or nearly.

The comparison of two splits is kept beside the decoded frames, found by their content: a study's
runs, which differ in the training pictures they use, make it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from headstart.data.cache import cached, open_array
from headstart.data.pictures.duplicates import NEAR, Fingerprints, near

_VERSION = 1  # of what is kept
_MOST = 100_000_000  # pairs of pictures; more take minutes to compare


@dataclass(frozen=True)
class Overlap:
    """How many pictures of one split are also in another.

    Attributes:
        pictures: how many there are in the first.
        among: how many in the other.
        same: how many of ``pictures`` are there pixel by pixel.
        near: how many, not counting those, are within ``NEAR`` grey levels of one; see
            [`headstart.data.pictures.duplicates`][]. None where they were not compared: tiny
            pictures, or more than a hundred million pairs.
    """

    pictures: int
    among: int
    same: int
    near: int | None


def find_overlap(
    of: Fingerprints,
    among: Fingerprints,
    cache: Path,
    chosen: Int64[np.ndarray, "m"] | None = None,
) -> Overlap:
    """Compares two splits, or the first with a part of the other.

    Args:
        of: the pictures that are looked for.
        among: those they are looked for in.
        cache: a folder inside the output folder.
        chosen: which of ``among``; by default all.

    Raises:
        DiskError: the cache cannot be written.
    """
    chosen = np.arange(len(among.digests)) if chosen is None else chosen
    there = {among.digests[i] for i in chosen}
    same = np.array([digest in there for digest in of.digests], dtype=bool)
    close = None
    seen = all(len(its.thumbnails) == len(its.digests) for its in (of, among))
    if seen and len(of.digests) * len(among.digests) <= _MOST:
        close = int((_near(of, among, cache)[:, chosen].any(1) & ~same).sum())
    return Overlap(len(of.digests), len(chosen), int(same.sum()), close)


def _near(of: Fingerprints, among: Fingerprints, cache: Path) -> Bool[np.ndarray, "n m"]:
    """As [`near`][headstart.data.pictures.duplicates.near], cached by content."""

    def make(folder: Path) -> None:
        np.save(folder / "near.npy", np.packbits(near(of, among), axis=1))

    made_from = ["near", _VERSION, NEAR, list(of.digests), list(among.digests)]
    packed = open_array(cached(cache, made_from, make) / "near.npy")
    return np.unpackbits(packed, axis=1, count=len(among.digests)).astype(bool)
