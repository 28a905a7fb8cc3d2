"""Studies: compare starts over tunings, label budgets and seeds, with all else held fixed.

The folder of a study::

    config.json            configuration
    units.json             its runs and pretexts, and what each needs
    ledger.jsonl           one line per finished run, with hashes of its scores and counts
    study.json             records, comparisons with intervals, labels saved
    runs/START-TUNE-LABELS-SEED/    one folder per run
    ensembles/START-TUNE-LABELS/    scores of its seeds together
    side-by-side/LABELS.png         the same pictures, with the answers of all arms
    starts/PRETEXT-SEED-HASH/       one folder per pretext, shared by the runs that start from it
    cache/                 decoded pictures
    claims/                who trains what, until the study is complete

A run in the ledger is never run again. Verdicts need only its ``frames.csv`` and scores, so a study
can be copied to another machine without its weights.

Several processes may run the same study in the same folder, on several machines. They share its
units ([`headstart.studies.coordinator`][]), and all end with the same ``study.json``: whoever
writes a record of the study claims the folder for a moment, reads what the others wrote and adds to
it. A coordinator that has finished its units takes up those that were added meanwhile.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.config.methods import start_of_arm
from headstart.config.records import StudyConfig
from headstart.errors import Finding, HeadstartError
from headstart.records.run_records import ENSEMBLES, WEIGHTS
from headstart.runs.folder import is_finished
from headstart.runs.initial_weights import try_starts
from headstart.runs.records import refuse_unknown_data
from headstart.studies.backends import HERE, Backend, executor_of
from headstart.studies.books import (
    begin,
    clear_claims,
    finished_study,
    has_grown,
    note,
    without_checkpoints,
    write_study,
)
from headstart.studies.cells import Cell, cells, run_config
from headstart.studies.coordinator import Coordinator
from headstart.studies.counts_of_runs import Arms
from headstart.studies.ensembles import missing, write_ensembles
from headstart.studies.executor import Executor
from headstart.studies.ledger import Ledger, read_lines
from headstart.studies.plan import Plan, plan
from headstart.studies.side_by_side import write_side_by_side
from headstart.studies.status import study_status
from headstart.studies.units import Unit, units_of
from headstart.studies.wording import lasting
from headstart.system.attempts import LOG, attempts
from headstart.system.claims import alone
from headstart.system.signals import Stopping
from headstart.tasks.lookup import labelled_task, task_named
from headstart.training.listener import Listener


def study(
    config: StudyConfig,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int | None = None,
    checkpoint_seconds: float = 10.0,
    dataset: Any = None,
    backend: Backend = HERE,
) -> dict[str, Any]:
    """Train the runs left in a study, compare the starts, and write ``study.json``.

    Args:
        config: configuration of the study; merged with the one in ``out``.
        out: folder of the study; created if necessary.
        listener: receives progress events of each training if ``jobs`` is 1.
        tell: receives a line of text per finished run.
        jobs: number of runs at a time, each in its own process; by default 1, and on a cluster as
            many as it starts. Results do not depend on it, as a run's thread count is part of its
            configuration.
        checkpoint_seconds: seconds between checkpoints of a run.
        dataset: result of the task's ``open`` for ``config.data``; opened here by default.
        backend: where to train; by default in processes on this machine.

    Returns:
        The content of ``study.json``.

    Raises:
        HeadstartError: as [`plan`][headstart.studies.plan.plan]; or runs failed, which the findings
            name. Finished runs are kept.
    """
    planned = plan(config, out, dataset)
    if (answer := finished_study(out, planned)) is not None:
        return answer
    # check now what would otherwise fail after hours, as a start cannot be removed from a study
    try_starts(_to_be_had(planned, out), planned.config, planned.sizes.classes)
    if planned.todo:
        labelled_task(planned.config.task).check_labels(planned.dataset, planned.config)
    with Stopping() as stopping:
        while True:
            # what cannot be had is refused before anything is written
            args = (planned, out, listener, checkpoint_seconds, tell)
            with contextlib.closing(executor_of(backend, jobs, *args)) as executor:
                planned = begin(planned, out)
                coordinator = _train(planned, out, executor, stopping, tell)
            if stopping.asked() or coordinator.progress.failed or not has_grown(planned, out):
                break
        return _end(planned, out, coordinator, stopping)


def _to_be_had(planned: Plan, out: Path) -> set[str]:
    """Return the starts of the runs that are left, but for pretexts whose weights are there."""
    starts = set()
    for cell in planned.todo:
        start = start_of_arm(cell.start)
        folders = planned.folders.get((start, cell.seed), ())
        if not folders or not all((out / folder / WEIGHTS).exists() for folder in folders):
            starts.add(start)
    return starts


def _train(
    planned: Plan,
    out: Path,
    executor: Executor,
    stopping: Stopping,
    tell: Callable[[str], None],
) -> Coordinator:
    """Train what is left, and note in the ledger what is finished, whoever trained it."""
    units, task = units_of(planned), labelled_task(planned.config.task)
    of_name = {cell.run: cell for cell in planned.todo}
    known: list[dict[str, str]] = []

    def finished(unit: Unit) -> bool:
        kind = task if unit.pretext is None else task_named("pretext")
        return is_finished(out / unit.name, kind.finished)

    coordinator = Coordinator(out, units, finished, executor, stopping, tell)
    work = coordinator.work()
    try:
        for unit in work:
            if unit.pretext is not None:
                shutil.rmtree(out / unit.name / "checkpoint", ignore_errors=True)
                scores = task_named("pretext").read_scores(out / unit.name)
                trivial = scores["trivial"]["loss"]
                tell(f"{unit.about}: loss {scores['loss']:.5f} (trivial {trivial:.5f})")
                continue
            cell = of_name[unit.name]
            settings = run_config(planned.config, cell)
            refuse_unknown_data(task, settings, planned.dataset, out, unit.name, known)
            ledger, total = note(cell, out, planned)
            without_checkpoints(out / cell.run)
            tell(_line(planned, out, cell, ledger, total))
            if not any(c.seed == cell.seed and c.run not in ledger for c in planned.todo):
                write_study(out, planned, _arms(planned, coordinator))
    finally:
        work.close()
    return coordinator


def _line(planned: Plan, out: Path, cell: Cell, ledger: Ledger, total: int) -> str:
    """Return what is told of a finished run."""
    task = labelled_task(planned.config.task)
    scores, metric = task.read_scores(out / cell.run), task.score.name
    return (
        f"[{len(ledger)}/{total}] {cell}: {metric} {_shown(scores[metric])} "
        f"(constant {_shown(scores['trivial'][metric])}), "
        f"{ledger[cell.run]['seconds'] / 60:.1f} min{_time_left(out)}"
    )


def _time_left(out: Path) -> str:
    left = study_status(out, starting=1).seconds_left  # in the place of the run that just ended
    return f"; about {lasting(left)} left" if left else ""


def _end(planned: Plan, out: Path, coordinator: Coordinator, stopping: Stopping) -> dict[str, Any]:
    """Score the seeds of each arm together and write ``study.json``, or say what is missing."""
    ledger, total = read_lines(out), len(cells(planned.config))
    progress = coordinator.progress
    if stopping.asked():
        message = f"stopped with {len(ledger)} of {total} runs done; saved in {out}"
        hint = f"run the same command again to resume (--out {out})"
        raise stopping.interrupted(Finding("interrupted", "info", message, hint))
    if progress.failed:
        write_study(out, planned, _arms(planned, coordinator))
        raise _failed(planned, out, coordinator, len(ledger))
    if len(ledger) < total:
        message = f"{len(ledger)} of the {total} runs of {out} are done; expected all"
        hint = "run the same command again to resume"
        raise HeadstartError(Finding("unfinished", "error", message, hint))
    with alone(out, ENSEMBLES, stopping.asked):
        write_ensembles(planned, out, ledger, stopping.asked)
        write_side_by_side(planned, out, ledger, stopping.asked)
    record = write_study(out, planned)
    if stopping.asked() and missing(planned, out, ledger):
        message = f"stopped while seeds were scored together; all runs of {out} are finished"
        hint = f"run the same command again to score them (--out {out})"
        raise stopping.interrupted(Finding("interrupted", "info", message, hint))
    clear_claims(out)
    return record


def _failed(planned: Plan, out: Path, coordinator: Coordinator, finished: int) -> HeadstartError:
    """Return the error of a study some of whose runs failed: what is missing, and why."""
    failed, blocked = coordinator.progress.failed, coordinator.blocked()
    total = len(cells(planned.config))
    message = f"{finished} of the {total} runs of {out} are done; {len(failed)} failed"
    if blocked:
        message += f", and {len(blocked)} need one of these: {', '.join(u.about for u in blocked)}"
    hint = "the same command tries them again, after what is wrong was mended"
    findings = [Finding("unfinished", "error", message, hint)]
    for unit in coordinator.units:
        if unit.name in failed:
            end = failed[unit.name]
            log = attempts(out, unit.name)[-1:]
            hint = f"{end.hint} (its log: {log[0].folder / LOG})" if log else end.hint
            findings.append(Finding(end.code, "error", f"{unit.about}: {end.message}", hint))
    error, statuses = HeadstartError(findings), {end.status for end in failed.values()}
    error.exit_status = statuses.pop() if len(statuses) == 1 else error.exit_status
    return error


def _arms(planned: Plan, coordinator: Coordinator) -> Arms:
    """Return the arms with a run that failed, or that needs a pretext that failed."""
    names = {*coordinator.progress.failed, *(unit.name for unit in coordinator.blocked())}
    return frozenset(
        (cell.start, cell.tune, cell.labels) for cell in cells(planned.config) if cell.run in names
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
