"""The executor on Ray: each unit is a task, sent as a path and a name.

A task asks for the CPUs of a run's threads, and for a GPU where it trains on one, so that Ray never
puts more on a machine than it has. Its function trains in the main thread of one of Ray's worker
processes, which is kept for the next unit. Ray repeats nothing by itself: how often a unit is
tried is the coordinator's to decide ([`headstart.studies.coordinator`][]). When this process ends,
Ray ends its workers; what they had saved is continued by the next command.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.errors import DiskError, Finding, HeadstartError, InterruptedRun, UsageError
from headstart.studies.executor import End
from headstart.studies.local import failure_of
from headstart.studies.ray_connection import Connection, imported
from headstart.studies.units import Unit
from headstart.system.disk import disk_errors
from headstart.system.host import host_name
from headstart.system.signals import Stopping

RAY = "ray"
LOOK = 2.0
"""Seconds between two looks at the nodes of the cluster."""
_BEGINS = 120.0  # seconds that a node has to start a process which looks at the folders
_SAVES = 60.0  # seconds that workers have to save, where nobody waits for their ends
_SAME = ("Python", "headstart", "torch")
_SHARE = "share the folders of the study and of the data, under the same path on every node"


class RayCluster:
    """Trains units as tasks of a Ray cluster, or of a Ray that this process starts.

    Args:
        train: trains the unit with a name; also takes ``executor`` and ``job``. It is pickled, so
            it holds names and paths, no models.
        study: folder of the study.
        paths: what else each worker must see: the data's folder, and starts that are files.
        threads: CPUs that a run asks for.
        device: of the runs; ``"cuda"`` asks for a GPU.
        address: of the cluster, ``"HOST:PORT"`` or ``"auto"``; None: a Ray of this process alone.
        jobs: how many units at a time; None: as many as there is room for.
        packages: what this study needs besides, by the names to install; the same versions are
            needed on every node.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: there is no such cluster, or no node of it has what a run asks for.
    """

    name = RAY

    def __init__(
        self,
        train: Callable[..., object],
        study: Path,
        paths: Sequence[Path],
        threads: int,
        device: str = "cpu",
        address: str | None = None,
        jobs: int | None = None,
        packages: Sequence[str] = (),
    ) -> None:
        self._train, self._most = train, jobs
        self._versions = _versions((*_SAME, *packages))
        self._paths = tuple(Path.cwd() / path for path in (study, *paths))
        self._cpus, self._gpus = threads, int(device.startswith("cuda"))
        self._connection = Connection(address)
        self._tasks: dict[Any, Unit] = {}
        self._nodes: list[dict[str, Any]] = []
        self._looked, self._checked = -LOOK, frozenset[str]()
        self._ray = ray = imported()
        # a GPU's memory is only given back by the end of the process
        options: Any = {"num_cpus": threads, "num_gpus": self._gpus, "max_calls": self._gpus}
        self._task = ray.remote(
            max_retries=0, retry_exceptions=False, scheduling_strategy="SPREAD", **options
        )(_work)
        try:
            if not self._room():
                raise self._too_large()
        except BaseException:
            self._connection.close()
            raise

    def _room(self) -> int:
        """Return how many units the nodes that are up have room for."""
        if time.monotonic() - self._looked >= LOOK:
            self._nodes = [node for node in self._ray.nodes() if node["Alive"]]
            self._looked = time.monotonic()
        room = sum(self._room_of(node["Resources"]) for node in self._nodes)
        self.places = max(
            1, room if self._most is None else min(room, self._most)
        )  # where none has, `submit` is asked, and says so
        return room

    def _room_of(self, resources: dict[str, float]) -> int:
        room = int(resources.get("CPU", 0) // self._cpus)
        return min(room, int(resources.get("GPU", 0))) if self._gpus else room

    def _too_large(self) -> UsageError:
        sizes = [
            (
                int(node["Resources"].get("GPU", 0)) * self._gpus,
                int(node["Resources"].get("CPU", 0)),
            )
            for node in self._nodes
        ]
        gpus, cpus = max(sizes, default=(0, 0))
        message = (
            f"each run asks for {_amount(self._cpus, self._gpus)}, but the largest of the "
            f"{len(self._nodes)} nodes of the Ray cluster has {_amount(cpus, gpus)}"
        )
        hint = "add a node that has as much"
        if gpus < self._gpus:
            hint = f"train with --device cpu, or {hint}"
        elif cpus:
            hint = f"begin a study with --threads {cpus} or fewer, or {hint}"
        return UsageError(Finding("request-too-large", "error", message, hint))

    def submit(self, unit: Unit, /) -> None:
        """Send a unit to Ray, after a look at the folders from each node that is new."""
        if not self._room():
            raise self._too_large()
        self._check_new_nodes()
        task = self._task.remote(Path.cwd(), self._paths, self._train, unit.name)
        self._tasks[task] = unit

    def _check_new_nodes(self) -> None:
        """Let each new node look for the folders; all that do not see them are named at once."""
        new = [node for node in self._nodes if node["NodeID"] not in self._checked]
        if not new:
            return
        on_node = importlib.import_module("ray.util.scheduling_strategies")
        mark = self._paths[0] / f".seen-{uuid.uuid4().hex}"  # a copy of the folder has no such file
        with disk_errors(mark):
            mark.touch()
        try:
            look = self._ray.remote(num_cpus=0, max_retries=0)(_look)
            asked = {}
            for node in new:
                there = on_node.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = look.options(scheduling_strategy=there)
                asked[task.remote(self._versions, mark, self._paths)] = node
            self._ray.wait(list(asked), num_returns=len(asked), timeout=_BEGINS)
            found = [finding for task, node in asked.items() for finding in self._said(task, node)]
        finally:
            with contextlib.suppress(OSError):
                mark.unlink()
        if found:
            raise DiskError(found)
        self._checked = self._checked | {node["NodeID"] for node in new}

    def _said(self, task: Any, node: dict[str, Any]) -> list[Finding]:
        """Return what a node found wrong; one that is gone by now says nothing."""
        try:
            return list(self._ray.get(task, timeout=0))
        except self._ray.exceptions.GetTimeoutError:
            why = f"it started no process within {_BEGINS:.0f} s"
        except (self._ray.exceptions.NodeDiedError, self._ray.exceptions.TaskUnschedulableError):
            return []
        except Exception as error:  # of the node's Python: it cannot import headstart
            why = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        message = f"{node['NodeManagerHostname']} cannot begin: {why}"
        hint = f"install the same on every node: {_in_words(self._versions)}"
        return [Finding("node-differs", "error", message, hint)]

    def ends(self, seconds: float, /) -> list[End]:
        """Return the ends of the next tasks, or nothing after some seconds."""
        self._room()
        if not self._tasks:
            time.sleep(seconds)
            return []
        self._ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        ended, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        return [self._end_of(task, self._tasks.pop(task)) for task in ended]

    def _end_of(self, task: Any, unit: Unit) -> End:
        failed = self._ray.exceptions
        end = functools.partial(End, unit.name, job=task.task_id().hex())
        try:
            return end(error=self._ray.get(task))
        except failed.TaskCancelledError:
            message = f"{unit.about} was stopped before it began"
            stopped = InterruptedRun(Finding("interrupted", "info", message), signal.SIGTERM)
            return end(error=stopped)
        except failed.OutOfMemoryError:
            return end(died="was ended by Ray, because its machine had no memory left")
        except (failed.NodeDiedError, failed.LocalRayletDiedError):
            return end(died="was lost with its node")
        except failed.WorkerCrashedError:
            return end(died="ended without a word: killed, perhaps out of memory, or with its node")
        except failed.RayError as error:
            why = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            return end(died=f"was ended by Ray: {why}")

    def stop(self) -> None:
        """Interrupt the tasks, which save; those that wait in Ray's queue do not begin."""
        for task in self._tasks:
            self._ray.cancel(task, force=False)

    def close(self) -> None:
        """Stop what still runs, wait until it is saved, and leave Ray."""
        if self._tasks:
            self.stop()
            self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=_SAVES)
            self._tasks.clear()
        self._connection.close()


