"""``study DATA`` and ``study --hours``: what is chosen, and what a begun folder keeps."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import headstart
from headstart.config import resolve
from headstart.config.options import StudyOptions
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import UsageError
from headstart.models import published
from headstart.studies import step_time
from headstart.studies.hours import starts_for, wants_proposal
from tests.cli.command import headstart as command
from tests.config.test_resolve import study_config
from tests.tiny_runs import forked_workers

study_verb = importlib.import_module("headstart.verbs.study")
ON_CPU = {"threads": 1, "device": "cpu"}


@pytest.fixture
def a_step(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """How long a step takes, in seconds; nothing else takes any time."""
    pace = {"seconds": 0.01}
    monkeypatch.setattr(step_time, "seconds_per_step", lambda *_: pace["seconds"])
    monkeypatch.setattr(step_time, "seconds_of_prediction", lambda *_: 0.0)
    return pace


def test_what_asks_for_a_proposal() -> None:
    assert wants_proposal(StudyOptions())
    assert wants_proposal(StudyOptions(model="resnet18", jobs=2, margin=0.05))
    for given in (
        {"starts": "scratch"}, {"labels": 30}, {"seeds": 5}, {"folds": 5}, {"size": 64},
        {"width": 8}, {"steps": 9}, {"epochs": 1},
    ):  # fmt: skip
        assert not wants_proposal(StudyOptions(**given))
        assert wants_proposal(StudyOptions(**given, hours=1.0))


def test_a_night_is_planned_and_nothing_is_written(
    drawn: Path, tmp_path: Path, a_step: dict[str, float]
) -> None:
    told: list[str] = []
    asked = {"out": tmp_path / "S", "dry_run": True, "tell": told.append, **ON_CPU}
    planned = headstart.study(drawn, **asked)
    config = planned.config
    assert config.starts == ("scratch", "colorization") and config.folds == 5, "five test frames"
    assert config.size == (32, 40) and config.width == 32 and config.recipe.steps == 4800
    assert len(config.seeds) == 20, "20 seeds take 40 runs of 5 folds of 48 s and some pretexts"
    assert planned.cost.seconds == planned.proposal.seconds <= 8 * 3600
    assert told[1:] == list(planned.proposal.lines) and len(told) == 9
    assert not (tmp_path / "S").exists()
    a_step["seconds"] = 10.0
    short = headstart.study(drawn, **asked).config
    assert (short.size, short.width) == ((32, 40), 16), "pictures of 40 pixels stay"
    assert (short.recipe.steps, short.pretext_recipe.steps) == (1600, 800)


def test_options_that_are_given_stay(drawn: Path, tmp_path: Path, a_step: dict[str, float]) -> None:
    a_step["seconds"] = 1.0
    asked = {"out": tmp_path / "S", "dry_run": True, "hours": 1.0, **ON_CPU}
    given = headstart.study(drawn, starts="scratch,chroma", seeds=6, width=8, **asked).config
    assert given.starts == ("scratch", "chroma") and len(given.seeds) == 6 and given.width == 8
    assert given.folds == 3 and given.recipe.steps == 1600
    kept = headstart.study(drawn, epochs=2, pretext_steps=7, folds=2, labels=6, **asked).config
    assert (kept.recipe.epochs, kept.folds, kept.labels) == (2, 2, (6,))
    assert kept.pretext_recipe.steps == 7
    untouched = headstart.study(drawn, seeds=5, out=tmp_path / "S", dry_run=True, **ON_CPU)
    assert untouched.proposal is None and untouched.config.folds is None
    with pytest.raises(UsageError, match="--hours is -1"):
        headstart.study(drawn, **{**asked, "hours": -1.0})


def test_no_folds_where_they_leave_too_few_for_the_labels_asked_for(
    tmp_path: Path, a_step: dict[str, float]
) -> None:
    data = write_dataset(tmp_path / "data", train=20, validation=4, test=4, height=32, width=40)
    asked = {"out": tmp_path / "S", "dry_run": True, "hours": 8760.0, **ON_CPU}
    for labels, folds in (("20", None), ("18", 5), (None, 5), ("6,all", 5)):
        config = headstart.study(data, labels=labels, **asked).config
        assert config.folds == folds, labels
    assert config.labels == (6, 18)


def test_a_study_that_has_begun_keeps_what_was_chosen(
    drawn: Path, tmp_path: Path, a_step: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    length = {"steps": 1, "pretext_steps": 1, "width": 2, "size": (16, 24)}
    asked = {"out": tmp_path / "S", **ON_CPU}
    a_step["seconds"] = 1000.0
    with forked_workers():
        begun = headstart.study(drawn, hours=0.1, starts="scratch", seeds=1, **length, **asked)
    assert begun.config.folds == 3 and begun.config.recipe.steps == 1
    monkeypatch.setattr(step_time, "seconds_per_step", pytest.fail)
    for again in (
        headstart.study(drawn, **asked),
        headstart.study(drawn, hours=3.0, **asked),
    ):
        assert again.config == begun.config and again.study == begun.study
    monkeypatch.setattr(step_time, "seconds_per_step", lambda *_: 1.0)
    grown = headstart.study(drawn, seeds=2, dry_run=True, **asked)
    assert (grown.done, grown.cost.runs) == (1, 1) and grown.config.folds == 3
    with pytest.raises(UsageError, match="folds: 3 -> 2"):
        headstart.study(drawn, folds=2, dry_run=True, **asked)


def test_published_weights_are_compared_where_they_are_at_hand(
    monkeypatch: pytest.MonkeyPatch, drawn: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(drawn)
    config = study_config(StudyOptions(model="squeezenet1_0"), tmp_path, "segmentation", 30)
    at_hand = published.published("squeezenet1_0")
    assert dataset.unlabelled["train"], "from which a pretext can learn"
    two = ("scratch", "colorization")
    for exists, starts in ((False, two), (True, (*two, "imagenet"))):
        path = tmp_path / "weights.pth"
        if exists:
            path.touch()
        here = published.Published(at_hand.url, path, at_hand.hash_prefix)
        monkeypatch.setattr(published, "published", lambda _, here=here: here)
        assert starts_for(config.model, config.task, dataset)[0] == starts


def test_grey_pictures_are_not_compared_with_colorization(
    drawn: Path, tmp_path: Path, a_step: dict[str, float]
) -> None:
    grey = Path(shutil.copytree(drawn, tmp_path / "grey"))
    for path in grey.rglob("*.jpg"):
        with Image.open(path) as picture:
            pixels = picture.convert("L").convert("RGB")
        pixels.save(path)
    asked = {"out": tmp_path / "S", "dry_run": True, **ON_CPU}
    planned = headstart.study(grey, hours=1.0, **asked)
    assert planned.config.starts == ("scratch", "masked-denoising")
    assert "masked-denoising needs no colour" in planned.proposal.lines[0]
    asked_for = headstart.study(grey, starts="scratch,chroma", seeds=1, **asked)
    (finding,) = (f for f in asked_for.findings if f.code == "no-colour")
    assert "so chroma can learn little" in finding.message


@pytest.mark.parametrize("given", ["jobs", "threads", "neither"])
@pytest.mark.usefixtures("a_step")
def test_runs_at_a_time_are_chosen_where_nobody_says_how_many(
    given: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (study_verb, resolve):
        monkeypatch.setattr(module, "available_threads", lambda: 4)
    asked = {} if given == "neither" else {given: 1}
    planned = headstart.study(
        drawn, out=tmp_path / "S", dry_run=True, hours=1.0, device="cpu", **asked
    )
    jobs, threads = {"jobs": (1, 4), "threads": (1, 1), "neither": (4, 1)}[given]
    assert (planned.jobs, planned.config.threads) == (jobs, threads)
    said = [line for line in planned.proposal.lines if line.startswith("jobs: 4 runs")]
    assert len(said) == (given == "neither")


def test_from_the_command_line(drawn: Path, tmp_path: Path) -> None:
    options = ("--threads", 1, "--device", "cpu", "--out", tmp_path / "S", "--dry-run")
    done = command(
        "study", drawn, *options, "--size", "16x24", "--width", 2, "--hours", 1, "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["todo"]["runs"] in (10, 20, 40)
    for line in found["chosen"]:
        assert line in done.stderr
    assert not any(line.startswith(("size", "width")) for line in found["chosen"])
    assert not (tmp_path / "S").exists()
