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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess

from headstart.errors import Finding, HeadstartError, InterruptedRun, OutOfMemory
from headstart.studies.executor import End, Executor
from headstart.studies.units import Unit
from headstart.system.memory import out_of_memory
from headstart.system.signals import Stopping

LOCAL = "local"
Train = Callable[[str], object]
"""Trains the unit with this name. For other processes, it is pickled."""
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
    unit: str | None = None


class Processes:
    """Trains units in processes of their own, which end with this one.

    A process is kept for the next unit, because loading libraries takes seconds. One that dies is
    replaced; the others do not notice.

    Args:
        train: trains a unit.
        places: how many processes at most.
    """

    name = LOCAL

    def __init__(self, train: Train, places: int) -> None:
        self.places = places
        self._train = train
        self._workers: list[_Worker] = []
        self._context = multiprocessing.get_context("spawn")

    def submit(self, unit: Unit, /) -> None:
        """Give a unit to a process that has none, or to a new one."""
        while True:
            idle = [worker for worker in self._workers if worker.unit is None]
            worker = idle[0] if idle else self._started()
            try:
                worker.connection.send(unit.name)
            except OSError:  # it was killed while it had nothing to do
                self._gone(worker)
                continue
            worker.unit = unit.name
            return

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._train))
        with _signals_blocked():  # in a process that begins, until it listens to them
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _gone(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.join()
        worker.connection.close()

    def ends(self, seconds: float, /) -> list[End]:
        """Return the ends of the next units, or nothing after some seconds."""
        busy = [worker for worker in self._workers if worker.unit is not None]
        if not busy:
            time.sleep(seconds)
            return []
        wait_for([each for w in busy for each in (w.connection, w.process.sentinel)], seconds)
        found = (self._end_of(worker) for worker in busy)
        return [end for end in found if end is not None]

    def _end_of(self, worker: _Worker) -> End | None:
        assert worker.unit is not None
        unit, dead = worker.unit, not worker.process.is_alive()  # it may send its last word now
        try:
            if worker.connection.poll():
                error = worker.connection.recv()
                worker.unit = None
                if isinstance(error, InterruptedRun):  # it leaves, as the signal was meant for it
                    self._gone(worker)
                return End(unit, error)
        except (EOFError, OSError, pickle.UnpicklingError):
            dead = True
        if not dead:
            return None
        self._gone(worker)
        return End(unit, died=_died(worker.process.exitcode))

    def stop(self) -> None:
        """Send SIGTERM to the processes that train."""
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


def _died(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"was ended by {name}" + ", perhaps out of memory" * (name == "SIGKILL")
    return f"ended with status {status}"


def executor_of(train: Train, jobs: int) -> Executor:
    """Return the executor for a number of units at a time; one is trained in this process."""
    return ThisProcess(train) if jobs == 1 else Processes(train, jobs)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, train: Train) -> None:
    """Train the units whose names arrive, until None does, and send what each raised."""
    _begin()
    while (name := connection.recv()) is not None:
        error: HeadstartError | None = None
        try:
            train(name)
        except Exception as raised:  # the coordinator decides what it means
            error = failure_of(raised)
        connection.send(error)
        if isinstance(error, InterruptedRun):
            return


def _begin() -> None:
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
