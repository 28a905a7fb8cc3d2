"""Runs on tiles: what they train on, that they resume, and that every use of one gives the same."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.config.recipes import ASSIGNMENT, DEFAULT
from headstart.config.records import RunConfig
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.label_map import IGNORE
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.own_size import cut
from headstart.data.pictures.frame import read_frame
from headstart.errors import InterruptedRun
from headstart.exports.to_onnx import export_run
from headstart.inference.evaluation import evaluate_run
from headstart.inference.finished_run import read_finished_run
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter, class_maps_of
from headstart.labelling.suggestion import look
from headstart.models.unet import UNet
from headstart.runs.run import train
from headstart.serve.answer import answer
from headstart.tasks import windows
from headstart.tasks.class_maps import segment
from headstart.tasks.segmentation_batches import tile_batches
from headstart.tasks.together import segment_together
from tests.tiny_runs import Silent, started

CPU = torch.device("cpu")
TILE = 16, 24  # of pictures of 32 x 40
SAME_BYTES = ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv")


def tiled(data: Path, start: str = "scratch", **changes: object) -> RunConfig:
    """``tiny`` on tiles of 16 x 24."""
    config = started(data, start, **changes).model_dump()
    config["framing"] = "tile"
    if config["pretext"]:
        config["pretext"]["framing"] = "tile"
    return RunConfig.model_validate(config)


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoded, Decoded]:
    """Training and validation frames of the drawn data at their own size."""
    dataset, cache = open_dataset(drawn), tmp_path_factory.mktemp("cache")
    read = (TILE, dataset.label_map, dataset.root, cache)
    parts = [decode(dataset.splits[s], *read, framing="tile") for s in ("train", "validation")]
    return parts[0], parts[1]


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiles") / "run"
    train(tiled(drawn), out, Silent())
    return out


def test_frames_keep_their_size(drawn: Path, whole: tuple[Decoded, Decoded]) -> None:
    dataset = open_dataset(drawn)
    frames = dataset.splits["train"]
    assert whole[0].masks is None and whole[0].images.size == 0
    for frame, picture in zip(frames, whole[0].pictures, strict=True):
        assert np.array_equal(picture, read_frame(frame, dataset.root))
    some = whole[0].subset([3, 1])
    assert np.array_equal(some.pictures[1], whole[0].pictures[1]) and len(some.pictures) == 2


def test_without_augmentation_a_tile_is_a_window_of_its_frame(
    whole: tuple[Decoded, Decoded],
) -> None:
    source = tile_batches(*whole, ASSIGNMENT, 5, 0, CPU, TILE)
    image, mask = source.batch(np.array([2, 7, 2]), 0)
    assert image.shape == (3, 3, *TILE) and mask.shape == (3, *TILE)
    for i, frame in enumerate((2, 7, 2)):
        found = [
            (y, x) for y in range(32 - 15) for x in range(40 - 23)
            if np.array_equal(cut(whole[0].truth, frame, (32, 40), (y, x), TILE), mask[i].numpy())
        ]  # fmt: skip
        pictures = [cut(whole[0].pictures, frame, (32, 40), at, TILE) for at in found]
        given = (image[i] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        assert any(np.array_equal(picture, given) for picture in pictures)


def test_a_batch_of_tiles_is_a_function_of_its_indices_and_step(
    whole: tuple[Decoded, Decoded],
) -> None:
    source = tile_batches(*whole, DEFAULT, 5, 0, CPU, TILE)
    (a, am), (b, bm), (c, _) = (source.batch(np.array([3, 1]), step) for step in (5, 5, 6))
    assert torch.equal(a, b) and torch.equal(am, bm) and not torch.equal(a, c)
    assert a.shape == (2, 3, *TILE) and float(a.min()) >= 0 and float(a.max()) <= 1


def test_windows_that_are_segmented_twice_count_once(
    whole: tuple[Decoded, Decoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a picture whose probabilities are too many to keep, and with a class that is too small."""
    monkeypatch.setattr(windows, "_AT_ONCE", 0)
    torch.manual_seed(0)
    model, seen = UNet(5, 2).eval(), []
    with torch.no_grad():
        model.head.bias.zero_()  # else it predicts one class everywhere
    model.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    losses, counts = set(), set()
    for min_area in (0.0, 0.003, 0.02):
        recipe = ASSIGNMENT.model_copy(update={"min_area": min_area})
        seen.clear()
        scores = tile_batches(*whole, recipe, 5, 0, CPU, TILE).validate(model, lambda: False)
        assert scores is not None
        losses.add(scores["loss"])
        counts.add(sum(seen))
    assert len(losses) == 1 and len(counts) > 2, "some pictures, and not all, are done twice"


