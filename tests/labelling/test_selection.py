"""What is picked covers what is uncertain, and nothing twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.pictures.duplicates import Fingerprints
from headstart.labelling.selection import pick


def different(n: int) -> Fingerprints:
    """Pictures of which none nearly equals another."""
    thumbnails = np.random.default_rng(n).integers(0, 256, (n, 32, 40, 3), dtype=np.uint8)
    return Fingerprints(tuple(map(str, range(n))), thumbnails)


def covered(unsure, features, labelled, allowed, chosen) -> float:
    """What the module's formula says of a choice, written down a second time."""
    scale = features.std(0)
    x, known = features / np.where(scale > 0, scale, 1), labelled / np.where(scale > 0, scale, 1)
    apart = [np.sum((a - b) ** 2) for a, b in itertools.combinations(x, 2)]
    sigma2 = np.median(apart) / 4
    total = 0.0
    for i in np.flatnonzero(allowed):
        centres = [*known, *x[list(chosen)]]
        nearest = min((np.sum((x[i] - c) ** 2) for c in centres), default=np.inf)
        total += unsure[i] * np.exp(-nearest / (2 * sigma2))
    return total


@given(st.integers(5, 14), st.integers(0, 3), st.integers(1, 4), st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_lazy_is_greedy_and_near_the_best_there_is(n, m, count, seed):
    """Each pick has the largest gain; all together cover 1 - 1/e of what the best choice adds."""
    rng = np.random.default_rng(seed)
    unsure, features, labelled = rng.random(n), rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    allowed = rng.random(n) < 0.8
    order, share = pick(unsure, features, labelled, different(n), allowed, count)
    assert len(order) == min(count, allowed.sum()) and len(set(order.tolist())) == len(order)
    assert allowed[order].all()

    def value(chosen) -> float:
        return covered(unsure, features, labelled, allowed, chosen)

    before, picked = value(()), []
    for i, covers in zip(order.tolist(), share.tolist(), strict=True):
        gains = {j: value([*picked, j]) - value(picked) for j in np.flatnonzero(allowed)}
        assert gains[i] == pytest.approx(max(gains.values()), abs=1e-9)
        assert covers == pytest.approx(gains[i] / unsure[allowed].sum(), abs=1e-9)
        picked.append(i)
    best = max(map(value, itertools.combinations(np.flatnonzero(allowed), len(order))))
    assert value(picked) - before >= (1 - 1 / np.e) * (best - before) - 1e-9


def test_of_neighbours_one_is_picked_and_a_freak_is_not_the_first() -> None:
    """Three scenes of ten frames, one frame like no other, all equally uncertain."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.array([[0.0, 0], [6, 0], [0, 6]]), 10, axis=0)
    features = np.concatenate([scenes + 0.1 * rng.normal(size=(30, 2)), [[30.0, 30.0]]])
    order, _ = pick(np.full(31, 0.5), features, features[:0], different(31), np.ones(31, bool), 4)
    assert sorted(order[:3] // 10) == [0, 1, 2] and order[3] == 30
    labelled = features[:1]  # the first scene has a label: the others come first
    order, _ = pick(np.full(31, 0.5), features, labelled, different(31), np.ones(31, bool), 2)
    assert sorted(order // 10) == [1, 2]


def test_near_copies_are_picked_once() -> None:
    prints = different(6)
    copies = Fingerprints(prints.digests, prints.thumbnails[[0, 0, 0, 1, 2, 2]])
    features = np.random.default_rng(1).normal(size=(6, 4))
    order, _ = pick(np.ones(6), features, features[:0], copies, np.ones(6, bool), 6)
    assert sorted((0, 0, 0, 1, 2, 2)[i] for i in order) == [0, 1, 2]


def test_nothing_to_pick() -> None:
    features = np.zeros((3, 2))
    order, share = pick(np.ones(3), features, features[:0], different(3), np.zeros(3, bool), 2)
    assert len(order) == len(share) == 0
    order, _ = pick(np.zeros(3), features, features[:0], different(3), np.ones(3, bool), 2)
    assert len(order) == 2  # certain of everything, and all alike: any will do
