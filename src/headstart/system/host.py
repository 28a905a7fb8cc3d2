"""Which machine this is, and whether a process of it still runs."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from pathlib import Path

from headstart.system.processor import cores, cpu_model, memory

_PROC = Path("/proc")


def host_name() -> str:
    """Return the name of this machine, for people."""
    return socket.gethostname()


@functools.cache
def this_machine() -> str | None:
    """Return what tells this machine from all others, and from itself before it was restarted.

    It also tells containers apart: each has process numbers of its own, whatever its host's name.
    None where the system does not say it: not Linux.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        numbers = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {numbers}".encode()).hexdigest()[:16]


def began(pid: int) -> str | None:
    """Return when a process of this machine began, in ticks of its clock; None if it is gone.

    Numbers of processes are used again, their numbers with their beginnings are not. A process that
    has ended counts as gone, even if nobody has asked for its status yet.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def own_process() -> tuple[int, str | None]:
    """Return the number of this process, and when it began."""
    return os.getpid(), began(os.getpid())


def host_class() -> str:
    """Return what kind of machine this is, without its name: processor, cores and memory."""
    total = memory().total
    size = "" if total is None else f", {total / 2**30:.0f} GiB"
    return f"{cpu_model()}, {cores().machine} cores{size}"