def test_ignored_pixels_enter_neither_loss_nor_scores(whole: tuple[Decoded, Decoded]) -> None:
    train_split, validation = whole
    model = UNet(5, 2).eval()
    truths = [np.array(truth) for truth in validation.truth]
    for truth in truths:
        truth[:, 20:] = IGNORE
    ignoring = replace(validation, truth=tuple(truths))
    before = tile_batches(train_split, validation, ASSIGNMENT, 5, 0, CPU, TILE, ignore=IGNORE)
    after = tile_batches(train_split, ignoring, ASSIGNMENT, 5, 0, CPU, TILE, ignore=IGNORE)
    one, two = (source.validate(model, lambda: False) for source in (before, after))
    assert one is not None and two is not None and one["loss"] != two["loss"]
    nothing = replace(validation, truth=tuple(np.full_like(t, IGNORE) for t in truths))
    source = tile_batches(train_split, nothing, ASSIGNMENT, 5, 0, CPU, TILE, ignore=IGNORE)
    scores = source.validate(model, lambda: False)
    assert scores is not None and scores["loss"] == 0 and scores["dice"] == 0
    assert source.validate(model, lambda: True) is None


def test_killed_and_continued_it_gives_the_same_bytes(
    drawn: Path, run: Path, tmp_path: Path
) -> None:
    class Stop(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun):
        train(tiled(drawn), tmp_path / "parts", Stop())
    listener = Silent()
    train(tiled(drawn), tmp_path / "parts", listener)
    assert listener.resumed_at == [5]
    for name in SAME_BYTES:
        assert (tmp_path / "parts" / name).read_bytes() == (run / name).read_bytes(), name


def test_every_use_of_the_run_segments_alike(drawn: Path, run: Path, tmp_path: Path) -> None:
    dataset, scores = open_dataset(drawn), json.loads((run / "scores.json").read_text())
    assert evaluate_run(run, dataset, "test", "cpu") == scores
    validated = evaluate_run(run, dataset, "validation", "cpu")["dice"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert validated == pytest.approx(max(row["validation_dice"] for row in rows), abs=1e-6)

    export_run(run, tmp_path / "model.onnx")
    pictures = [read_frame(f, dataset.root) for f in frames_of(dataset, "test")]
    ours, theirs = open_segmenter(run, "cpu"), open_segmenter(tmp_path / "model.onnx")
    assert ours.framing == theirs.framing == "tile" and ours.size == theirs.size == TILE
    for one, two in zip(*(class_maps_of(s, pictures) for s in (ours, theirs)), strict=True):
        assert one.shape == (32, 40) and (one != two).mean() < 1e-3
    reply = answer(ours, pictures[0])
    assert (reply["probabilities"]["height"], reply["probabilities"]["width"]) == (32, 40)

    cache, out = tmp_path / "cache", tmp_path / "together"
    out.mkdir()
    together = segment_together(tiled(drawn), dataset, [run, run], cache, out)
    assert together["dice"] == pytest.approx(scores["dice"], abs=1e-6)
    assert "tiles overlap" in (run / "README.md").read_text()


def test_a_window_is_segmented_as_a_picture_of_its_size_would_be(drawn: Path, run: Path) -> None:
    """Of a picture as large as a tile there is one window, and nothing to blend."""
    segmenter, finished = open_segmenter(run, "cpu"), read_finished_run(run)
    picture = np.random.default_rng(0).integers(0, 256, (*TILE, 3), np.uint8)
    network, images = Segmenter.network(finished), picture.transpose(2, 0, 1)[None]
    (expected,) = segment(network, images, [TILE], CPU, finished.facts.min_area)
    assert np.array_equal(class_maps_of(segmenter, [picture])[0], expected.numpy())


def test_what_to_label_next_looks_at_all_tiles_of_a_picture(drawn: Path, run: Path) -> None:
    frames, finished = open_dataset(drawn).unlabelled["train"], read_finished_run(run)
    network = Segmenter.network(finished)
    seen = look(network, finished.facts.size, "tile", frames, drawn, CPU)
    assert len(seen.frames) == len(seen.features) == len(seen.uncertainty) == len(frames)
    assert np.allclose(seen.shares.sum(1), 1)


def test_a_pretext_on_tiles_is_a_start(drawn: Path, tmp_path: Path) -> None:
    train(tiled(drawn, "colorization"), tmp_path / "run", Silent())
    start = json.loads((tmp_path / "run" / "environment.json").read_text())["start"]
    assert start["fresh"] == ["head.weight", "head.bias"]
