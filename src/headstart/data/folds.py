"""Folds for cross-validation: every labelled picture is a test picture once.

The folds of a seed are drawn from the labels alone: groups stay whole, folds are as equal in size
as the groups allow, and pictures with the same classes are spread over them. Of the pictures that
are not tested, about a sixth validates, drawn in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from headstart.seeding import generator

_VALIDATION_PARTS = 6  # one of so many parts of the pictures that are not tested validates

Groups = Sequence[str | None]
"""The video or patient of each picture; a picture whose group is None forms one of its own."""

Indices = Int64[np.ndarray, " _"]


def deal(
    groups: Groups, present: Bool[np.ndarray, "n k"], parts: int, seed: int, purpose: str
) -> Int64[np.ndarray, " n"]:
    """Return the part of each picture, from 0 to ``parts - 1``.

    Groups are dealt from the largest to the smallest, each to the part with fewest pictures. Groups
    of one size that show the same classes are dealt one after the other, those with the rarest
    classes first, and so are spread. Ties are broken by the seed. How large the parts are depends
    on the sizes of the groups alone.

    Args:
        groups: the group of each picture.
        present: whether each picture shows each class.
        parts: number of parts.
        seed: seed of the run.
        purpose: names the draw, so that two draws of a seed differ.

    Raises:
        ValueError: there are fewer groups than parts.
    """
    members = _members(groups)
    if len(members) < parts:
        raise ValueError(f"{len(members)} groups cannot be dealt into {parts} parts")
    rng = generator(seed, "folds", purpose)
    shows = np.array([present[indices].any(0) for indices in members])
    rarest_first = np.argsort(shows.sum(0), kind="stable")
    tie = rng.permutation(len(members))
    order = sorted(
        range(len(members)),
        key=lambda g: (-len(members[g]), *(~shows[g, rarest_first]).tolist(), tie[g]),
    )
    places = rng.permutation(parts).tolist()  # so that no part always gets the larger share
    # Of the groups of each part: sums of their sizes, of ones, of squares and of cubes. Parts that
    # are equal in all of these have groups of the same sizes.
    dealt = [(0, 0, 0, 0)] * parts
    part_of = np.zeros(len(groups), dtype=np.int64)
    for g in order:
        least = min(range(parts), key=lambda p: (dealt[p], places[p]))
        size, (total, count, squares, cubes) = len(members[g]), dealt[least]
        dealt[least] = (total + size, count + 1, squares + size**2, cubes + size**3)
        part_of[members[g]] = least
    return part_of


def fold_splits(
    groups: Groups, present: Bool[np.ndarray, "n k"], folds: int, fold: int, seed: int
) -> dict[str, Indices]:
    """Return the indices of the training, validation and test pictures of a fold.

    Args:
        groups: the group of each picture.
        present: whether each picture shows each class.
        folds: number of folds.
        fold: from 1 to ``folds``.
        seed: seed of the run.

    Raises:
        ValueError: there are fewer groups than folds, or fewer than two outside the fold.

    >>> present = np.ones((12, 1), bool)
    >>> splits = fold_splits([None] * 12, present, folds=4, fold=1, seed=0)
    >>> {name: len(indices) for name, indices in splits.items()}
    {'train': 7, 'validation': 2, 'test': 3}
    """
    part_of = deal(groups, present, folds, seed, "test")
    rest = np.flatnonzero(part_of != fold - 1)
    rest_groups = [groups[i] for i in rest.tolist()]
    units = len(_members(rest_groups))
    if units < 2:
        raise ValueError("fewer than two groups are left to train and to validate")
    parts = min(_VALIDATION_PARTS, units)
    part_of_rest = deal(rest_groups, present[rest], parts, seed, f"validation {fold}")
    sizes = np.bincount(part_of_rest, minlength=parts)
    shows = [int(present[rest[part_of_rest == p]].any(0).sum()) for p in range(parts)]
    # closest to a sixth of the pictures; of equally large ones, that with most classes
    away = np.abs(sizes * _VALIDATION_PARTS - len(rest))
    chosen = min(range(parts), key=lambda p: (away[p], -sizes[p], -shows[p]))
    validates = part_of_rest == chosen
    tested = np.flatnonzero(part_of == fold - 1)
    return {"train": rest[~validates], "validation": rest[validates], "test": tested}


def smallest_splits(groups: Groups, folds: int) -> dict[str, int]:
    """Return the fewest training and validation pictures of any fold, and all test pictures.

    The labels need not be known, as they do not change the sizes of the folds.

    Raises:
        ValueError: as [`fold_splits`][].
    """
    present = np.zeros((len(groups), 0), dtype=bool)
    of_folds = [fold_splits(groups, present, folds, f, 0) for f in range(1, folds + 1)]
    fewest = {n: min(len(splits[n]) for splits in of_folds) for n in ("train", "validation")}
    return {**fewest, "test": len(groups)}


def _members(groups: Groups) -> list[Indices]:
    """Return the indices of the pictures of each group."""
    members: dict[object, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault((i,) if group is None else group, []).append(i)
    return [np.array(indices, dtype=np.int64) for indices in members.values()]
