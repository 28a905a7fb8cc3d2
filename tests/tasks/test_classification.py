"""A classification run, end to end: what it learns, what stays, that it goes on exactly."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from headstart.data.augmentation import Augmentation
from headstart.data.labelled_pictures import read_labelled_pictures
from headstart.data.layouts.class_folders import open_classes
from headstart.errors import DataError, InterruptedRun, UsageError
from headstart.models.classifiers import make_network
from headstart.models.tuning import FrozenPart, cut, trained_weights
from headstart.plots import curves
from headstart.runs.run import train
from headstart.scores.frames_csv import read_answers_csv
from headstart.tasks import classification_training
from headstart.tasks.classification import Classification
from headstart.tasks.interface import Prepared
from headstart.training.checkpoint import load_weights
from headstart.training.config import RunConfig
from headstart.training.features import prepared
from headstart.training.fit import fit
from headstart.training.recipes import CLASSIFIER_DEFAULT
from headstart.training.starts import Source, read_source
from tests.conftest import Silent

SIZE = (32, 32)
SAME_BYTES = ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv", "config.json",
              "README.md")  # fmt: skip
HEAD = ("classifier.2.mean", "classifier.2.std", "classifier.3.weight", "classifier.3.bias")
COLOURS = {"fern": (40, 160, 60), "rust": (180, 80, 40), "sky": (70, 120, 200)}

RECIPE = CLASSIFIER_DEFAULT.model_copy(
    update={
        "batch": 8,
        "epochs": 3,
        "head_epochs": 2,
        "head_learning_rate": 1e-2,
        "augmentation": Augmentation(),
    }
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in three colours: of each class eight to learn, two to validate, four to test."""
    root = tmp_path_factory.mktemp("coloured") / "data"
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("validation", 2), ("test", 4)):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                noisy = np.clip(colour + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(root / split / name / f"{k}.png")
    return root


def classifier(data: Path, **changes: object) -> RunConfig:
    """A configuration that trains in about a second."""
    settings = {
        "schema": 1, "data": str(data), "task": "classification", "model": "squeezenet1_0",
        "width": None, "size": SIZE, "threads": 1, "recipe": RECIPE, "tune": "head", "seed": 3,
        **changes,
    }  # fmt: skip
    return RunConfig.model_validate(settings)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in torchvision's names and shapes, of a thousand classes."""
    from torchvision import models

    with torch.random.fork_rng():
        torch.manual_seed(7)
        path = tmp_path_factory.mktemp("weights") / "squeezenet1_0.pth"
        torch.save(models.squeezenet1_0(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def probed(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: a new head on weights from a file."""
    out = tmp_path_factory.mktemp("probed") / "run"
    train(classifier(data, start=str(weights)), out, Silent())
    return out


def prepare(config: RunConfig, cache: Path) -> Prepared:
    return Classification().prepare(config, open_classes(Path(config.data)), cache)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures, which take longer than the training."""
    monkeypatch.setattr(curves, "curves", lambda *_: b"")
    monkeypatch.setattr(curves, "confusion", lambda *_: b"")


def changed(run: Path, before: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that are not bit for bit what they were; those without a past too."""
    after, _ = load_weights(run / "weights.safetensors")
    assert set(after) >= {n for n in before if not n.startswith("classifier.")}
    return {n for n, t in after.items() if n not in before or not torch.equal(t, before[n])}


def recorded(run: Path) -> dict:
    return json.loads((run / "environment.json").read_text())


def network_of(config: RunConfig, cache: Path, source: Source | None = None):
    return prepare(config, cache).network(source)


def test_what_the_run_folder_holds(probed: Path) -> None:
    assert {p.name for p in probed.iterdir()} == {
        ".lock", "cache", "checkpoint", "config.json", "environment.json", "metrics.jsonl",
        "timing.jsonl", "weights.safetensors", "scores.json", "frames.csv", "curves.png",
        "confusion.png", "README.md",
    }  # fmt: skip
    for name in ("curves.png", "confusion.png"):
        with Image.open(probed / name) as picture:
            assert picture.format == "PNG"
    assert recorded(probed)["labels"] == {"train": 24, "validation": 6}
    assert set(recorded(probed)["data"]) == {"train", "validation", "test", "start"}
    _, facts = load_weights(probed / "weights.safetensors")
    assert facts["names"] == list(COLOURS) and facts["task"] == "classification"
    card = (probed / "README.md").read_text()
    assert "constant prediction" in card and "| `rust` |" in card and "squeezenet1_0" in card


def test_it_learns_and_the_scores_are_those_that_were_promised(probed: Path) -> None:
    scores = json.loads((probed / "scores.json").read_text())
    assert list(scores) == [
        "split", "pictures", "accuracy", "macro_f1", "collapsed", "trivial", "classes",
    ]  # fmt: skip
    assert list(scores["classes"]) == list(COLOURS)
    for its in scores["classes"].values():
        assert list(its) == ["recall", "precision", "pictures"] and its["pictures"] == 4
    assert (scores["split"], scores["pictures"], scores["collapsed"]) == ("test", 12, False)
    assert scores["trivial"] == {"accuracy": pytest.approx(1 / 3)}
    assert scores["accuracy"] >= 0.75 and scores["macro_f1"] >= 0.7
    counts = read_answers_csv(probed / "frames.csv").counts
    assert counts[:, 0, 0].mean() == pytest.approx(scores["accuracy"])


def test_the_head_alone_changes_and_all_else_is_bit_identical(probed: Path, weights: Path) -> None:
    assert changed(probed, torch.load(weights, weights_only=True)) == set(HEAD)
    start = recorded(probed)["start"]
    assert set(start["fresh"]) == set(HEAD) and start["adapted"] == []
    assert start["unused"] == ["classifier.1.bias", "classifier.1.weight"]
    assert all(name.startswith("features.") for name in start["moved"])


def test_the_same_seed_gives_the_same_bytes(
    probed: Path, data: Path, weights: Path, tmp_path: Path, unseen: None
) -> None:
    train(classifier(data, start=str(weights)), tmp_path / "again", Silent())
    for name in SAME_BYTES:
        assert (tmp_path / "again" / name).read_bytes() == (probed / name).read_bytes(), name


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
    with pytest.raises(DataError, match="changed since: test"):
        train(config, tmp_path / "run", Silent())


class _Whole(nn.Module):
    """Both parts of a network, the first as when predicting: nothing is cached."""

    def __init__(self, frozen: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.frozen, self.rest = frozen, rest

    def train(self, mode: bool = True) -> _Whole:
        self.rest.train(mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.frozen(images)
        return self.rest(features)


@pytest.mark.parametrize(("tune", "average"), [("head", 0.0), ("last:2", 0.9)])
def test_cached_features_give_the_result_of_no_cache(
    data: Path, tmp_path: Path, tune: str, average: float
) -> None:
    recipe = RECIPE.model_copy(update={"average": average})
    config = classifier(data, tune=tune, recipe=recipe)
    subject = prepare(config, tmp_path)
    pictures = {
        split: read_labelled_pictures(open_classes(data), split, SIZE, tmp_path)
        for split in ("train", "validation")
    }

    def images(split: str, chosen: np.ndarray | slice = slice(None)) -> Tensor:
        some = torch.from_numpy(np.ascontiguousarray(pictures[split].images[chosen]))
        return prepared(some, SIZE, torch.device("cpu"))

    def trained(cached: bool) -> tuple[dict[str, Tensor], list[dict]]:
        network, _ = subject.network(None)
        (stage,) = subject.stages(network)
        model, source = stage.model, stage.source
        if not cached:
            parts = cut(network, trained_weights(network, tune), SIZE)
            assert parts.frozen is not None
            model = _Whole(parts.frozen, parts.rest)

            def validate(model, stop):
                model.eval()
                truth = torch.from_numpy(pictures["validation"].labels)
                with torch.no_grad():
                    logits = model(images("validation"))
                right = (logits.argmax(1) == truth).double().mean()
                loss = nn.functional.cross_entropy(logits, truth).item()
                return {"loss": loss, "accuracy": right.item()}

            source = dataclasses.replace(
                source,
                batch=lambda i, _: (
                    images("train", i),
                    torch.from_numpy(pictures["train"].labels[i]),
                ),
                validation=validate,
            )
        state = fit(
            model, source, stage.recipe, seed=3, steps=stage.steps, device=torch.device("cpu"),
            folder=tmp_path / f"checkpoint {cached}", stop=lambda: False, listener=Silent(),
        )  # fmt: skip
        assert state.best_weights is not None
        model.load_state_dict(state.best_weights)
        return network.state_dict(), state.history

    (with_cache, history), (without, other) = trained(True), trained(False)
    new, _ = subject.network(None)
    assert not torch.equal(
        with_cache["classifier.3.weight"], new.state_dict()["classifier.3.weight"]
    )
    for name, tensor in without.items():
        assert torch.allclose(with_cache[name], tensor, atol=1e-5), name
    for row, its in zip(history, other, strict=True):
        for name in ("train_loss", "validation_loss", "validation_accuracy"):
            assert row[name] == pytest.approx(its[name], abs=1e-4), name


def test_ten_epochs_run_the_frozen_part_once(
    data: Path, tmp_path: Path, unseen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = FrozenPart.forward

    def counting(self, image):
        seen.append(len(image))
        return original(self, image)

    monkeypatch.setattr(FrozenPart, "forward", counting)
    recipe = RECIPE.model_copy(update={"epochs": 10})
    train(classifier(data, recipe=recipe), tmp_path / "run", Silent())
    assert sum(seen) == 24 + 6 + 12


def test_the_last_layers_of_an_average_over_augmented_pictures(
    data: Path, weights: Path, tmp_path: Path, unseen: None
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


def test_staged_trains_the_head_then_everything(
    data: Path, weights: Path, tmp_path: Path, unseen: None
) -> None:
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
    told = "6 steps of the last layer alone (2 epochs), then 9 of every weight, of batch 8; kept"
    assert told in (out / "README.md").read_text()


def test_the_weights_of_the_best_epoch_are_kept(data: Path, tmp_path: Path, unseen: None) -> None:
    """They are those of a run that ends there."""
    recipe = RECIPE.model_copy(update={"schedule": "constant", "epochs": 8})
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
    data: Path, tmp_path: Path, unseen: None
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


def test_a_run_as_a_start_brings_its_head_for_its_own_classes_only(
    probed: Path, data: Path, tmp_path: Path
) -> None:
    source = read_source(probed / "weights.safetensors", "run")
    same, moved = network_of(classifier(data), tmp_path / "cache", source)
    assert moved.fresh == () and moved.unused == ()
    assert all(torch.equal(t, source.weights[n]) for n, t in same.state_dict().items())

    shutil.copytree(data, tmp_path / "other")
    for split in ("train", "validation", "test"):
        (tmp_path / "other" / split / "rust").rename(tmp_path / "other" / split / "ink")
    other, moved = network_of(classifier(tmp_path / "other"), tmp_path / "cache", source)
    assert set(moved.fresh) == set(HEAD) == set(moved.unused)
    new, _ = network_of(classifier(data), tmp_path / "cache")
    for name, tensor in other.state_dict().items():
        if not name.startswith("classifier.2."):  # the same pictures have the same statistics
            its = new.state_dict() if name in HEAD else source.weights
            assert torch.equal(tensor, its[name]), name


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("squeezenet1_1", "of another network: features.0.weight"),
        ("resnet18", "nothing of the start"),
    ],
)
def test_weights_of_another_network_are_refused_with_what_differs(
    data: Path, tmp_path: Path, there: str, message: str
) -> None:
    torch.save(make_network(there, 1000)[0].state_dict(), tmp_path / "w.pth")
    config = classifier(data, start=str(tmp_path / "w.pth"))
    listener = Silent()
    with pytest.raises(DataError, match=message):
        train(config, tmp_path / "run", listener)
    assert listener.steps == [] and not (tmp_path / "run" / "scores.json").exists()


def test_what_cannot_be_meant_is_refused_before_anything_is_made(
    data: Path, tmp_path: Path
) -> None:
    for changes, message in (
        ({"model": "squeezenet"}, "no network squeezenet"),
        ({"size": (8, 8)}, "cannot take pictures of 8x8"),
    ):
        with pytest.raises(UsageError, match=message):
            train(classifier(data, **changes), tmp_path / "run", Silent())
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data/train/sky/notes.txt").write_text("blue")
    with pytest.raises(DataError, match=r"notes\.txt"):
        train(classifier(tmp_path / "data"), tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()


def test_more_layers_than_there_are(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="26 layers with weights, --tune last:99"):
        train(classifier(data, tune="last:99"), tmp_path / "run", Silent())


def test_a_budget_is_kept_shows_every_class_and_has_a_limit(data: Path, tmp_path: Path) -> None:
    assert prepare(classifier(data, labels=3), tmp_path).facts["labels"]["train"] == 3
    with pytest.raises(DataError, match=r"budget-too-large.*25.*24 labelled"):
        prepare(classifier(data, labels=25), tmp_path)


def test_new_weights_are_the_seeds_and_what_no_start_brings_is_the_same(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    config = classifier(data)
    a, _ = network_of(config, tmp_path)
    b, _ = network_of(config, tmp_path)
    other, _ = network_of(config.model_copy(update={"seed": 4}), tmp_path)
    started, _ = network_of(config, tmp_path, read_source(weights, "file"))
    assert all(torch.equal(t, b.state_dict()[n]) for n, t in a.state_dict().items())
    for name in ("features.0.weight", "classifier.3.weight"):
        assert not torch.equal(a.state_dict()[name], other.state_dict()[name])
    assert torch.equal(
        a.state_dict()["classifier.3.weight"], started.state_dict()["classifier.3.weight"]
    )


def test_features_are_standardised_over_pictures_of_all_classes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = classifier(data)
    pictures = read_labelled_pictures(open_classes(data), "train", SIZE, tmp_path)
    given = prepared(torch.from_numpy(pictures.images), SIZE, torch.device("cpu"))

    def standardised(chosen: slice | list[int]) -> Tensor:
        network, _ = network_of(config, tmp_path)
        parts = cut(network, trained_weights(network, "head"), SIZE)
        assert parts.frozen is not None
        with torch.no_grad():
            return parts.rest.graph_module.get_submodule("classifier.2")(
                parts.frozen(given[chosen])
            )

    features = standardised(slice(None))
    varies = features.std(0) > 0
    assert varies.sum() > 100 and torch.allclose(features.mean(0), torch.zeros(512), atol=1e-3)
    ones = torch.ones(int(varies.sum()))
    assert torch.allclose(features.std(0, correction=0)[varies], ones, atol=1e-2)
    monkeypatch.setattr(classification_training, "_STATISTICS", 3)
    some = standardised([0, 11, 23])  # the first, the middle, the last: one of each class
    assert pictures.labels[[0, 11, 23]].tolist() == [0, 1, 2]
    assert torch.allclose(some.mean(0), torch.zeros(512), atol=1e-3)


def test_scored_on_validation_the_test_split_is_never_read(
    data: Path, tmp_path: Path, unseen: None
) -> None:
    shutil.copytree(data, tmp_path / "data")
    for path in (tmp_path / "data" / "test").glob("*/*"):
        path.write_bytes(b"not a picture")
    recipe = RECIPE.model_copy(update={"epochs": 1})
    config = classifier(tmp_path / "data", score="validation", recipe=recipe)
    assert train(config, tmp_path / "run", Silent())["split"] == "validation"
    with pytest.raises(DataError, match=r"fern/0\.png") as caught:
        train(classifier(tmp_path / "data"), tmp_path / "other", Silent())
    assert sum(len(f.files) for f in caught.value.findings) == 12
