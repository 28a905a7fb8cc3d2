"""Arrays in memory and on the disk are the same, and so are windows of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data import own_size
from headstart.data.own_size import OnDisk, cut, open_arrays, some_arrays


def test_maps_on_the_disk_are_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, sizes = np.random.default_rng(0), [(3, 5), (4, 2), (1, 7)]
    expected = [random.integers(0, 255, size, np.uint8) for size in sizes]
    path = tmp_path / "maps"
    path.write_bytes(b"".join(m.tobytes() for m in expected))
    in_memory = open_arrays(path, sizes)
    monkeypatch.setattr(own_size, "_IN_MEMORY", 4)
    on_disk = open_arrays(path, sizes)
    assert isinstance(on_disk, OnDisk) and not isinstance(in_memory, OnDisk)
    path.unlink()  # another process may clear the cache
    for maps in (in_memory, on_disk, some_arrays(on_disk, (0, 1, 2))):
        assert len(maps) == 3
        assert all(np.array_equal(a, b) for a, b in zip(maps, expected, strict=True))
    (last, first) = some_arrays(on_disk, (2, 0))
    assert np.array_equal(last, expected[2]) and np.array_equal(first, expected[0])


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("corner", [(0, 0), (2, 1), (-4, -3), (3, 5), (-20, 9)])
def test_a_window_is_that_of_the_mirrored_array(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    channels: tuple[int, ...],
    corner: tuple[int, int],
) -> None:
    random, sizes = np.random.default_rng(0), [(5, 7), (6, 4)]
    expected = [random.integers(0, 255, (*size, *channels), np.uint8) for size in sizes]
    path = tmp_path / "arrays"
    path.write_bytes(b"".join(m.tobytes() for m in expected))
    in_memory = open_arrays(path, sizes, *channels)
    monkeypatch.setattr(own_size, "_IN_MEMORY", 4)
    on_disk = open_arrays(path, sizes, *channels)
    assert isinstance(on_disk, OnDisk)
    for index, size in enumerate(sizes):
        edge = ((40, 40), (40, 40), *[(0, 0)] * len(channels))
        wide = np.pad(expected[index], edge, mode="symmetric")
        top, left = corner[0] + 40, corner[1] + 40
        oracle = wide[top : top + 4, left : left + 6]
        for arrays in (in_memory, on_disk):
            assert np.array_equal(cut(arrays, index, size, corner, (4, 6)), oracle)
