"""Class maps without torch are those of torch, at any size, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from headstart.inference import class_maps as without_torch
from headstart.inference.class_maps import class_maps, resized
from headstart.tasks import class_maps as in_torch

SIDES = st.integers(1, 23)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99))
def test_resizing_is_that_of_torch(h, w, h2, w2, seed):
    probs = np.random.default_rng(seed).random((3, h, w), dtype=np.float32)
    theirs = F.interpolate(torch.from_numpy(probs)[None], size=(h2, w2), mode="bilinear")[0]
    assert np.abs(resized(probs, (h2, w2)) - theirs.numpy()).max() < 1e-5


@pytest.mark.parametrize("at_once", [1, 150, 1 << 20])
@pytest.mark.parametrize("min_area", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("contents", [(), ((8, 10), (3, 10), (8, 1))])
def test_class_maps_are_those_of_torch(
    contents: tuple[tuple[int, int], ...],
    min_area: float,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(without_torch, "AT_ONCE", at_once)
    logits = np.random.default_rng(0).normal(size=(3, 5, 8, 10)).astype(np.float32) * 3
    sizes = [(8, 10), (31, 17), (5, 40)]
    theirs = in_torch.class_maps(torch.from_numpy(logits), sizes, min_area, contents)
    probs = torch.from_numpy(logits).softmax(1).numpy()
    for ours, other in zip(class_maps(probs, sizes, min_area, contents), theirs, strict=True):
        assert ours.dtype == np.uint8 and np.array_equal(ours, other.numpy())


def test_classes_of_a_photograph_are_found_in_little_memory() -> None:
    """Eight classes at once would take 384 MB."""
    probs = np.random.default_rng(0).random((1, 8, 16, 20), dtype=np.float32)
    tracemalloc.start()
    try:
        class_maps(probs, [(3000, 4000)], 0.0)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
