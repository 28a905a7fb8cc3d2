"""Runs one after the other, or several at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from headstart.errors import Finding, HeadstartError, InterruptedRun
from headstart.runs.run import train
from headstart.system.signals import Stopping
from headstart.training.config import PretextConfig, RunConfig
from headstart.training.listener import SILENT, Listener

Config = RunConfig | PretextConfig


@dataclass(frozen=True)
class Work:
    """One thing to be trained.

    Attributes:
        about: what it is, for who asked.
        out: its folder.
        make_config: gives its settings, once what it needs is done.
        cache: where decoded pictures are kept.
        checkpoint_seconds: seconds between checkpoints.
        needs: the folder of the pretext it needs.
        dataset: its data, opened; a process of its own opens them again.
    """

    about: Any
    out: Path
    make_config: Callable[[], Config]
    cache: Path
    checkpoint_seconds: float
    needs: Path | None = None
    dataset: Any = None


def working(
    works: Sequence[Work], jobs: int, listener: Listener, stopping: Stopping
) -> Iterator[tuple[Work, dict[str, Any]]]:
    """Does them and gives each with its scores when it is done; ends early when stopped.

    Args:
        works: each after what it needs.
        jobs: how many at a time. With one, they are done in this process.
        listener: told how a training goes, with one job.
        stopping: asked before each, and told on to the processes.

    Raises:
        HeadstartError: of the first that failed; what the others have done is kept.
    """
    if jobs == 1:
        for work in works:
            if stopping.asked():
                return
            listener.begins(str(work.about))
            try:
                yield work, _do(work.make_config(), work, listener)
            except InterruptedRun as stopped:
                stopping.signal = stopped.exit_status - 128
                return
        return
    yield from _in_processes(works, jobs, stopping)


def _do(config: Config, work: Work, listener: Listener) -> dict[str, Any]:
    args = (work.checkpoint_seconds, work.cache, work.needs, work.dataset)
    return train(config, work.out, listener, *args)


def _in_processes(
    works: Sequence[Work], jobs: int, stopping: Stopping
) -> Iterator[tuple[Work, dict[str, Any]]]:
    waiting = list(works)
    unfinished = {work.out for work in works}
    running: dict[Future[dict[str, Any]], Work] = {}
    failure: HeadstartError | None = None
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_die_with_parent) as pool:
        told = False
        while running or (waiting and failure is None and not stopping.asked()):
            while len(running) < jobs and failure is None and not stopping.asked():
                ready = next((w for w in waiting if w.needs not in unfinished), None)
                if ready is None:
                    break
                waiting.remove(ready)
                job = (ready.make_config(), ready.out, ready.cache, ready.checkpoint_seconds)
                running[pool.submit(_in_process, *job, ready.needs)] = ready
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            if stopping.asked() and not told:
                told = True
                for process in multiprocessing.active_children():
                    os.kill(process.pid or 0, signal.SIGTERM)
            for future in finished:
                work = running.pop(future)
                unfinished.discard(work.out)
                try:
                    yield work, future.result()
                except InterruptedRun:
                    continue  # by our own signal, or by one that all of us were sent
                except HeadstartError as error:
                    failure = failure or error
                except BrokenProcessPool:
                    message = f"the process of {work.about} died, perhaps for want of memory"
                    hint = "fewer --jobs; the same command again continues"
                    failure = HeadstartError(Finding("worker-died", "error", message, hint))
    if failure is not None:
        raise failure


def _in_process(
    config: Config, out: Path, cache: Path, checkpoint_seconds: float, needs: Path | None
) -> dict[str, Any]:
    work = Work(None, out, lambda: config, cache, checkpoint_seconds, needs)
    return _do(config, work, SILENT)


def _die_with_parent() -> None:
    """A worker whose parent was killed would go on training, and keep its run's folder locked."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between runs; a run sets its own
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
