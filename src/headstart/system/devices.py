"""The device to compute on, and the precision to train in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headstart.errors import Finding, UsageError
from headstart.system.processor import multiplies_bfloat16

if TYPE_CHECKING:
    import torch

DeviceName = Literal["cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The environment's name for the CUDA devices that a process sees, in this order."""
_ONE_OF_SEVERAL = re.compile(r"cuda:(\d{1,4})")
_OUTSIDE = 1_000_000_000  # bytes that CUDA and its libraries take at most beside torch's own


@dataclass(frozen=True)
class CudaDevice:
    """A CUDA device that a process can be shown.

    Attributes:
        name: as in ``--device``: ``"cuda:1"`` is the second that this process sees.
        entry: as in ``CUDA_VISIBLE_DEVICES``: a number, or the UUID of a GPU or of a slice of one.
    """

    name: str
    entry: str


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of a CUDA device, in bytes.

    Attributes:
        peak: the most that this process took, with what CUDA itself takes.
        now: what it takes now.
        free: what nobody takes.
    """

    peak: int
    now: int
    free: int


def device_names(text: str) -> tuple[str, ...]:
    """Return the devices of a value of ``--device``: one, or several of CUDA.

    >>> device_names("auto"), device_names("cuda:0, cuda:1")
    (('auto',), ('cuda:0', 'cuda:1'))

    Raises:
        UsageError: a name is unknown, or several are given that are not of the form ``cuda:N``.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in ("auto", "cpu", "cuda", "mps") and not _ONE_OF_SEVERAL.fullmatch(name):
            raise _unknown(name)
    if len(names) > 1 and (other := [n for n in names if not _ONE_OF_SEVERAL.fullmatch(n)]):
        message = f"--device {text}: {other[0]} is among several; expected cuda:0,cuda:1 and so on"
        raise UsageError(Finding("unknown-device", "error", message))
    return names


def pick_precision(device: DeviceName, segments: bool) -> Precision:
    """Return the precision to train in: bfloat16 where it was measured to be faster.

    That is on NVIDIA's GPUs that multiply it and, for networks that segment, on CPUs that do
    (AVX-512 BF16, AMX). The choice follows from what the hardware says it has, never from a timing,
    so that a run can be repeated.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        segments: whether the network is a U-Net, with an encoder or without; classifiers were not
            measured on CPUs.
    """
    if device == "cpu":
        return "bfloat16" if segments and multiplies_bfloat16() else "float32"
    if device == "mps":
        return "float32"
    import torch

    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


def pick_device(name: str) -> DeviceName:
    """Return the kind of one device, which records bear; ``"auto"`` prefers CUDA, then Apple's GPU.

    ``"cuda:1"`` becomes torch's current device in this thread, the one that ``"cuda"`` stands for:
    so which of equal GPUs a run is given is no part of its configuration. torch is loaded only to
    look for devices: ``"cpu"`` is answered without it.

    Args:
        name: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.

    Raises:
        UsageError: the name is unknown, there is no such device, or several are named.
    """
    names = device_names(name)
    if len(names) > 1:
        message = f"--device {name}: one training uses one device; expected one of {len(names)}"
        hint = "only study and homework spread several runs over several devices"
        raise UsageError(Finding("several-devices", "error", message, hint))
    if name == "cpu":
        return "cpu"
    import torch

    if name == "mps" and not torch.backends.mps.is_available():
        raise _unknown(name)
    if name == "mps":
        return "mps"
    if not torch.cuda.is_available():
        if name == "auto":
            return "mps" if torch.backends.mps.is_available() else "cpu"
        message = f"no CUDA device is available to torch {torch.__version__}{_as_visible()}"
        raise UsageError(Finding("no-cuda", "error", message, "use --device cpu"))
    if one := _ONE_OF_SEVERAL.fullmatch(name):
        if int(one[1]) >= torch.cuda.device_count():
            raise _unknown(name)
        torch.cuda.set_device(int(one[1]))
    return "cuda"


def torch_device(name: str) -> torch.device:
    """Return the device that [`pick_device`][] picks, for any thread: which GPU it is included."""
    kind = pick_device(name)
    import torch

    return torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)


