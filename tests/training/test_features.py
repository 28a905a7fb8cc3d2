"""Features are computed once, found by their content, and never read half-written."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.data.augmentation import Augmentation
from headstart.models.tuning import FrozenPart, cut
from headstart.training.features import cached_features, prepared

SIZE = (8, 8)
CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (70, 1, 6, 7), dtype=np.uint8)  # two batches


def part(seed: int = 0, stride: int = 1) -> FrozenPart:
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 4, 3, stride), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    frozen = cut(nn.Sequential(*layers, nn.Linear(16, 2)), frozenset({"4.weight"}), SIZE).frozen
    assert isinstance(frozen, FrozenPart)
    return frozen


def counting(frozen: FrozenPart) -> list[int]:
    """Tells how many pictures it was given, call by call."""
    calls: list[int] = []
    frozen.register_forward_hook(lambda _, given, __: calls.append(len(given[0])))
    return calls


def kept(frozen: FrozenPart, cache: Path, **changes: object) -> Tensor:
    settings = {"images": IMAGES, "content": "abc", "size": SIZE, "device": CPU, **changes}
    return cached_features(frozen, cache=cache, **settings)


def test_they_are_those_of_the_frozen_part_and_are_computed_once(tmp_path: Path) -> None:
    frozen = part()
    with torch.no_grad():
        expected = frozen(prepared(torch.from_numpy(IMAGES), SIZE, CPU))
    calls = counting(frozen)
    first = kept(frozen, tmp_path / "cache")
    assert torch.allclose(first, expected, atol=1e-6) and sum(calls) == len(IMAGES)
    calls.clear()
    assert torch.equal(kept(frozen, tmp_path / "cache"), first) and calls == []
    assert torch.equal(kept(part(), tmp_path / "cache"), first)  # another process, the same weights
    assert len(list((tmp_path / "cache").glob("*/*.npy"))) == 1


def test_what_is_larger_than_memory_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = kept(part(), tmp_path / "whole")
    (name,) = [path.parent.name for path in (tmp_path / "whole").glob("*/*.npy")]

    class PulledError(Exception):
        pass

    def pull(_: nn.Module, given: tuple[Tensor], __: Tensor) -> None:
        if len(given[0]) < 64:
            raise PulledError

    frozen, cache = part(), tmp_path / "cache"
    hook = frozen.register_forward_hook(pull)
    with pytest.raises(PulledError):
        kept(frozen, cache)
    assert not list(cache.glob("*/*.npy"))
    hook.remove()
    (cache / f"{name}.partial").mkdir()
    (cache / f"{name}.partial" / "features.npy").write_bytes(b"left by a kill")
    assert torch.equal(kept(frozen, cache), expected)
    assert {path.name for path in cache.iterdir() if path.is_dir()} == {name}


def test_of_several_one_computes_and_the_others_find_it(tmp_path: Path) -> None:
    parts = [part() for _ in range(3)]
    calls = [counting(frozen) for frozen in parts]
    threads = [threading.Thread(target=kept, args=(frozen, tmp_path)) for frozen in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(sum, calls)) == [0, 0, len(IMAGES)]


def test_augmented_pictures_are_moved_before_they_are_enlarged() -> None:
    image = torch.from_numpy(IMAGES[:16])
    plain = prepared(image, SIZE, CPU)
    assert plain.shape == (16, 3, *SIZE)
    always = Augmentation(flip_horizontal=True)
    found = prepared(image, SIZE, CPU, always, np.random.default_rng(0))
    flipped = [not torch.allclose(a, b, atol=1e-4) for a, b in zip(found, plain, strict=True)]
    assert any(flipped) and not all(flipped)
    for k in np.flatnonzero(flipped):
        assert torch.allclose(found[k], plain[k].flip(-1), atol=1e-4)


def test_each_precision_has_features_of_its_own(tmp_path: Path) -> None:
    frozen = part()
    exact = kept(frozen, tmp_path / "cache")
    half = kept(frozen, tmp_path / "cache", half=True)
    assert not torch.equal(exact, half) and torch.allclose(exact, half, atol=0.1)
    assert torch.equal(kept(frozen, tmp_path / "cache"), exact)
