"""Processes on several devices, which a test pretends: what each process sees, and how many run."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.studies import coordinator as coordinator_module
from headstart.studies.coordinator import Coordinator
from headstart.studies.local import Measure, Processes
from headstart.studies.room import Taken
from headstart.studies.units import Unit
from headstart.studies.worker import claimed
from headstart.system.devices import VISIBLE, CudaDevice, DeviceMemory
from headstart.system.signals import Stopping
from tests.tiny_runs import forked_workers

TWO = (CudaDevice("cuda:0", "GPU-a"), CudaDevice("cuda:1", "MIG-b"))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator_module, "POLL", 0.02)
    monkeypatch.setattr(coordinator_module, "_TICK", 0.02)


def record(name: str, root: Path, *, measured: Callable[[], None]) -> None:
    """Write down what this process sees, and who trains beside it: this is the training."""
    seen = os.environ.get(VISIBLE, "nothing")
    with claimed(root, name):
        mark = root / "at" / seen / str(os.getpid())
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        beside = {path.name: len(list(path.iterdir())) for path in (root / "at").iterdir()}
        with (root / "seen").open("a") as file:
            file.write(f"{seen} {beside[seen]} {sum(beside.values())}\n")
        measured()
        time.sleep(0.05)
        mark.unlink()
        (root / name).mkdir(parents=True)
        (root / name / "done").touch()


def large() -> Taken:
    """Measure a run that takes 6 of a device's 10 GB."""
    return Taken(10**8, 10**8, DeviceMemory(6 * 10**9, 6 * 10**9, 4 * 10**9))


def after_large() -> Taken:
    """Measure the same after the run."""
    return Taken(10**8, 10**8, DeviceMemory(6 * 10**9, 0, 10 * 10**9))


def small() -> Taken:
    """Measure a run that takes 1 of a device's 10 GB."""
    return Taken(10**8, 10**8, DeviceMemory(10**9, 10**9, 8 * 10**9))


def run(
    root: Path, jobs: int, devices: tuple[CudaDevice, ...], measure: tuple[Measure, Measure]
) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Return what each of twelve units saw: its devices, runs beside it there and in all."""
    told: list[str] = []
    units = [Unit(name=f"runs/u{k}", about=f"u{k}") for k in range(12)]

    def finished(unit: Unit) -> bool:
        return (root / unit.name / "done").exists()

    with Stopping() as stopping, forked_workers():
        train = functools.partial(record, root=root)
        executor = Processes(train, jobs, devices, told.append, measure)
        made = Coordinator(root, units, finished, executor, stopping, told.append)
        assert len(list(made.work())) == 12
    lines = [line.split() for line in (root / "seen").read_text().splitlines()]
    return [(seen, int(there), int(everywhere)) for seen, there, everywhere in lines], told


@pytest.mark.parametrize("jobs", [2, 3, 4])
def test_runs_are_spread_and_each_process_sees_one_device(
    tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISIBLE, "GPU-a,MIG-b")
    seen, told = run(tmp_path, jobs, TWO, (small, small))
    count = Counter(device for device, _, _ in seen)
    assert set(count) == {"GPU-a", "MIG-b"} and min(count.values()) >= 3
    assert max(there for _, there, _ in seen) <= (jobs + 1) // 2
    assert max(everywhere for _, _, everywhere in seen) <= jobs
    assert not told and os.environ[VISIBLE] == "GPU-a,MIG-b"


def test_a_device_whose_memory_does_not_suffice_for_two_gets_one_at_a_time(tmp_path: Path) -> None:
    seen, told = run(tmp_path, 4, TWO, (large, after_large))
    assert {device for device, _, _ in seen} == {"GPU-a", "MIG-b"}
    assert max(there for _, there, _ in seen) == 1
    assert max(everywhere for _, _, everywhere in seen) == 2
    assert len(told) == 2 and all("1 run at a time" in line for line in told), told
    assert "cuda:0" in told[0] + told[1] and "cuda:1" in told[0] + told[1]


def test_without_devices_processes_see_what_this_one_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    seen, _ = run(tmp_path, 2, (), (small, small))
    assert {device for device, _, _ in seen} == {"nothing"}


def _wait(name: str, *, measured: Callable[[], None]) -> None:
    with Stopping() as stopping:
        while not stopping.asked():
            time.sleep(0.01)


def test_what_waits_for_memory_ends_when_the_executor_is_stopped() -> None:
    with forked_workers():
        executor = Processes(_wait, 2)
    with contextlib.closing(executor):
        for name in ("a", "b"):
            executor.submit(Unit(name=name, about=name))
        executor.stop()
        ends = executor.ends(0.1)
        assert [end.unit for end in ends] == ["b"] and ends[0].error is None
