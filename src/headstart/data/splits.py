"""Label budgets as nested subsets: the 30 are among the 75, and every class is among the first."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from headstart.seeding import generator


def label_order(present: Bool[np.ndarray, "n k"], seed: int) -> Int64[np.ndarray, "n"]:
    """The order in which frames are labelled; a budget of *m* is its first *m* frames.

    A random permutation, in which one frame of each class, the rarest class first, is brought to
    the front unless a frame already there shows it. So a budget of as many frames as there are
    classes shows each class that any frame shows, budgets are nested, and the order depends on the
    seed and the labels alone.

    Args:
        present: which frame shows which class.
        seed: the run's.
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
    """The frames of one budget, in the order of the split; all of them if ``labels`` is None.

    Raises:
        ValueError: the budget is below 1 or above the number of frames.
    """
    count = len(present)
    if labels is None:
        return np.arange(count)
    if not 1 <= labels <= count:
        raise ValueError(f"a budget of {labels} labels, expected 1 to {count}")
    return np.sort(label_order(present, seed)[:labels])