def device_of_jobs(name: str, gpu: bool) -> DeviceName:
    """Return the device of runs that a cluster trains, which this machine need not have.

    Args:
        name: of ``--device``.
        gpu: whether the cluster is asked for a GPU; then ``"auto"`` is ``"cuda"``, else ``"cpu"``.

    Raises:
        UsageError: a single device is named; the cluster gives each run its own.

    >>> device_of_jobs("auto", gpu=True), device_of_jobs("auto", gpu=False)
    ('cuda', 'cpu')
    """
    if name == "auto":
        return "cuda" if gpu else "cpu"
    if name == "cpu":
        return "cpu"
    if name == "cuda":
        return "cuda"
    message = f"--device {name}: the cluster gives each run its device; expected cpu, cuda or auto"
    raise UsageError(Finding("unknown-device", "error", message))


def has_cuda() -> bool:
    """Return whether this machine has a CUDA device that torch can use."""
    import torch

    return torch.cuda.is_available()


def cuda_devices(
    names: tuple[str, ...], environ: Mapping[str, str] = os.environ
) -> tuple[CudaDevice, ...]:
    """Return the CUDA devices over which runs are spread: those named, else all that are visible.

    Args:
        names: of [`device_names`][].
        environ: the environment; devices that it hides do not count.

    Raises:
        UsageError: there is no such device.
    """
    import torch

    count = torch.cuda.device_count()
    entries = _entries(environ)
    if entries is None:
        entries = tuple(map(str, range(count)))
    elif not any(entry.startswith("MIG-") for entry in entries):  # of slices, torch sees but one
        entries = entries[:count]
    visible = {f"cuda:{k}": entry for k, entry in enumerate(entries)}
    wanted = [name for name in names if _ONE_OF_SEVERAL.fullmatch(name)] or list(visible)
    for name in wanted:
        if name not in visible:
            raise _unknown(name)
    return tuple(CudaDevice(name, visible[name]) for name in wanted)


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Move a tensor to a device; to a CUDA device without waiting for it.

    To Apple's GPUs, copies that are not waited for read memory that may be freed before
    (https://github.com/pytorch/pytorch/issues/189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


@contextmanager
def visible_to_new_processes(device: CudaDevice | None) -> Iterator[None]:
    """Show one device alone to the processes that the block starts; None: what this one sees."""
    before = os.environ.get(VISIBLE)
    try:
        if device is not None:
            os.environ[VISIBLE] = device.entry
        yield
    finally:
        if device is not None:
            os.environ.pop(VISIBLE)
            os.environ.update({} if before is None else {VISIBLE: before})


def device_memory() -> DeviceMemory | None:
    """Return the memory of the current CUDA device; None if this process does not use CUDA."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    free, total = torch.cuda.mem_get_info()
    reserved = torch.cuda.memory_reserved()
    # what is taken beside torch's own is CUDA's, or other processes'; the driver does not say whose
    outside = min(_OUTSIDE, max(0, total - free - reserved))
    return DeviceMemory(torch.cuda.max_memory_reserved() + outside, reserved + outside, free)


def free_device_memory() -> None:
    """Give back to the device what torch keeps of freed memory, and begin a new peak."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _entries(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the entries of the environment's list; None where there is none.

    CUDA ignores what follows an entry that is no device, such as -1.
    """
    if VISIBLE not in environ:
        return None
    entries = [entry.strip() for entry in environ[VISIBLE].split(",")]
    bad = [k for k, entry in enumerate(entries) if not entry or entry.startswith("-")]
    return tuple(entries[: bad[0]] if bad else entries)


def _as_visible() -> str:
    return f" ({VISIBLE} is {os.environ[VISIBLE]!r})" if VISIBLE in os.environ else ""


def _unknown(name: str) -> UsageError:
    """Return the error of a device that there is not, which lists those that there are."""
    import torch

    there = ["cpu"]
    there += ["mps"] if torch.backends.mps.is_available() else []
    for k in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        there.append(f"cuda:{k} ({torch.cuda.get_device_name(k)})")
    message = f"there is no device {name}; there are auto, {', '.join(there)}{_as_visible()}"
    hint = "use auto, cpu, cuda, cuda:N or mps"
    return UsageError(Finding("unknown-device", "error", message, hint))
