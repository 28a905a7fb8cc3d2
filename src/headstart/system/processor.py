"""What a process may use of its machine: processor, cores, memory. Without torch."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def cpu_model(proc: Path = _PROC) -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in (proc / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Cores:
    """How many there are to compute on.

    Attributes:
        machine: of the whole machine.
        affinity: that this process may be scheduled on.
        limit: how many a container's quota is worth; None where there is none.
    """

    machine: int
    affinity: int
    limit: float | None


def cores(cgroup: Path = _CGROUP) -> Cores:
    """Counts them."""
    whole = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else whole
    limit = None
    with contextlib.suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        limit = None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):  # cgroups of version 1
        quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        limit = int(quota) / int(period) if int(quota) > 0 else limit
    return Cores(whole, affinity, limit)


@dataclass(frozen=True)
class Memory:
    """In bytes; None where it cannot be told.

    Attributes:
        total: of the machine.
        available: that could be used now.
        limit: of the container; None where there is none.
    """

    total: int | None
    available: int | None
    limit: int | None


def memory(proc: Path = _PROC, cgroup: Path = _CGROUP) -> Memory:
    """Looks it up."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (proc / "meminfo").read_text().splitlines():
            name, rest = line.split(":", 1)
            found[name] = int(rest.split()[0]) * 1024
    total, limit = found.get("MemTotal"), None
    for path in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            limit = int(path.read_text())
            break
    if limit is not None and total is not None and limit >= total:
        limit = None  # version 1 says so where there is none
    return Memory(total, found.get("MemAvailable"), limit)
