"""What is suggested covers what the run is unsure of, and nothing twice."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.duplicates import Fingerprints
from headstart.data.folders import find_pictures, open_dataset
from headstart.errors import DataError
from headstart.suggest import choose, known_of, look, suggest, uncertainty
from headstart.trained import load_trained

CPU = torch.device("cpu")


def different(n: int) -> Fingerprints:
    """Pictures of which none nearly equals another."""
    thumbnails = np.random.default_rng(n).integers(0, 256, (n, 32, 40, 3), dtype=np.uint8)
    return Fingerprints(tuple(map(str, range(n))), thumbnails)


def covered(unsure, features, labelled, allowed, chosen) -> float:
    """What the module's formula says of a choice, written down a second time."""
    scale = features.std(0)
    x, there = features / np.where(scale > 0, scale, 1), labelled / np.where(scale > 0, scale, 1)
    apart = [np.sum((a - b) ** 2) for a, b in itertools.combinations(x, 2)]
    sigma2 = np.median(apart) / 4
    total = 0.0
    for i in np.flatnonzero(allowed):
        centres = [*there, *x[list(chosen)]]
        nearest = min((np.sum((x[i] - c) ** 2) for c in centres), default=np.inf)
        total += unsure[i] * np.exp(-nearest / (2 * sigma2))
    return total


def test_uncertainty_is_entropy_from_none_to_all() -> None:
    even = torch.full((1, 4, 3, 5), 0.25)
    sure = torch.zeros(1, 4, 3, 5)
    sure[:, 2] = 1
    found = uncertainty(torch.cat([even, sure, (even + sure) / 2]))
    assert found[0] == pytest.approx(1) and found[1] == 0 and 0 < found[2] < 1


@given(st.integers(5, 14), st.integers(0, 3), st.integers(1, 4), st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_lazy_is_greedy_and_near_the_best_there_is(n, m, count, seed):
    """Each pick has the largest gain; all together cover 1 - 1/e of what the best choice adds."""
    rng = np.random.default_rng(seed)
    unsure, features, labelled = rng.random(n), rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    allowed = rng.random(n) < 0.8
    order, share = choose(unsure, features, labelled, different(n), allowed, count)
    assert len(order) == min(count, allowed.sum()) and len(set(order.tolist())) == len(order)
    assert allowed[order].all()

    def value(chosen) -> float:
        return covered(unsure, features, labelled, allowed, chosen)

    before, picked = value(()), []
    for i, its in zip(order.tolist(), share.tolist(), strict=True):
        gains = {j: value([*picked, j]) - value(picked) for j in np.flatnonzero(allowed)}
        assert gains[i] == pytest.approx(max(gains.values()), abs=1e-9)
        assert its == pytest.approx(gains[i] / unsure[allowed].sum(), abs=1e-9)
        picked.append(i)
    best = max(map(value, itertools.combinations(np.flatnonzero(allowed), len(order))))
    assert value(picked) - before >= (1 - 1 / np.e) * (best - before) - 1e-9


def test_of_neighbours_one_is_picked_and_a_freak_is_not_the_first() -> None:
    """Three scenes of ten frames, one frame like no other, all equally uncertain."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.array([[0.0, 0], [6, 0], [0, 6]]), 10, axis=0)
    features = np.concatenate([scenes + 0.1 * rng.normal(size=(30, 2)), [[30.0, 30.0]]])
    order, _ = choose(np.full(31, 0.5), features, features[:0], different(31), np.ones(31, bool), 4)
    assert sorted(order[:3] // 10) == [0, 1, 2] and order[3] == 30
    labelled = features[:1]  # the first scene has a label: the others come first
    order, _ = choose(np.full(31, 0.5), features, labelled, different(31), np.ones(31, bool), 2)
    assert sorted(order // 10) == [1, 2]


def test_near_copies_are_picked_once() -> None:
    prints = different(6)
    copies = Fingerprints(prints.digests, prints.thumbnails[[0, 0, 0, 1, 2, 2]])
    features = np.random.default_rng(1).normal(size=(6, 4))
    order, _ = choose(np.ones(6), features, features[:0], copies, np.ones(6, bool), 6)
    assert sorted((0, 0, 0, 1, 2, 2)[i] for i in order) == [0, 1, 2]


def test_nothing_to_pick() -> None:
    features = np.zeros((3, 2))
    order, share = choose(np.ones(3), features, features[:0], different(3), np.zeros(3, bool), 2)
    assert len(order) == len(share) == 0
    order, _ = choose(np.zeros(3), features, features[:0], different(3), np.ones(3, bool), 2)
    assert len(order) == 2  # certain of everything, and all alike: any will do


def test_what_has_labels_or_is_held_out_is_left_out(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    """Of a folder with a training frame, a test frame and new pictures, only the new are picked."""
    dataset = open_dataset(drawn)
    for split in ("train", "test"):
        shutil.copy(dataset.splits[split][0].image, tmp_path / f"{split}.jpg")
    rng = np.random.default_rng(0)
    for i in range(4):
        pixels = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"new-{i}.png")
    found = suggest(trained, find_pictures(tmp_path), tmp_path, 10, CPU)
    assert {s.frame.name for s in found.picked} == {f"new-{i}" for i in range(4)}
    assert (found.pictures, found.labelled, found.held_out, found.findings) == (6, 1, 1, ())
    assert all(0 < s.uncertainty < 1 and sum(s.shares) == pytest.approx(1) for s in found.picked)
    covers = [s.covers for s in found.picked]
    assert covers == sorted(covers, reverse=True)


def test_a_run_knows_what_it_learned_from(trained: Path, drawn: Path, tmp_path: Path) -> None:
    known = known_of(trained)
    assert len(known.labelled) == 12 and len(known.held_out) == 9
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    config = (moved / "config.json").read_text()
    (moved / "config.json").write_text(config.replace(str(drawn), str(tmp_path / "gone")))
    known = known_of(moved)
    assert known.labelled == () and known.findings[0].code == "labels-unknown"
    frames = open_dataset(drawn).unlabelled["train"]
    assert suggest(moved, frames, drawn, 1, CPU).findings == known.findings


def test_pictures_that_cannot_be_read_are_all_named(trained: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"a\.png(.|\n)*b\.png"):
        look(load_trained(trained), find_pictures(tmp_path), tmp_path, CPU)


def test_what_the_network_is_used_for_leaves_no_hook(trained: Path, drawn: Path) -> None:
    its = load_trained(trained)
    frames = [replace(f, mask=None) for f in open_dataset(drawn).splits["test"]]
    first, again = (look(its, frames, drawn, CPU) for _ in range(2))
    assert np.array_equal(first.features, again.features) and first.features.shape == (5, 16)
    assert not its.model.encoder[-1]._forward_hooks
