from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.seeding import generator, key

PURPOSE = st.lists(st.integers(-(2**40), 2**40) | st.text("abcde-", min_size=1), max_size=3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0,), 2033344993903900207),
        ((1, "order", 7), 3140713847179401323),
        ((3, "weights"), 1346811661715014839),
        ((2**62, "augment", 1200), 6195752463403701782),
    ],
)
def test_keys_stay_what_they_are(arguments, expected):
    """Changing one of these changes every run that was ever made."""
    assert key(*arguments) == expected


def test_streams_stay_what_they_are():
    rng = generator(1, "augment", 12)
    assert rng.random(3).tolist() == [0.32539170953825947, 0.4791291986996762, 0.7943590414489047]
    assert generator(1, "order", 0).permutation(8).tolist() == [0, 4, 1, 7, 3, 5, 2, 6]


@given(st.integers(), PURPOSE)
def test_keys_suit_torch_and_numpy(seed, purpose):
    assert 0 <= key(seed, *purpose) < 2**63
    assert key(seed, *purpose) == key(seed, *purpose)


@given(st.integers(), PURPOSE, st.integers(), PURPOSE)
def test_other_arguments_other_key(seed, purpose, other_seed, other_purpose):
    same = [str(x) for x in (seed, *purpose)] == [str(x) for x in (other_seed, *other_purpose)]
    assert (key(seed, *purpose) == key(other_seed, *other_purpose)) is same


def test_neighbouring_streams_are_independent():
    draws = np.array([generator(0, "augment", step).random(2000) for step in range(20)])
    others = np.corrcoef(draws)[~np.eye(20, dtype=bool)]
    assert np.abs(others).max() < 0.1  # four and a half standard errors
    firsts = np.array([generator(seed, "augment", 0).random() for seed in range(2000)])
    assert firsts.mean() == pytest.approx(0.5, abs=0.03)
    assert firsts.std() == pytest.approx(12**-0.5, abs=0.02)


def test_a_generator_is_fresh_each_time():
    generator(5, "x").random(100)
    assert generator(5, "x").random() == generator(5, "x").random()
