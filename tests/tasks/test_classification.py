"""A classification run, end to end: what it learns, what stays, that it resumes exactly."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from headstart.data.augmentation import Augmentation
from headstart.data.layouts.class_layouts import open_classes
from headstart.errors import DataError, InterruptedRun, UsageError
from headstart.models.classifiers import make_network
from headstart.records.calibration import read_calibration
from headstart.runs.run import train
from headstart.scores.frames_csv import read_answers_csv
from headstart.tasks.budgets import labelled_indices
from headstart.training.checkpoint import load_weights
from tests.tasks.classifier_runs import COLOURS, HEAD, RECIPE, SAME_BYTES, classifier
from tests.tiny_runs import Silent


def changed(run: Path, before: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that are not bit for bit what they were; those without a past too."""
    after, _, _ = load_weights(run / "weights.safetensors")
    assert set(after) >= {n for n in before if not n.startswith("classifier.")}
    return {n for n, t in after.items() if n not in before or not torch.equal(t, before[n])}


def recorded(run: Path) -> dict:
    return json.loads((run / "environment.json").read_text())


def test_what_the_run_folder_holds(probed: Path) -> None:
    assert {p.name for p in probed.iterdir()} == {
        ".lock", "cache", "checkpoint", "config.json", "environment.json", "metrics.jsonl",
        "timing.jsonl", "weights.safetensors", "scores.json", "frames.csv", "curves.png",
        "confusion.png", "README.md", "manifest.json", "calibration.json",
    }  # fmt: skip
    for name in ("curves.png", "confusion.png"):
        with Image.open(probed / name) as picture:
            assert picture.format == "PNG"
    assert recorded(probed)["labels"] == {"train": 24, "validation": 6}
    assert set(recorded(probed)["data"]) == {"train", "validation", "test", "start"}
    _, facts, _ = load_weights(probed / "weights.safetensors")
    assert facts["names"] == list(COLOURS) and facts["task"] == "classification"
    card = (probed / "README.md").read_text()
    assert "constant prediction" in card and "| `rust` |" in card and "squeezenet1_0" in card


def test_it_learns_and_the_scores_are_those_that_were_promised(probed: Path) -> None:
    scores = json.loads((probed / "scores.json").read_text())
    assert list(scores) == [
        "split", "pictures", "accuracy", "macro_f1", "collapsed", "trivial", "classes",
    ]  # fmt: skip
    assert list(scores["classes"]) == list(COLOURS)
    for of_class in scores["classes"].values():
        assert list(of_class) == ["recall", "precision", "pictures"]
        assert of_class["pictures"] == 4
    assert (scores["split"], scores["pictures"], scores["collapsed"]) == ("test", 12, False)
    assert scores["trivial"] == {"accuracy": pytest.approx(1 / 3)}
    assert scores["accuracy"] >= 0.75 and scores["macro_f1"] >= 0.7
    counts = read_answers_csv((probed / "frames.csv").read_bytes(), probed / "frames.csv").counts
    assert counts[:, 0, 0].mean() == pytest.approx(scores["accuracy"])


def test_calibration_is_over_pictures(probed: Path) -> None:
    record = read_calibration(probed)
    assert record is not None and (record.split, record.fitted_predictions) == ("test", 6)
    scores = json.loads((probed / "scores.json").read_text())
    for part in (record.before, record.after):
        assert part.sums[:, :2].sum(0) == pytest.approx([12, 12 * scores["accuracy"]])
    card = (probed / "README.md").read_text()
    assert (record.reason or f"temperature {record.temperature:.2f}") in card


def test_the_head_alone_changes_and_all_else_is_bit_identical(probed: Path, weights: Path) -> None:
    assert changed(probed, torch.load(weights, weights_only=True)) == set(HEAD)
    start = recorded(probed)["start"]
    assert set(start["fresh"]) == set(HEAD) and start["adapted"] == []
    assert start["unused"] == ["classifier.1.bias", "classifier.1.weight"]
    assert all(name.startswith("features.") for name in start["moved"])


