"""SLURM's side of a study: what users ask of it, the script of an array, and what it answers.

Nothing here knows how far a study is. The script names the study's folder and its units; a task of
the array starts the worker of one unit ([`headstart.studies.worker`][]).
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.errors import Finding, HeadstartError, UsageError

WORKER = "headstart.studies.worker"
"""The module that a task runs."""
SIGNAL_SECONDS = 90
"""How long before its time limit a job is told to save."""
_SECONDS = 60.0  # for an answer of SLURM's commands
_OURS = {
    "array": "headstart gives each run a task of an array",
    "chdir": "jobs work where the command was given",
    "error": "logs are beside the study's claims",
    "job-name": "jobs are found by their name",
    "no-requeue": "a job that loses its node goes on with its last checkpoint",
    "nodes": "a run trains on one machine",
    "ntasks": "a run is one process",
    "open-mode": "a log goes on when its job starts again",
    "output": "logs are beside the study's claims",
    "parsable": "headstart reads the answer",
    "requeue": "it is set",
    "signal": "a job is told to save before its time limit",
    "wrap": "the script is headstart's",
}
_GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "tres-per-task")


def parse_slurm(text: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return SLURM's options as ``sbatch`` names them.

    Args:
        text: ``"partition=gpu,time=2:00:00"``, or a mapping. A piece without ``=`` belongs to the
            value before it, as in ``exclude=n1,n2``.

    Raises:
        UsageError: it is not understood, or names an option that headstart sets; every one is
            named.

    >>> parse_slurm("partition=gpu,exclude=n1,n2,time=2:00:00,exclusive=")
    {'partition': 'gpu', 'exclude': 'n1,n2', 'time': '2:00:00', 'exclusive': ''}
    """
    options: dict[str, str] = {}
    findings = []
    pairs: list[tuple[str, str]] = []
    if isinstance(text, Mapping):
        pairs = [(str(name), str(value)) for name, value in text.items()]
    else:
        for piece in (text or "").split(",") if text else ():
            name, equals, value = piece.partition("=")
            if equals:
                pairs.append((name, value))
            elif pairs:
                pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{piece}")
            else:
                pairs.append((piece, ""))
    for name, value in pairs:
        key = name.strip().lstrip("-").replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z-]*", key) or "\n" in value:
            message = f"--slurm {name}={value} is not understood"
            hint = "give sbatch's options by their long names: --slurm partition=gpu,time=2:00:00"
            findings.append(Finding("bad-slurm", "error", message, hint))
        elif key == "cpus-per-task" and not re.fullmatch("[1-9][0-9]{0,3}", value):
            message = f"--slurm {key}={value}; expected a number from 1"
            findings.append(Finding("bad-slurm", "error", message, "such as cpus-per-task=4"))
        elif key in _OURS:
            message = f"--slurm {key} cannot be set: {_OURS[key]}"
            findings.append(Finding("bad-slurm", "error", message, f"leave {key} out"))
        options[key] = value
    if findings:
        raise UsageError(findings)
    return options


def asks_for_gpu(options: Mapping[str, str]) -> bool:
    """Return whether SLURM's options ask for a GPU."""
    return any("gpu" in f"{name}={options[name]}" for name in _GPUS if name in options)


