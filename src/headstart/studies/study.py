"""Studies: compare starts over tunings, label budgets and seeds, with all else held fixed.

The folder of a study::

    config.json            configuration
    ledger.jsonl           one line per finished run, with hashes of its scores and counts
    study.json             records, comparisons with intervals, labels saved
    runs/START-TUNE-LABELS-SEED/    one folder per run
    ensembles/START-TUNE-LABELS/    scores of its seeds together
    starts/PRETEXT-SEED-HASH/       one folder per pretext, shared by the runs that start from it
    cache/                 decoded pictures

A run in the ledger is never run again. Verdicts need only its ``frames.csv`` and scores, so a study
can be copied to another machine without its weights.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.config.files import study_to_json
from headstart.config.records import PRETEXT_NAMES, SCRATCH_LONGER, RunConfig, StudyConfig
from headstart.errors import Finding, HeadstartError
from headstart.records.run_records import ENSEMBLES
from headstart.runs.initial_weights import try_starts
from headstart.studies.cells import Cell, cells, pretext_config, run_config
from headstart.studies.ensembles import missing, read_ensembles, write_ensembles
from headstart.studies.ledger import Ledger, line_of, write_ledger
from headstart.studies.plan import Plan, plan, replanned, scored_groups, steps_of
from headstart.studies.summary import is_written, write_summary
from headstart.studies.verdicts import compare
from headstart.studies.workers import Work, working
from headstart.system.disk import disk_errors, locked, write_atomic
from headstart.system.signals import Stopping
from headstart.tasks.lookup import labelled_task, task_named
from headstart.training.listener import Listener


def study(
    config: StudyConfig,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int = 1,
    checkpoint_seconds: float = 10.0,
    dataset: Any = None,
) -> dict[str, Any]:
    """Train the runs left in a study, compare the starts, and write ``study.json``.

    Args:
        config: configuration of the study; merged with the one in ``out``.
        out: folder of the study; created if necessary.
        listener: receives progress events of each training if ``jobs`` is 1.
        tell: receives a line of text per finished run.
        jobs: number of runs at a time, each in its own process. Results do not depend on it, as a
            run's thread count is part of its configuration.
        checkpoint_seconds: seconds between checkpoints of a run.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.

    Returns:
        The content of ``study.json``.

    Raises:
        HeadstartError: as [`plan`][headstart.studies.plan.plan] and
            [`train`][headstart.runs.run.train]; finished runs are kept.
    """
    planned = plan(config, out, dataset)
    if (answer := _finished_study(out, planned)) is not None:
        return answer
    # check now what would otherwise fail after hours, as a start cannot be removed from a study
    try_starts({cell.start for cell in planned.todo}, planned.config, planned.sizes.classes)
    task = labelled_task(planned.config.task)
    if planned.todo:
        task.check_labels(planned.dataset, planned.config)
    with locked(out), Stopping() as stopping, contextlib.ExitStack() as stack:
        planned = replanned(planned, out)
        write_atomic(out / "config.json", study_to_json(planned.config))
        # a study that an older version finished stays as it is
        if planned.todo:
            with disk_errors(out):
                (out / ENSEMBLES).mkdir(exist_ok=True)
        ledger = dict(planned.done)
        order = [cell.run for cell in cells(planned.config)]
        write_ledger(out, ledger, order)
        works = _works(planned, out, checkpoint_seconds)
        results = stack.enter_context(contextlib.closing(working(works, jobs, listener, stopping)))
        for work, scores in results:
            cell = work.about
            if isinstance(cell, Cell):
                ledger[cell.run] = line_of(cell.run, out / cell.run, asdict(cell), task)
                write_ledger(out, ledger, order)
                without_checkpoints(out / cell.run)
                seconds = ledger[cell.run]["seconds"]
                metric = task.score.name
                tell(
                    f"[{len(ledger)}/{len(order)}] {cell}: {metric} {_shown(scores[metric])} "
                    f"(constant {_shown(scores['trivial'][metric])}), {seconds / 60:.1f} min"
                )
                if not any(c.seed == cell.seed and c.run not in ledger for c in planned.todo):
                    _write_study(out, planned, ledger)
            else:
                shutil.rmtree(work.out / "checkpoint", ignore_errors=True)
                tell(
                    f"{work.about}: loss {scores['loss']:.5f} (trivial "
                    f"{scores['trivial']['loss']:.5f})"
                )
        if stopping.asked():
            message = f"stopped with {len(ledger)} of {len(order)} runs done; saved in {out}"
            hint = f"run the same command again to resume (--out {out})"
            finding = Finding("interrupted", "info", message, hint)
            raise stopping.interrupted(finding)
        if len(ledger) < len(order):
            message = f"{len(ledger)} of the {len(order)} runs of {out} are done; expected all"
            hint = "run the same command again to resume"
            raise HeadstartError(Finding("unfinished", "error", message, hint))
        write_ensembles(planned, out, ledger, stopping.asked)
        record = _write_study(out, planned, ledger)
        if stopping.asked() and missing(planned, out, ledger):
            message = f"stopped while seeds were scored together; all runs of {out} are finished"
            hint = f"run the same command again to score them (--out {out})"
            raise stopping.interrupted(Finding("interrupted", "info", message, hint))
        return record


def without_checkpoints(run: Path) -> None:
    """Remove the checkpoints of a finished run, which can take gigabytes."""
    for folder in list(run.rglob("checkpoint")):
        shutil.rmtree(folder, ignore_errors=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _works(planned: Plan, out: Path, checkpoint_seconds: float) -> list[Work]:
    """Return the pretexts and runs left, seed by seed, each pretext before its runs."""
    config = planned.config
    works: list[Work] = []
    pretexts = [start for start in config.starts if start in PRETEXT_NAMES]
    for seed in config.seeds:
        seed_cells = [cell for cell in planned.todo if cell.seed == seed]
        longer = any(cell.start == SCRATCH_LONGER for cell in seed_cells)
        needed = {cell.start for cell in seed_cells} & set(PRETEXT_NAMES)
        needed |= set(pretexts[:1] if longer else ())  # whose steps scratch-longer adds
        for name in (name for name in pretexts if name in needed):
            folders = planned.folders[name, seed]
            for number, folder in enumerate(folders, 1):
                fold = number if len(folders) > 1 else None
                make = functools.partial(pretext_config, config, name, seed, fold)
                of_fold = "" if fold is None else f", fold {fold}"
                args = (f"pretext {name}, seed {seed}{of_fold}", out / folder, make, out / "cache")
                works.append(Work(*args, checkpoint_seconds, dataset=planned.pictures))
        for cell in seed_cells:
            pretext = cell.start if cell.start in PRETEXT_NAMES else None
            if cell.start == SCRATCH_LONGER:
                pretext = pretexts[0]
            folders = planned.folders[pretext, seed] if pretext else ()
            pretext_runs = tuple(out / folder for folder in folders)
            make_run = functools.partial(_run_config, planned, cell, pretext_runs)
            run_args = (cell, out / cell.run, make_run, out / "cache", checkpoint_seconds)
            works.append(Work(*run_args, pretext_runs, planned.dataset))
    return works


def _run_config(planned: Plan, cell: Cell, pretext_runs: tuple[Path, ...]) -> RunConfig:
    if cell.start != SCRATCH_LONGER or not pretext_runs:
        return run_config(planned.config, cell)
    steps = max(task_named("pretext").read_scores(run)["steps"] for run in pretext_runs)
    recipe = planned.config.recipe
    per_epoch = max(1, steps_of(planned, cell) // recipe.epochs)
    return run_config(planned.config, cell, recipe.longer(steps, per_epoch))


def _finished_study(out: Path, planned: Plan) -> dict[str, Any] | None:
    """Return the record of a finished study if no file of it would change, else None.

    Reading needs no lock: the disk may be read-only.
    """
    if planned.todo or planned.files[0] != study_to_json(planned.config).encode():
        return None
    if missing(planned, out, planned.done):
        return None
    record = _study_record(out, planned, planned.done)
    return record if is_written(out, record) else None


def _write_study(out: Path, planned: Plan, ledger: Ledger) -> dict[str, Any]:
    record = _study_record(out, planned, ledger)
    write_summary(out, record)
    return record


def _study_record(out: Path, planned: Plan, ledger: Ledger) -> dict[str, Any]:
    task = labelled_task(planned.config.task)
    records = [
        {**asdict(cell), "run": cell.run, "scores": task.read_scores(out / cell.run)}
        for cell in cells(planned.config)
        if cell.run in ledger
    ]
    groups = scored_groups(planned.config, planned.dataset)
    compared = compare(records, out, planned.config, groups)
    record = {"schema": 1, "records": records, **compared}
    classes = (compared["classes"] or {}).get("classes")
    finished = {record["run"]: ledger[record["run"]] for record in records}
    if classes and (together := read_ensembles(out, finished, task.name, list(classes), groups)):
        record["together"] = together
    return record
