"""``train --minutes``: as many steps as fit; the folder keeps the number that it began with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headstart
from headstart.config.recipe_options import as_long_as, with_lengths
from headstart.config.recipe_records import MOST_STEPS
from headstart.config.recipes import CLASSIFIER_DEFAULT, DEFAULT
from headstart.errors import UsageError
from headstart.studies import step_time
from headstart.studies.minutes import BESIDE, VALIDATING, fitting_in
from headstart.studies.pace import Pace, RunPace
from headstart.tasks.interface import DatasetSize
from tests.cli.command import headstart as command
from tests.tasks.classifier_runs import classifier
from tests.tiny_runs import tiny

SIZES = DatasetSize(3, {"train": 12, "validation": 4, "test": 5})
SMALL = {"size": (16, 24), "width": 2, "threads": 1, "device": "cpu"}


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a second, and nothing else takes any time."""
    monkeypatch.setattr(step_time, "seconds_per_step", lambda *_: 1.0)
    monkeypatch.setattr(step_time, "seconds_of_prediction", lambda *_: 0.0)


@given(
    step=st.floats(0.01, 5),
    validation=st.floats(0, 20),
    once=st.floats(0, 60),
    folds=st.integers(1, 5),
    minutes=st.floats(0.1, 60),
)
def test_one_step_more_would_not_fit(
    step: float, validation: float, once: float, folds: int, minutes: float
) -> None:
    config = tiny(Path("data"), recipe=DEFAULT)
    pace = RunPace(SIZES, 12, 21, folds, (Pace(step, validation, once),), None, 0, 0)
    fitted = fitting_in(config, minutes, pace)
    steps, epochs = fitted.recipe.steps, fitted.recipe.epochs
    left = 60 * minutes - BESIDE * folds
    quarter = VALIDATING * left / max(folds * validation, 1e-9)
    most = max(1, int(min(quarter, 40)))
    assert steps is not None and epochs == min(steps, most)
    assert epochs == 1 or epochs * folds * validation <= VALIDATING * left
    assert pace.seconds(fitted) == pytest.approx(
        folds * (steps * step + epochs * validation + once)
    )
    assert steps == 1 or pace.seconds(fitted) <= left
    assert pace.seconds(with_lengths(config, steps + 1, None, most)) > left


def test_no_more_steps_than_any_recipe_may_have() -> None:
    pace = RunPace(SIZES, 12, 21, 1, (Pace(0.0, 0.0, 0.0),), None, 0, 0)
    fitted = fitting_in(tiny(Path("data"), recipe=DEFAULT), 1.0, pace)
    assert fitted.recipe.steps == MOST_STEPS


@pytest.mark.usefixtures("one_second")
def test_a_pretext_shares_the_minutes(drawn: Path, tmp_path: Path) -> None:
    told: list[str] = []
    asked = {"start": "colorization", "out": tmp_path / "run", "tell": told.append, **SMALL}
    planned = headstart.train(drawn, minutes=10.0, dry_run=True, **asked)
    assert planned.config.recipe.steps == 393 and planned.config.pretext.recipe.steps == 196
    assert planned.cost.seconds == 589 and not (tmp_path / "run").exists()
    assert told == [
        "--minutes 10: 393 steps, and 196 of the pretext (the recipe: 4,800, and 2,400)"
    ]
    given = headstart.train(drawn, minutes=10.0, pretext_steps=90, dry_run=True, **asked)
    assert given.config.recipe.steps == 500 and given.config.pretext.recipe.steps == 90


@pytest.mark.usefixtures("one_second")
def test_folds_share_the_minutes(drawn: Path, tmp_path: Path) -> None:
    planned = headstart.train(drawn, minutes=10.0, folds=2, dry_run=True, out=tmp_path, **SMALL)
    assert planned.config.recipe.steps == 290 and planned.cost.steps == 580
    one = headstart.train(drawn, minutes=10.0, folds=2, fold=1, dry_run=True, out=tmp_path, **SMALL)
    assert one.config.recipe.steps == 590


def test_every_length_beside_minutes_is_named(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        headstart.train(drawn, minutes=-1.0, steps=3, epochs=2, out=tmp_path)
    said = "\n".join(map(str, error.value.findings))
    for text in ("--minutes is -1", "--minutes and --steps", "--minutes and --epochs"):
        assert said.count(text) == 1
    with pytest.raises(UsageError, match="--minutes is nan"):
        headstart.train(drawn, minutes=float("nan"), out=tmp_path)


def test_a_run_that_has_begun_keeps_its_steps(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_second: None
) -> None:
    out = tmp_path / "run"
    first = headstart.train(drawn, minutes=14 / 60, out=out, **SMALL)
    assert first.config.recipe.steps == 4 and first.config.recipe.epochs == 4
    config = (out / "config.json").read_bytes()
    assert json.loads(config)["recipe"]["steps"] == 4
    assert "minutes" not in config.decode()
    last = (out / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["step"] == 4
    monkeypatch.setattr(step_time, "seconds_per_step", pytest.fail)
    told: list[str] = []
    again = headstart.train(drawn, minutes=60.0, out=out, tell=told.append, **SMALL)
    assert again.config == first.config and again.scores == first.scores and len(told) == 1
    same = headstart.train(drawn, minutes=60.0, config=out / "config.json", out=out)
    assert same.config == first.config and (out / "config.json").read_bytes() == config
    monkeypatch.setattr(step_time, "seconds_per_step", lambda *_: 2.0)
    fresh = headstart.train(drawn, minutes=14 / 60, out=out, fresh=True, **SMALL)
    assert fresh.folder == tmp_path / "run-2" and fresh.config.recipe.steps == 2


def test_from_the_command_line(drawn: Path, tmp_path: Path) -> None:
    """Measured: in so little time not even one step fits, and one is taken."""
    options = ("--size", "16x24", "--width", 2, "--threads", 1, "--device", "cpu")
    asked = ("train", drawn, *options, "--minutes", "0.01", "--out", tmp_path / "run")
    done = command(*asked, "--json")
    assert done.returncode == 0, done.stderr
    assert "--minutes 0.01: 1 step (the recipe: 4,800)" in done.stderr
    again = command(*asked, "--json")
    assert again.returncode == 0 and again.stdout == done.stdout
    refused = command(*asked, "--steps", 3)
    assert refused.returncode == 2 and "--minutes and --steps" in refused.stderr


def test_with_fewer_epochs_the_head_of_a_staged_training_stays_as_short() -> None:
    config = classifier(Path("data"), recipe=CLASSIFIER_DEFAULT, tune="staged")
    shorter = with_lengths(config, 600, None, 4).recipe
    assert (shorter.epochs, shorter.steps, shorter.of_head().total_steps(9, 9)) == (4, 600, 300)
    begun = config.model_copy(update={"recipe": shorter})
    assert as_long_as(config, begun) == begun
