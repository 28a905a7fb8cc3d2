"""Folds: every picture is tested once, groups stay whole, classes are spread, sizes are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.folds import deal, fold_splits, smallest_splits

GROUPS = st.lists(
    st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", "e"])), min_size=4, max_size=60
)


def units(groups: list[str | None]) -> int:
    return len({(i,) if group is None else group for i, group in enumerate(groups)})


def drawn(groups: list[str | None], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((len(groups), 3)) < 0.4


@given(groups=GROUPS, folds=st.integers(2, 6), seed=st.integers(0, 99))
def test_every_picture_is_a_test_picture_once(
    groups: list[str | None], folds: int, seed: int
) -> None:
    present = drawn(groups, seed)
    try:
        splits = [fold_splits(groups, present, folds, f, seed) for f in range(1, folds + 1)]
    except ValueError:
        assert any(groups) or len(groups) < folds + 2  # single pictures leave two for the rest
        return
    assert sorted(np.concatenate([s["test"] for s in splits])) == list(range(len(groups)))
    for parts in splits:
        assert sorted(np.concatenate(list(parts.values()))) == list(range(len(groups)))
        of_part = [{groups[i] for i in part.tolist()} - {None} for part in parts.values()]
        assert sum(map(len, of_part)) == len(set().union(*of_part)), "a group is in two splits"
        assert all(len(part) for part in parts.values())


@given(groups=GROUPS, folds=st.integers(2, 6), seed=st.integers(0, 99))
def test_sizes_do_not_depend_on_labels_or_seed(
    groups: list[str | None], folds: int, seed: int
) -> None:
    try:
        promised = smallest_splits(groups, folds)
    except ValueError:
        return
    splits = [fold_splits(groups, drawn(groups, seed), folds, f, seed) for f in range(1, folds + 1)]
    assert promised["test"] == len(groups)
    for name in ("train", "validation"):
        assert promised[name] == min(len(parts[name]) for parts in splits)


def test_folds_are_as_equal_as_they_can_be() -> None:
    part_of = deal([None] * 43, np.ones((43, 2), bool), 5, 1, "test")
    assert sorted(np.bincount(part_of)) == [8, 8, 9, 9, 9]


@pytest.mark.parametrize("seed", range(10))
def test_rare_classes_are_spread(seed: int) -> None:
    """Five of fifty pictures show a class: dealt at random, one fold in three would lack it."""
    present = np.zeros((50, 3), bool)
    present[:, 0] = True
    present[np.random.default_rng(seed).permutation(50)[:5], 2] = True
    present[np.random.default_rng(seed + 50).permutation(50)[:25], 1] = True
    part_of = deal([None] * 50, present, 5, seed, "test")
    assert np.bincount(part_of[present[:, 2]], minlength=5).tolist() == [1] * 5
    assert np.ptp(np.bincount(part_of[present[:, 1]], minlength=5)) <= 2


def test_about_a_sixth_validates_though_one_group_is_large() -> None:
    groups = ["a"] * 50 + [str(i) for i in range(40)]
    present = np.ones((90, 2), bool)
    sizes = [
        {n: len(i) for n, i in fold_splits(groups, present, 3, f, 1).items()} for f in (1, 2, 3)
    ]
    assert all(s["validation"] <= 10 for s in sizes), sizes


def test_another_seed_deals_anew_and_the_same_seed_does_not() -> None:
    present = np.ones((40, 2), bool)
    dealt = [deal([None] * 40, present, 4, seed, "test").tolist() for seed in (1, 1, 2)]
    assert dealt[0] == dealt[1] != dealt[2]


@pytest.mark.parametrize(
    ("groups", "folds"), [(["a", "a", "b"], 3), (["a", "b", "c"], 3), ([None, None], 2)]
)
def test_too_few_groups(groups: list[str | None], folds: int) -> None:
    if units(groups) == folds > 2:  # a group for each fold leaves two to train and to validate
        assert fold_splits(groups, np.ones((3, 1), bool), folds, 1, 0)
        return
    with pytest.raises(ValueError, match="group"):
        fold_splits(groups, np.ones((len(groups), 1), bool), folds, 1, 0)
