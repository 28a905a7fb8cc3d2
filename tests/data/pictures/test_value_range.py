"""Samples of more than 8 bits become 0 .. 255: ends, clipping, order, percentiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headstart.data.pictures.value_range import limits, to_eight_bits

samples = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9))


@given(samples, st.integers(0, 65_000), st.integers(1, 65_535))
def test_the_ends_become_0_and_255_and_order_is_kept(
    values: np.ndarray, low: int, width: int
) -> None:
    levels = to_eight_bits(values, low, low + width)
    exact = np.clip((values.astype(float) - low) / width * 255, 0, 255)
    assert levels.dtype == np.uint8
    assert np.abs(levels - exact).max() <= 0.5 + 1e-9
    assert (levels[values <= low] == 0).all()
    assert (levels[values >= low + width] == 255).all()


def test_rows_are_mapped_alike_in_a_tall_picture() -> None:
    column = np.arange(1_000, dtype=np.uint16)[:, None]
    assert np.array_equal(
        to_eight_bits(column, 0, 999)[:, 0], np.rint(np.arange(1_000) / 999 * 255)
    )


@given(samples)
def test_a_percentile_is_the_smallest_sample_with_its_share_below(values: np.ndarray) -> None:
    ordered = np.sort(values, axis=None)
    for end, share in zip(limits(values, "percentile"), (0.005, 0.995), strict=True):
        smallest = next(v for v in ordered if (ordered <= v).mean() >= share)
        assert end == smallest


@pytest.mark.parametrize("value_range", [(0, 4095), (-1024, 3071), "percentile"])
def test_signed_samples(value_range: object) -> None:
    values = np.array([[-1024, 0, 1024, 3071]], np.int16)
    low, high = limits(values, value_range)  # type: ignore[arg-type]
    levels = to_eight_bits(values, low, high)
    assert levels[0, 0] == 0
    assert levels[0, 3] in (191, 255)


def test_equal_ends_are_a_threshold() -> None:
    assert to_eight_bits(np.array([[6, 7, 8]], np.uint16), 7, 7).tolist() == [[0, 0, 255]]
