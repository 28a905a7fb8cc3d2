"""The probability that an arm is the best: against the p-values of pairs, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.studies.best_arm import chances, chances_of
from headstart.studies.statistics import p_value, paired_difference


def arm(recall: float, seed: int, seeds: int = 5, frames: int = 20, sd: float = 0.05) -> np.ndarray:
    """Counts of an arm that finds about this share of a class; frames differ for all arms."""
    rng, hard = np.random.default_rng(seed), np.random.default_rng(99).normal(0, 0.05, frames)
    of_seed = rng.normal(0, sd / 2, (seeds, 1))
    share = np.clip(recall + hard + of_seed + rng.normal(0, sd, (seeds, frames)), 0, 1)
    found = np.round(1000 * share).astype(np.int64)
    return np.stack([found, np.zeros_like(found), 1000 - found], -1)[:, :, None]


@pytest.mark.parametrize("lead", [0.0, 0.01, 0.02, 0.04])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_two_arms_it_is_what_the_p_value_says(lead: float, seed: int) -> None:
    a, b = arm(0.7 + lead, seed), arm(0.7, seed + 10)
    found = chances([a, b], [0])
    estimate = paired_difference(a, b, [0])
    p = p_value(estimate)
    assert found is not None and p is not None
    expected = 1 - p / 2 if estimate.value > 0 else p / 2
    assert found[0] == pytest.approx(expected, abs=0.03)


def test_an_arm_far_ahead_is_the_best_and_equal_arms_share() -> None:
    clear = chances([arm(0.5, 1), arm(0.9, 2), arm(0.6, 3)], [0])
    assert clear is not None and clear[1] > 0.99
    same = arm(0.8, 4)
    shared = chances([same, same, arm(0.5, 5)], [0])
    assert shared is not None and shared[:2] == pytest.approx([0.5, 0.5], abs=0.01)


def test_fewer_than_five_seeds_say_nothing() -> None:
    assert chances([arm(0.5, 1, seeds=4), arm(0.9, 2, seeds=4)], [0]) is None


@settings(max_examples=20)
@given(
    st.lists(st.floats(0.3, 0.95), min_size=2, max_size=6),
    st.integers(5, 8),
    st.permutations(range(6)),
)
def test_they_sum_to_one_and_do_not_depend_on_the_order(
    recalls: list[float], seeds: int, order: list[int]
) -> None:
    arms = [arm(recall, i, seeds) for i, recall in enumerate(recalls)]
    order = [i for i in order if i < len(arms)]
    found, other = chances(arms, [0]), chances([arms[i] for i in order], [0])
    assert found is not None and other is not None
    assert sum(found) == pytest.approx(1) and min(found) >= 0
    assert other == pytest.approx([found[i] for i in order], abs=0.03)


def test_what_all_arms_share_does_not_matter() -> None:
    """Seeds and frames that are hard for all arms alike leave the differences as they are."""
    rng = np.random.default_rng(5)
    pseudo, means = rng.normal(0, 0.1, (3, 5, 30)), np.array([0.8, 0.81, 0.79])
    pseudo += means[:, None, None]
    shared = rng.normal(0, 3, (1, 5, 1)) + rng.normal(0, 3, (1, 1, 30))
    assert chances_of(means, pseudo + shared) == pytest.approx(chances_of(means, pseudo), abs=0.06)
