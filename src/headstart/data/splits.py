"""Label budgets: nested subsets of the frames, in which every class appears early."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from headstart.seeding import generator


def label_order(present: Bool[np.ndarray, "n k"], seed: int) -> Int64[np.ndarray, "n"]:
    """Return the order in which frames are labelled; a budget of *m* is its first *m* frames.

    The order is a random permutation, except at its front: going from the rarest class to the most
    frequent, a frame that shows the class is moved there, unless a frame at the front shows the
    class already. So budgets are nested, a budget of at least as many frames as classes shows every
    class that any frame shows, and the order depends on the seed and the labels alone.

    Args:
        present: whether frame i shows class k.
        seed: seed of the run.
    """
    order = generator(seed, "labels").permutation(len(present))
    front: list[int] = []
    frames_with = present.sum(axis=0)
    for k in np.argsort(frames_with, kind="stable"):
        if frames_with[k] and not present[front, k].any():
            front.append(int(order[present[order, k].argmax()]))
    return np.concatenate([np.array(front, dtype=np.int64), order[~np.isin(order, front)]])


def label_budget(
    present: Bool[np.ndarray, "n k"], labels: int | None, seed: int
) -> Int64[np.ndarray, "m"]:
    """Return the frames of a budget, in the order of the split; all if ``labels`` is None.

    Raises:
        ValueError: the budget is below 1 or above the number of frames.
    """
    count = len(present)
    if labels is None:
        return np.arange(count)
    if not 1 <= labels <= count:
        raise ValueError(f"the budget is {labels} labels, expected 1 to {count}")
    return np.sort(label_order(present, seed)[:labels])