def script(
    name: str,
    units: Sequence[str],
    study: Path,
    folder: Path,
    options: Mapping[str, str],
    threads: int,
    gpu: bool,
    at_once: int | None,
    checkpoint_seconds: float,
) -> str:
    """Return the script of an array with one task for each unit.

    Args:
        name: of the jobs.
        units: names of the units, in the order in which they should begin.
        study: folder of the study.
        folder: folder for the logs.
        options: of ``sbatch``, from the user.
        threads: CPU threads of a run.
        gpu: whether a run needs a GPU.
        at_once: how many tasks may run at a time; None: as many as SLURM starts.
        checkpoint_seconds: seconds between checkpoints.
    """
    throttle = "" if at_once is None else f"%{at_once}"
    asked = {
        "job-name": name,
        "array": f"0-{len(units) - 1}{throttle}",
        "ntasks": "1",
        "cpus-per-task": str(threads),
        "output": f"{folder / '%A_%a.log'}",
        "open-mode": "append",
        "requeue": "",
        "signal": f"B:USR1@{_warning_seconds(options.get('time'))}",
    }
    if gpu and not asks_for_gpu(options):
        asked["gres"] = "gpu:1"
    asked |= dict(options)
    lines = ["#!/bin/bash"]
    lines += [f"#SBATCH --{k}" + (f"={_quoted(v)}" if v else "") for k, v in asked.items()]
    lines += ["units=(", *(f"  {shlex.quote(unit)}" for unit in units), ")"]
    worker = [sys.executable, "-m", WORKER, str(study.resolve())]
    command = " ".join(shlex.quote(word) for word in worker)
    lines += [
        # python takes the shell's place, so that it hears SLURM's signals itself
        f'exec {command} "${{units[$SLURM_ARRAY_TASK_ID]}}" --executor slurm \\',
        f'  --job "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" '
        f"--checkpoint-seconds {checkpoint_seconds:g}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """Quote a value for a line of SBATCH, which understands double quotes but no shell."""
    return value if re.fullmatch(r"[^\s\"'#]+", value) else '"' + value.replace('"', '\\"') + '"'


def _warning_seconds(time: str | None) -> int:
    """Return how long before the time limit a job saves: a third of a short limit at most."""
    limit = seconds_of(time) if time else None
    return SIGNAL_SECONDS if limit is None else max(1, min(SIGNAL_SECONDS, int(limit / 3)))


def seconds_of(time: str) -> float | None:
    """Return a time limit in seconds; None if it is not one, or has no end.

    >>> [seconds_of(t) for t in ("90", "1:30", "2:00:00", "1-12", "1-0:30", "infinite")]
    [5400.0, 90.0, 7200.0, 129600.0, 88200.0, None]
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if match is None:
        return None
    days, *rest = (int(part) if part else None for part in match.groups())
    first, second, third = rest[0] or 0, rest[1], rest[2]
    if days is not None:
        return days * 86400.0 + first * 3600 + (second or 0) * 60 + (third or 0)
    if second is None:
        return first * 60.0
    if third is None:
        return first * 60.0 + second
    return first * 3600.0 + second * 60 + third


class SlurmError(HeadstartError):
    """One of SLURM's commands failed."""


def ask(*words: str, text: str | None = None) -> str:
    """Return what one of SLURM's commands prints.

    Raises:
        SlurmError: it failed, is missing, or gave no answer.
    """
    try:
        answer = subprocess.run(
            words, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        message = f"this machine has no {words[0]}"
        hint = "give the command where SLURM's commands are, or train with --on local"
        raise SlurmError(Finding("no-slurm", "error", message, hint)) from error
    except subprocess.TimeoutExpired as error:
        message = f"SLURM did not answer {words[0]} in {_SECONDS:.0f} s"
        raise SlurmError(Finding("slurm", "error", message, "try again later")) from error
    if answer.returncode:
        said = " ".join(answer.stderr.split()) or f"exit status {answer.returncode}"
        hint = "change what --slurm asks for, or try again later"
        raise SlurmError(Finding("slurm", "error", said, hint))
    return answer.stdout


def most_in_an_array() -> int:
    """Return how many tasks an array may have (SLURM's ``MaxArraySize``, often 1,001)."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"), re.MULTILINE)
    return int(match[1]) if match else 1001


@dataclass(frozen=True)
class Queued:
    """A job that SLURM has not ended.

    Attributes:
        job: its name, such as ``17_3``.
        name: the name of its array.
        state: such as ``"PENDING"``.
        reason: why it is pending.
    """

    job: str
    name: str
    state: str
    reason: str

    @property
    def task(self) -> int:
        """Its place in the array."""
        return int(self.job.partition("_")[2] or 0)


def queue(user: int, prefix: str) -> dict[str, Queued]:
    """Return the jobs of a user that have not ended, by job, whose name begins with ``prefix``.

    Raises:
        SlurmError: SLURM gave no answer.
    """
    found = {}
    for line in ask("squeue", "-h", "-r", "-u", str(user), "-o", "%i|%T|%r|%j").splitlines():
        job, state, reason, name = line.split("|", 3)
        if name.startswith(prefix):
            found[job] = Queued(job, name, state, reason)
    return found


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        state: such as ``"COMPLETED"``, ``"FAILED"``, ``"CANCELLED"``; "" if SLURM no longer knows.
        status: exit status.
        node: the machine.
    """

    state: str = ""
    status: int = 0
    node: str = ""


def how_it_ended(job: str) -> Ended:
    """Return how a job ended, as the controller remembers it, else as accounting does."""
    try:
        line = ask("scontrol", "show", "job", "-o", job)
        facts = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
        found = facts.get("JobState", ""), facts.get("ExitCode", ""), facts.get("NodeList", "")
    except SlurmError:
        try:
            line = ask("sacct", "-n", "-P", "-X", "-j", job, "-o", "State,ExitCode,NodeList")
            state, code, node = (line.splitlines() or ["||"])[-1].split("|")[:3]
        except (SlurmError, ValueError):  # no accounting
            return Ended()
        found = state.split(" ")[0], code, node
    state, code, node = found
    number = code.partition(":")[0]
    return Ended(state, int(number) if number.isdecimal() else 0, node.replace("(null)", ""))
