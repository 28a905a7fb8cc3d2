"""What the folder of claims says of each: who held it when, and how that ended.

See [`headstart.system.claims`][]. Reading writes nothing, so the disk may be read-only.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.errors import printable
from headstart.system.host import began, this_machine

CLAIMS = "claims"
HOLDER, HEARTBEAT, END, LOG = "holder.json", "heartbeat", "end.json", "log"
Outcome = Literal["finished", "released", "interrupted", "failed", "died"]


@dataclass(frozen=True)
class Holder:
    """Who holds a claim.

    Attributes:
        token: of this claim alone.
        host: name of the machine.
        machine: see [`this_machine`][headstart.system.host.this_machine].
        pid: number of the process.
        began: when the process began, in its machine's ticks.
        executor: what started it: ``"local"``, ``"slurm"``, ...
        job: its name there.
        since: date and time by the clock of its machine, for people.
    """

    token: str
    host: str
    machine: str | None
    pid: int
    began: str | None
    executor: str
    job: str | None
    since: str

    @property
    def is_gone(self) -> bool:
        """Whether its process is known to have ended: only on its own machine."""
        here = this_machine()
        return here is not None and here == self.machine and began(self.pid) != self.began


@dataclass(frozen=True)
class Ending:
    """How the work on a claim ended.

    Attributes:
        outcome: ``"released"``: given back unfinished; ``"interrupted"``: by a signal, saved;
            ``"failed"``: by an error; ``"died"``: without a word.
        code: of the error's finding; "" without an error.
        message: the error's.
        hint: what to do about it.
        again: whether trying again may help.
        status: exit status of the error.
        host: name of the machine.
    """

    outcome: Outcome
    code: str = ""
    message: str = ""
    hint: str = ""
    again: bool = True
    status: int = 1
    host: str = ""


@dataclass(frozen=True)
class Attempt:
    """One number of a claim.

    Attributes:
        number: from 1.
        folder: its folder.
        holder: None if it was not written, or cannot be read.
        ending: None while the claim is held.
    """

    number: int
    folder: Path
    holder: Holder | None
    ending: Ending | None


def attempts(root: Path, name: str) -> tuple[Attempt, ...]:
    """Return every time that ``name`` was claimed, oldest first; writes nothing."""
    found = []
    folder = root / CLAIMS / name
    for number in numbers_in(folder):
        own = folder / str(number)
        found.append(Attempt(number, own, holder_of(own), _ending(own)))
    return tuple(found)


def last_lines(attempt: Path, count: int = 20) -> tuple[str, ...]:
    """Return the end of an attempt's log; empty if it has none."""
    try:
        with (attempt / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(printable(line) for line in text.splitlines()[-count:])


def silent_for(attempt: Attempt) -> float | None:
    """Return the seconds since the last heartbeat, as far as two clocks agree; for people."""
    try:
        return max(0.0, time.time() - (attempt.folder / HEARTBEAT).stat().st_mtime)
    except OSError:
        return None


def numbers_in(folder: Path) -> list[int]:
    """Return the numbers of a claim's folder, which may not exist."""
    try:
        return sorted(int(entry) for entry in os.listdir(folder) if entry.isdecimal())  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def last_number(folder: Path) -> int:
    """Return the last number of a claim's folder; 0 if it was never claimed."""
    return max(numbers_in(folder), default=0)


def heartbeat_of(attempt: Path) -> bytes | None:
    """Return the content of a heartbeat; None if there is none."""
    return _content(attempt / HEARTBEAT)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def holder_of(attempt: Path) -> Holder | None:
    """Return who made a number; None if it is not written yet, or cannot be read."""
    try:
        record = json.loads((attempt / HOLDER).read_bytes())
        return Holder(**{name: record[name] for name in Holder.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ending(attempt: Path) -> Ending | None:
    """Return how it ended; "died" where whoever said so was killed while writing."""
    content = _content(attempt / END)
    if content is None:
        return None
    try:
        record = json.loads(content)
        return Ending(**{k: v for k, v in record.items() if k in Ending.__dataclass_fields__})
    except (ValueError, AttributeError, TypeError):
        return Ending("died", "worker-died", "it died while it wrote how it ended")
