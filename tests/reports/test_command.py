"""The command that a report gives, understood by the command line, is the same configuration."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headstart.cli.main import app
from headstart.config.recipes import (
    ASSIGNMENT,
    DEFAULT,
    ENCODER_DEFAULT,
    ENCODER_PRETEXT_DEFAULT,
    PRETEXT_ASSIGNMENT,
    PRETEXT_DEFAULT,
)
from headstart.config.records import make_pretext_config, make_run_config, make_study_config
from headstart.reports.command import pretext_command, run_command, study_command

OWN = DEFAULT.model_copy(update={"name": "my own", "learning_rate": 0.00123, "batch": 3})
ON_ENCODER: dict[str, Any] = {
    "model": "resnet18", "recipe": ENCODER_DEFAULT, "pretext_recipe": ENCODER_PRETEXT_DEFAULT,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "schema": 1,
    "width": 3,
    "size": (24, 16),
    "framing": "pad",
    "threads": 1,
    "precision": "float32",
}


def understood(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command_and_files: tuple[str, dict[str, str]],
) -> Any:
    """The configuration that the verb would run if the command were typed."""
    command, files = command_and_files
    (tmp_path / "again" / "report").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "again" / "report" / name).write_text(text)
    caught = []

    def note(config: Any, *_: object, **__: object) -> None:
        caught.append(config)
        raise InterruptedError

    for verb in ("studies.study.study", "runs.run.train"):
        monkeypatch.setattr(f"headstart.{verb}", note)
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(command)
    assert program == "headstart"
    result = CliRunner().invoke(app, words)
    assert caught, (command, result.output, result.exception)
    return caught[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seeds": (1, 2, 3)},
        {"framing": "tile"},
        {"framing": "squeeze"},
        {"against": "colorization"},
        {"seeds": (2, 7), "score": "validation", "drop_leaks": True},
        {"recipe": ASSIGNMENT, "pretext_recipe": PRETEXT_ASSIGNMENT},
        {"recipe": DEFAULT.with_epochs(7)},
        {"recipe": DEFAULT.with_steps(7), "pretext_recipe": PRETEXT_DEFAULT.with_steps(90)},
        {"margin": 0.05},
        {"recipe": OWN, "pretext_recipe": PRETEXT_DEFAULT.model_copy(update={"noise": 0.2})},
        ON_ENCODER,
        {**ON_ENCODER, "starts": ("scratch", "imagenet"), "pretext_recipe": PRETEXT_DEFAULT},
    ],
)
def test_a_study(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = {"starts": ("scratch", "colorization"), "labels": (3, 12), "seeds": (1,), **SMALL}
    settings |= {"margin": 0.02}
    config = make_study_config(**{**settings, "data": str(drawn), **changes})
    assert (
        understood(monkeypatch, tmp_path, study_command(config, "again", "again/report")) == config
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"labels": 5, "seed": 9, "recipe": OWN},
        {"start": "colorization", "recipe": ASSIGNMENT, "score": "validation"},
        {"model": "resnet18", "start": "imagenet", "recipe": ENCODER_DEFAULT},
        {"model": "resnet18", "recipe": DEFAULT},
    ],
)
def test_a_run(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = {**SMALL, "data": str(drawn), **changes}
    if settings.get("start") == "colorization":
        own = {key: settings[key] for key in (*SMALL, "data")}
        settings["pretext"] = {**own, "pretext": "colorization", "drop_leaks": True}
    config = make_run_config(**settings)
    command = run_command(config, "again", "again/report")
    assert understood(monkeypatch, tmp_path, command) == config


@pytest.mark.parametrize(
    "changes",
    [{"recipe": PRETEXT_ASSIGNMENT}, {"model": "resnet18", "recipe": ENCODER_PRETEXT_DEFAULT}],
)
def test_a_pretext(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = {**SMALL, "data": str(drawn), "pretext": "chroma", "seed": 4, "drop_leaks": True}
    config = make_pretext_config(**settings, **changes)
    assert (
        understood(monkeypatch, tmp_path, pretext_command(config, "again", "again/report"))
        == config
    )


def test_names_are_quoted(drawn: Path) -> None:
    own = make_run_config(**SMALL, data="my data; rm -rf ~ 'x'", start="a b/$HOME.pth")
    command, _ = run_command(own, "the 'run'", "the 'run'/report")
    words = shlex.split(command)
    assert own.data in words and own.start in words and words[-1] == "the 'run'"
