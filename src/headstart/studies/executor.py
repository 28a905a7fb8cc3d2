"""What an executor is: it trains units somewhere, and says when each has ended.

An executor knows nothing of studies. It starts a worker for a unit, on this machine or on another
that sees the same folder; the worker claims the unit, trains it and leaves its records there
([`headstart.studies.worker`][]). The coordinator reads the folder
([`headstart.studies.coordinator`][]), so nothing but the end of a worker needs to be heard of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from headstart.errors import HeadstartError
from headstart.studies.units import Unit


@dataclass(frozen=True)
class End:
    """A worker has ended.

    Attributes:
        unit: name of its unit.
        error: what it raised, where it could say so: [`LockedError`][headstart.errors.LockedError]
            if another process trains the unit,
            [`InterruptedRun`][headstart.errors.InterruptedRun] after a signal.
        died: how it ended without a word, in words; "" if it did not.
        job: the executor's name for the worker, as in its claim; None for a process of this
            machine, which is known by its number.
    """

    unit: str
    error: HeadstartError | None = None
    died: str = ""
    job: str | None = None


@runtime_checkable
class Executor(Protocol):
    """Trains units.

    Attributes:
        name: ``"local"`` or that of a cluster; it stands in claims and in ``environment.json``.
        places: how many units it can be given at a time.
    """

    name: str
    places: int

    def submit(self, unit: Unit, /) -> None:
        """Start a worker for a unit; only while fewer than ``places`` are at work.

        Raises:
            HeadstartError: no worker can be started, now or later.
        """

    def ends(self, seconds: float, /) -> list[End]:
        """Return the workers that have ended since the last call; wait for one, but not longer."""

    def stop(self) -> None:
        """Ask all workers to save and end; their ends are heard of as usual."""

    def close(self) -> None:
        """Leave no worker behind that would go on without this process, unless it is meant to."""
