"""How far a study is, read from its folder: by anybody, on any machine, while others work on it.

Nothing is written and no claim is taken, so the disk may be read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.config.files import holds_study, read_study_config
from headstart.config.records import StudyConfig
from headstart.errors import DataError, Finding
from headstart.records.run_records import METRICS, TIMING, read_metrics, read_timing
from headstart.records.vouching import CONFIG
from headstart.runs.folder import is_finished
from headstart.studies.cells import cells
from headstart.studies.ledger import Ledger, read_lines
from headstart.studies.units import Unit, read_units
from headstart.system.attempts import Attempt, Ending, attempts, last_lines, silent_for
from headstart.system.claims import DEAD_AFTER
from headstart.tasks.lookup import labelled_task, task_named

State = Literal["done", "running", "silent", "failed", "waiting"]
_BAD = ("failed", "died")


@dataclass(frozen=True)
class UnitStatus:
    """How far one run or pretext is.

    Attributes:
        name: its folder inside the study's.
        about: what it is, in words.
        pretext: whether it is a pretext.
        state: ``"silent"``: it is claimed, but its holder is gone, or has given no sign of life for
            longer than a coordinator waits; one that is at work takes it over.
        step: optimizer steps that its records show.
        steps: the most that it takes.
        host: the machine that trains it, or did when it failed.
        executor: what started it there.
        job: its name there.
        since: when it began, by that machine's clock.
        heard: seconds since the last sign of life, as far as the two machines' clocks agree.
        tries: how often it has failed.
        code: of the error that it ended with; "" without one.
        reason: the error, in words.
        log: the end of its log, if it failed.
    """

    name: str
    about: str
    pretext: bool
    state: State
    step: int = 0
    steps: int = 0
    host: str = ""
    executor: str = ""
    job: str | None = None
    since: str = ""
    heard: float | None = None
    tries: int = 0
    code: str = ""
    reason: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is.

    Attributes:
        folder: the study's folder.
        runs: how many runs it has.
        done: how many are finished.
        seconds: what finished and running ones have taken so far, together.
        seconds_left: what the rest takes, as many units at a time as now. Runs and pretexts are
            timed separately; until one kind has taken a step, the other's pace is used. None until
            either has.
        units: its runs and pretexts. Studies of older versions do not tell their pretexts.
    """

    folder: Path
    runs: int
    done: int
    seconds: float
    seconds_left: float | None
    units: tuple[UnitStatus, ...]

    def in_state(self, *states: State) -> tuple[UnitStatus, ...]:
        """Return the units in these states."""
        return tuple(unit for unit in self.units if unit.state in states)

    def to_json(self) -> dict[str, Any]:
        """Return the status as an object of schema 1."""
        return {
            "schema": 1,
            "folder": str(self.folder),
            "runs": self.runs,
            "done": self.done,
            "seconds": self.seconds,
            "seconds_left": self.seconds_left,
            "units": [{**vars(unit), "log": list(unit.log)} for unit in self.units],
        }


def study_status(out: Path, starting: int = 0) -> StudyStatus:
    """Read how far the study in a folder is.

    Args:
        out: the study's folder.
        starting: how many units are about to start beside those that run, in the places of others
            that have just ended. They count for the time left.

    Raises:
        DataError: the folder holds no study, or a record is damaged.
    """
    path = out / CONFIG
    if not path.exists() or not holds_study(path):
        message = f"{out} holds no study"
        hint = "give the folder of a study, made with headstart study --out"
        raise DataError(Finding("not-a-study", "error", message, hint))
    config, ledger = read_study_config(path), read_lines(out)
    units = read_units(out) or tuple(
        Unit(name=cell.run, about=str(cell), seed=cell.seed) for cell in cells(config)
    )
    states = tuple(_status(out, config, unit, ledger) for unit in units)
    runs = [state for state in states if not state.pretext]
    done = sum(state.state == "done" for state in runs)
    seconds, left = _times(out, units, states, starting)
    return StudyStatus(out, len(runs), done, seconds, left, states)


