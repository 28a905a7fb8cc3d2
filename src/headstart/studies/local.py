"""Executors on this machine: this process itself, or processes of its own."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Protocol, runtime_checkable

from headstart.errors import Finding, HeadstartError, InterruptedRun, OutOfMemory
from headstart.studies.executor import End
from headstart.studies.room import Place, Room, Seat, Taken, taken, taken_after
from headstart.studies.units import Unit
from headstart.system.devices import CudaDevice, free_device_memory, visible_to_new_processes
from headstart.system.memory import out_of_memory
from headstart.system.signals import Stopping
from headstart.training.listener import ignore

LOCAL = "local"
Train = Callable[[str], object]
"""Trains the unit with this name."""
Measure = Callable[[], Taken]


@runtime_checkable
class TrainAndMeasure(Protocol):
    """Trains a unit, and says when it has trained an epoch. It is pickled for other processes."""

    def __call__(self, name: str, /, *, measured: Callable[[], None]) -> object:
        """Train the unit with this name, and call ``measured`` after each epoch."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def failure_of(error: Exception) -> HeadstartError:
    """Return any error of a training as one for people."""
    if isinstance(error, HeadstartError):
        return error
    if out_of_memory(error):
        hint = "choose fewer --jobs, a smaller --size, or a smaller batch in a recipe of your own"
        return OutOfMemory(Finding("memory", "error", "out of memory", hint))
    message = f"{type(error).__name__}: {error}"
    return HeadstartError(Finding("run-failed", "error", message, "see the end of its log"))


