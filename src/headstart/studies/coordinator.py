"""The coordinator: gives the units of a study to an executor until all are finished.

Several coordinators may work on one folder, on machines that do not know of each other. Each looks
at the folder for what is finished, held or free, whoever did it; workers claim each unit before
they train it ([`headstart.system.claims`][]). A unit whose holder died is free again. One that
failed is tried again where that may help, ``MOST_TRIES`` times in all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import (
    DiskError,
    Finding,
    HeadstartError,
    InterruptedRun,
    LockedError,
    MissingExtraError,
)
from headstart.studies.executor import End, Executor
from headstart.studies.units import Unit, queue_of
from headstart.system.attempts import Attempt, Ending, attempts
from headstart.system.claims import Watch, end
from headstart.system.signals import Stopping

MOST_TRIES = 3
"""How often a unit is tried at most: once, and twice again."""
POLL = 1.0
"""Seconds between two looks at the folder."""
_TICK = 0.2  # seconds between two looks at signals
_BAD = ("failed", "died", "interrupted")


@dataclass
class Progress:
    """How far the units are, as one coordinator sees it.

    Attributes:
        finished: names of the finished units.
        failed: how each unit ended that is not tried again.
        held: units that others train, with who does.
    """

    finished: set[str] = field(default_factory=set)
    failed: dict[str, Ending] = field(default_factory=dict)
    held: dict[str, Attempt] = field(default_factory=dict)


class Coordinator:
    """Trains units through an executor.

    Args:
        root: the folder that holds the units' folders and their claims.
        units: the units, each after what it needs.
        is_finished: whether a unit is finished, by its files.
        executor: trains them.
        stopping: checked before each unit; then the executor is stopped.
        tell: receives a line when a unit fails, or is waited for.

    Attributes:
        units: the units.
        progress: how far it is.
    """

    def __init__(
        self,
        root: Path,
        units: Sequence[Unit],
        is_finished: Callable[[Unit], bool],
        executor: Executor,
        stopping: Stopping,
        tell: Callable[[str], None],
    ) -> None:
        self.progress = Progress()
        self._root, self.units, self._is_finished = root, list(units), is_finished
        self._executor, self._stopping, self._tell = executor, stopping, tell
        self._queue, self._names = queue_of(units), {unit.name for unit in units}
        self._running: dict[str, Unit] = {}
        self._ends: Counter[str] = Counter()  # bad ones, of this coordinator's own workers
        self._last: dict[str, Ending] = {}
        self._not_before: dict[str, float] = {}
        self._watch, self._looked, self._waited_for = Watch(), 0.0, ""
        self._fatal: HeadstartError | None = None
        # the same command tries failed units again: what ended before it began does not count
        self._before = {unit.name: self._ended_attempts(unit) for unit in units}

    def work(self) -> Generator[Unit]:
        """Train the units, and yield each when it is finished, whoever trained it.

        It ends when every unit is finished, has failed, or needs one that has; and early on a
        signal, after running units are saved.

        Raises:
            HeadstartError: the disk or an installed package stops every unit; finished ones are
                kept.
        """
        stopped = False
        try:
            while True:
                yield from self._look()
                self._submit()
                if self._stopping.asked() and not stopped:
                    stopped = True
                    self._executor.stop()
                if not self._running and (not self._begins_more() or not self._left()):
                    break
                self._say_what_is_waited_for()
                for ended in self._executor.ends(_TICK):
                    self._hear(ended)
        finally:
            self._executor.close()
        if self._fatal is not None:
            raise self._fatal

    def blocked(self) -> list[Unit]:
        """Return the units that were not tried because one that they need has failed."""
        return [unit for unit in self.units if self._is_blocked(unit)]

    def _begins_more(self) -> bool:
        return self._fatal is None and not self._stopping.asked()

    def _is_blocked(self, unit: Unit) -> bool:
        return any(need in self.progress.failed for need in unit.needs)

    def _left(self) -> list[Unit]:
        """Return the units that are to be finished yet, running ones included."""
        over = self.progress.finished | self.progress.failed.keys()
        return [u for u in self.units if u.name not in over and not self._is_blocked(u)]

    def _could_begin(self) -> list[Unit]:
        """Return the units whose pretexts are finished, which this coordinator does not train."""
        waits_for = self._names - self.progress.finished
        return [
            unit
            for unit in self._left()
            if unit.name not in self._running and waits_for.isdisjoint(unit.needs)
        ]

    def _look(self) -> Generator[Unit]:
        """Yield the units that were finished meanwhile; find out which others are held."""
        now = time.monotonic()
        if now - self._looked < POLL:
            return
        self._looked = now
        while True:  # until no finished pretext makes another unit ready
            found = [unit for unit in self._could_begin() if self._state(unit) == "finished"]
            if not found:
                return
            for unit in found:
                self.progress.finished.add(unit.name)
                yield unit

    def _state(self, unit: Unit) -> str:
        if self._is_finished(unit):
            self.progress.held.pop(unit.name, None)
            return "finished"
        known = attempts(self._root, unit.name)
        if known and known[-1].ending is None:
            if not self._watch.is_dead(known[-1]):
                self.progress.held[unit.name] = known[-1]
                return "held"
            end(known[-1].folder, _died(known[-1]))
            known = attempts(self._root, unit.name)
        self.progress.held.pop(unit.name, None)
        later = [a.ending for a in known if a.number > self._before[unit.name] and a.ending]
        bad = [ending for ending in later if ending.outcome in _BAD]
        self._judge(unit, bad[-1] if bad else None, len(bad))
        return "failed" if unit.name in self.progress.failed else "free"

    def _judge(self, unit: Unit, last: Ending | None, tries: int) -> None:
        """Give a unit up, if trying it again helps no more."""
        last, tries = last or self._last.get(unit.name), max(tries, self._ends[unit.name])
        if last is None:
            return
        if tries >= MOST_TRIES or not last.again:
            self.progress.failed[unit.name] = last
            self._tell(f"{unit.about} failed: {last.message}")

    def _ended_attempts(self, unit: Unit) -> int:
        ended = [a.number for a in attempts(self._root, unit.name) if a.ending is not None]
        return max(ended, default=0)

    def _submit(self) -> None:
        tried: set[str] = set()
        while len(self._running) < self._executor.places and self._begins_more():
            now = time.monotonic()
            ready = [
                unit
                for unit in self._could_begin()
                if unit.name not in self.progress.held
                and unit.name not in tried
                and self._not_before.get(unit.name, 0.0) <= now
            ]
            if not ready:
                return
            unit = self._queue.next(ready, self._left(), self._executor.places)
            tried.add(unit.name)
            if self._state(unit) != "free":  # another was faster; the next look takes it up
                continue
            try:
                self._executor.submit(unit)
            except HeadstartError as error:
                self._fatal = error
                return
            self._running[unit.name] = unit

    def _hear(self, ended: End) -> None:
        """Take note of a worker's end; what became of its unit is read from the folder."""
        unit, self._looked = self._running.pop(ended.unit), 0.0
        error = ended.error
        if isinstance(error, DiskError | MissingExtraError):
            self._fatal = self._fatal or error
        elif isinstance(error, LockedError):
            self._not_before[unit.name] = time.monotonic() + 2 * POLL
        elif ended.died:
            if self._is_finished(unit) or self._said_itself(unit, ended):
                return
            self._end_claim_of(unit, ended)
            self._ends[unit.name] += 1
            self._last[unit.name] = _ending(f"its process {ended.died}")
            self._tell(f"{unit.about}: {self._last[unit.name].message}")
        elif error is not None and not (
            isinstance(error, InterruptedRun) and self._stopping.asked()
        ):
            first = error.findings[0]
            self._ends[unit.name] += not isinstance(error, InterruptedRun)  # which its claim counts
            again = isinstance(error, InterruptedRun) or first.code in ("memory", "run-failed")
            said = (first.code, first.message, first.hint, again, error.exit_status)
            self._last[unit.name] = Ending("failed", *said)
            if again:
                self._tell(f"{unit.about}: {first.message}")

    def _said_itself(self, unit: Unit, ended: End) -> bool:
        """Return whether a job left its claim with a word; then the folder says how it ended."""
        return any(
            attempt.ending is not None
            and attempt.ending.code  # without one, it left for another reason than its unit
            and attempt.number > self._before[unit.name]
            and attempt.holder is not None
            and attempt.holder.job == ended.job is not None
            for attempt in attempts(self._root, unit.name)[-1:]
        )

    def _end_claim_of(self, unit: Unit, ended: End) -> None:
        """End the claim that a dead worker left, if it is known to be its own."""
        for attempt in attempts(self._root, unit.name)[-1:]:
            holder = attempt.holder
            if attempt.ending is None and holder is not None:
                its_job = ended.job is not None and holder.job == ended.job
                if holder.is_gone or its_job:
                    end(attempt.folder, _ending(f"its process {ended.died}", holder.host))

    def _say_what_is_waited_for(self) -> None:
        held = self.progress.held
        if self._running or not held:
            return
        hosts = sorted({attempt.holder.host for attempt in held.values() if attempt.holder})
        who = f" on {', '.join(hosts)}" if hosts else ""
        words = f"waiting for {len(held)} that others train{who}: {', '.join(sorted(held))}"
        if words != self._waited_for:
            self._waited_for = words
            self._tell(words)


def _died(attempt: Attempt) -> Ending:
    """Return how the attempt of a dead holder ended."""
    if attempt.holder is None:
        return _ending("its process died before it said who it is")
    how = "is gone" if attempt.holder.is_gone else "gives no sign of life"
    return _ending(f"its process {how} (on {attempt.holder.host})", attempt.holder.host)


def _ending(message: str, host: str = "") -> Ending:
    hint = "look at the end of its log; if memory is short, choose fewer --jobs"
    found = Finding("worker-died", "error", message, hint)
    return Ending("died", found.code, found.message, found.hint, host=host)
