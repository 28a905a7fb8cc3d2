"""Class maps in memory and on the disk are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data import truth_maps
from headstart.data.truth_maps import MapsOnDisk, open_maps, some_maps


def test_maps_on_the_disk_are_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, sizes = np.random.default_rng(0), [(3, 5), (4, 2), (1, 7)]
    expected = [random.integers(0, 255, size, np.uint8) for size in sizes]
    path = tmp_path / "maps"
    path.write_bytes(b"".join(m.tobytes() for m in expected))
    in_memory = open_maps(path, sizes)
    monkeypatch.setattr(truth_maps, "_IN_MEMORY", 4)
    on_disk = open_maps(path, sizes)
    assert isinstance(on_disk, MapsOnDisk) and not isinstance(in_memory, MapsOnDisk)
    path.unlink()  # another process may clear the cache
    for maps in (in_memory, on_disk, some_maps(on_disk, (0, 1, 2))):
        assert len(maps) == 3
        assert all(np.array_equal(a, b) for a, b in zip(maps, expected, strict=True))
    (last, first) = some_maps(on_disk, (2, 0))
    assert np.array_equal(last, expected[2]) and np.array_equal(first, expected[0])
