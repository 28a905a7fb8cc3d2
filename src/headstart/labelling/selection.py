"""Which of some pictures stand for most of what is uncertain.

How well picture j *stands for* i is told by the distance of their features, each channel brought to
unit deviation: s_ij = exp(-d_ij^2 / 2 sigma^2), where sigma is half the median distance. Picked is
the set S that covers most uncertainty u beside what the labelled pictures L cover,

    F(S) = sum_i u_i max(s_ij for j in L or S),

greedily, which is within 1 - 1/e of the best choice there is, since F is submodular. Of neighbours
in a video the first covers the others, so they are not all picked; and a picture like no other
covers only itself, so freaks are not picked first.

Source: facility location for active learning: Wei, Iyer and Bilmes 2015; greedy choice made lazy:
Minoux 1978.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.spatial.distance import cdist

from headstart.data.pictures.duplicates import NEAR, Fingerprints, nearest

_BLOCK = 512  # columns of likenesses held at once
_MEDIAN_OF = 1000  # pictures, about, of which the median distance is taken
_TINY = 1e-12


def pick(
    unsure: Float[np.ndarray, "n"],
    features: Float[np.ndarray, "n d"],
    labelled: Float[np.ndarray, "m d"],
    prints: Fingerprints,
    allowed: Bool[np.ndarray, "n"],
    count: int,
) -> tuple[Int64[np.ndarray, "c"], Float[np.ndarray, "c"]]:
    """Greedily the pictures that cover most uncertainty; see this module.

    A picture's gain only shrinks as others are picked, so that of most is never computed again.

    Args:
        unsure: uncertainty of each picture.
        features: of each picture.
        labelled: features of those that have labels; may be none.
        prints: of each picture: what nearly equals a picked one is passed over.
        allowed: which pictures may be picked; only they need to be covered.
        count: how many, at most.

    Returns:
        The indices in the order in which they were picked, fewer than ``count`` where no more are
        left; and the share of all uncertainty that each covers and nothing before it did.
    """
    weight = np.where(allowed, unsure, 0.0)
    deviation = features.std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    here, there = features / scale, labelled / scale
    like = _likeness(here)
    covered = np.zeros(len(here))
    for start in range(0, len(there), _BLOCK):
        covered = np.maximum(covered, like(here, there[start : start + _BLOCK]).max(1))
    gains = np.zeros(len(here))
    for start in range(0, len(here), _BLOCK):
        block = like(here, here[start : start + _BLOCK])
        gains[start : start + _BLOCK] = weight @ np.maximum(block - covered[:, None], 0)
    best_first = [(-float(gain), i) for i, gain in enumerate(gains) if allowed[i]]
    heapq.heapify(best_first)
    again = np.zeros(len(here), dtype=bool)  # nearly equals a picked one
    picked: list[int] = []
    share: list[float] = []
    while best_first and len(picked) < count:
        _, i = heapq.heappop(best_first)
        column = like(here, here[i : i + 1])[:, 0]
        gain = float(weight @ np.maximum(column - covered, 0))
        if best_first and -gain > best_first[0][0]:
            heapq.heappush(best_first, (-gain, i))
        elif not again[i]:
            again |= nearest(prints, _some(prints, [i]))[1] <= NEAR
            covered = np.maximum(covered, column)
            picked.append(i)
            share.append(gain / max(float(weight.sum()), _TINY))
    return np.array(picked, dtype=np.int64), np.array(share, dtype=np.float64)


def _likeness(
    features: Float[np.ndarray, "n d"],
) -> Callable[[Float[np.ndarray, "a d"], Float[np.ndarray, "b d"]], Float[np.ndarray, "a b"]]:
    """How well each picture stands for each, in ``(0, 1]``, by the median distance of these."""
    some = features[:: max(1, len(features) // _MEDIAN_OF)]
    apart = cdist(some, some, "sqeuclidean")[np.triu_indices(len(some), 1)]
    squared = max(float(np.median(apart)), _TINY) / 4 if len(apart) else 1.0

    def like(a: Float[np.ndarray, "a d"], b: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "a b"]:
        return np.asarray(np.exp(cdist(a, b, "sqeuclidean") / (-2 * squared)))

    return like


def _some(prints: Fingerprints, which: Sequence[int]) -> Fingerprints:
    digests = tuple(prints.digests[i] for i in which)
    return Fingerprints(digests, prints.thumbnails[np.array(which, dtype=np.int64)])
