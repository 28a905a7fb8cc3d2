"""The records in the folder of a study, a run or a pretext run, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.files import (
    holds_pretext,
    holds_study,
    read_pretext_config,
    read_run_config,
    read_study_config,
)
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.data.task import TaskName
from headstart.errors import DataError, Finding, printable
from headstart.records.calibration import Calibration, read_calibration
from headstart.records.run_records import (
    ENVIRONMENT,
    METRICS,
    SCORES,
    Environment,
    LabelCounts,
    LeakRecord,
    Row,
    read_environment,
    read_leaks,
    read_metrics,
    seconds_of,
)
from headstart.records.vouching import STUDY, damaged
from headstart.scores.frames_csv import FrameCounts
from headstart.studies.ledger import read_ledger
from headstart.studies.status import UnitStatus, failed_units
from headstart.studies.summary import read_summary
from headstart.tasks.lookup import labelled_task, task_named
from headstart.tasks.results import read_result


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
        calibration: content of ``calibration.json``; None if an older version made the run.
    """

    name: str
    folder: Path
    start: str
    tune: str
    labels: int
    seed: int
    scores: dict[str, Any]
    history: tuple[Row, ...]
    environment: Environment
    seconds: float
    frames: FrameCounts
    calibration: Calibration | None = None

    @property
    def labelled(self) -> LabelCounts:
        """Numbers of labelled pictures to train and to validate."""
        assert self.environment.labels is not None
        return self.environment.labels


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
    environment: Environment
    seconds: float
    leaks: LeakRecord


@dataclass(frozen=True)
class StudyRecord:
    """A study, finished or under way.

    Attributes:
        config: content of ``config.json``.
        expected: number of runs when the study is complete.
        since: number of runs finished after ``study.json`` was written.
        summary: content of ``study.json``; None where it is not written yet.
        failed: runs and pretexts that failed and are not finished since.
    """

    config: StudyConfig
    expected: int
    since: int
    summary: dict[str, Any] | None
    failed: tuple[UnitStatus, ...] = ()


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
        DataError: the folder is none of these, nothing in it is finished, a file is damaged, or the
            ledger of the study contradicts its runs.
    """
    path = folder / "config.json"
    if not path.exists():
        message = f"{folder} holds no config.json; expected the folder of a run or a study"
        raise DataError(Finding("not-a-run", "error", message, "give a folder made with --out"))
    if holds_study(path):
        return _read_study(folder, read_study_config(path))
    if holds_pretext(path):
        finished = _read_pretext(folder, folder.resolve().name)
        return Records(folder, pretext=read_pretext_config(path), pretexts=(finished,))
    config = read_run_config(path)
    return Records(folder, run=config, runs=(_read_single_run(folder, config),))


def _read_study(folder: Path, config: StudyConfig) -> Records:
    path = folder / STUDY
    finished = read_ledger(folder)
    summary = read_summary(folder) if path.exists() else None
    compared = {row["run"]: row for row in summary["records"]} if summary else finished
    factors = (config.starts, config.tunes, config.labels, config.seeds)

    def place(row: Row) -> tuple[int, ...]:
        values = (row["start"], row["tune"], row["labels"], row["seed"])
        return tuple(levels.index(value) for levels, value in zip(factors, values, strict=True))

    if outside := [name for name in compared if not _inside(folder / name, folder)]:
        raise damaged(path, f"the run {printable(outside[0])} is not inside the study")
    try:
        rows = sorted(compared.values(), key=place)
    except ValueError as e:
        raise damaged(path, f"a run that config.json does not name ({e})") from None
    if not rows:
        message = f"{folder} holds a study without a finished run"
        hint = "repeat the study's command to continue it"
        raise DataError(Finding("unfinished", "error", message, hint))
    pretexts = [
        _read_pretext(path.parent, path.parent.relative_to(folder).as_posix())
        for path in sorted((folder / "starts").glob(f"*/{SCORES}"))
    ]
    order = {name: i for i, name in enumerate(config.starts)}
    runs = tuple(_read_run_of_study(folder, row, config.task) for row in rows)
    _refuse_other_classes(runs)
    study = StudyRecord(
        config,
        len(config.starts) * len(config.tunes) * len(config.labels) * len(config.seeds),
        len(finished.keys() - compared.keys()),
        summary,
        failed_units(folder),
    )
    return Records(
        folder,
        study,
        runs=runs,
        pretexts=tuple(sorted(pretexts, key=lambda p: (order.get(p.pretext, len(order)), p.seed))),
    )


def _refuse_other_classes(runs: Sequence[RunRecord]) -> None:
    """Raise an error if the runs of a study were not scored on the same classes."""
    expected = list(runs[0].scores["classes"])
    for run in runs:
        if (found := list(run.scores["classes"])) != expected:
            of_first = f"{', '.join(map(printable, expected))}, as in {runs[0].folder}"
            reason = f"its classes are {', '.join(map(printable, found))}; expected {of_first}"
            raise damaged(run.folder / SCORES, reason)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _read_run_of_study(folder: Path, row: Row, task: TaskName) -> RunRecord:
    names = (row["run"], row["start"], row["tune"], row["labels"], row["seed"])
    return _read_run(folder / row["run"], task, *names)


def _read_single_run(folder: Path, config: RunConfig) -> RunRecord:
    _refuse_unfinished(folder)
    labels, name = _read_labels(folder).train, folder.resolve().name
    return _read_run(folder, config.task, name, config.start, config.tune, labels, config.seed)


def _read_labels(folder: Path) -> LabelCounts:
    labels = read_environment(folder).labels
    if labels is None:
        raise damaged(folder / ENVIRONMENT, "labels: expected the numbers of labelled pictures")
    return labels


def _refuse_unfinished(folder: Path) -> None:
    if not (folder / SCORES).exists():
        message = f"{folder} holds no scores.json: the run is not finished"
        hint = "a report needs a finished run; repeat the run's command to continue it"
        raise DataError(Finding("unfinished", "error", message, hint))


def _read_run(
    folder: Path, task: TaskName, name: str, start: str, tune: str, labels: int, seed: int
) -> RunRecord:
    scores, frames = read_result(labelled_task(task), folder)
    history = read_metrics(folder)
    if not history:
        raise damaged(folder / METRICS, "expected a line for each epoch; found none")
    _read_labels(folder)
    environment, seconds = read_environment(folder), seconds_of(folder)
    settings = (start, tune, labels, seed)
    return RunRecord(
        name,
        folder,
        *settings,
        scores,
        history,
        environment,
        seconds,
        frames,
        read_calibration(folder),
    )


def _read_pretext(folder: Path, name: str) -> PretextRecord:
    _refuse_unfinished(folder)
    config = read_pretext_config(folder / "config.json")
    return PretextRecord(
        name,
        folder,
        config.pretext,
        config.seed,
        task_named(config.task).read_scores(folder),
        read_metrics(folder),
        read_environment(folder),
        seconds_of(folder),
        read_leaks(folder),
    )
