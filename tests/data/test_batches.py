from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.batches import _order, batch_indices, rarity_weights, steps_per_epoch

COUNTS, BATCHES, SEEDS = st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**40)


@given(COUNTS, BATCHES, SEEDS, st.integers(0, 5))
def test_a_pass_shows_each_frame_once(count, batch, seed, epoch):
    steps = steps_per_epoch(count, batch)
    parts = [
        batch_indices(seed, count, batch, epoch * steps + s, steps, "pass") for s in range(steps)
    ]
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    assert all(part.size == batch for part in parts[:-1])
    assert 1 <= parts[-1].size <= batch


@given(COUNTS, BATCHES, SEEDS, st.integers(1, 12))
@settings(max_examples=50)
def test_steps_are_full_and_show_each_frame_equally_often(count, batch, seed, steps):
    drawn = np.zeros(count, dtype=int)
    for step in range(steps):
        indices = batch_indices(seed, count, batch, step, 3, "steps")
        assert indices.size == batch
        drawn += np.bincount(indices, minlength=count)
        assert drawn.max() - drawn.min() <= 1
    assert drawn.sum() == batch * steps


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 30), st.integers(1, 12))
def test_no_window_of_steps_favours_a_frame(count, batch, first, length):
    window = [batch_indices(0, count, batch, s, 3, "steps") for s in range(first, first + length)]
    drawn = np.bincount(np.concatenate(window), minlength=count)
    assert drawn.max() - drawn.min() <= 2  # the end of one pass and the beginning of another


def test_rare_classes_are_drawn_more_often():
    present = np.zeros((50, 3), dtype=bool)
    present[:, 0] = present[:40, 1] = present[0, 2] = True
    weights = rarity_weights(present, 0.5)
    assert weights[0] == 50**0.5 and weights[1] == weights[39] == (50 / 40) ** 0.5
    assert weights[49] == 1
    drawn = np.concatenate([batch_indices(0, 50, 10, s, 5, "steps", weights) for s in range(2000)])
    share = np.bincount(drawn, minlength=50) / len(drawn)
    assert np.allclose(share, np.array(weights) / sum(weights), rtol=0.25)
    assert rarity_weights(present, 0.0) == (1.0,) * 50


@pytest.mark.parametrize("epoch", ["pass", "steps"])
def test_a_step_alone_is_the_step_in_the_sequence(epoch):
    def at(step):
        return batch_indices(7, 23, 5, step, 5, epoch).tolist()

    sequence = [at(step) for step in range(40)]
    _order.cache_clear()
    assert [at(step) for step in reversed(range(40))] == sequence[::-1]


@pytest.mark.parametrize("epoch", ["pass", "steps"])
def test_what_a_caller_does_to_a_batch_stays_with_the_caller(epoch):
    first = batch_indices(0, 10, 4, 0, 3, epoch)
    kept = first.tolist()
    first[:] = 0
    assert batch_indices(0, 10, 4, 0, 3, epoch).tolist() == kept


def test_order_differs_between_passes_and_seeds():
    def order(seed, step):
        return batch_indices(seed, 50, 50, step, 1, "pass").tolist()

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_a_batch_larger_than_the_split_holds_several_passes():
    indices = batch_indices(0, 4, 10, 1, 1, "steps")
    assert sorted(np.bincount(indices, minlength=4).tolist()) == [2, 2, 3, 3]
    assert batch_indices(0, 4, 10, 1, 1, "pass").size == 4


@given(COUNTS, BATCHES)
def test_steps_per_epoch(count, batch):
    steps = steps_per_epoch(count, batch)
    assert (steps - 1) * batch < count <= steps * batch