def test_the_same_seed_gives_the_same_bytes(
    probed: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    train(classifier(data, start=str(weights)), tmp_path / "again", Silent())
    for name in SAME_BYTES:
        assert (tmp_path / "again" / name).read_bytes() == (probed / name).read_bytes(), name


@pytest.mark.parametrize("tune", ["all", "head", "staged"])
def test_a_few_labels_alone_train_as_a_budget_of_many_does(
    tune: str, data: Path, tmp_path: Path
) -> None:
    """The recipe counts steps, so the pictures without labels do not make training longer."""
    recipe = RECIPE.with_steps(3)
    budget, run, alone = tmp_path / "budget", tmp_path / "run", tmp_path / "alone"
    config = classifier(data, labels=5, recipe=recipe, tune=tune)
    train(config, budget, Silent())
    split = open_classes(data).splits["train"]
    present = split.labels[:, None] == np.arange(len(COLOURS))
    labelled = labelled_indices(present, split.names, config)
    shutil.copytree(data, alone)
    for i, frame in enumerate(split.frames):
        if i not in labelled:
            (alone / frame.image.relative_to(data)).unlink()
    assert len(open_classes(alone).splits["train"].names) == len(labelled) == 5
    train(classifier(alone, recipe=recipe, tune=tune), run, Silent())
    for name in ("weights.safetensors", "metrics.jsonl", "frames.csv", "scores.json"):
        assert (run / name).read_bytes() == (budget / name).read_bytes(), name


def test_a_finished_run_answers_at_once_for_its_own_pictures_only(
    probed: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "data")
    shutil.copytree(probed, tmp_path / "run")
    config = classifier(tmp_path / "data", start=str(weights))
    listener = Silent()
    scores = train(config, tmp_path / "run", listener)
    assert listener.steps == [] and scores == json.loads((probed / "scores.json").read_text())
    (tmp_path / "data/test/sky/1.png").rename(tmp_path / "data/test/rust/9.png")
    with pytest.raises(DataError, match=r"\[data-changed\].*: test\b"):
        train(config, tmp_path / "run", Silent())


def test_the_last_layers_of_an_average_over_augmented_pictures(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(
        update={"average": 0.9, "augmentation": Augmentation(flip_horizontal=True, rotation=10.0)}
    )
    config = classifier(data, start=str(weights), tune="last:2", recipe=recipe)
    train(config, tmp_path / "run", Silent())
    last = {"features.12.expand3x3.weight", "features.12.expand3x3.bias"}
    before = torch.load(weights, weights_only=True)
    assert changed(tmp_path / "run", before) == {*HEAD, *last}
    plain = classifier(data, start=str(weights), tune="last:2")
    train(plain, tmp_path / "plain", Silent())
    rows = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("run", "plain")]
    assert rows[0] != rows[1]


def test_staged_trains_the_head_then_everything(data: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    scores = train(classifier(data, start=str(weights), tune="staged"), out, Silent())
    before = torch.load(weights, weights_only=True)
    assert changed(out, before) == {n for n in before if n.startswith("features.")} | set(HEAD)
    rows = {
        part: [json.loads(line) for line in (out / part / "metrics.jsonl").read_text().splitlines()]
        for part in ("", "head")
    }
    assert [r["epoch"] for r in rows["head"]] == [1, 2]
    assert [r["epoch"] for r in rows[""]] == [1, 2, 3]
    assert max(r["learning_rate"] for r in rows["head"]) > 1e-3
    assert max(r["learning_rate"] for r in rows[""]) <= RECIPE.learning_rate < 1e-3
    # the second begins where the first ended, not at an untrained head
    assert rows[""][0]["train_loss"] < rows["head"][0]["train_loss"]
    assert scores["accuracy"] > scores["trivial"]["accuracy"]
    (settings,) = re.findall(r"- (Recipe .*)", (out / "README.md").read_text())
    for fact in ("6 steps", "last layer", "2 epochs", "9 steps", "all weights", "batches of 8"):
        assert fact in settings, fact


def test_the_weights_of_the_best_epoch_are_kept(data: Path, tmp_path: Path) -> None:
    """They are those of a run that ends there."""
    recipe = RECIPE.model_copy(update={"schedule": "constant", "epochs": 8, "ties": "first"})
    listener = Silent()
    train(classifier(data, recipe=recipe), tmp_path / "long", listener)
    reached = [row["validation_accuracy"] for row in listener.rows]
    best = 1 + reached.index(max(reached))
    assert best < 8, "this test says nothing unless it gets no better at the end"
    shorter = recipe.model_copy(update={"epochs": best})
    train(classifier(data, recipe=shorter), tmp_path / "short", Silent())
    long, short = (load_weights(tmp_path / n / "weights.safetensors")[0] for n in ("long", "short"))
    assert all(torch.equal(tensor, short[name]) for name, tensor in long.items())


class _Stop(Silent):
    """Asks to stop after so many steps."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def step(self, done: int, total: int) -> None:
        super().step(done, total)
        if len(self.steps) == self.after:
            os.kill(os.getpid(), signal.SIGTERM)


def test_interrupted_in_either_stage_and_continued_gives_the_same_bytes(
    data: Path, tmp_path: Path
) -> None:
    config = classifier(data, tune="staged")
    train(config, tmp_path / "whole", Silent())
    for after in (4, 2 + 5):  # of six steps of the head; its last two and five of the nine of all
        with pytest.raises(InterruptedRun, match="interrupted"):
            train(config, tmp_path / "parts", _Stop(after))
    listener = Silent()
    train(config, tmp_path / "parts", listener)
    assert listener.resumed_at == [6, 5] and len(listener.steps) == 4
    for name in (*SAME_BYTES, "head/metrics.jsonl"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("squeezenet1_1", r"shapes-differ.*features\.0\.weight"),
        ("resnet18", r"nothing-moved.*w\.pth"),
    ],
)
def test_weights_of_another_network_are_refused_with_what_differs(
    data: Path, tmp_path: Path, network: str, message: str
) -> None:
    torch.save(make_network(network, 1000)[0].state_dict(), tmp_path / "w.pth")
    config = classifier(data, start=str(tmp_path / "w.pth"))
    listener = Silent()
    with pytest.raises(DataError, match=message):
        train(config, tmp_path / "run", listener)
    assert listener.steps == [] and not (tmp_path / "run" / "scores.json").exists()


def test_what_cannot_be_meant_is_refused_before_anything_is_made(
    data: Path, tmp_path: Path
) -> None:
    for changes, message in (
        ({"model": "squeezenet"}, r"unknown-network.*squeezenet"),
        ({"size": (8, 8)}, r"bad-size.*8x8"),
    ):
        with pytest.raises(UsageError, match=message):
            train(classifier(data, **changes), tmp_path / "run", Silent())
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data/train/sky/notes.txt").write_text("blue")
    with pytest.raises(DataError, match=r"notes\.txt"):
        train(classifier(tmp_path / "data"), tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()


def test_more_layers_than_there_are(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"too-many-layers.*26.*last:99"):
        train(classifier(data, tune="last:99"), tmp_path / "run", Silent())


def test_scored_on_validation_the_test_split_is_never_read(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    for path in (tmp_path / "data" / "test").glob("*/*"):
        path.write_bytes(b"not a picture")
    recipe = RECIPE.model_copy(update={"epochs": 1})
    config = classifier(tmp_path / "data", score="validation", recipe=recipe)
    assert train(config, tmp_path / "run", Silent())["split"] == "validation"
    with pytest.raises(DataError, match=r"fern/0\.png") as caught:
        train(classifier(tmp_path / "data"), tmp_path / "other", Silent())
    assert sum(len(f.files) for f in caught.value.findings) == 12
