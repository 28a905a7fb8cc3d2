"""The executor that trains units as jobs of SLURM.

Each call of ``sbatch`` gives it an array with all units that can begin. A job belongs to its study,
not to this process: if the coordinator ends, its jobs go on, and the next coordinator, on any
machine that sees the folder and SLURM, finds them in SLURM's queue by their name. In the study's
folder, ``claims/slurm/N.sh`` is the script of an array, ``N.json`` its units, and ``JOB_TASK.log``
what a task printed before it claimed its unit.

A job that is preempted, or that loses its node, is started again by SLURM itself. One that is about
to reach its time limit hears SIGUSR1, saves, and asks SLURM to start it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headstart.errors import DataError, Finding, HeadstartError, InterruptedRun, LockedError
from headstart.records.vouching import parse_json
from headstart.studies.executor import End
from headstart.studies.job_script import (
    Ended,
    Queued,
    SlurmError,
    ask,
    how_it_ended,
    most_in_an_array,
    queue,
    script,
)
from headstart.studies.units import Unit
from headstart.system.attempts import CLAIMS
from headstart.system.claims import alone
from headstart.system.disk import disk_errors, write_atomic, write_json

SLURM = "slurm"
FOLDER = "slurm"
"""In the folder of claims."""
SUBMITTING = "submitting"
"""The claim that a coordinator holds while it submits."""
_LEAST_PAUSE = 2.0
_SHARE = 0.05  # of the time may be spent on asking for the queue
_OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL")
_LIMITS = ("MaxSubmit", "JobLimit", "limit on number of jobs", "Job count")
# what commands say while the controller or its database is away
_AWAY = (
    "did not answer", "Unable to contact", "Socket timed out", "Connection refused",
    "Connection timed out", "Communication connection failure", "Zero Bytes were transmitted",
    "Transport endpoint", "temporarily unable",
)  # fmt: skip
# reasons to wait that do not pass: what is asked for is more than there is, or is not allowed
_NEVER = (
    "AccountNotAllowed", "BadConstraints", "DependencyNeverSatisfied", "InvalidAccount",
    "InvalidQOS", "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "PerJob",
    "QOSNotAllowed",
)  # fmt: skip
_PLACES = 100_000


def _says(error: SlurmError, words: Sequence[str]) -> bool:
    return any(word in error.findings[0].message for word in words)


class Slurm:
    """Trains units as jobs of SLURM.

    Args:
        study: folder of the study.
        options: of ``sbatch``, from the user.
        threads: CPU threads of a run.
        gpu: whether a run needs a GPU.
        places: how many jobs at a time; None: as many as SLURM starts.
        checkpoint_seconds: seconds between checkpoints of a run.
        tell: receives a line when jobs are submitted, taken up, or left.

    Raises:
        HeadstartError: this machine has no SLURM.
    """

    name = SLURM

    def __init__(
        self,
        study: Path,
        options: Mapping[str, str],
        threads: int,
        gpu: bool,
        places: int | None,
        checkpoint_seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self.places = places or _PLACES
        self._study, self._options, self._tell = study, options, tell
        self._asked = (threads, gpu, places, checkpoint_seconds)
        self._folder = study / CLAIMS / FOLDER
        self._most = most_in_an_array()
        self._waiting: list[Unit] = []
        self._jobs: dict[str, str] = {}  # names of units, by job
        self._looked, self._pause, self._left = 0.0, _LEAST_PAUSE, False
        self._told: set[str] = set()

    def submit(self, unit: Unit, /) -> None:
        """Keep a unit for the array that the next call of `ends` submits."""
        self._waiting.append(unit)

    def ends(self, seconds: float, /) -> list[End]:
        """Submit what waits; return the jobs that SLURM says have ended."""
        if self._left:
            return self._leave()
        nothing = not self._waiting and not self._jobs
        if nothing or time.monotonic() < self._looked + self._pause:
            time.sleep(seconds)
            return []
        known = list(self._jobs)  # those that are submitted now are not in the answer yet
        waits = bool(self._waiting)
        with alone(self._study, SUBMITTING) if waits else contextlib.nullcontext():
            try:
                queued = self._queue()
            except SlurmError as error:  # the controller restarts; jobs go on meanwhile
                if not self._jobs:
                    raise
                self._say(f"SLURM gives no answer, jobs go on: {error.findings[0].message}")
                return []
            if waits:
                self._adopt(queued)
                self._submit_arrays()
        self._refuse_hopeless(queued)
        over = [j for j in known if j not in queued or queued[j].state in _OVER]
        return [self._end_of(job) for job in over]

    def stop(self) -> None:
        """Leave the jobs to SLURM: they go on, and the same command takes them up again."""
        self._left = True

    def close(self) -> None:
        """Do nothing: jobs are SLURM's."""

    def _queue(self) -> dict[str, Queued]:
        began = time.monotonic()
        try:
            return queue(os.getuid(), name_of(self._study))
        finally:
            self._looked = time.monotonic()
            self._pause = max(_LEAST_PAUSE, (self._looked - began) / _SHARE)

    def _adopt(self, queued: Mapping[str, Queued]) -> None:
        """Take up jobs that another coordinator submitted, and that wait or run."""
        waiting = {unit.name for unit in self._waiting}
        taken = {}
        for job in queued.values():
            units = self._units_of(job.name)
            unit = units[job.task] if job.task < len(units) else ""
            if job.state not in _OVER and job.job not in self._jobs and unit in waiting:
                taken[job.job] = unit
                waiting.discard(unit)
        self._jobs |= taken
        self._waiting = [unit for unit in self._waiting if unit.name in waiting]
        if taken:
            self._tell(f"took up {len(taken)} jobs that are in SLURM's queue already")

    def _units_of(self, name: str) -> list[str]:
        path = self._folder / f"{name.rpartition('.')[2]}.json"
        try:
            return [str(unit) for unit in parse_json(path.read_bytes(), path)["units"]]
        except (OSError, DataError, KeyError, TypeError):
            return []  # not of this study's: its claims were removed

    def _submit_arrays(self) -> None:
        most = self._most
        while self._waiting:
            units = self._waiting[:most]
            try:
                job = self._submit_array([unit.name for unit in units])
            except SlurmError as error:
                full = _says(error, _LIMITS)
                if full and len(units) > 1:
                    most = len(units) // 2
                    continue
                if not self._jobs or not (full or _says(error, _AWAY)):
                    raise
                self._say(f"SLURM takes no more jobs for now: {error.findings[0].message}")
                return
            self._jobs |= {f"{job}_{task}": unit.name for task, unit in enumerate(units)}
            self._waiting = self._waiting[len(units) :]
            self._tell(f"submitted {len(units)} to SLURM as job {job}")

    def _submit_array(self, units: Sequence[str]) -> str:
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            numbers = [int(p.stem) for p in self._folder.glob("*.json") if p.stem.isdecimal()]
        number = max(numbers, default=0) + 1
        write_json(self._folder / f"{number}.json", {"units": list(units)})
        path = self._folder / f"{number}.sh"
        write_atomic(path, self.script(units, number))
        try:
            return ask("sbatch", "--parsable", str(path.resolve())).strip().partition(";")[0]
        except SlurmError as error:
            if _says(error, _LIMITS):  # so nothing runs, and it is tried again and again
                path.unlink()
                path.with_suffix(".json").unlink()
            raise

    def script(self, units: Sequence[str], number: int = 1) -> str:
        """Return the script of the array of this number, with these units."""
        threads, gpu, places, seconds = self._asked
        name, folder = f"{name_of(self._study)}{number}", self._folder.resolve()
        return script(
            name, units, self._study, folder, self._options, threads, gpu, places, seconds
        )

    def _refuse_hopeless(self, queued: Mapping[str, Queued]) -> None:
        """Cancel jobs that would wait for ever, and say why."""
        own = [queued[job] for job in self._jobs.keys() & queued.keys()]
        waiting = [job for job in own if job.state == "PENDING"]
        hopeless = [job for job in waiting if any(words in job.reason for words in _NEVER)]
        if hopeless:
            ask("scancel", *sorted(job.job for job in hopeless))
            message = (
                f"{len(hopeless)} jobs would wait for ever, and were cancelled: "
                f"{', '.join(sorted({job.reason for job in hopeless}))}"
            )
            hint = "change what --slurm asks for; no node has as much, or it is not allowed"
            raise HeadstartError(Finding("slurm-never", "error", message, hint))
        for job in waiting:
            if "held" in job.reason.lower():
                self._say(f"job {job.job} is held ({job.reason}): scontrol release {job.job}")

    def _end_of(self, job: str) -> End:
        unit, ended = self._jobs.pop(job), how_it_ended(job)
        if ended.state == "COMPLETED":
            return End(unit, job=job)
        if ended.state == "FAILED" and ended.status == LockedError.exit_status:
            message = f"another process trains {unit}"
            return End(unit, LockedError(Finding("claimed", "error", message)), job=job)
        return End(unit, died=self._died(job, ended), job=job)

    def _died(self, job: str, ended: Ended) -> str:
        where = f" on {ended.node}" if ended.node else ""
        last = _last_line(self._folder / f"{job}.log")
        said = f", saying {last!r}" if last else ""
        no_log = not (self._folder / f"{job}.log").exists()
        if ended.state == "FAILED" and no_log:
            return f"could not begin{where} (job {job}): does it see {self._folder.resolve()}?"
        how = {
            "": "left SLURM's queue",
            "CANCELLED": f"was cancelled{where}",
            "FAILED": f"ended with status {ended.status}{where}",
            "NODE_FAIL": f"was lost with its machine{where}",
            "OUT_OF_MEMORY": f"ran out of memory{where}; ask for more, such as --slurm mem=8G,",
            "TIMEOUT": f"reached its time limit{where} before it saved",
        }.get(ended.state, f"ended as {ended.state}{where}")
        return f"{how} (job {job}){said}"

    def _leave(self) -> list[End]:
        names = [*self._jobs.values(), *(unit.name for unit in self._waiting)]
        if self._jobs:
            ids = sorted({job.partition("_")[0] for job in self._jobs})
            self._tell(
                f"{len(self._jobs)} jobs go on in SLURM; the same command takes them up again, and "
                f"scancel {' '.join(ids)} ends them"
            )
        self._jobs, self._waiting = {}, []
        finding = Finding("interrupted", "info", "left to SLURM")
        return [End(name, InterruptedRun(finding, signal.SIGINT)) for name in names]

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)


def name_of(study: Path) -> str:
    """Return how the names of a study's jobs begin; the number of their array follows."""
    folder = study.resolve()
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    return f"{folder.name}-{digest}."


def start_again(job: str) -> None:
    """Ask SLURM to start this job again, from the job itself, which then ends.

    Raises:
        SlurmError: SLURM refused; a coordinator submits the unit again.
    """
    ask("scontrol", "requeue", job)


def _last_line(log: Path) -> str:
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line and "slurmstepd" not in line), "")
