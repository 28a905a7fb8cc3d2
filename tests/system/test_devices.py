"""Devices by name, as a process is shown them; the machine can be examined without torch."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest
import torch

import headstart.system
from headstart.errors import UsageError
from headstart.system.devices import (
    VISIBLE,
    CudaDevice,
    cuda_devices,
    device_memory,
    device_names,
    moved,
    pick_device,
    pick_precision,
    torch_device,
    visible_to_new_processes,
)


def test_no_module_of_this_room_loads_torch() -> None:
    modules = [
        f"headstart.system.{m.name}" for m in pkgutil.iter_modules(headstart.system.__path__)
    ]
    script = f"import sys, {', '.join(modules)}\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two pretended CUDA devices; the list receives which becomes torch's current one."""
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda k: f"GPU {k}")
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: (current or [0])[-1])
    monkeypatch.delenv(VISIBLE, raising=False)
    return current


@pytest.mark.parametrize("text", ["gpu", "cuda:x", "", "cuda:0,cuda", "cpu,cuda:0", "cuda:0,mps"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="unknown-device"):
        device_names(text)


def test_names_are_counted_once() -> None:
    assert device_names("cuda:1,cuda:0,cuda:1") == ("cuda:1", "cuda:0")


def test_one_training_takes_one_device() -> None:
    with pytest.raises(UsageError, match="several-devices"):
        pick_device("cuda:0,cuda:1")


def test_a_device_by_number_is_recorded_as_cuda(two: list[int]) -> None:
    assert pick_device("cuda") == "cuda" and pick_device("auto") == "cuda" and two == []
    assert pick_device("cuda:1") == "cuda" and two == [1]
    assert torch_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UsageError, match=r"cuda:2.*cuda:0 \(GPU 0\), cuda:1 \(GPU 1\)"):
        pick_device("cuda:2")


def test_devices_are_entries_of_what_is_visible(two: list[int]) -> None:
    def entries(names: str, visible: str | None) -> list[tuple[str, str]]:
        environ = {} if visible is None else {VISIBLE: visible}
        return [(d.name, d.entry) for d in cuda_devices(device_names(names), environ)]

    assert entries("auto", None) == entries("cuda", "0,1") == [("cuda:0", "0"), ("cuda:1", "1")]
    assert entries("cuda:1", "3,5") == [("cuda:1", "5")]
    assert entries("auto", "GPU-1f, GPU-2e") == [("cuda:0", "GPU-1f"), ("cuda:1", "GPU-2e")]
    assert entries("cuda:1,cuda:0", "4,2") == [("cuda:1", "2"), ("cuda:0", "4")]
    slices = "MIG-a,MIG-b,MIG-c"  # torch counts fewer of them
    assert [entry for _, entry in entries("auto", slices)] == slices.split(",")
    assert len(entries("cuda", "4,2,-1,3")) == 2
    with pytest.raises(UsageError, match="unknown-device"):
        entries("cuda:2", "4,2")
    assert entries("auto", "") == []


def test_a_new_process_is_shown_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "4,2")
    with visible_to_new_processes(CudaDevice("cuda:1", "2")):
        assert os.environ[VISIBLE] == "2"
    with visible_to_new_processes(None):
        assert os.environ[VISIBLE] == "4,2"
    monkeypatch.delenv(VISIBLE)
    with visible_to_new_processes(CudaDevice("cuda:1", "2")):
        assert os.environ[VISIBLE] == "2"
    assert VISIBLE not in os.environ


def test_apples_gpu_comes_after_cuda_and_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("mps") == "mps"
    assert pick_precision("mps", True) == "float32"
    with pytest.raises(UsageError, match=r"unknown-device.*cpu, mps"):
        pick_device("tpu")


def test_there_is_no_apple_gpu_here() -> None:
    if not torch.backends.mps.is_available():
        with pytest.raises(UsageError, match="unknown-device"):
            pick_device("mps")


def test_copies_are_waited_for_except_on_cuda() -> None:
    asked: list[bool] = []

    class Copied(torch.Tensor):
        def to(self, *_args: object, non_blocking: bool = False) -> torch.Tensor:  # type: ignore[override]
            asked.append(non_blocking)
            return self

    for kind in ("cuda", "mps", "cpu"):
        moved(torch.zeros(1).as_subclass(Copied), torch.device(kind))
    assert asked == [True, False, False]


def test_without_cuda_there_is_no_memory_of_a_device() -> None:
    if not torch.cuda.is_initialized():
        assert device_memory() is None
