"""Runs on padded pictures: the padding counts nowhere, and every use of a run gives the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headstart.config.recipes import ASSIGNMENT
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.label_map import IGNORE
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.inference.evaluation import evaluate_run
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import class_maps_of
from headstart.models.unet import UNet
from headstart.runs.run import train
from headstart.serve.answer import answer
from headstart.tasks.class_maps import class_maps
from headstart.tasks.segmentation_batches import frame_batches
from tests.tiny_runs import Silent, tiny

CPU = torch.device("cpu")
SIZE = 16, 16  # of pictures of 32 x 40: 13 x 16 within it


@pytest.fixture(scope="module")
def padded(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoded, Decoded]:
    dataset, cache = open_dataset(drawn), tmp_path_factory.mktemp("cache")
    read = (SIZE, dataset.label_map, dataset.root, cache)
    parts = [decode(dataset.splits[s], *read, framing="pad") for s in ("train", "validation")]
    return parts[0], parts[1]


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("padded") / "run"
    train(tiny(drawn, size=SIZE, framing="pad"), out, Silent())
    return out


def test_the_padding_of_masks_is_ignored(padded: tuple[Decoded, Decoded]) -> None:
    split = padded[0]
    assert split.masks is not None and split.padded
    assert set(split.contents) == {(13, 16)}
    assert (split.masks[:, 13:] == IGNORE).all() and (split.masks[:, :13] != IGNORE).all()
    assert split.subset([2, 0]).contents == ((13, 16), (13, 16))


def test_what_the_network_says_of_padding_changes_nothing(
    padded: tuple[Decoded, Decoded],
) -> None:
    train_split, validation = padded
    images = validation.images.copy()
    images[:, :, 13:] = 0
    model = UNet(5, 2).eval()
    with torch.no_grad():  # by pixel, so that padding changes no pixel beside it
        model = torch.nn.Conv2d(3, 5, 1)
    other = replace(validation, images=images)
    scores = [
        frame_batches(train_split, part, ASSIGNMENT, 5, 0, CPU, ignore=IGNORE).validate(
            model, lambda: False
        )
        for part in (validation, other)
    ]
    assert scores[0] == scores[1]


def test_class_maps_are_those_of_the_part_without_padding() -> None:
    logits = torch.randn(2, 3, 16, 16)
    contents = [(13, 16), (16, 9)]
    maps = class_maps(logits, [(32, 40), (50, 28)], 0.0, contents)
    for i, (size, (h, w)) in enumerate(zip([(32, 40), (50, 28)], contents, strict=True)):
        (alone,) = class_maps(logits[i : i + 1, :, :h, :w], [size], 0.0)
        assert torch.equal(maps[i], alone)


def test_every_use_of_the_run_segments_alike(drawn: Path, run: Path) -> None:
    """ONNX files: tests/inference/test_class_maps.py; the card's code: test_code_snippets.py."""
    dataset, scores = open_dataset(drawn), json.loads((run / "scores.json").read_text())
    assert evaluate_run(run, dataset, "test", "cpu") == scores
    picture = read_frame(frames_of(dataset, "test")[0], dataset.root)
    segmenter = open_segmenter(run, "cpu")
    assert segmenter.framing == "pad"
    assert class_maps_of(segmenter, [picture])[0].shape == (32, 40)
    reply = answer(segmenter, picture)
    assert (reply["probabilities"]["height"], reply["probabilities"]["width"]) == (13, 16)
    card = (run / "README.md").read_text()
    assert "width, height = 16, 16" in card and "np.pad" in card
