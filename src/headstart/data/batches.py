"""Which frames form each batch: a pure function of seed and step, so nothing has to be saved."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from headstart.seeding import generator

Weights = tuple[float, ...]


@functools.lru_cache(maxsize=8)
def _order(
    seed: int, count: int, number: int, weights: Weights | None = None
) -> Int64[np.ndarray, "n"]:
    rng = generator(seed, "order", number)
    if weights is None:
        return rng.permutation(count)
    p = np.array(weights) / np.sum(weights)
    return rng.choice(count, count, p=p)


def steps_per_epoch(count: int, batch: int) -> int:
    """Return the number of batches in one pass over ``count`` frames; the last may be smaller."""
    return -(-count // batch)


def rarity_weights(present: Bool[np.ndarray, "n k"], balance: float) -> Weights:
    """Return the sampling weight of each frame, so that rare classes are seen more often.

    ``max over the foreground classes k in frame i of (share of frames with k) ** -balance``; 1 for
    a frame without foreground. With balance 0 all frames are drawn equally often; with 1 all
    classes are seen about equally often.

    Args:
        present: whether frame i shows class k, background first.
        balance: the exponent, in ``[0, 1]``.

    >>> rarity_weights(np.array([[True, True], [True, False], [True, False], [True, False]]), 0.5)
    (2.0, 1.0, 1.0, 1.0)
    """
    foreground = present[:, 1:]
    share = np.maximum(foreground.mean(0), 1 / max(1, len(present)))
    weights = np.where(foreground, share**-balance, 1.0).max(1, initial=1.0)
    return tuple(weights.tolist())


def batch_indices(
    seed: int,
    count: int,
    batch: int,
    step: int,
    steps: int,
    epoch: Literal["pass", "steps"],
    weights: Weights | None = None,
) -> Int64[np.ndarray, "b"]:
    """Return the frames of one step, as indices in ``[0, count)``.

    Args:
        seed: seed of the run.
        count: number of labelled frames.
        batch: frames per step.
        step: index of the step, counted from the start of training.
        steps: steps per epoch; not used with ``"steps"``.
        epoch: ``"pass"``: epoch *e* is permutation *e*, cut into batches; the last batch may be
            smaller. ``"steps"``: the permutations are concatenated and every batch is full, so a
            batch may hold the end of one pass and the beginning of the next.
        weights: if given, a pass is ``count`` draws with replacement in proportion to them,
            instead of a permutation.

    >>> [batch_indices(0, 5, 2, s, 3, "pass").size for s in range(6)]
    [2, 2, 1, 2, 2, 1]
    >>> sorted(int(i) for s in range(5) for i in batch_indices(0, 5, 2, s, 3, "steps"))
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    if epoch == "pass":
        number, place = divmod(step, steps)
        return _order(seed, count, number, weights)[place * batch : (place + 1) * batch].copy()
    positions = np.arange(step * batch, (step + 1) * batch)
    passes = {n: _order(seed, count, n, weights) for n in np.unique(positions // count).tolist()}
    return np.array([passes[p // count][p % count] for p in positions.tolist()])
