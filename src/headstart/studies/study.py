"""Studies: starts x tunings x label budgets x seeds, everything else held fixed; what differs.

A study's folder::

    config.json            its settings
    ledger.jsonl           a line for each finished run: what it was, and the hash of its frames.csv
    study.json             records, comparisons with intervals, labels saved
    runs/START-TUNE-LABELS-SEED/    a run each
    starts/PRETEXT-SEED-HASH/       a pretext each, shared by all runs that start from it
    cache/                 decoded pictures

A run whose line is in the ledger is never run again: its ``frames.csv`` is all that a verdict
needs, so a study can be carried to another machine without its weights.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.errors import Finding, InterruptedRun
from headstart.runs.starting import try_starts
from headstart.studies.ledger import Ledger, line_of, write_ledger
from headstart.studies.plan import (
    Cell,
    Plan,
    cells,
    plan,
    pretext_config,
    replanned,
    run_config,
    steps_an_epoch,
)
from headstart.studies.verdicts import compare, numbered_groups
from headstart.studies.workers import Work, working
from headstart.system.disk import locked, write_atomic, write_json
from headstart.system.signals import Stopping
from headstart.tasks.lookup import labelled_task
from headstart.training.config import PRETEXT_NAMES, SCRATCH_LONGER, RunConfig, StudyConfig
from headstart.training.config_files import to_json
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
    """Runs what is missing of a study, compares, and writes ``study.json``.

    Args:
        config: all that decides the result; what the folder already holds is added to it.
        out: the study's folder; made if need be.
        listener: told how each training goes, where one runs at a time.
        tell: told in words what is done.
        jobs: how many runs at a time, each in a process of its own. The results do not depend on
            it, for the threads of a run are part of its settings.
        checkpoint_seconds: seconds between the checkpoints of a run.
        dataset: what the task's ``open`` gave for ``config.data``; by default it is opened here.

    Returns:
        The content of ``study.json``.

    Raises:
        HeadstartError: as [`plan`][] and [`train`][headstart.runs.run.train]; what is finished is
            kept.
    """
    planned = plan(config, out, dataset)
    # What would stop it after hours, and then be one of its starts for good, is refused now.
    try_starts({cell.start for cell in planned.todo}, planned.config, planned.sizes.classes)
    with locked(out), Stopping() as stopping:
        planned = replanned(planned, out)
        write_atomic(out / "config.json", to_json(planned.config))
        ledger = dict(planned.done)
        order = [cell.run for cell in cells(planned.config)]
        write_ledger(out, ledger, order)
        works = _works(planned, out, checkpoint_seconds)
        for work, scores in working(works, jobs, listener, stopping):
            cell = work.about
            if isinstance(cell, Cell):
                ledger[cell.run] = line_of(cell.run, out / cell.run, asdict(cell))
                write_ledger(out, ledger, order)
                without_checkpoints(out / cell.run)
                seconds = ledger[cell.run]["seconds"]
                metric = labelled_task(planned.config.task).score.name
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
        if stopping.signal is not None:
            message = f"stopped with {len(ledger)} of {len(order)} runs done; saved in {out}"
            hint = f"give the same command again to resume (--out {out})"
            finding = Finding("interrupted", "info", message, hint)
            raise InterruptedRun(finding, stopping.signal)
        return _write_study(out, planned, ledger)


def without_checkpoints(run: Path) -> None:
    """Removes what a finished run needs no more: of large networks it is gigabytes."""
    for folder in (run / "checkpoint", *run.glob("*/checkpoint")):
        shutil.rmtree(folder, ignore_errors=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _works(planned: Plan, out: Path, checkpoint_seconds: float) -> list[Work]:
    """What is to be done, seed by seed, pretexts before their runs."""
    config = planned.config
    works: list[Work] = []
    pretexts = [start for start in config.starts if start in PRETEXT_NAMES]
    for seed in config.seeds:
        of_seed = [cell for cell in planned.todo if cell.seed == seed]
        longer = any(cell.start == SCRATCH_LONGER for cell in of_seed)
        needed = {cell.start for cell in of_seed} & set(PRETEXT_NAMES)
        needed |= set(pretexts[:1] if longer else ())
        for name in pretexts:
            if name in needed:
                folder = out / planned.folders[name, seed]
                make = functools.partial(pretext_config, config, name, seed)
                args = (f"pretext {name}, seed {seed}", folder, make, out / "cache")
                works.append(Work(*args, checkpoint_seconds, dataset=planned.pictures))
        for cell in of_seed:
            before = cell.start if cell.start in PRETEXT_NAMES else None
            if cell.start == SCRATCH_LONGER:
                before = pretexts[0]
            needs = out / planned.folders[before, seed] if before else None
            make_run = functools.partial(_run_config, planned, cell, needs)
            args_of_run = (cell, out / cell.run, make_run, out / "cache", checkpoint_seconds)
            works.append(Work(*args_of_run, needs, planned.dataset))
    return works


def _run_config(planned: Plan, cell: Cell, pretext: Path | None) -> RunConfig:
    return run_config(planned.config, cell, _epochs_longer(planned, cell, pretext))


def _epochs_longer(planned: Plan, cell: Cell, pretext: Path | None) -> int:
    """How many epochs of this study's recipe have the steps that the pretext took."""
    if cell.start != SCRATCH_LONGER or pretext is None:
        return 0
    steps = json.loads((pretext / "scores.json").read_bytes())["steps"]
    return int(-(-steps // steps_an_epoch(planned, cell.labels)))


def _write_study(out: Path, planned: Plan, ledger: Ledger) -> dict[str, Any]:
    records = []
    for cell in cells(planned.config):
        if cell.run in ledger:
            scores = json.loads((out / cell.run / "scores.json").read_bytes())
            records.append({**asdict(cell), "run": cell.run, "scores": scores})
    task, split = labelled_task(planned.config.task), planned.config.score
    groups = numbered_groups(task.groups(planned.dataset, split))
    record = {"schema": 1, "records": records, **compare(records, out, planned.config, groups)}
    write_json(out / "study.json", record)
    return record
