"""The loop: it resumes exactly, stops at values that are not finite, and learns."""

from __future__ import annotations

import copy
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.config.recipe_records import Recipe
from headstart.config.recipes import ASSIGNMENT, CLASSIFIER_DEFAULT, DEFAULT
from headstart.errors import DataError
from headstart.training.fit import finished, fit
from headstart.training.step import learning_rate, make_optimizer, take_step
from tests.tiny_runs import Silent
from tests.training.small_training import CPU, STEPS, fitted, lines, same, short, small_model

RECIPES = [
    short(),
    short(ASSIGNMENT, patience=2),
    short(ASSIGNMENT, step_size=1, choose="dice", epoch="steps"),
    short(average=0.0, schedule="constant"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 7), max_size=4))
def test_stopped_anywhere_and_continued_gives_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, stops: list[int]
) -> None:
    whole, model = fitted(tmp_path_factory.mktemp("whole"), recipe)
    folder = tmp_path_factory.mktemp("parts")
    for stop in stops:
        fitted(folder, recipe, stop_at=stop)
    parts, continued = fitted(folder, recipe)
    assert same(whole, parts)
    for a, b in zip(model.state_dict().values(), continued.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first, _ = fitted(tmp_path, short())
    again = Silent()
    second, _ = fitted(tmp_path, short(), listener=again)
    assert again.steps == [] and again.resumed_at == [5 * STEPS] and same(first, second)
    assert finished(second, short())


def test_a_checkpoint_is_due_by_time(tmp_path: Path) -> None:
    fitted(tmp_path / "often", short(epochs=2), seconds=0.0, stop_at=None)
    names = sorted(p.name for p in (tmp_path / "often").glob("*.json"))
    assert names == ["step-00000005.json", "step-00000006.json"]


@pytest.mark.parametrize("nan_at", [None, 2])
def test_on_apples_gpu_a_bad_step_is_not_taken(
    nan_at: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the fused optimizer takes every step; weights on the CPU stand in for it."""
    monkeypatch.setattr(torch.mps, "manual_seed", lambda _: None)
    model, recipe = small_model(), short()
    before = copy.deepcopy(model.state_dict())
    not_finite = torch.zeros(())
    take_step(
        model, model, lines(nan_at), recipe, make_optimizer(model, recipe), seed=1, step=2,
        steps=5 * STEPS, device=torch.device("mps"), not_finite=not_finite,
    )  # fmt: skip
    assert bool(not_finite) == (nan_at is not None)
    assert all(torch.equal(before[name], w) for name, w in model.named_parameters()) == (
        nan_at is not None
    )


def test_a_loss_that_is_no_number_changes_no_weight(tmp_path: Path) -> None:
    """The weights are those of the step before; the message names step and frames."""
    listener = Silent()
    _, model = fitted(tmp_path / "before", short(), stop_at=4)
    broken = small_model()
    with pytest.raises(DataError) as caught:
        fit(
            broken, lines(nan_at=4), short(), seed=1, steps=5 * STEPS, device=CPU,
            folder=tmp_path / "nan", stop=lambda: False, listener=listener,
        )  # fmt: skip
    finding = caught.value.findings[0]
    assert finding.code == "not-finite" and "step 4" in finding.message
    assert len(finding.files) == 4 and finding.files[0].startswith("frame")
    for name, weight in model.named_parameters():
        assert torch.equal(weight, dict(broken.named_parameters())[name]), name
    assert not list((tmp_path / "nan").glob("*"))


def test_a_gradient_that_is_not_finite_is_caught_where_the_loss_is_fine(tmp_path: Path) -> None:
    explode = replace(lines(), loss=lambda o, _: (o - o.detach()).abs().sqrt().sum())
    with pytest.raises(DataError, match=r"\[not-finite\].*step 0\b"):
        fitted(tmp_path, short(), source=explode)


def test_it_learns(tmp_path: Path) -> None:
    state, _ = fitted(tmp_path, short(epochs=60, learning_rate=0.02))
    assert state.best is not None
    assert state.best["validation_loss"] < 0.1 * state.history[0]["validation_loss"]


def test_a_number_of_steps_is_divided_into_epochs(tmp_path: Path) -> None:
    """Ends of epochs lie as far apart as they can, and the last is the last step."""
    recipe = short(steps=13)
    state, _ = fitted(tmp_path, recipe, steps=13)
    assert [row["step"] for row in state.history] == [3, 6, 8, 11, 13]
    parts = Silent()
    for stop in (2, 3, 5):
        fitted(tmp_path / "parts", recipe, stop_at=stop, steps=13)
    again, _ = fitted(tmp_path / "parts", recipe, listener=parts, steps=13)
    assert same(state, again) and parts.steps[-1] == 13


def test_patience(tmp_path: Path) -> None:
    """Training ends ``patience`` epochs after the best, whose weights are kept."""
    state, _ = fitted(tmp_path, short(ASSIGNMENT, epochs=200, learning_rate=0.05, patience=3))
    assert state.best is not None and len(state.history) < 200
    assert len(state.history) - state.best["epoch"] == 3
    assert state.best["validation_loss"] == min(r["validation_loss"] for r in state.history)


@pytest.mark.parametrize(("ties", "kept"), [("first", 2), ("last", 4)])
def test_of_equal_epochs_a_classifier_keeps_the_first_or_the_last(
    tmp_path: Path, ties: str, kept: int
) -> None:
    accuracies = iter([0.5, 0.75, 0.5, 0.75, 0.25])
    rows = ({"loss": 1.0, "accuracy": a, "collapsed": False} for a in accuracies)
    source = replace(lines(), validation=lambda *_: next(rows))
    recipe = short(CLASSIFIER_DEFAULT, ties=ties)
    state, _ = fitted(tmp_path, recipe, source=source)
    assert state.best is not None and state.best["epoch"] == kept


def test_the_row_of_an_epoch(tmp_path: Path) -> None:
    state, _ = fitted(tmp_path, short(ASSIGNMENT, epochs=1))
    assert set(state.history[0]) == {
        "epoch", "step", "learning_rate", "train_loss",
        "validation_loss", "validation_dice", "validation_collapsed",
    }  # fmt: skip
    json.dumps(state.history[0], allow_nan=False)


def test_schedules_against_torch() -> None:
    """StepLR counts epochs; one-cycle rises to the learning rate and falls to 0."""
    recipe = ASSIGNMENT
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=recipe.learning_rate)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, recipe.step_size, recipe.gamma)
    for epoch in range(35):
        rate = learning_rate(recipe, epoch * 30 + 7, recipe.epochs * 30)
        assert math.isclose(rate, scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    cycle = [learning_rate(DEFAULT, s, 1200) for s in range(1200)]
    peak = int(np.argmax(cycle))
    assert math.isclose(max(cycle), DEFAULT.learning_rate, rel_tol=0.02)
    assert math.isclose(peak / len(cycle), DEFAULT.warmup, abs_tol=0.01)
    assert all(a <= b for a, b in itertools.pairwise(cycle[: peak + 1]))
    assert all(a >= b for a, b in itertools.pairwise(cycle[peak:]))
    assert 0 <= cycle[-1] < 1e-3 * DEFAULT.learning_rate


def test_the_optimizer_trains_what_is_free_and_nothing_else() -> None:
    model = small_model()
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, DEFAULT)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters() if p.requires_grad}


def test_the_average_is_a_running_mean(tmp_path: Path) -> None:
    """After the first steps the averaged weights differ from the last ones and are validated."""
    plain, _ = fitted(tmp_path / "plain", short(average=0.0))
    averaged, _ = fitted(tmp_path / "averaged", short(average=0.9))
    assert [r["train_loss"] for r in plain.history] == [r["train_loss"] for r in averaged.history]
    assert plain.history[-1]["validation_loss"] != averaged.history[-1]["validation_loss"]


def test_state_is_copied_not_shared(tmp_path: Path) -> None:
    """The kept weights do not follow the ones that train on."""
    state, model = fitted(tmp_path, short(average=0.0, choose="loss", learning_rate=0.5))
    kept = copy.deepcopy(state.best_weights)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1)
    assert kept is not None and state.best_weights is not None
    assert all(torch.equal(kept[k], state.best_weights[k]) for k in kept)
