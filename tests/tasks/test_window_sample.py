"""Windows that validate: which pixels are theirs, which are drawn, and what they say of all."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.config.recipes import DEFAULT
from headstart.data.decoded_frames import Decoded
from headstart.data.label_map import IGNORE
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import InterruptedRun
from headstart.inference.evaluation import evaluate_run
from headstart.models.unet import UNet
from headstart.records.run_records import read_environment
from headstart.runs.run import train
from headstart.tasks.segmentation_batches import tile_batches
from headstart.tasks.window_sample import count_windows, own_truth, sample, windows_of
from headstart.tasks.windows import _weights
from tests.tasks.test_tiles import CPU, SAME_BYTES, TILE, tiled, whole
from tests.tiny_runs import Silent

__all__ = ["whole"]  # a fixture


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    tile=st.sampled_from([(16, 24), (40, 40)]),
)
def test_every_pixel_belongs_to_the_window_that_weighs_most(
    height: int, width: int, tile: tuple[int, int]
) -> None:
    windows = windows_of(0, (height, width), tile)
    assert len(windows) == count_windows([(height, width)], tile)
    times = np.zeros((height, width), int)
    weight, heaviest = np.zeros((height, width)), np.zeros((height, width))
    of_window = np.outer(_weights(tile[0]), _weights(tile[1]))
    for window in windows:
        own = np.zeros(tile, bool)
        own[window.own] = True
        (top, left), (high, wide) = window.corner, np.minimum(tile, (height, width))
        place = slice(top, top + high), slice(left, left + wide)
        assert not own[high:].any() and not own[:, wide:].any(), "nothing beyond the picture"
        times[place] += own[:high, :wide]
        weight[place] += of_window[:high, :wide] * own[:high, :wide]
        heaviest[place] = np.maximum(heaviest[place], of_window[:high, :wide])
    assert (times == 1).all() and np.allclose(weight, heaviest)


def pictures_with_rare_classes() -> list[np.ndarray]:
    """Twelve pictures of 10 x 10 windows: class 1 in half of each, class 2 in three windows."""
    truths = [np.zeros((400, 400), np.uint8) for _ in range(12)]
    for truth in truths:
        truth[:200] = 1
    truths[3][390, 20], truths[3][300, 300], truths[7][250, 5] = 2, 2, 2
    return truths


def test_rare_classes_are_all_drawn_and_each_window_stands_for_others() -> None:
    truths, tile = pictures_with_rare_classes(), (52, 52)
    assert count_windows([t.shape for t in truths], tile) == 12 * 100
    parts = sample(truths, tile, 3, 90, rng())
    assert [len(part.windows) for part in parts] == [3, 43, 44]
    assert parts[0].weight == 1 and {w.frame for w in parts[0].windows} == {3, 7}
    assert sum(part.weight * len(part.windows) for part in parts) == pytest.approx(12 * 100)
    for part in parts[1:]:
        assert {w.frame for w in part.windows} == set(range(12)), "all pictures"
        assert len({(w.frame, w.corner) for w in part.windows}) == len(part.windows)
    assert parts == sample(truths, tile, 3, 90, rng())
    assert parts != sample(truths, tile, 3, 90, np.random.default_rng(1))
    estimate = sum(
        part.weight * sum((truths[w.frame][_own_place(w)] == 1).sum() for w in part.windows)
        for part in parts
    )
    assert estimate == pytest.approx(12 * 200 * 400, rel=0.03)


def _own_place(window: object) -> tuple[slice, slice]:
    places = zip(window.corner, window.own, strict=True)  # type: ignore[attr-defined]
    rows, columns = (slice(at + own.start, at + own.stop) for at, own in places)
    return rows, columns


def test_what_is_ignored_is_not_drawn() -> None:
    truth = np.full((100, 100), IGNORE, np.uint8)
    assert sample([truth], (40, 40), 2, 5, rng()) == ()
    truth[:10, :10] = 0
    (part,) = sample([truth], (40, 40), 2, 5, rng())
    assert [w.corner for w in part.windows] == [(0, 0)] and part.weight == 1


def test_all_windows_give_the_scores_of_all_pixels(whole: tuple[Decoded, Decoded]) -> None:
    """Up to blending, which a network that sees one pixel at a time does not need."""
    train_split, validation = whole

    class OnePixel(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, 1 - x], dim=1)[:, :5] * 20

    windows = count_windows(validation.sizes, TILE)
    parts = sample(validation.truth, TILE, 5, windows, rng())
    recipe = DEFAULT.model_copy(update={"min_area": 0.0})
    args = (train_split, validation, recipe, 5, 0, CPU, TILE)
    of_all = tile_batches(*args).validate(OnePixel(), lambda: False)
    of_parts = tile_batches(*args, validated=parts).validate(OnePixel(), lambda: False)
    assert of_all is not None and of_parts is not None
    assert of_parts["dice"] == of_all["dice"] > 0
    assert of_parts["collapsed"] == of_all["collapsed"]


def test_a_weighted_sample_stands_for_all(whole: tuple[Decoded, Decoded]) -> None:
    """Each window twice as heavy is the same; the loss is a mean, the counts are sums."""
    parts = sample(whole[1].truth, TILE, 5, 9, rng())
    parts = tuple(replace(part, weight=3.0) for part in parts)  # whole, so that nothing is rounded
    model = UNet(5, 2).eval()
    heavier = tuple(replace(part, weight=6.0) for part in parts)
    args = (*whole, DEFAULT, 5, 0, CPU, TILE)
    one, two = (
        tile_batches(*args, validated=p).validate(model, lambda: False) for p in (parts, heavier)
    )
    assert one == pytest.approx(two)
    assert tile_batches(*args, validated=parts).validate(model, lambda: True) is None
    ignoring = own_truth(np.zeros(TILE, np.uint8), parts[0].windows[0])
    assert set(np.unique(ignoring)) == {0, IGNORE}


def sampled(data: Path) -> object:
    recipe = tiled(data).recipe.model_copy(update={"validation_windows": 6})
    return tiled(data, recipe=recipe)


def test_a_run_records_its_sample_resumes_exactly_and_is_scored_on_every_pixel(
    drawn: Path, tmp_path: Path
) -> None:
    class Stop(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    config, listener = sampled(drawn), Silent()
    train(config, tmp_path / "whole", listener)
    with pytest.raises(InterruptedRun):
        train(config, tmp_path / "parts", Stop())
    train(config, tmp_path / "parts", Silent())
    for name in SAME_BYTES:
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    recorded = read_environment(tmp_path / "whole").validation_windows
    assert recorded is not None and recorded.predicted == 6 and recorded.all == 24
    assert "validation-windows" in {finding.code for finding in listener.warnings}
    scores = json.loads((tmp_path / "whole/scores.json").read_text())
    assert evaluate_run(tmp_path / "whole", open_dataset(drawn), "test", "cpu") == scores


def test_where_the_windows_are_few_all_validate(drawn: Path, tmp_path: Path) -> None:
    """With the bytes of a run of an older version, which has no such bound."""
    for windows in (24, None):
        recipe = tiled(drawn).recipe.model_copy(update={"validation_windows": windows})
        train(tiled(drawn, recipe=recipe), tmp_path / str(windows), Silent())
    for name in SAME_BYTES:
        of_bound, of_all = (tmp_path / str(w) / name for w in (24, None))
        assert of_bound.read_bytes() == of_all.read_bytes(), name
