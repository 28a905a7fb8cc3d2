"""What a folder holds, as plain records: a study, a run, or a pretext run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.question import TaskName
from headstart.errors import DataError, Finding
from headstart.scores.frames_csv import FrameCounts
from headstart.tasks.lookup import labelled_task
from headstart.training.config import PretextConfig, RunConfig, StudyConfig
from headstart.training.config_files import read_config, read_study_config

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished run on labelled pictures.

    Attributes:
        name: its folder, seen from the report's.
        folder: where that is.
        start, tune, labels, seed: what it is a run of.
        scores: its ``scores.json``.
        history: its ``metrics.jsonl``.
        environment: its ``environment.json``.
        seconds: spent on training and validation, repeated epochs included.
        frames: its ``frames.csv``.
    """

    name: str
    folder: Path
    start: str
    tune: str
    labels: int
    seed: int
    scores: dict[str, Any]
    history: tuple[Row, ...]
    environment: dict[str, Any]
    seconds: float
    frames: FrameCounts


@dataclass(frozen=True)
class Pretext:
    """A finished pretext run; as [`Run`][], with what it found to be leaked (``leaks.json``)."""

    name: str
    folder: Path
    pretext: str
    seed: int
    scores: dict[str, Any]
    history: tuple[Row, ...]
    environment: dict[str, Any]
    seconds: float
    leaks: dict[str, Any]


@dataclass(frozen=True)
class Records:
    """All that a report is made from.

    Attributes:
        folder: the folder.
        config: of the study, the run or the pretext run.
        expected: how many runs the study has when it is complete.
        runs: those finished, in the order of starts, tunings, budgets, seeds.
        since: how many have finished since ``study`` was made.
        study: ``study.json``; None where there is none (yet).
        pretexts: in the order of starts and seeds.
    """

    folder: Path
    config: StudyConfig | RunConfig | PretextConfig
    expected: int
    runs: tuple[Run, ...]
    since: int
    study: dict[str, Any] | None
    pretexts: tuple[Pretext, ...]


def read_records(folder: Path) -> Records:
    """Everything a report needs from the folder of a study, a run or a pretext run.

    Raises:
        DataError: it is none of these, nothing in it is finished, or a file in it is damaged.
    """
    path = folder / "config.json"
    if not path.exists():
        message = f"{folder} holds no config.json; expected the folder of a run or a study"
        raise DataError(Finding("not-a-run", "error", message, "give what was --out"))
    try:
        if "starts" in read_json(path):
            return _study(folder, read_study_config(path))
        config = read_config(path)
        if isinstance(config, PretextConfig):
            return Records(
                folder, config, 0, (), 0, None, (_pretext(folder, folder.resolve().name),)
            )
        return Records(folder, config, 1, (_run(folder, config),), 0, None, ())
    except OSError as e:
        message = f"{e.filename or folder}: {e.strerror}"
        hint = "the report is of finished runs: the same command again continues one"
        raise DataError(Finding("unfinished", "error", message, hint)) from None
    except (KeyError, TypeError, IndexError) as e:
        message = f"{folder}: a record lacks something, or is of another kind: {e!r}"
        hint = "the folder was changed by hand, or comes from another version of headstart"
        raise DataError(Finding("bad-record", "error", message, hint)) from None


def read_json(path: Path) -> dict[str, Any]:
    """An object.

    Raises:
        DataError: the file holds something else.
        OSError: it cannot be read.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as e:
        raise _damaged(path, str(e)) from None
    if not isinstance(value, dict):
        raise _damaged(path, "expected an object")
    return value


def _lines(path: Path) -> tuple[Row, ...]:
    """The objects of a file, one a line; a last line without an end was being written."""
    try:
        return tuple(json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])
    except ValueError as e:
        raise _damaged(path, str(e)) from None


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(Finding("bad-record", "error", f"{path} is damaged: {reason}"))


def _study(folder: Path, config: StudyConfig) -> Records:
    ledger, made = folder / "ledger.jsonl", folder / "study.json"
    finished = {row["run"]: row for row in _lines(ledger)} if ledger.exists() else {}
    study = read_json(made) if made.exists() else None
    known = {row["run"]: row for row in study["records"]} if study else finished
    crossed = (config.starts, config.tunes, config.labels, config.seeds)

    def place(row: Row) -> tuple[int, ...]:
        values = (row["start"], row["tune"], row["labels"], row["seed"])
        return tuple(among.index(value) for among, value in zip(crossed, values, strict=True))

    try:
        rows = sorted(known.values(), key=place)
    except ValueError as e:
        raise _damaged(made, f"a run that config.json does not name ({e})") from None
    if not rows:
        message = f"{folder} holds a study of which no run is finished yet"
        hint = "give the study's command again: it continues"
        raise DataError(Finding("unfinished", "error", message, hint))
    pretexts = [
        _pretext(path.parent, path.parent.relative_to(folder).as_posix())
        for path in sorted((folder / "starts").glob("*/scores.json"))
    ]
    order = {name: i for i, name in enumerate(config.starts)}
    return Records(
        folder,
        config,
        len(config.starts) * len(config.tunes) * len(config.labels) * len(config.seeds),
        tuple(_run_of_study(folder, row, config.task) for row in rows),
        len(finished.keys() - known.keys()),
        study,
        tuple(sorted(pretexts, key=lambda p: (order.get(p.pretext, len(order)), p.seed))),
    )


def _run_of_study(folder: Path, row: Row, task: TaskName) -> Run:
    inside = folder / row["run"]
    if not inside.resolve().is_relative_to(folder.resolve()):
        raise _damaged(folder / "study.json", f"the run {row['run']} is not inside the study")
    about = (row["run"], row["start"], row["tune"], row["labels"], row["seed"])
    return _read_run(inside, task, *about)


def _run(folder: Path, config: RunConfig) -> Run:
    labels = read_json(folder / "environment.json")["labels"]["train"]
    name = folder.resolve().name
    return _read_run(folder, config.task, name, config.start, config.tune, labels, config.seed)


def _read_run(
    folder: Path, task: TaskName, name: str, start: str, tune: str, labels: int, seed: int
) -> Run:
    return Run(
        name,
        folder,
        start,
        tune,
        labels,
        seed,
        read_json(folder / "scores.json"),
        _lines(folder / "metrics.jsonl"),
        read_json(folder / "environment.json"),
        _seconds(folder),
        labelled_task(task).read_counts(folder),
    )


def _pretext(folder: Path, name: str) -> Pretext:
    config = read_json(folder / "config.json")
    return Pretext(
        name,
        folder,
        config["pretext"],
        config["seed"],
        read_json(folder / "scores.json"),
        _lines(folder / "metrics.jsonl"),
        read_json(folder / "environment.json"),
        _seconds(folder),
        read_json(folder / "leaks.json"),
    )


def _seconds(folder: Path) -> float:
    rows = _lines(folder / "timing.jsonl")
    return float(sum(row["train_seconds"] + row["validation_seconds"] for row in rows))
