"""The seeds of an arm together: their mean probability, scored on the frames of each run.

For each start, tuning and budget, ``ensembles/START-TUNE-LABELS/`` has ``frames.csv``,
``scores.json`` and ``calibration.json``, and in ``members.json`` the runs. They are written when a
study finishes, while the weights of its runs are there, and written again when seeds are added.
Where the runs are cross-validations, each picture is predicted by the networks that have not seen
it, one of each seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.config.files import read_run_config
from headstart.records.calibration import CALIBRATION, read_calibration
from headstart.records.run_records import ENSEMBLES, MEMBERS, SCORES, WEIGHTS
from headstart.records.vouching import CONFIG, parse_json, read_record, write_manifest
from headstart.scores.frames_csv import FRAMES
from headstart.scores.pooled import Groups, PooledScore
from headstart.studies import statistics as stats
from headstart.studies.ledger import Ledger
from headstart.studies.plan import Plan
from headstart.studies.wording import called, decimal, level_words
from headstart.system.disk import disk_errors, json_text, write_atomic
from headstart.tasks.lookup import labelled_task
from headstart.tasks.measures import Measures


def missing(planned: Plan, out: Path, ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """Return the ledger's lines of each arm whose seeds are not scored together yet.

    An arm with a single seed, or whose runs have lost their weights, is left out. So are studies
    that an older version finished, which have no folder for it.
    """
    if not (out / ENSEMBLES).is_dir():
        return {}
    return {
        name: lines
        for name, lines in _arms(ledger).items()
        if len(lines) > 1
        and all(has_weights(out / line["run"], planned.config.folds) for line in lines)
        and not _is_written(out / ENSEMBLES / name, _members(lines))
    }


def has_weights(run: Path, folds: int | None) -> bool:
    """Return whether a finished run still has its weights, in each of its folds."""
    runs = [run] if folds is None else [run / f"fold-{k}" for k in range(1, folds + 1)]
    return all((each / WEIGHTS).exists() for each in runs)


def write_ensembles(planned: Plan, out: Path, ledger: Ledger, stop: Callable[[], bool]) -> None:
    """Score the seeds of each arm together, where that is [`missing`][].

    Args:
        planned: plan of the study.
        out: folder of the study.
        ledger: its finished runs.
        stop: asked before each arm.

    Raises:
        DataError, DiskError: as their names say.
    """
    task = labelled_task(planned.config.task)
    for name, lines in missing(planned, out, ledger).items():
        if stop():
            return
        runs, folder = [out / line["run"] for line in lines], out / ENSEMBLES / name
        members = _members(lines)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for file in (SCORES, FRAMES, CALIBRATION, "manifest.json"):
                (folder / file).unlink(missing_ok=True)
        config = read_run_config(runs[0] / CONFIG)
        scores = task.score_together(config, planned.dataset, runs, out / "cache", folder)
        write_atomic(folder / MEMBERS, json_text(members))
        content = json_text(scores).encode()
        write_manifest(folder, (FRAMES, MEMBERS, CALIBRATION), {SCORES: content})
        write_atomic(folder / SCORES, content)


def read_ensembles(
    out: Path, ledger: Ledger, task_name: str, classes: list[int], groups: Groups | None
) -> list[dict[str, Any]]:
    """Return how the seeds of each arm score together, beside their mean.

    The interval of the difference is over frames (or groups) alone: it speaks of these networks on
    other frames, not of other seeds.

    Returns:
        For each arm that has been scored together: ``start``, ``tune``, ``labels``, ``seeds``,
        ``scores``, ``difference`` to the mean of its members, ``low`` and ``high``; ``folds``, if
        its members are cross-validations; and ``calibration``, its temperature and errors, unless
        an older version scored it.

    Raises:
        DataError: a record is damaged.
    """
    task, rows = labelled_task(task_name), []
    for name, lines in _arms(ledger).items():
        folder = out / ENSEMBLES / name
        if not _is_written(folder, _members(lines)):
            continue
        together = task.read_counts(folder).counts
        alone = np.stack([task.read_counts(out / line["run"]).counts for line in lines])
        arm = {key: lines[0][key] for key in ("start", "tune", "labels")}
        gain = _gain(together, alone, classes, groups, task.score)
        row = {**arm, "seeds": len(lines), "scores": task.read_scores(folder), **gain}
        if (folds := read_run_config(out / lines[0]["run"] / CONFIG).folds) is not None:
            row["folds"] = folds
        if (record := read_calibration(folder)) is not None:
            errors = {
                f"{name}_{when}": getattr(part, name)
                for name in ("ece", "nll")
                for when, part in (("before", record.before), ("after", record.after))
            }
            row["calibration"] = {"temperature": record.temperature, **errors}
        rows.append(row)
    return rows


def together_sentences(study: dict[str, Any], measures: Measures) -> list[str]:
    """Return how the ensembles of a ``study.json`` score, a sentence each.

    Args:
        study: the content of ``study.json``.
        measures: of the task.

    >>> from headstart.tasks.segmentation import MEASURES
    >>> row = {"start": "scratch", "tune": "all", "labels": 30, "seeds": 5, "difference": 0.031,
    ...        "low": 0.012, "high": 0.05}
    >>> print(*together_sentences({"together": [row]}, MEASURES))  # doctest: +NORMALIZE_WHITESPACE
    With 30 labels, the 5 seeds of scratch together score dice 0.031 higher than one of them on
    average (95 % interval over frames 0.012 to 0.050).
    """
    rows = study.get("together", [])
    several_tunes = len({row["tune"] for row in rows}) > 1
    units = measures.units if study.get("groups") is None else "groups"
    return [
        _together_sentence(row, measures, units, f", tune {row['tune']}," if several_tunes else "")
        for row in rows
    ]


def _together_sentence(row: dict[str, Any], measures: Measures, units: str, tune: str) -> str:
    direction = "lower" if row["difference"] < 0 else "higher"
    ends = ""
    if row["low"] is not None:
        between = f"{decimal(row['low'])} to {decimal(row['high'])}"
        ends = f" ({level_words(stats.LEVEL)} interval over {units} {between})"
    seeds = f"the {row['seeds']} seeds of {called(row['start'])}{tune} together"
    amount = f"{measures.headline} {decimal(abs(row['difference']))} {direction}"
    unseen = ""
    if "folds" in row:
        unseen = f"; each {measures.unit} is predicted by the {row['seeds']} networks that have "
        unseen += "not seen it, one of each seed"
    return (
        f"With {row['labels']} labels, {seeds} score {amount} than one of them on average{ends}"
        f"{unseen}."
    )


def _gain(
    together: np.ndarray,
    alone: np.ndarray,
    classes: list[int],
    groups: Groups | None,
    score: PooledScore,
) -> dict[str, float | None]:
    """Return the difference between an ensemble and the mean of its members, over the frames."""
    copies = np.broadcast_to(together, alone.shape)
    estimate = stats.paired_difference(copies, alone, classes, groups, score)
    if estimate.squares is None:
        return {"difference": estimate.value, "low": None, "high": None}
    from scipy.special import stdtrit  # slow to load

    variance = estimate.squares[1] / (estimate.seeds * estimate.units)  # over the frames alone
    half = -float(stdtrit(estimate.units - 1, (1 - stats.LEVEL) / 2)) * variance**0.5
    value = estimate.value
    return {"difference": value, "low": value - half, "high": value + half}


def _arms(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """Return the ledger's lines by arm, which is named as its runs are but for the seed."""
    arms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in ledger.values():
        arms[Path(line["run"]).name.rpartition("-")[0]].append(line)
    return {name: sorted(lines, key=lambda line: line["seed"]) for name, lines in arms.items()}


def _members(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Return the runs, each with the hash of its counts, so that one trained again is noticed."""
    return {line["run"]: line["frames_sha256"] for line in lines}


def _is_written(folder: Path, members: dict[str, str]) -> bool:
    if not (folder / SCORES).exists():
        return False
    return bool(parse_json(read_record(folder, MEMBERS), folder / MEMBERS) == members)
