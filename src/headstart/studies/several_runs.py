"""Trains runs that belong to no study, one after the other or several at a time."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.config.records import RunConfig
from headstart.errors import Finding, HeadstartError
from headstart.runs.folder import is_finished
from headstart.studies.coordinator import Coordinator
from headstart.studies.local import Processes, ThisProcess
from headstart.studies.units import Unit
from headstart.studies.worker import CHECKPOINT_SECONDS, claimed
from headstart.system.attempts import CLAIMS
from headstart.system.devices import CudaDevice
from headstart.system.disk import disk_errors
from headstart.system.signals import Stopping
from headstart.tasks.lookup import task_named
from headstart.training.listener import SILENT, After, Listener, ignore


def train_runs(
    root: Path,
    runs: Mapping[str, RunConfig],
    about: Mapping[str, str],
    cache: Path,
    jobs: int,
    listener: Listener,
    stopping: Stopping,
    tell: Callable[[str], None],
    dataset: Any = None,
    devices: Sequence[CudaDevice] = (),
) -> Generator[tuple[str, dict[str, Any]]]:
    """Train runs, and yield each with its scores when it is finished; stop early on a signal.

    Args:
        root: the folder that holds the runs' folders.
        runs: their configurations, by the name of the folder.
        about: what each is, in words.
        cache: folder for decoded pictures.
        jobs: number of runs at a time; one job runs in this process.
        listener: receives progress events if ``jobs`` is 1.
        stopping: checked before each run; forwarded to other processes.
        tell: receives a line when a run fails.
        dataset: result of the task's ``open``, if all runs have the same data.
        devices: what several jobs are spread over; none: they see what this process sees.

    Raises:
        HeadstartError: runs failed, which the findings name; finished ones are kept.
    """
    there = functools.partial(train_one, root=root, runs=dict(runs), cache=cache)
    here = functools.partial(there, logs=False, listener=listener, dataset=dataset)

    def finished(unit: Unit) -> bool:
        return is_finished(root / unit.name, task_named(runs[unit.name].task).finished)

    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    units = [Unit(name=name, about=about[name]) for name in runs]
    for unit in filter(finished, units):
        here(unit.name)  # which checks that they were trained on these data
    executor: ThisProcess | Processes = ThisProcess(here)
    if jobs > 1:
        executor = Processes(there, jobs, devices, tell)
    coordinator = Coordinator(root, units, finished, executor, stopping, tell)
    work = coordinator.work()
    try:
        for unit in work:
            yield unit.name, task_named(runs[unit.name].task).read_scores(root / unit.name)
    finally:
        work.close()
        with contextlib.suppress(OSError):  # claims of failed runs are there, with their logs
            (root / CLAIMS).rmdir()
    if failed := coordinator.progress.failed:
        raise HeadstartError(
            Finding(end.code, "error", f"{about[name]}: {end.message}", end.hint)
            for name, end in failed.items()
        )


def train_one(
    name: str,
    root: Path,
    runs: Mapping[str, RunConfig],
    cache: Path,
    logs: bool = True,
    listener: Listener = SILENT,
    dataset: Any = None,
    measured: Callable[[], None] = ignore,
) -> None:
    """Claim and train one of several runs.

    Args:
        name: its folder in ``root``.
        root: the folder that holds the runs' folders.
        runs: the configurations, by name.
        cache: folder for decoded pictures.
        logs: whether what is printed goes to a log beside the claim.
        listener: receives progress events.
        dataset: result of the task's ``open``; opened here by default.
        measured: called after each epoch, when this process has taken what memory it will take.

    Raises:
        HeadstartError: as [`train`][headstart.runs.run.train]; or another process trains it.
    """
    from headstart.runs.run import train

    with claimed(root, name, logs=logs) as held:
        out, listener = root / name, After(listener, measured)
        train(runs[name], out, listener, CHECKPOINT_SECONDS, cache, dataset=dataset, claim=held)
