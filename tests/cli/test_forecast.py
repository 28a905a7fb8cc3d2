"""What a training will take is said before it begins, and changes nothing about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import headstart
from headstart.cli.forecast import forecast
from headstart.config.records import RunConfig
from headstart.data.training_size import half_the_pixels
from headstart.studies.costs import Cost
from tests.cli.command import headstart as command
from tests.cli.test_main import TINY
from tests.tiny_runs import tiny


def test_a_dry_run_trains_nothing_and_writes_nothing(drawn: Path, tmp_path: Path) -> None:
    for verb in (("train", drawn, *TINY, "--folds", 2), ("pretrain", drawn, *TINY)):
        done = command(*verb, "--dry-run", "--json", "--out", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        todo = json.loads(done.stdout)["todo"]
        assert (todo["runs"], todo["pretexts"]) == ((2, 0) if verb[0] == "train" else (0, 1))
        assert todo["steps"] + todo["pretext_steps"] > 0 < todo["seconds"]
    done = command("train", drawn, *TINY, "--dry-run", "--out", tmp_path / "out")
    assert "about 1 minute on this machine" in done.stderr and not done.stdout
    assert not (tmp_path / "out").exists()


def test_a_dry_run_refuses_what_a_run_would(drawn: Path, trained: Path, tmp_path: Path) -> None:
    for words, code in (
        (("--labels", 99, "--out", tmp_path / "out"), "budget-too-large"),
        (("--out", drawn), "not-a-run"),
        (("--seed", 7, "--out", trained), "settings-differ"),
    ):
        done = command("train", drawn, *TINY, *words, "--dry-run")
        assert done.returncode and code in done.stderr, words


def test_the_steps_are_those_that_are_trained(drawn: Path, tmp_path: Path) -> None:
    heard: list[tuple[RunConfig, Cost]] = []
    settings = {"size": (16, 24), "width": 2, "threads": 1, "device": "cpu", "steps": 6}
    settings |= {"start": "colorization", "pretext_steps": 4}
    for out in ("told", "silent"):
        told = {"forecast": lambda c, cost: heard.append((c, cost))} if out == "told" else {}
        headstart.train(drawn, out=tmp_path / out, **settings, **told)
    ((config, cost),) = heard
    assert (cost.steps, cost.pretext_steps, cost.runs, cost.pretexts) == (6, 4, 1, 1)
    rows = (tmp_path / "told/metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["step"] == 6 and config.recipe.steps == 6
    for name in ("weights.safetensors", "scores.json", "metrics.jsonl", "config.json"):
        assert (tmp_path / "told" / name).read_bytes() == (tmp_path / "silent" / name).read_bytes()
    headstart.train(drawn, out=tmp_path / "told", **settings, forecast=pytest.fail)  # finished


def test_what_would_halve_it(drawn: Path) -> None:
    config = tiny(drawn, size=(256, 320), width=32)
    long, short = Cost(5, 0, 12000, 0, 9000.0, 10**8), Cost(1, 0, 2400, 0, 90.0, 10**7)
    first, second = forecast(config, long)
    assert "12000 steps of 4 pictures in 5 folds" in first and "2.5 hours" in first
    assert second == "Half of that: --steps 1200, or --size 192x224"
    assert len(list(forecast(config, short))) == 1


@pytest.mark.parametrize("size", [(256, 320), (64, 80), (512, 512), (32, 32), (1024, 96)])
def test_half_the_pixels(size: tuple[int, int]) -> None:
    height, width = half_the_pixels(size)
    assert 0.3 <= height * width / (size[0] * size[1]) <= 0.75
