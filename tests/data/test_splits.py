from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headstart.data.splits import label_budget, label_order

PRESENT = hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 9)))
SEEDS = st.integers(0, 2**40)


def drawn(frames: int = 300) -> np.ndarray:
    """Background in every frame, then ever rarer classes, the last one in two frames."""
    rng = np.random.default_rng(0)
    present = rng.random((frames, 6)) < np.array([1, 0.5, 0.2, 0.1, 0.02, 0])
    present[[17, 203], 5] = True
    return present


@given(PRESENT, SEEDS)
def test_every_frame_once(present, seed):
    order = label_order(present, seed)
    assert sorted(order.tolist()) == list(range(len(present)))


@given(PRESENT, SEEDS, st.data())
def test_budgets_are_nested_and_sorted(present, seed, data):
    small = data.draw(st.integers(1, len(present)))
    large = data.draw(st.integers(small, len(present)))
    a, b = label_budget(present, small, seed), label_budget(present, large, seed)
    assert (a.size, b.size) == (small, large)
    assert set(a.tolist()) <= set(b.tolist())
    assert (np.diff(b) > 0).all()


@given(PRESENT, SEEDS)
def test_a_budget_of_as_many_frames_as_classes_shows_all_there_are(present, seed):
    budget = label_budget(present, min(len(present), present.shape[1]), seed)
    assert np.array_equal(present[budget].any(axis=0), present.any(axis=0))


def test_thirty_lie_within_seventy_five_and_show_the_rarest_class():
    present = drawn()
    for seed in range(20):
        thirty, more = label_budget(present, 30, seed), label_budget(present, 75, seed)
        assert set(thirty.tolist()) < set(more.tolist())
        assert present[thirty].any(axis=0).all()


def test_all_is_all():
    assert label_budget(drawn(), None, 3).tolist() == list(range(300))
    assert label_budget(drawn(), 300, 3).tolist() == list(range(300))


def test_the_choice_depends_on_the_seed_alone():
    present = drawn()
    assert label_order(present, 1).tolist() == label_order(present.copy(), 1).tolist()
    firsts = {tuple(label_budget(present, 30, seed).tolist()) for seed in range(10)}
    assert len(firsts) == 10
    # Which of the two frames with the rarest class comes first is chance, too.
    assert {int(label_order(present, seed)[0]) for seed in range(20)} == {17, 203}


def test_beyond_the_classes_the_choice_is_uniform():
    present = np.ones((20, 1), dtype=bool)
    chosen = np.zeros(20)
    for seed in range(400):
        chosen[label_budget(present, 5, seed)] += 1
    assert np.abs(chosen / 400 - 0.25).max() < 0.08


@pytest.mark.parametrize("labels", [0, -1, 301])
def test_an_impossible_budget_is_refused(labels):
    with pytest.raises(ValueError, match="expected 1 to 300"):
        label_budget(drawn(), labels, 0)
