"""Cross-validation: a run for each fold, and one score over all labelled pictures.

The folder of a cross-validation::

    fold-1/, fold-2/, ...    the run of each fold, with its weights
    frames.csv, scores.json  of all labelled pictures, each by the network that has not seen it
    config.json, README.md, metrics.jsonl, ...    as of a run; metrics are means over the folds

Every record that a study or a report reads of a run is there, so they take it for one. It has no
weights of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.config.files import to_json
from headstart.config.records import RunConfig
from headstart.errors import Finding, InterruptedRun
from headstart.records.calibration import (
    CALIBRATION,
    pooled_calibration,
    read_calibration,
)
from headstart.records.calibration import (
    to_json as calibration_json,
)
from headstart.records.run_records import (
    ENVIRONMENT,
    METRICS,
    SCORES,
    TIMING,
    Row,
    read_environment,
    read_metrics,
    read_timing,
)
from headstart.records.vouching import discard_manifest, write_manifest
from headstart.runs.card import cross_validation_card
from headstart.runs.folder import check_folder, is_finished
from headstart.runs.initial_weights import moved_start
from headstart.runs.records import record_environment, refuse_changed_data
from headstart.runs.run import train
from headstart.runs.seen_starts import refuse_seen_starts
from headstart.scores.frames_csv import FRAMES
from headstart.system.claims import Claim
from headstart.system.disk import disk_errors, json_text, locked, write_atomic, write_json
from headstart.system.signals import Stopping
from headstart.tasks.budgets import budget_too_large, sizes_in_folds
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import pictures_of
from headstart.training.listener import Listener

_RECORDS = ("config.json", ENVIRONMENT, METRICS, TIMING, FRAMES, CALIBRATION)


def cross_validate(
    config: RunConfig,
    out: Path,
    listener: Listener,
    checkpoint_seconds: float = 10.0,
    cache: Path | None = None,
    pretext_runs: Sequence[Path] | None = None,
    dataset: Any = None,
    claim: Claim | None = None,
) -> dict[str, Any]:
    """Train and score the folds of a cross-validation in ``out``, or resume it.

    Args:
        config: configuration with ``folds``, and without ``fold``.
        out: folder of the cross-validation; created if necessary.
        listener: receives progress events.
        checkpoint_seconds: seconds between checkpoints.
        cache: folder for decoded pictures; by default inside ``out``.
        pretext_runs: folder of the pretext that each fold starts from; by default inside ``out``.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.
        claim: as of [`train`][headstart.runs.run.train].

    Returns:
        The content of ``scores.json``: the scores over all labelled pictures.

    Raises:
        UsageError: there are too few pictures or groups for so many folds, or the start was trained
            on some of the pictures.
        HeadstartError: as [`train`][headstart.runs.run.train].
    """
    assert config.folds is not None and config.fold is None
    task = labelled_task(config.task)
    dataset = task.open(Path(config.data)) if dataset is None else dataset
    available = sizes_in_folds(task, dataset, config.folds).pictures["train"]
    if config.labels is not None and config.labels > available:  # before hours of training
        raise budget_too_large(config.labels, available)
    refuse_seen_starts(config, (config.start,), dataset)
    check_folder(config, out)
    if is_finished(out, task.finished):  # reading needs no lock: the disk may be read-only
        now = {**task.hashes(dataset, config, out), **moved_start(config, out)}
        refuse_changed_data(out, read_environment(out).data, now)
        return task.read_scores(out)
    cache = cache or out / "cache"
    configs = [in_fold(config, dataset, fold) for fold in range(1, config.folds + 1)]
    runs = [out / f"fold-{each.fold}" for each in configs]
    with locked(out), Stopping() as stopping:
        check_folder(config, out)
        discard_manifest(out)
        write_atomic(out / "config.json", to_json(config))
        for i, (each, run) in enumerate(zip(configs, runs, strict=True)):
            pretext_run = None if pretext_runs is None else pretext_runs[i]
            if pretext_run is None and each.pretext is not None and each.pretext.fold is None:
                pretext_run = out / "start"  # all folds share it
            try:
                train(each, run, listener, checkpoint_seconds, cache, pretext_run, dataset, claim)
            except InterruptedRun:
                message = f"stopped in fold {each.fold} of {config.folds}; saved in {out}"
                hint = f"run the same command again to resume (--out {out}, without --fresh)"
                raise stopping.interrupted(Finding("interrupted", "info", message, hint)) from None
        if claim is not None:
            claim.check()
        executor = "local" if claim is None else claim.holder.executor
        return _write_records(config, task, runs, out, executor)


def in_fold(config: RunConfig, dataset: Any, fold: int) -> RunConfig:
    """Return the configuration of the run of one fold.

    A pretext learns from pictures that all folds share, or from those that the fold may see.
    """
    pretext = config.pretext
    if pretext is not None:
        shared = pictures_of(dataset).shared_by_folds
        of_fold = {"folds": config.folds, "fold": None if shared else fold}
        pretext = pretext.model_copy(update=of_fold)
    return config.model_copy(update={"fold": fold, "pretext": pretext})


def _write_records(
    config: RunConfig, task: LabelledTask, runs: Sequence[Path], out: Path, executor: str
) -> dict[str, Any]:
    """Write what a run has, from the records of the folds; the scores last."""
    scores = task.write_pooled(runs, out)
    environments = [read_environment(run) for run in runs]
    first = environments[0]
    labels = [e.labels for e in environments if e.labels is not None]
    facts: dict[str, Any] = {
        "labels": {
            "train": min(each.train for each in labels),
            "validation": min(each.validation for each in labels),
        }
    }
    if first.start is not None:
        facts["start"] = first.start.model_dump()
    seen = [e.start_pictures for e in environments if e.start_pictures is not None]
    if seen:  # that of the fold whose start has seen most
        facts["start_pictures"] = max(seen, key=lambda s: s.copies + s.near).model_dump()
    record_environment(out, config, first.data, facts, executor)
    calibrations = [read_calibration(run) for run in runs]
    known = [record for record in calibrations if record is not None]
    if len(known) == len(runs):  # an older version finished no fold
        write_json(out / CALIBRATION, calibration_json(pooled_calibration(known)))
    histories = [read_metrics(run) for run in runs]
    _write_lines(out / METRICS, map(_mean_row, zip(*histories, strict=False)))
    timing = (
        {**line.model_dump(), "stage": f"{run.name} {line.stage}".strip()}
        for run in runs
        for line in read_timing(run)
    )
    _write_lines(out / TIMING, timing)
    name = task.score.name
    of_folds = [task.read_scores(run) for run in runs]
    order = sorted(range(len(runs)), key=lambda i: of_folds[i][name] or 0.0)
    sheet = runs[order[(len(runs) - 1) // 2]] / task.measures.sheet.file
    if sheet.exists():
        with disk_errors(sheet):
            write_atomic(out / sheet.name, sheet.read_bytes())
    card = cross_validation_card(config, scores, of_folds, read_environment(out), name)
    write_atomic(out / "README.md", card)
    content = json_text(scores).encode()
    write_manifest(out, _RECORDS, {SCORES: content})
    write_atomic(out / SCORES, content)  # last: it marks the cross-validation as finished
    return scores


def _mean_row(rows: Sequence[Row]) -> Row:
    """Return the means over the folds of an epoch that all of them have."""
    means: Row = {}
    for name, value in rows[0].items():
        values = [row[name] for row in rows if row.get(name) is not None]
        if isinstance(value, bool):
            means[name] = any(values)
        elif name in ("epoch", "step"):
            means[name] = max(values)
        else:
            means[name] = sum(values) / len(values) if values else None
    return means


def _write_lines(path: Path, rows: Any) -> None:
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))
