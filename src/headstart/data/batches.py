"""Which frames make up which batch: a function of seed and position, with nothing to save."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from jaxtyping import Int64

from headstart.seeding import generator


@functools.lru_cache(maxsize=8)
def _order(seed: int, count: int, number: int) -> Int64[np.ndarray, "n"]:
    return generator(seed, "order", number).permutation(count)


def steps_per_epoch(count: int, batch: int) -> int:
    """Batches in one pass over ``count`` frames, the last one possibly smaller."""
    return -(-count // batch)


def batch_indices(
    seed: int, count: int, batch: int, step: int, steps: int, epoch: Literal["pass", "steps"]
) -> Int64[np.ndarray, "b"]:
    """The frames of one step, as indices in ``[0, count)``.

    Args:
        seed: the run's.
        count: labelled frames.
        batch: frames a step.
        step: steps done before, counted from the start of the training.
        steps: steps an epoch.
        epoch: ``"pass"``: epoch *e* is permutation *e*, cut into batches, the last one what is
            left. ``"steps"``: the permutations follow one another without gap and every batch is
            full, so a batch may hold the end of one pass and the beginning of the next.

    >>> [batch_indices(0, 5, 2, s, 3, "pass").size for s in range(6)]
    [2, 2, 1, 2, 2, 1]
    >>> sorted(int(i) for s in range(5) for i in batch_indices(0, 5, 2, s, 3, "steps"))
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    if epoch == "pass":
        number, place = divmod(step, steps)
        return _order(seed, count, number)[place * batch : (place + 1) * batch].copy()
    positions = np.arange(step * batch, (step + 1) * batch)
    return np.array([_order(seed, count, int(p) // count)[p % count] for p in positions])
