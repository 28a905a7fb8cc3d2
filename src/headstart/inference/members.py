"""The runs whose networks are used together: the folds of a cross-validation, seeds of a study."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from headstart.config.files import holds_study, read_config, read_study_config
from headstart.errors import DataError, Finding
from headstart.records.calibration import read_calibration
from headstart.records.run_records import ENSEMBLES, MEMBERS, SCORES, read_metrics
from headstart.records.vouching import CONFIG, parse_json, read_record
from headstart.scores.calibration import mean_temperature
from headstart.scores.frames_csv import FRAMES
from headstart.tasks.lookup import labelled_task


@dataclass(frozen=True)
class Members:
    """Runs that predict together, by the mean of their probabilities.

    Attributes:
        runs: their folders.
        task: their task.
        words: which they are, and why these.
        together: the folder with records of them as one; None if there is none.
        crossed: the cross-validations that they are the folds of, one for each seed; none for
            seeds without folds.
    """

    runs: tuple[Path, ...]
    task: str
    words: str
    together: Path | None = None
    crossed: tuple[Path, ...] = ()


def told(folder: Path, unseen: bool = False) -> tuple[Finding, ...]:
    """Return which runs predict together, as a finding; nothing for a single run or a file.

    Args:
        folder: of a run, a cross-validation or a study.
        unseen: whether each picture is predicted by those alone that have not seen it.

    Raises:
        DataError: as [`members_of`][].
    """
    members = members_of(folder)
    if members is None:
        return ()
    message = f"{len(members.runs)} networks predict, by their mean probability: {members.words}"
    if unseen:
        seeds = len(members.crossed)
        which = f"the {seeds} of them that have" if seeds > 1 else "the one of them that has"
        message += f"; its folds hold these pictures, and each is predicted by {which} not seen it"
    return (Finding("ensemble", "info", message),)


def members_of(folder: Path) -> Members | None:
    """Return the runs that a folder's predictions come from; None for any single run.

    Of a study these are the seeds of its best arm: of the starts and tunings with the most labels
    and the most finished seeds, the one with the highest mean validation score. The test split does
    not choose. Of a cross-validation they are the folds.

    Raises:
        DataError: a record is damaged, or nothing in the folder is finished.
    """
    path = folder / CONFIG
    if not path.exists():
        return None
    if holds_study(path):
        return _of_study(folder)
    config = read_config(path)
    if (folds := config.crossed) is None:
        return None
    words = f"the {folds} folds of {folder}"
    return Members(_folds(folder, folds), config.task, words, folder, (folder,))


def _folds(folder: Path, folds: int) -> tuple[Path, ...]:
    runs = tuple(folder / f"fold-{k}" for k in range(1, folds + 1))
    if not all((run / SCORES).exists() for run in (folder, *runs)):
        message = f"{folder} holds a cross-validation that is not finished"
        hint = "give the same train command again: it resumes"
        raise DataError(Finding("no-weights", "error", message, hint))
    return runs


def _of_study(folder: Path) -> Members:
    study = read_study_config(folder / CONFIG)
    score = f"validation_{labelled_task(study.task).score.name}"
    arms: dict[str, list[tuple[int, Path, float]]] = defaultdict(list)
    for scores in folder.glob(f"runs/*/{SCORES}"):
        run = scores.parent
        config = read_config(run / CONFIG)
        if config.labels == max(study.labels):
            best = max(float(row.get(score) or 0.0) for row in read_metrics(run))
            arms[run.name.rpartition("-")[0]].append((config.seed, run, best))
    if not arms:
        message = f"{folder} holds a study without a finished run at {max(study.labels)} labels"
        hint = "repeat the study's command to continue it"
        raise DataError(Finding("unfinished", "error", message, hint))
    most = max(map(len, arms.values()))
    complete = {name: sorted(runs) for name, runs in arms.items() if len(runs) == most}
    value, name = max((mean(v for *_, v in runs), name) for name, runs in complete.items())
    chosen = [run for _, run, _ in complete[name]]
    runs = chosen
    if study.folds is not None:
        runs = [fold for run in chosen for fold in _folds(run, study.folds)]
    seeds = "1 seed" if most == 1 else f"{most} seeds"
    of_folds = "" if study.folds is None else f", {study.folds} folds each"
    best_of = f", the best of {len(complete)} on validation" if len(complete) > 1 else ""
    words = (
        f"{seeds} of {name} in {folder}{of_folds}{best_of} (mean {score.replace('_', ' ')} "
        f"{value:.3f})"
    )
    ensemble = folder / ENSEMBLES / name
    together = ensemble if _are_members(chosen, folder, ensemble) else None
    crossed = () if study.folds is None else tuple(chosen)
    return Members(tuple(runs), study.task, words, together, crossed)


def _are_members(runs: list[Path], study: Path, ensemble: Path) -> bool:
    """Return whether these runs, as they are now, were scored together."""
    if not (ensemble / SCORES).exists():
        return False
    members = parse_json(read_record(ensemble, MEMBERS), ensemble / MEMBERS)
    hashes = (hashlib.sha256(read_record(run, FRAMES)).hexdigest() for run in runs)
    names = (run.relative_to(study).as_posix() for run in runs)
    return bool(members == dict(zip(names, hashes, strict=True)))


def temperature_together(members: Members) -> float:
    """Return the temperature for the mean probability of several runs.

    It was fitted where they were scored together; else it is the geometric mean of theirs, without
    those of older versions, which have none.

    Raises:
        DataError: a record is damaged.
    """
    if members.together is not None:
        record = read_calibration(members.together)
        if record is not None:
            return record.temperature
    records = [record for run in members.runs if (record := read_calibration(run)) is not None]
    return mean_temperature([record.temperature for record in records]) if records else 1.0
