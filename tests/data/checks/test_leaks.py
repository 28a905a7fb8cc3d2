"""Overlaps of splits: counted right, for parts too, and computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.checks import leaks
from headstart.data.checks.leaks import Overlap, find_overlap
from headstart.data.pictures.duplicates import Fingerprints, fingerprint, joined, only_digests

RNG = np.random.default_rng(0)
SCENES = RNG.integers(0, 256, (6, 32, 40, 3), dtype=np.uint8)


def prints(*images: np.ndarray) -> Fingerprints:
    return joined(fingerprint(image) for image in images)


def neighbour(image: np.ndarray) -> np.ndarray:
    """As the next frame of a video: two grey levels brighter, where that is possible."""
    return np.where(image < 254, image + 2, image).astype(np.uint8)


TEST = prints(SCENES[0], neighbour(SCENES[1]), SCENES[5])
TRAIN = prints(*SCENES[:4], neighbour(SCENES[0]))


def test_copies_and_near_copies_are_counted_apart(tmp_path: Path) -> None:
    assert find_overlap(TEST, TRAIN, tmp_path) == Overlap(3, 5, 1, 1)


def test_of_a_part_only_its_pictures_count(tmp_path: Path) -> None:
    def of(*chosen: int) -> Overlap:
        return find_overlap(TEST, TRAIN, tmp_path, np.array(chosen, dtype=np.int64))

    assert of(2, 3) == Overlap(3, 2, 0, 0)
    assert of(1) == Overlap(3, 1, 0, 1)
    assert of(4) == Overlap(3, 1, 0, 1)  # near what is a copy only with all
    assert of() == Overlap(3, 0, 0, 0)


def test_the_comparison_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_overlap(TEST, TRAIN, tmp_path)
    (kept,) = tmp_path.glob("*/near.npy")

    def never(*_: object) -> None:
        raise AssertionError("compared again")

    monkeypatch.setattr(leaks, "near", never)
    assert find_overlap(TEST, TRAIN, tmp_path) == first
    assert find_overlap(TEST, TRAIN, tmp_path, np.arange(2)).among == 2
    with pytest.raises(AssertionError):  # other content is another comparison
        find_overlap(TRAIN, TEST, tmp_path)
    kept.write_bytes(b"torn")
    with pytest.raises(AssertionError):
        find_overlap(TEST, TRAIN, tmp_path)
    monkeypatch.undo()
    assert find_overlap(TEST, TRAIN, tmp_path) == first


def test_where_near_means_nothing_only_copies_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [image[:3, :3, 0] for image in SCENES]
    found = find_overlap(only_digests(small[:3]), only_digests(small[2:]), tmp_path)
    assert found == Overlap(3, 4, 1, None)
    monkeypatch.setattr(leaks, "_MAX_PAIRS", 14)
    assert find_overlap(TEST, TRAIN, tmp_path) == Overlap(3, 5, 1, None)
    assert not list(tmp_path.iterdir())
