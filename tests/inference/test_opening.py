"""Runs and ONNX files open as the predictor of their task, and refuse to open as another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import make_run_config
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, UsageError
from headstart.inference.classifier import Classifier
from headstart.inference.opening import (
    PREDICTORS,
    kind_at,
    kind_for,
    open_classifier,
    open_predictor,
    open_segmenter,
)
from headstart.inference.predictor import Predictor
from headstart.inference.segmenter import Segmenter
from headstart.runs.run import train
from headstart.tasks.lookup import LABELLED
from tests.tiny_runs import CLASSIFIER, Silent, tiny_pretext


@pytest.fixture(scope="module")
def classifier_run(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("opening") / "run"
    recipe = CLASSIFIER_DEFAULT.with_epochs(1).model_copy(update={"batch": 8})
    settings = {"data": str(coloured), "model": "squeezenet1_1", "size": (32, 32)}
    config = make_run_config(
        **{"schema": 1, **CLASSIFIER, **settings, "tune": "head", "recipe": recipe}
    )
    train(config, out, Silent())
    return out


@pytest.fixture(scope="module")
def pretext_run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("opening") / "pretext"
    train(tiny_pretext(drawn), out, Silent())
    return out


def test_every_labelled_task_has_a_predictor() -> None:
    assert PREDICTORS.keys() == LABELLED.keys()


@pytest.mark.parametrize(
    ("run", "data", "kind", "files"),
    [
        ("trained", "drawn", Segmenter, {"masks", "overlays"}),
        ("classifier_run", "coloured", Classifier, {"classes"}),
    ],
)
def test_a_predictor_scores_and_predicts_by_its_task(
    run: str,
    data: str,
    kind: type[Predictor],
    files: set[str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    folder, root = request.getfixturevalue(run), request.getfixturevalue(data)
    predictor = open_predictor(folder, "cpu")
    assert isinstance(predictor, Predictor) and type(predictor) is kind is kind_at(folder)
    dataset = LABELLED[kind.task].open(root)
    assert kind_for(dataset) is kind
    scores = json.loads((folder / "scores.json").read_text())
    assert json.loads(json.dumps(predictor.evaluate(dataset, "test"))) == scores
    written = predictor.predict_split(dataset, "test", tmp_path / "split")
    assert written.pictures == len(predictor.sample(root, "test", 1000)) - (
        len(dataset.splits["validation"]) if kind is Segmenter else 0
    )
    assert written.files.keys() == files
    assert all(path.exists() for path in written.files.values())
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / "a.png")
    frames = find_pictures(tmp_path / "a.png").frames
    assert predictor.predict_pictures(frames, tmp_path, tmp_path / "one").pictures == 1


def test_answers_hold_all_pictures_and_some_alone(trained: Path, drawn: Path) -> None:
    segmenter = open_predictor(trained, "cpu")
    images = segmenter.sample(drawn, "test", 4)
    answers = segmenter.answers(images)
    assert [len(batch) for batch in answers.probabilities] == [4, 1, 1, 1]
    assert answers.sizes == ((16, 24), *[(27, 35)] * 3)
    assert [c.shape for c in answers.classes] == [image.shape[:2] for image in images]


@pytest.mark.parametrize(
    ("run", "opened", "code"),
    [
        ("classifier_run", open_segmenter, "is-a-classifier"),
        ("pretext_run", open_segmenter, "is-a-pretext"),
        ("pretext_run", open_predictor, "is-a-pretext"),
        ("pretext_run", kind_at, "is-a-pretext"),
        ("trained", open_classifier, "no-classifier"),
        ("pretext_run", open_classifier, "no-classifier"),
    ],
)
def test_runs_of_another_task_are_refused(
    run: str, opened: Callable[[Path], object], code: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(run)
    with pytest.raises(DataError) as caught:
        opened(folder)
    (finding,) = caught.value.findings
    assert finding.code == code and str(folder) in finding.message
    if run == "pretext_run":
        assert "colorization" in finding.message


def test_a_dataset_finds_its_predictor(drawn: Path, coloured: Path) -> None:
    assert kind_for(open_dataset(drawn)) is Segmenter
    assert kind_for(open_classes(coloured)) is Classifier


def test_a_folder_without_a_run_and_an_unknown_device(tmp_path: Path, trained: Path) -> None:
    assert kind_at(tmp_path) is Segmenter  # opening it names what is wrong
    with pytest.raises(DataError) as caught:
        open_predictor(tmp_path, "cpu")
    assert caught.value.findings[0].code == "no-weights"
    with pytest.raises(UsageError) as wrong:
        open_predictor(trained, "gpu")
    assert wrong.value.findings[0].code == "unknown-device"