def _amount(cpus: int, gpus: int) -> str:
    also = f" and {gpus} GPU{'s' * (gpus != 1)}" if gpus else ""
    return f"{cpus} CPU{'s' * (cpus != 1)}{also}"


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of what results depend on; None: not installed."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    if name == "Python":
        return ".".join(map(str, sys.version_info[:2]))
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return None


def _in_words(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {said}" if said else f"no {name}" for name, said in versions.items())


def _look(versions: dict[str, str | None], mark: Path, paths: Sequence[Path]) -> list[Finding]:
    """On a node: say which folders it does not see, and which versions differ."""
    found = [missing] if (missing := unseen(paths)) is not None else []
    if mark.parent.exists() and not mark.exists():
        message = f"{host_name()} sees another {mark.parent}: what was written here is not there"
        found.append(Finding("folder-not-seen", "error", message, _SHARE))
    if (own := _versions(versions)) != versions:
        message = f"{host_name()} has {_in_words(own)}; expected {_in_words(versions)}"
        hint = "install the same versions on every node: results depend on them"
        found.append(Finding("node-differs", "error", message, hint))
    return found


def unseen(paths: Sequence[Path]) -> Finding | None:
    """Return a finding if this machine does not see the first of ``paths`` that is missing."""
    for path in paths:
        if not path.exists():
            seen = next((p for p in path.parents if p.exists()), None)
            message = f"{host_name()} does not see {path}" + (f", only {seen}" if seen else "")
            return Finding("folder-not-seen", "error", message, _SHARE)
    return None


def _work(
    here: str, paths: Sequence[Path], train: Callable[..., object], name: str
) -> HeadstartError | None:
    """On a node: train a unit, and return what it raised.

    Ray interrupts a task as Ctrl-C does, perhaps more than once: a second must not break into the
    saving. Its own handler of SIGTERM would end the process without saving.
    """
    before = signal.signal(signal.SIGINT, _twice)
    try:
        with Stopping():
            if (missing := unseen(paths)) is not None:
                return DiskError(missing)
            with contextlib.suppress(OSError):  # paths of the study may be relative
                os.chdir(here)
            train(name, executor=RAY, job=imported().get_runtime_context().get_task_id())
    except Exception as error:  # the coordinator decides what it means
        return failure_of(error)
    finally:
        signal.signal(signal.SIGINT, before)
    return None


def _twice(*_: object) -> None:
    """Do nothing: the first was heard."""
