"""How many pictures of one split are also in another, exactly or nearly.

The comparison of two splits is cached next to the decoded frames, keyed by content, so that the
runs of a study, which differ in their training pictures, make it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from headstart.data.cache import cached, open_array
from headstart.data.pictures.duplicates import NEAR, Fingerprints, near

_VERSION = 1  # of the cached format
_MAX_PAIRS = 100_000_000  # of pictures; more take minutes to compare


@dataclass(frozen=True)
class Overlap:
    """How many pictures of one split are also in another.

    Attributes:
        pictures: number of pictures in the first split.
        among: number of pictures in the other split.
        same: number of ``pictures`` with an exact copy in the other split.
        near: number of further ``pictures`` within ``NEAR`` grey levels of one in the other split;
            see [`headstart.data.pictures.duplicates`][]. None if not compared: the pictures are
            tiny, or there are more than a hundred million pairs.
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
    """Compare a split with another split, or with some of its pictures.

    Args:
        of: pictures to look for.
        among: pictures to look in.
        cache: folder inside the output folder.
        chosen: indices into ``among``; by default all.

    Raises:
        DiskError: the cache cannot be written.
    """
    chosen = np.arange(len(among.digests)) if chosen is None else chosen
    digests = {among.digests[i] for i in chosen}
    same = np.array([digest in digests for digest in of.digests], dtype=bool)
    close = None
    have_thumbnails = all(len(p.thumbnails) == len(p.digests) for p in (of, among))
    if have_thumbnails and len(of.digests) * len(among.digests) <= _MAX_PAIRS:
        close = int((_near(of, among, cache)[:, chosen].any(1) & ~same).sum())
    return Overlap(len(of.digests), len(chosen), int(same.sum()), close)


def _near(of: Fingerprints, among: Fingerprints, cache: Path) -> Bool[np.ndarray, "n m"]:
    """As [`near`][headstart.data.pictures.duplicates.near], cached by content."""

    def make(folder: Path) -> None:
        np.save(folder / "near.npy", np.packbits(near(of, among), axis=1))

    made_from = ["near", _VERSION, NEAR, list(of.digests), list(among.digests)]
    packed = open_array(cached(cache, made_from, make) / "near.npy")
    return np.unpackbits(packed, axis=1, count=len(among.digests)).astype(bool)
