"""A run with an encoder of timm's is used as any other: predicted, scored, exported, served."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import make_run_config
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.exports.to_onnx import export_run
from headstart.inference.classifier import classes_of_split
from headstart.inference.masks import predict
from headstart.inference.opening import open_classifier, open_segmenter
from headstart.runs.run import train
from headstart.serve.answer import answer
from tests.tiny_runs import CLASSIFIER, Silent, tiny

pytest.importorskip("timm", reason="timm is not installed: headstart[timm]")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("timm") / "run"
    train(tiny(drawn, model="timm/test_efficientnet", size=(48, 48)), out, Silent())
    yield out


def test_it_scores_and_predicts_the_same_from_onnx(run: Path, drawn: Path, tmp_path: Path) -> None:
    scores = json.loads((run / "scores.json").read_text())
    again = open_segmenter(run, "cpu").evaluate(open_dataset(drawn), "test")
    assert again["dice"] == scores["dice"]
    agreement = export_run(run)["agreement"]
    assert agreement["largest_difference"] <= 1e-4
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (50, 61, 3), dtype=np.uint8)).save(pictures / "a.png")
    masks = []
    for path in (run, run / "model.onnx"):
        segmenter = open_segmenter(path, "cpu")
        out = tmp_path / path.name
        predict(segmenter, find_pictures(pictures).frames, pictures, out)
        (mask,) = (path for path in out.rglob("a.png") if "mask" in path.parent.name)
        masks.append(np.asarray(Image.open(mask)))
    assert masks[0].shape == (50, 61) and (masks[0] != masks[1]).mean() < 0.01
    environment = json.loads((run / "environment.json").read_text())
    assert re.match(r"\d+\.\d+", environment["versions"]["timm"])


def test_a_page_answers_with_it(run: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 70, 3), dtype=np.uint8)
    assert answer(open_segmenter(run, "cpu"), image)["height"] == 48


def test_a_classifier_predicts_the_same_from_onnx(coloured: Path, tmp_path: Path) -> None:
    recipe = CLASSIFIER_DEFAULT.with_epochs(1).model_copy(update={"batch": 8})
    settings: dict[str, Any] = {**CLASSIFIER, "schema": 1, "data": str(coloured)}
    settings |= {
        "model": "timm/test_efficientnet",
        "size": (32, 32),
        "tune": "head",
        "recipe": recipe,
    }
    out = tmp_path / "run"
    train(make_run_config(**settings), out, Silent())
    assert export_run(out)["agreement"]["largest_difference"] <= 1e-4
    data = open_classes(coloured)
    pair = [
        classes_of_split(open_classifier(path, "cpu"), data, "test")[1]
        for path in (out, out / "model.onnx")
    ]
    assert np.abs(pair[0] - pair[1]).max() < 1e-5
    card = (out / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(out / "picture.png")
    before = Path.cwd()
    os.chdir(out)
    try:
        exec(code, {"print": print})
    finally:
        os.chdir(before)
    assert 'timm.create_model("test_efficientnet", num_classes=3)' in code


WEIGHTS = Path(__file__).parents[3] / "shared/data/weights"


def test_all_of_efficientnets_published_tensors_load() -> None:
    from headstart.models.encoder_unet import EncoderUNet
    from headstart.training.starts import read_source, start_of

    path = WEIGHTS / "tf_efficientnet_lite0-imagenet.safetensors"
    if not path.is_file():
        pytest.skip(f"the published weights are not at {path}; they are not part of the project")
    model = EncoderUNet("timm/tf_efficientnet_lite0", 3, 2)
    moved = start_of(model, read_source(path, "imagenet"), ())
    encoder = {n for n in model.state_dict() if n.startswith("encoder.")}
    assert set(moved.moved) == encoder and len(encoder) == 288
    assert {n.partition(".")[0] for n in moved.unused} == {"conv_head", "bn2", "classifier"}
