"""Selecting pictures that represent most of the uncertainty.

How well picture j *represents* picture i depends on the distance of their features, each channel
scaled to unit deviation: s_ij = exp(-d_ij^2 / 2 sigma^2), where sigma is half the median distance.
The selected set S covers the most uncertainty u beyond what the labelled pictures L cover,

    F(S) = sum_i u_i max(s_ij for j in L or S),

and is found greedily, which is within 1 - 1/e of the optimum because F is submodular. Neighbouring
video frames are not all selected, because the first covers the others; outliers are not selected
first, because each covers only itself.

Source: facility location for active learning: Wei, Iyer and Bilmes 2015; lazy greedy selection:
Minoux 1978.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.spatial.distance import cdist

from headstart.data.pictures.duplicates import NEAR, Fingerprints, nearest

_BLOCK = 512  # columns of similarities in memory at once
_MEDIAN_OF = 1000  # about so many pictures give the median distance
_TINY = 1e-12


def pick(
    unsure: Float[np.ndarray, "n"],
    features: Float[np.ndarray, "n d"],
    labelled: Float[np.ndarray, "m d"],
    prints: Fingerprints,
    allowed: Bool[np.ndarray, "n"],
    count: int,
) -> tuple[Int64[np.ndarray, "c"], Float[np.ndarray, "c"]]:
    """Return greedily the pictures that cover most uncertainty; see this module.

    A picture's gain only decreases while others are picked, so most gains are computed once.

    Args:
        unsure: uncertainty of each picture.
        features: of each picture.
        labelled: features of the labelled pictures; may be empty.
        prints: of each picture; near-copies of a picked picture are skipped.
        allowed: which pictures may be picked; only these need to be covered.
        count: the maximum number of pictures.

    Returns:
        The indices in the order in which they were picked, fewer than ``count`` if no more are
        left; and the share of all uncertainty that each covers and no earlier one did.
    """
    weight = np.where(allowed, unsure, 0.0)
    deviation = features.std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    points, labelled_points = features / scale, labelled / scale
    similarity = _similarity(points)
    covered = np.zeros(len(points))
    for start in range(0, len(labelled_points), _BLOCK):
        block = similarity(points, labelled_points[start : start + _BLOCK])
        covered = np.maximum(covered, block.max(1))
    gains = np.zeros(len(points))
    for start in range(0, len(points), _BLOCK):
        block = similarity(points, points[start : start + _BLOCK])
        gains[start : start + _BLOCK] = weight @ np.maximum(block - covered[:, None], 0)
    best_first = [(-float(gain), i) for i, gain in enumerate(gains) if allowed[i]]
    heapq.heapify(best_first)
    is_copy = np.zeros(len(points), dtype=bool)  # a near-duplicate of a picked one
    picked: list[int] = []
    share: list[float] = []
    while best_first and len(picked) < count:
        _, i = heapq.heappop(best_first)
        column = similarity(points, points[i : i + 1])[:, 0]
        gain = float(weight @ np.maximum(column - covered, 0))
        if best_first and -gain > best_first[0][0]:
            heapq.heappush(best_first, (-gain, i))
        elif not is_copy[i]:
            is_copy |= nearest(prints, _some(prints, [i]))[1] <= NEAR
            covered = np.maximum(covered, column)
            picked.append(i)
            share.append(gain / max(float(weight.sum()), _TINY))
    return np.array(picked, dtype=np.int64), np.array(share, dtype=np.float64)


def _similarity(
    features: Float[np.ndarray, "n d"],
) -> Callable[[Float[np.ndarray, "a d"], Float[np.ndarray, "b d"]], Float[np.ndarray, "a b"]]:
    """Return the similarity s_ij in ``(0, 1]`` as a function; these features give its scale."""
    some = features[:: max(1, len(features) // _MEDIAN_OF)]
    distances = cdist(some, some, "sqeuclidean")[np.triu_indices(len(some), 1)]
    squared = max(float(np.median(distances)), _TINY) / 4 if len(distances) else 1.0

    def similarity(
        a: Float[np.ndarray, "a d"], b: Float[np.ndarray, "b d"]
    ) -> Float[np.ndarray, "a b"]:
        return np.asarray(np.exp(cdist(a, b, "sqeuclidean") / (-2 * squared)))

    return similarity


def _some(prints: Fingerprints, which: Sequence[int]) -> Fingerprints:
    digests = tuple(prints.digests[i] for i in which)
    return Fingerprints(digests, prints.thumbnails[np.array(which, dtype=np.int64)])
