"""The records in the folder of a study, a run or a pretext run, as frozen dataclasses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.files import read_config, read_study_config
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.data.task import TaskName
from headstart.errors import DataError, Finding
from headstart.scores.frames_csv import FrameCounts
from headstart.tasks.lookup import labelled_task

Row = dict[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """A finished run on labelled pictures.

    Attributes:
        name: its folder, relative to the report's.
        folder: its folder.
        start: where its initial weights came from.
        tune: which layers trained.
        labels: number of labelled training pictures.
        seed: its seed.
        scores: content of ``scores.json``.
        history: rows of ``metrics.jsonl``.
        environment: content of ``environment.json``.
        seconds: spent on training and validation, repeated epochs included.
        frames: content of ``frames.csv``.
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
class PretextRecord:
    """A finished pretext run.

    Attributes:
        name: its folder, relative to the report's.
        folder: its folder.
        pretext: name of the pretext.
        seed: its seed.
        scores: content of ``scores.json``.
        history: rows of ``metrics.jsonl``.
        environment: content of ``environment.json``.
        seconds: spent on training and validation, repeated epochs included.
        leaks: content of ``leaks.json``.
    """

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
class StudyRecord:
    """A study, finished or under way.

    Attributes:
        config: content of ``config.json``.
        expected: number of runs when the study is complete.
        since: number of runs finished after ``study.json`` was written.
        summary: content of ``study.json``; None where it is not written yet.
    """

    config: StudyConfig
    expected: int
    since: int
    summary: dict[str, Any] | None


@dataclass(frozen=True)
class Records:
    """Everything a report is made from; one of ``study``, ``run`` and ``pretext`` is set.

    Attributes:
        folder: the folder.
        study: the study that the folder holds.
        run: settings of the run that the folder holds.
        pretext: settings of the pretext run that the folder holds.
        runs: the finished runs, in the order of starts, tunings, budgets and seeds.
        pretexts: the finished pretext runs, in the order of starts and seeds.
    """

    folder: Path
    study: StudyRecord | None = None
    run: RunConfig | None = None
    pretext: PretextConfig | None = None
    runs: tuple[RunRecord, ...] = ()
    pretexts: tuple[PretextRecord, ...] = ()

    @property
    def config(self) -> StudyConfig | RunConfig | PretextConfig:
        """The settings in ``config.json``, whichever kind of folder it is."""
        config = self.study.config if self.study else self.run or self.pretext
        assert config is not None
        return config


def read_records(folder: Path) -> Records:
    """Read everything a report needs from the folder of a study, a run or a pretext run.

    Raises:
        DataError: the folder is none of these, nothing in it is finished, or a file is damaged.
    """
    path = folder / "config.json"
    if not path.exists():
        message = f"{folder} holds no config.json; expected the folder of a run or a study"
        raise DataError(Finding("not-a-run", "error", message, "give a folder made with --out"))
    try:
        if "starts" in read_json(path):
            return _read_study(folder, read_study_config(path))
        config = read_config(path)
        if isinstance(config, PretextConfig):
            finished = _read_pretext(folder, folder.resolve().name)
            return Records(folder, pretext=config, pretexts=(finished,))
        return Records(folder, run=config, runs=(_read_single_run(folder, config),))
    except OSError as e:
        message = f"{e.filename or folder}: {e.strerror}"
        hint = "a report needs a finished run; repeat the run's command to continue it"
        raise DataError(Finding("unfinished", "error", message, hint)) from None
    except (KeyError, TypeError, IndexError) as e:
        message = f"{folder}: a record lacks a field, or a field has another type: {e!r}"
        hint = "the folder was edited by hand, or another version of headstart wrote it"
        raise DataError(Finding("bad-record", "error", message, hint)) from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        DataError: the file holds something else.
        OSError: the file cannot be read.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as e:
        raise _damaged(path, str(e)) from None
    if not isinstance(value, dict):
        raise _damaged(path, "expected a JSON object")
    return value


def _read_lines(path: Path) -> tuple[Row, ...]:
    """Read one JSON object per line; an unterminated last line was still being written."""
    try:
        return tuple(json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])
    except ValueError as e:
        raise _damaged(path, str(e)) from None


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(Finding("bad-record", "error", f"{path} is damaged: {reason}"))


def _read_study(folder: Path, config: StudyConfig) -> Records:
    ledger, path = folder / "ledger.jsonl", folder / "study.json"
    finished = {row["run"]: row for row in _read_lines(ledger)} if ledger.exists() else {}
    summary = read_json(path) if path.exists() else None
    compared = {row["run"]: row for row in summary["records"]} if summary else finished
    factors = (config.starts, config.tunes, config.labels, config.seeds)

    def place(row: Row) -> tuple[int, ...]:
        values = (row["start"], row["tune"], row["labels"], row["seed"])
        return tuple(levels.index(value) for levels, value in zip(factors, values, strict=True))

    try:
        rows = sorted(compared.values(), key=place)
    except ValueError as e:
        raise _damaged(path, f"a run that config.json does not name ({e})") from None
    if not rows:
        message = f"{folder} holds a study without a finished run"
        hint = "repeat the study's command to continue it"
        raise DataError(Finding("unfinished", "error", message, hint))
    pretexts = [
        _read_pretext(path.parent, path.parent.relative_to(folder).as_posix())
        for path in sorted((folder / "starts").glob("*/scores.json"))
    ]
    order = {name: i for i, name in enumerate(config.starts)}
    study = StudyRecord(
        config,
        len(config.starts) * len(config.tunes) * len(config.labels) * len(config.seeds),
        len(finished.keys() - compared.keys()),
        summary,
    )
    return Records(
        folder,
        study,
        runs=tuple(_read_run_of_study(folder, row, config.task) for row in rows),
        pretexts=tuple(sorted(pretexts, key=lambda p: (order.get(p.pretext, len(order)), p.seed))),
    )


def _read_run_of_study(folder: Path, row: Row, task: TaskName) -> RunRecord:
    run = folder / row["run"]
    if not run.resolve().is_relative_to(folder.resolve()):
        raise _damaged(folder / "study.json", f"the run {row['run']} is not inside the study")
    names = (row["run"], row["start"], row["tune"], row["labels"], row["seed"])
    return _read_run(run, task, *names)


def _read_single_run(folder: Path, config: RunConfig) -> RunRecord:
    labels = read_json(folder / "environment.json")["labels"]["train"]
    name = folder.resolve().name
    return _read_run(folder, config.task, name, config.start, config.tune, labels, config.seed)


def _read_run(
    folder: Path, task: TaskName, name: str, start: str, tune: str, labels: int, seed: int
) -> RunRecord:
    return RunRecord(
        name,
        folder,
        start,
        tune,
        labels,
        seed,
        read_json(folder / "scores.json"),
        _read_lines(folder / "metrics.jsonl"),
        read_json(folder / "environment.json"),
        _seconds(folder),
        labelled_task(task).read_counts(folder),
    )


def _read_pretext(folder: Path, name: str) -> PretextRecord:
    config = read_json(folder / "config.json")
    return PretextRecord(
        name,
        folder,
        config["pretext"],
        config["seed"],
        read_json(folder / "scores.json"),
        _read_lines(folder / "metrics.jsonl"),
        read_json(folder / "environment.json"),
        _seconds(folder),
        read_json(folder / "leaks.json"),
    )


def _seconds(folder: Path) -> float:
    rows = _read_lines(folder / "timing.jsonl")
    return float(sum(row["train_seconds"] + row["validation_seconds"] for row in rows))
