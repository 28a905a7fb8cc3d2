"""The processor, cores and memory that this process may use, without loading torch."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def cpu_model(proc: Path = _PROC) -> str:
    """Return the name of the processor."""
    with contextlib.suppress(OSError):
        for line in (proc / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Cores:
    """Numbers of CPU cores.

    Attributes:
        machine: all cores of the machine.
        affinity: the cores that this process may be scheduled on.
        limit: the CPU quota of the container or job in cores, e.g. 1.5; None without a quota.
    """

    machine: int
    affinity: int
    limit: float | None


def _control_groups(controller: str, cgroup: Path, proc: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, its own first, then those around it.

    A job of a scheduler is not in the root: the limits are those of all groups on the way to it.
    """
    places = {"": "/", controller: "/"}  # of cgroups of version 2, and of version 1
    with contextlib.suppress(OSError, ValueError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, names, place = line.split(":", 2)
            places |= dict.fromkeys(names.split(","), place)
    for root, place in ((cgroup, places[""]), (cgroup / controller, places[controller])):
        own = root if ".." in Path(place).parts else root / place.strip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def cores(cgroup: Path = _CGROUP, proc: Path = _PROC) -> Cores:
    """Count the cores; ``cgroup`` is the folder that holds the quotas."""
    machine = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    limits = []
    for folder in _control_groups("cpu", cgroup, proc):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            limits += [] if quota == "max" else [int(quota) / int(period)]
        with contextlib.suppress(OSError, ValueError):  # cgroups of version 1
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
            limits += [int(quota) / int(period)] if int(quota) > 0 else []
    return Cores(machine, affinity, min(limits, default=None))


def available_threads(cgroup: Path = _CGROUP, proc: Path = _PROC) -> int:
    """Return how many threads can compute at once: ``max(1, min(affinity, floor(quota)))``.

    More threads than a container's quota would use it up early and then wait for the next period.
    """
    counted = cores(cgroup, proc)
    quota = counted.affinity if counted.limit is None else int(counted.limit)
    return max(1, min(counted.affinity, quota))


def multiplies_bfloat16(proc: Path = _PROC) -> bool:
    """Return whether the processor multiplies bfloat16: with AVX-512's instructions, or with AMX.

    Others emulate it, several times more slowly than float32.
    """
    flags = _flags(proc)
    return "avx512_bf16" in flags or {"amx_tile", "amx_bf16"} <= flags


def _flags(proc: Path) -> set[str]:
    with contextlib.suppress(OSError):
        for line in (proc / "cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return set(line.split(":", 1)[1].split())
    return set()


def spin_briefly(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let waiting threads sleep soon, so that two trainings on the same cores share them.

    After each parallel piece of work, the threads of PyTorch's OpenMP library wait for the next one
    by spinning: by default for 300,000 rounds, which takes the cores from others for milliseconds.
    Beside a second training, a step then takes 10 to 60 times as long. With 1,000 rounds, the
    number that the library chooses itself where it notices too many threads, it takes about twice
    as long, and alone no longer than before. Results do not change.

    It must be called before PyTorch is loaded. What the user has set stays.

    Args:
        environ: the environment, which processes that are started later inherit.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", "1000")


@dataclass(frozen=True)
class Memory:
    """Memory in bytes; None where it is unknown.

    Attributes:
        total: the machine's memory.
        available: the memory that could be used now.
        limit: that of the container or job; None without one.
    """

    total: int | None
    available: int | None
    limit: int | None


def memory(proc: Path = _PROC, cgroup: Path = _CGROUP) -> Memory:
    """Read the machine's memory and the limit of the container or job."""
    sizes: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (proc / "meminfo").read_text().splitlines():
            name, rest = line.split(":", 1)
            sizes[name] = int(rest.split()[0]) * 1024
    total = sizes.get("MemTotal")
    limits = [limit for _, limit in _memory_limits(proc, cgroup)]
    limit = min(limits, default=None)
    if limit is not None and total is not None and limit >= total:
        limit = None  # version 1 writes a huge number where there is no limit
    return Memory(total, sizes.get("MemAvailable"), limit)


def _memory_limits(proc: Path, cgroup: Path) -> Iterator[tuple[Path, int]]:
    """Yield the control groups that limit the memory of this process, with the limit in bytes."""
    for folder in _control_groups("memory", cgroup, proc):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                yield folder, int((folder / name).read_text())


def available_memory(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """Return the bytes that processes could take now, within the limit of the container or job.

    What files occupy in memory counts as available, as it is given up for other uses. None where
    it is unknown.
    """
    known, left = memory(proc, cgroup), []
    if known.available is not None:
        left.append(known.available)
    for folder, limit in _memory_limits(proc, cgroup):
        for name in ("memory.current", "memory.usage_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                used = int((folder / name).read_text())
                left.append(limit - used + _kept_of_files(folder / "memory.stat"))
    return max(0, min(left)) if left else None


def _kept_of_files(stat: Path) -> int:
    kept = dict.fromkeys(("active_file", "inactive_file"), 0)
    for line in stat.read_text().splitlines():
        name, _, number = line.removeprefix("total_").partition(" ")
        if name in kept:
            kept[name] = int(number)  # of version 1, the total follows the group's own
    return sum(kept.values())


def process_memory(proc: Path = _PROC) -> tuple[int, int] | None:
    """Return the bytes that this process took at most, and takes now; None where it is unknown.

    Files that are mapped into memory do not count: processes share them, and they are given up
    where memory is short.
    """
    sizes: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (proc / "self" / "status").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in ("VmHWM", "RssAnon", "RssShmem", "RssFile"):
                sizes[name] = int(rest.split()[0]) * 1024
    if len(sizes) < 4:
        return None
    now = sizes["RssAnon"] + sizes["RssShmem"]
    return max(now, sizes["VmHWM"] - sizes["RssFile"]), now
