"""Train runs one after the other, or several at a time in processes of their own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from headstart.config.records import PretextConfig, RunConfig
from headstart.errors import Finding, HeadstartError, InterruptedRun
from headstart.runs.cross_validation import cross_validate
from headstart.runs.run import train
from headstart.system.signals import Stopping
from headstart.training.listener import SILENT, Listener

Config = RunConfig | PretextConfig
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Work:
    """One run or pretext to train.

    Attributes:
        about: what is trained, for messages and for the caller.
        out: folder of the run.
        make_config: function that returns the configuration, called once ``needs`` is finished.
        cache: folder for decoded pictures.
        checkpoint_seconds: seconds between checkpoints.
        needs: folders of the pretexts that must finish first: none, one, or one for each fold.
        dataset: the opened dataset; a worker process opens it again.
    """

    about: Any
    out: Path
    make_config: Callable[[], Config]
    cache: Path
    checkpoint_seconds: float
    needs: tuple[Path, ...] = ()
    dataset: Any = None


def working(
    works: Sequence[Work], jobs: int, listener: Listener, stopping: Stopping
) -> Generator[tuple[Work, dict[str, Any]]]:
    """Train the works, and yield each with its scores when it finishes; stop early on a signal.

    Args:
        works: runs and pretexts, each after what it needs.
        jobs: number of works at a time; one job runs in this process.
        listener: receives progress events if ``jobs`` is 1.
        stopping: checked before each work; forwarded to the worker processes.

    Raises:
        HeadstartError: of the first work that failed, or of a worker process that died or got a
            signal that this process did not get; finished works are kept.

    If the caller fails on a result, or stops asking for results, running works are saved and
    stopped.
    """
    if jobs == 1:
        for work in works:
            if stopping.asked():
                return
            listener.begins(str(work.about))
            try:
                yield work, _do(work.make_config(), work, listener)
            except InterruptedRun:
                return  # the signal is the one that stopping has recorded
        return
    yield from _in_processes(works, jobs, stopping)


def _do(config: Config, work: Work, listener: Listener) -> dict[str, Any]:
    pretexts = work.needs
    if isinstance(config, RunConfig) and config.folds is not None:
        pretexts = pretexts * config.folds if len(pretexts) == 1 else pretexts
        args = (work.checkpoint_seconds, work.cache, pretexts or None, work.dataset)
        return cross_validate(config, work.out, listener, *args)
    pretext = pretexts[0] if pretexts else None
    return train(
        config, work.out, listener, work.checkpoint_seconds, work.cache, pretext, work.dataset
    )


def _in_processes(
    works: Sequence[Work], jobs: int, stopping: Stopping
) -> Generator[tuple[Work, dict[str, Any]]]:
    waiting = list(works)
    unfinished = {work.out for work in works}
    running: dict[Future[dict[str, Any]], Work] = {}
    failure: HeadstartError | None = None
    interrupted: Work | None = None

    def begins_more() -> bool:
        return failure is None and interrupted is None and not stopping.asked()

    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(jobs, context, initializer=_begin) as pool,
        _workers_stop_on_errors(),
    ):
        signalled = False
        while running or (waiting and begins_more()):
            while len(running) < jobs and begins_more():
                ready = next((w for w in waiting if unfinished.isdisjoint(w.needs)), None)
                if ready is None:
                    break
                waiting.remove(ready)
                job = (ready.make_config(), ready.out, ready.cache, ready.checkpoint_seconds)
                try:
                    with _signals_blocked():  # in a process that begins, until it listens to them
                        running[pool.submit(_in_process, *job, ready.needs)] = ready
                except BrokenProcessPool:  # all of its processes end when one dies
                    failure = _worker_died(next(iter(running.values()), ready), *_DIED)
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            if stopping.asked() and not signalled:
                signalled = True
                _stop_workers()
            for future in finished:
                work = running.pop(future)
                try:
                    scores = future.result()
                except InterruptedRun:  # by the signal above, or one sent to other processes
                    interrupted = interrupted or work
                except HeadstartError as error:
                    failure = failure or error
                except BrokenProcessPool:
                    failure = failure or _worker_died(work, *_DIED)
                else:
                    unfinished.discard(work.out)
                    yield work, scores
    if failure is not None:
        raise failure
    if interrupted is not None and not stopping.asked():
        raise _worker_died(interrupted, *_STOPPED)


_DIED = "died, perhaps out of memory", " with fewer --jobs"
_STOPPED = "was stopped by a signal that was sent to it alone; its state is saved", ""


def _worker_died(work: Work, what: str, change: str) -> HeadstartError:
    hint = f"run the same command again{change} to resume"
    message = f"the process of {work.about} {what}"
    return HeadstartError(Finding("worker-died", "error", message, hint))


def _in_process(
    config: Config, out: Path, cache: Path, checkpoint_seconds: float, needs: tuple[Path, ...]
) -> dict[str, Any]:
    work = Work(None, out, lambda: config, cache, checkpoint_seconds, needs)
    return _do(config, work, SILENT)


@contextlib.contextmanager
def _workers_stop_on_errors() -> Iterator[None]:
    """Stop the workers on an error in this process: the pool waits for them, which takes hours."""
    try:
        yield
    except BaseException:
        _stop_workers()
        raise


def _stop_workers() -> None:
    for process in multiprocessing.active_children():
        process.terminate()


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Prepare a worker process: listen to signals, and exit with the parent process.

    An orphan would keep its run's folder locked. A second Ctrl-C is the parent's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Stopping().__enter__()  # for as long as the process lives
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