class ThisProcess:
    """Trains one unit at a time in this process, whose signals the training hears itself.

    Args:
        train: trains a unit.
    """

    name = LOCAL
    places = 1

    def __init__(self, train: Train) -> None:
        self._train = train
        self._unit: Unit | None = None

    def submit(self, unit: Unit, /) -> None:
        """Keep a unit for the next call of `ends`."""
        assert self._unit is None
        self._unit = unit

    def ends(self, seconds: float, /) -> list[End]:
        """Train the unit; without one, wait."""
        if self._unit is None:
            time.sleep(seconds)
            return []
        unit, self._unit = self._unit, None
        try:
            self._train(unit.name)
        except Exception as error:  # other runs may do better
            return [End(unit.name, failure_of(error))]
        return [End(unit.name)]

    def stop(self) -> None:
        """Do nothing: the training hears the signal itself."""

    def close(self) -> None:
        """Do nothing: there is no other process."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    seat: Seat
    unit: str | None = None


class Processes:
    """Trains units in processes of their own, which end with this one.

    A process is kept for the next unit, because loading libraries takes seconds. One that dies is
    replaced; the others do not notice. Processes are spread over the devices, and each sees one
    device alone. A unit waits until there is memory for it ([`headstart.studies.room`][]).

    Args:
        train: trains a unit.
        places: how many processes train at most.
        devices: the devices that they share; none: they see what this process sees.
        tell: receives a line where memory suffices for fewer than ``places``, once a device.
        measure: measure what a process takes, and what it has taken after a unit.
    """

    name = LOCAL

    def __init__(
        self,
        train: TrainAndMeasure,
        places: int,
        devices: Sequence[CudaDevice] = (),
        tell: Callable[[str], object] = ignore,
        measure: tuple[Measure, Measure] = (taken, taken_after),
    ) -> None:
        self.places = places
        self._train, self._measure = train, measure
        self._room = Room(places, devices, tell)
        free_device_memory()  # of this process, which may have timed a few steps
        self._waiting: list[str] = []
        self._dropped: list[str] = []
        self._workers: list[_Worker] = []
        self._context = multiprocessing.get_context("spawn")

    def submit(self, unit: Unit, /) -> None:
        """Train a unit as soon as there is memory for it."""
        self._waiting.append(unit.name)
        self._begin()

    def _begin(self) -> None:
        while self._waiting:
            busy = [worker.seat for worker in self._workers if worker.unit is not None]
            idle = [worker for worker in self._workers if worker.unit is None]
            place = self._room.next(busy, [worker.seat for worker in idle])
            if place is None:
                return
            here = [worker for worker in idle if worker.seat.place is place]
            worker = here[0] if here else self._started(place)
            try:
                worker.connection.send(self._waiting[0])
            except OSError:  # it was killed while it had nothing to do
                self._gone(worker)
                continue
            worker.unit = self._waiting.pop(0)

    def _started(self, place: Place) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._train, *self._measure))
        # signals are blocked in a process that begins, until it listens to them
        with _signals_blocked(), visible_to_new_processes(place.device):
            process.start()
        theirs.close()
        worker = _Worker(process, ours, Seat(place))
        self._workers.append(worker)
        return worker

    def _gone(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.join()
        worker.connection.close()

    def ends(self, seconds: float, /) -> list[End]:
        """Return the ends of the next units, or nothing after some seconds."""
        self._begin()
        dropped, self._dropped = [End(unit) for unit in self._dropped], []
        busy = [worker for worker in self._workers if worker.unit is not None]
        if not busy and not dropped:
            time.sleep(seconds)
        if not busy or dropped:
            return dropped
        wait_for([each for w in busy for each in (w.connection, w.process.sentinel)], seconds)
        found = [self._end_of(worker) for worker in busy]
        return [end for end in found if end is not None]

    def _end_of(self, worker: _Worker) -> End | None:
        assert worker.unit is not None
        unit, dead = worker.unit, not worker.process.is_alive()  # it may send its last word now
        try:
            while worker.connection.poll():
                said: _Said = worker.connection.recv()
                self._room.learn(worker.seat, said.taken, trained=not said.ended)
                if not said.ended:
                    continue
                worker.unit = None
                if isinstance(said.error, InterruptedRun):  # it leaves: the signal was meant for it
                    self._gone(worker)
                return End(unit, said.error)
        except (EOFError, OSError, pickle.UnpicklingError):
            dead = True
        if not dead:
            return None
        self._gone(worker)
        return End(unit, died=_died(worker.process.exitcode))

    def stop(self) -> None:
        """Send SIGTERM to the processes that train; what waits for memory ends untried."""
        self._dropped += self._waiting
        self._waiting.clear()
        for worker in self._workers:
            if worker.unit is not None:
                worker.process.terminate()

    def close(self) -> None:
        """End all processes; what they train is saved."""
        self.stop()
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.connection.send(None)
        while self._workers:
            self._gone(self._workers[-1])


@dataclass(frozen=True)
class _Said:
    """What a process says: what it takes, and, after a unit, what that raised."""

    taken: Taken
    ended: bool = False
    error: HeadstartError | None = None


def _died(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"was ended by {name}" + ", perhaps out of memory" * (name == "SIGKILL")
    return f"ended with status {status}"


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection,
    train: TrainAndMeasure,
    measure: Measure,
    measure_after: Measure,
) -> None:
    """Train the units whose names arrive, until None does, and send what each took and raised."""
    _listen()

    def measured() -> None:
        connection.send(_Said(measure()))

    while (name := connection.recv()) is not None:
        error: HeadstartError | None = None
        try:
            train(name, measured=measured)
        except Exception as raised:  # the coordinator decides what it means
            error = failure_of(raised)
        connection.send(_Said(measure_after(), True, error))
        if isinstance(error, InterruptedRun):
            return


def _listen() -> None:
    """Prepare a worker process: listen to signals, and exit with the parent process.

    An orphan would keep its run's folder locked. A second Ctrl-C is the parent's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Stopping().__enter__()  # for as long as the process lives
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    with contextlib.suppress(OSError, ValueError):  # no file behind stderr
        faulthandler.enable()  # a crash in native code says in its log where it was
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
