"""What a classifier trains on: features computed once, its head, budget and statistics."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.config.records import RunConfig
from headstart.data.labelled_pictures import read_labelled_pictures
from headstart.data.layouts.class_layouts import open_classes
from headstart.errors import DataError
from headstart.models.tuning import FrozenPart, cut, trained_weights
from headstart.runs.run import train
from headstart.tasks import classification_training
from headstart.tasks.classification import Classification
from headstart.tasks.interface import Prepared
from headstart.training.features import prepared
from headstart.training.fit import fit
from headstart.training.starts import Source, read_source
from tests.tasks.classifier_runs import HEAD, RECIPE, SIZE, classifier
from tests.tiny_runs import Silent


def prepare(config: RunConfig, cache: Path) -> Prepared:
    return Classification().prepare(config, open_classes(Path(config.data)), cache)


def network_of(config: RunConfig, cache: Path, source: Source | None = None):
    return prepare(config, cache).network(source)


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
        part = torch.from_numpy(np.ascontiguousarray(pictures[split].images[chosen]))
        return prepared(part, SIZE, torch.device("cpu"))

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
    for row, expected in zip(history, other, strict=True):
        for name in ("train_loss", "validation_loss", "validation_accuracy"):
            assert row[name] == pytest.approx(expected[name], abs=1e-4), name


def test_ten_epochs_run_the_frozen_part_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
            expected = new.state_dict() if name in HEAD else source.weights
            assert torch.equal(tensor, expected[name]), name


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
    inputs = prepared(torch.from_numpy(pictures.images), SIZE, torch.device("cpu"))

    def standardised(chosen: slice | list[int]) -> Tensor:
        network, _ = network_of(config, tmp_path)
        parts = cut(network, trained_weights(network, "head"), SIZE)
        assert parts.frozen is not None
        with torch.no_grad():
            return parts.rest.graph_module.get_submodule("classifier.2")(
                parts.frozen(inputs[chosen])
            )

    features = standardised(slice(None))
    varies = features.std(0) > 0
    assert varies.sum() > 100 and torch.allclose(features.mean(0), torch.zeros(512), atol=1e-3)
    ones = torch.ones(int(varies.sum()))
    assert torch.allclose(features.std(0, correction=0)[varies], ones, atol=1e-2)
    monkeypatch.setattr(classification_training, "_STATISTICS", 3)
    three = standardised([0, 11, 23])  # the first, the middle, the last: one of each class
    assert pictures.labels[[0, 11, 23]].tolist() == [0, 1, 2]
    assert torch.allclose(three.mean(0), torch.zeros(512), atol=1e-3)
