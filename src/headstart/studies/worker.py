"""A worker: claims one unit of a study, trains it, and leaves.

``python -m headstart.studies.worker STUDY UNIT`` is the command of a job on a cluster. All that the
worker needs besides is in the study's folder. It ends with 0 if the unit is finished, 75 if another
process holds its claim, 130 or 143 if it was interrupted and saved, and as a command does for any
other error, which then stands in ``end.json`` of the claim, too. SLURM sends SIGUSR1 before a job's
time limit: the worker saves, and asks SLURM to start the job again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headstart.config.files import read_study_config
from headstart.config.records import PretextConfig, RunConfig
from headstart.errors import (
    DataError,
    DiskError,
    Finding,
    HeadstartError,
    InterruptedRun,
    LockedError,
    MissingExtraError,
)
from headstart.studies.local import LOCAL, failure_of
from headstart.studies.units import Unit, config_of, unit_named
from headstart.system.attempts import LOG, Ending, attempts
from headstart.system.claims import Claim, claim, end, refresh
from headstart.system.devices import pick_device
from headstart.system.disk import disk_errors
from headstart.system.host import host_name
from headstart.system.signals import Stopping
from headstart.training.listener import SILENT, After, Listener, Row, Silent, ignore

CHECKPOINT_SECONDS = 10.0
_TOO_SHORT = Finding(
    "time-limit",
    "error",
    "its time limit came before there was a new checkpoint",
    "give each job more time, such as --slurm time=1:00:00",
)


def train_unit(
    name: str,
    study: Path,
    executor: str = LOCAL,
    job: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    logs: bool = True,
    listener: Listener | None = None,
    dataset: Any = None,
    pictures: Any = None,
    measured: Callable[[], None] = ignore,
) -> None:
    """Claim and train one unit of a study, or resume it; return at once if it is finished.

    Args:
        name: the unit's folder inside the study's.
        study: folder of the study, whose ``config.json`` and ``units.json`` are there.
        executor: what started this worker.
        job: the executor's name for it.
        checkpoint_seconds: seconds between checkpoints.
        logs: whether all that this process prints goes to a log beside the claim, which is kept
            until the unit is finished.
        listener: receives progress events; by default they are printed to the log, if there is one.
        dataset: result of the task's ``open``; opened here by default.
        pictures: the same of the pretexts.
        measured: called after each epoch, when this process has taken what memory it will take.

    Raises:
        LockedError: another process holds the unit's claim, or took it over.
        UsageError: this process does not see the device that the study is for.
        InterruptedRun: SIGINT or SIGTERM was received; the state is saved.
        DataError: this machine does not see the data.
        HeadstartError: the training failed.
    """
    unit = unit_named(study, name)
    with claimed(study, name, executor, job, logs) as held:
        config = config_of(read_study_config(study / "config.json"), unit, study)
        opened = dataset if unit.pretext is None else pictures
        if executor != LOCAL:
            refuse_unseen(Path(config.data))
        heard = After(listener or (_Lines() if logs else SILENT), measured)
        heard.begins(unit.about)
        pick_device(config.device)
        _train(unit, config, study, held, heard, checkpoint_seconds, opened)


def refuse_unseen(data: Path) -> None:
    """Check that this machine sees a dataset.

    Raises:
        DataError: it does not.
    """
    if not data.exists():
        message = f"{host_name()} does not see the data: there is no {data.absolute()}"
        hint = "give DATA where all machines see it, under the same path"
        raise DataError(Finding("data-not-seen", "error", message, hint))


def _train(
    unit: Unit,
    config: RunConfig | PretextConfig,
    study: Path,
    held: Claim,
    listener: Listener,
    checkpoint_seconds: float,
    dataset: Any,
) -> None:
    from headstart.runs.cross_validation import cross_validate
    from headstart.runs.run import train

    out, cache = study / unit.name, study / "cache"
    pretexts = tuple(study / need for need in unit.needs)
    if isinstance(config, RunConfig) and config.folds is not None:
        runs = pretexts * config.folds if len(pretexts) == 1 else pretexts
        args = (checkpoint_seconds, cache, runs or None, dataset, held)
        cross_validate(config, out, listener, *args)
        return
    pretext = pretexts[0] if pretexts else None
    train(config, out, listener, checkpoint_seconds, cache, pretext, dataset, held)


@contextlib.contextmanager
def claimed(
    root: Path, name: str, executor: str = LOCAL, job: str | None = None, logs: bool = False
) -> Iterator[Claim]:
    """Hold the claim on a unit; how the block ends is how the claim ends.

    Args:
        root: folder with the claims.
        name: the unit's folder in it.
        executor: what started this process.
        job: the executor's name for it.
        logs: whether this process prints into the claim's log meanwhile.

    Raises:
        LockedError: another process holds it.
    """
    if job is not None:
        _end_earlier_start_of(job, root, name)
    held = claim(root, name, executor, job)
    if held is None:
        message = f"another process trains {name}"
        raise LockedError(Finding("claimed", "error", message, "nothing: it goes on"))
    saved = _checkpoints_in(root / name)
    try:
        with _printing_to(held.attempt / LOG) if logs else contextlib.nullcontext():
            try:
                with disk_errors(root), contextlib.suppress(FileNotFoundError):
                    refresh(root / name)  # its scores may have come from another machine
                yield held
            except BaseException as error:
                if logs and not isinstance(error, InterruptedRun | LockedError):
                    traceback.print_exc()
                raise
    except BaseException as error:
        with contextlib.suppress(HeadstartError):  # the disk may be why it ended
            held.end(_ending_of(error, _checkpoints_in(root / name) != saved))
        raise
    held.end(Ending("finished"))


def _end_earlier_start_of(job: str, root: Path, name: str) -> None:
    """End the claim that this job left when its machine was lost: it has been started again."""
    for attempt in attempts(root, name)[-1:]:
        if attempt.ending is None and attempt.holder is not None and attempt.holder.job == job:
            message = f"its machine was lost (job {job} on {attempt.holder.host})"
            end(attempt.folder, Ending("released", "worker-died", message))


def _checkpoints_in(folder: Path) -> frozenset[Path]:
    return frozenset(folder.rglob("checkpoint/step-*.json"))


def _ending_of(error: BaseException, saved: bool) -> Ending:
    """Return how a claim ends that was left by an error.

    Args:
        error: what ended it.
        saved: whether there are new checkpoints. An interruption without any counts as a failure,
            so that a time limit which is too short is not tried for ever.
    """
    if isinstance(error, InterruptedRun):
        if not saved and error.exit_status == 128 + signal.SIGUSR1:
            error = InterruptedRun(_TOO_SHORT, signal.SIGUSR1)
        return _said("released" if saved else "interrupted", error, again=True)
    if isinstance(error, LockedError | DiskError | MissingExtraError):
        return Ending("released")  # not because of this unit
    if isinstance(error, HeadstartError):
        elsewhere = error.findings[0].code == "data-not-seen"  # another machine may see it
        return _said("failed", error, again=elsewhere)
    if isinstance(error, Exception):
        return _said("failed", failure_of(error), again=True)
    return Ending("released")


def _said(outcome: Any, error: HeadstartError, again: bool) -> Ending:
    first, host = error.findings[0], host_name()
    said = (first.code, first.message, first.hint)
    return Ending(outcome, *said, again=again, status=error.exit_status, host=host)


@contextlib.contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Let all that this process prints go to a file: also what libraries in C print."""
    sys.stdout.flush()
    sys.stderr.flush()
    with disk_errors(path):
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    before = [os.dup(1), os.dup(2)]
    try:
        for number in (1, 2):
            os.dup2(log, number)
        yield
    finally:
        with contextlib.suppress(OSError):  # a full disk
            sys.stdout.flush()
            sys.stderr.flush()
        for number, old in zip((1, 2), before, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(log)


class _Lines(Silent):
    """Prints a line for each event that a log should have."""

    def begins(self, what: str) -> None:
        """Print what begins."""
        _say(what)

    def epoch(self, row: Row, timing: Row) -> None:
        """Print an epoch and its losses."""
        seconds = timing["train_seconds"] + timing["validation_seconds"]
        losses = f"{row['train_loss']:.4f}, on validation {row['validation_loss']:.4f}"
        _say(f"epoch {row['epoch']}, step {row['step']}: loss {losses}, {seconds:.1f} s")

    def resumed(self, step: int, history: list[Row]) -> None:
        """Print where the training goes on."""
        _say(f"Resuming from step {step}, after {len(history)} epochs (checkpoint verified)")

    def finding(self, finding: Finding) -> None:
        """Print a finding."""
        _say(str(finding))


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def main() -> None:
    """Train the unit that the command line names, and exit with its status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("unit", help="the unit's folder inside it")
    parser.add_argument("--executor", default=LOCAL, help="what starts this worker")
    parser.add_argument("--job", help="the executor's name for it")
    parser.add_argument("--checkpoint-seconds", type=float, default=CHECKPOINT_SECONDS)
    asked = parser.parse_args()
    with Stopping(signal.SIGUSR1) as stopping:  # SLURM's, before the time limit
        try:
            train_unit(asked.unit, asked.study, asked.executor, asked.job, asked.checkpoint_seconds)
        except HeadstartError as error:
            for finding in error.findings:
                _say(str(finding))
            if stopping.signal == signal.SIGUSR1 and _gave_back(asked.study, asked.unit):
                _start_again(asked.job)
            sys.exit(error.exit_status)


def _gave_back(study: Path, unit: str) -> bool:
    """Return whether the last attempt was interrupted after it had saved something new.

    A job whose time limit is too short for that is not started again by itself: a coordinator
    counts it as a failure, and gives up at the third.
    """
    last = attempts(study, unit)[-1:]
    return any(a.ending is not None and a.ending.outcome == "released" for a in last)


def _start_again(job: str) -> None:
    from headstart.studies.slurm import start_again

    try:
        start_again(job)
    except HeadstartError as error:  # a coordinator submits the unit again
        _say(str(error))


if __name__ == "__main__":
    main()