def _status(out: Path, config: StudyConfig, unit: Unit, ledger: Ledger) -> UnitStatus:
    folder, kind = out / unit.name, labelled_task(config.task)
    task = kind if unit.pretext is None else task_named("pretext")
    facts: dict[str, Any] = {
        "name": unit.name,
        "about": unit.about,
        "pretext": unit.pretext is not None,
        "step": _step(folder, unit),
        "steps": unit.length,
    }
    if unit.name in ledger or is_finished(folder, task.finished):
        return UnitStatus(**facts, state="done")
    known = attempts(out, unit.name)
    bad = [a for a in known if a.ending is not None and _is_bad(a.ending)]
    if known and known[-1].ending is None:
        return UnitStatus(**facts, **_of_holder(known[-1]), tries=len(bad))
    if bad and bad[-1] is known[-1] and bad[-1].ending is not None:
        ending = bad[-1].ending
        return UnitStatus(
            **facts,
            state="failed",
            host=ending.host,
            tries=len(bad),
            code=ending.code,
            reason=ending.message,
            log=last_lines(bad[-1].folder),
        )
    return UnitStatus(**facts, state="waiting", tries=len(bad))


def _is_bad(ending: Ending) -> bool:
    """Whether an attempt failed: a time limit that was too short is a failure, a Ctrl-C is not."""
    return ending.outcome in _BAD or (ending.outcome, ending.code) == ("interrupted", "time-limit")


def _of_holder(attempt: Attempt) -> dict[str, Any]:
    holder, heard = attempt.holder, silent_for(attempt)
    if holder is None:
        return {"state": "silent", "heard": heard}
    gone = holder.is_gone or heard is None or heard > DEAD_AFTER
    return {
        "state": "silent" if gone else "running",
        "host": holder.host,
        "executor": holder.executor,
        "job": holder.job,
        "since": holder.since,
        "heard": heard,
    }


def failed_units(out: Path) -> tuple[UnitStatus, ...]:
    """Return the runs and pretexts of a study that failed and are not finished since.

    Raises:
        DataError: a record of the study is damaged.
    """
    return study_status(out).in_state("failed")


def _parts(folder: Path, unit: Unit) -> list[Path]:
    """Return the folders with the records of a unit's trainings: one for each fold."""
    return sorted(folder.glob("fold-*")) if unit.trainings > 1 else [folder]


def _step(folder: Path, unit: Unit) -> int:
    steps = 0
    for part in _parts(folder, unit):
        try:
            rows = read_metrics(part) if (part / METRICS).exists() else ()
        except DataError:  # being written, or damaged: whoever trains it says so
            continue
        steps += int(rows[-1]["step"]) if rows else 0
    return steps


def _times(
    out: Path, units: Sequence[Unit], states: Sequence[UnitStatus], starting: int
) -> tuple[float, float | None]:
    """Return the seconds spent so far, and those left at the same pace."""
    seconds, steps, left = ({True: 0.0, False: 0.0} for _ in range(3))  # of pretexts, of runs
    for unit, state in zip(units, states, strict=True):
        for part in _parts(out / unit.name, unit):
            try:
                lines = read_timing(part) if (part / TIMING).exists() else ()
            except DataError:
                continue
            seconds[state.pretext] += sum(line.seconds for line in lines)
            steps[state.pretext] += sum(line.steps for line in lines)
        if state.state not in ("done", "failed"):
            left[state.pretext] += max(0, unit.length - state.step)
    spent, at_work = sum(seconds.values()), sum(state.state == "running" for state in states)
    waiting = sum(state.state in ("waiting", "silent") for state in states)
    if not any(left.values()):
        return spent, 0.0
    if not any(steps.values()):
        return spent, None
    told_by = {kind: kind if steps[kind] else not kind for kind in left}
    work = sum(left[kind] * seconds[by] / steps[by] for kind, by in told_by.items())
    return spent, work / max(1, at_work + min(starting, waiting))
