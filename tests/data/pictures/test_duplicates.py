from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data.pictures import duplicates
from headstart.data.pictures.duplicates import (
    NEAR,
    Fingerprints,
    copies,
    fingerprint,
    fingerprints,
    joined,
    nearest,
)
from headstart.data.pictures.frame import Frame


def some(count: int, seed: int) -> Fingerprints:
    rng = np.random.default_rng(seed)
    return joined(
        fingerprint(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)) for _ in range(count)
    )


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 99), st.sampled_from([1, 3, 2048]))
def test_nearest_is_the_least_of_all_distances(n: int, m: int, seed: int, block: int) -> None:
    of, among = some(n, seed), some(m, seed + 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BLOCK", block)
        index, distance = nearest(of, among)
    if m == 0:
        assert (index == -1).all()
        assert np.isinf(distance).all()
        return
    a, b = (f.thumbnails.reshape(-1, 1, 3840).astype(float) for f in (of, among))
    every = np.sqrt(((a - b.swapaxes(0, 1)) ** 2).mean(2))
    assert np.allclose(distance, every.min(1, initial=np.inf), atol=0.1)
    assert np.array_equal(index, every.argmin(1))


def test_near_is_measured_in_grey_levels() -> None:
    image = np.full((64, 80, 3), 100, np.uint8)
    others = [fingerprint(image + np.uint8(step)) for step in (9, 6, 5)]
    _, distance = nearest(joined(others), fingerprint(image))
    assert np.allclose(distance, [9, 6, 5], atol=0.01)
    assert (distance <= NEAR).tolist() == [False, False, True]


def test_copies_are_of_pixels_and_size() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    among = joined([some(2, 0), fingerprint(image), fingerprint(image)])
    of = joined([fingerprint(image), fingerprint(image.reshape(4, 2, 3)), some(3, 1)])
    assert copies(of, among).tolist() == [2, -1, -1, -1, -1]
    assert copies(of, joined(())).tolist() == [-1] * 5


def test_files_in_another_format_are_copies(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    paths = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for path in paths:
        image.save(path)
    with ThreadPoolExecutor(2) as pool:
        prints = fingerprints([Frame(p.stem, p) for p in paths], tmp_path, pool)
    assert copies(prints, prints).tolist() == [0, 0]
    assert prints.thumbnails.shape == (2, 32, 40, 3)
