"""``--tta``: the mean of a picture and its mirror image, in both runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import headstart
from headstart.errors import UsageError
from headstart.inference.classifier import Classifier
from headstart.inference.opening import open_classifier, open_predictor, open_segmenter
from headstart.models.averaged import Mirrored
from headstart.runs.run import train
from tests.tasks.classifier_runs import classifier
from tests.tiny_runs import Silent

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 24), np.uint8)


def test_it_is_the_mean_probability_and_mirrors_with_the_picture() -> None:
    torch.manual_seed(0)
    network = Mirrored(nn.Conv2d(3, 4, 3, padding=1))
    image = torch.rand(2, 3, 8, 10)
    with torch.no_grad():
        own = network.network(image).softmax(1)
        other = network.network(image.flip(3)).softmax(1).flip(3)
        assert torch.allclose(network(image).softmax(1), (own + other) / 2, atol=1e-6)
        assert torch.allclose(network(image.flip(3)), network(image).flip(3), atol=1e-6)


def test_of_a_classifier_nothing_is_mirrored_back() -> None:
    torch.manual_seed(0)
    network = Mirrored(nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 10, 4)))
    image = torch.rand(2, 3, 8, 10)
    with torch.no_grad():
        assert torch.allclose(network(image.flip(3)), network(image), atol=1e-6)


def test_runs_and_onnx_files_predict_it(exported: tuple[Path, dict]) -> None:
    run, _ = exported
    plain, mirror = (open_segmenter(run, "cpu", m).probabilities for m in (False, True))
    expected = (plain(PICTURES) + plain(np.ascontiguousarray(PICTURES[..., ::-1]))[..., ::-1]) / 2
    assert np.abs(expected - plain(PICTURES)).max() > 1e-3, "nothing to tell them apart"
    assert np.allclose(mirror(PICTURES), expected, atol=1e-6)
    of_file = open_segmenter(run / "model.onnx", "cpu", mirror=True)
    assert np.allclose(of_file.probabilities(PICTURES), expected, atol=1e-5)
    assert of_file.temperature == open_segmenter(run, "cpu").temperature


def test_masks_and_scores_are_those_of_the_mean(sharp: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "P"
    headstart.predict(sharp, drawn, split="test", out=out, tta=True, device="cpu")
    scored = headstart.evaluate(sharp, drawn, tta=True, device="cpu").scores
    assert scored.pop("tta") == "mirror"
    assert scored == headstart.evaluate(out / "masks", drawn).scores
    plain = headstart.evaluate(sharp, drawn, device="cpu").scores
    assert "tta" not in plain and plain["classes"] != scored["classes"]
    with pytest.raises(UsageError, match="not-empty"):
        headstart.predict(sharp, drawn, split="test", out=out, device="cpu")


def test_masks_cannot_be_mirrored(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match=r"not-a-run.*--tta"):
        headstart.evaluate(tmp_path / "masks", drawn, tta=True)


def test_classes_of_pictures_too_with_calibrated_probabilities(
    coloured: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(classifier(coloured, start="scratch"), run, Silent())
    (run / "manifest.json").unlink()
    record = json.loads((run / "calibration.json").read_text())
    (run / "calibration.json").write_text(json.dumps({**record, "temperature": 0.5}))
    small = list(PICTURES[:, :, :, :16])
    plain = open_classifier(run, "cpu").probabilities
    expected = (plain(small) + plain([np.ascontiguousarray(p[..., ::-1]) for p in small])) / 2
    mirrored = open_predictor(run, "cpu", mirror=True)
    assert isinstance(mirrored, Classifier)
    assert np.allclose(mirrored.probabilities(small), expected, atol=1e-6)
    Image.fromarray(PICTURES[0].transpose(1, 2, 0)).save(tmp_path / "one.png")
    headstart.predict(run, tmp_path / "one.png", out=tmp_path / "P", device="cpu")
    row = (tmp_path / "P/classes.csv").read_text().splitlines()[1].split(",")
    (probs,) = plain([PICTURES[0]])
    squared = probs.astype(float) ** 2 / (probs.astype(float) ** 2).sum()
    assert np.allclose([float(v) for v in row[3:]], squared, atol=1e-5)
    assert float(row[2]) == pytest.approx(squared.max(), abs=1e-5)
