"""Writing so that no kill can damage what is there, and working in a folder alone.

Every file that matters is written to a temporary name in the same folder, flushed to the disk and
renamed; the folder is flushed after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from headstart.errors import DiskError, Finding, LockedError

_TEMPORARY = re.compile(r".*\.tmp-(\d+)$")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the operating system says about ``path`` into a [`DiskError`][]."""
    try:
        yield
    except OSError as e:
        free = ""
        with contextlib.suppress(OSError):
            parent = next(p for p in (path, *path.parents) if p.exists())
            free = f"; {shutil.disk_usage(parent).free / 1e6:.0f} MB are free there"
        message = f"cannot write {path}: {e.strerror or e}{free}"
        hint = "make room or choose another --out, then run the same command: it continues"
        raise DiskError(Finding("disk", "error", message, hint)) from e


def write_atomic(path: Path, content: bytes | str) -> None:
    """``path`` holds its old content or the new one, whenever the process or the machine dies.

    Raises:
        DiskError: it could not be written; what was there before still is.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = temporary_name(path)
    with disk_errors(path):
        try:
            with temporary.open("wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            into_place(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def temporary_name(path: Path) -> Path:
    """Beside ``path``, for this process: what is written there is swept up should it die."""
    return path.with_name(f"{path.name}.tmp-{os.getpid()}")


def into_place(temporary: Path, path: Path) -> None:
    """Gives what was written and flushed under a temporary name its own; flushes the folder.

    Raises:
        OSError: it could not be renamed.
    """
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """``value`` as indented JSON, atomically; NaN is refused rather than written."""
    write_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep(folder: Path) -> None:
    """Removes what processes that are dead have left under temporary names.

    Called before this process writes its own, so that its number on a file is an earlier one's: in
    a container a command may have the same number each time.

    Raises:
        OSError: something cannot be removed.
    """
    for path in folder.glob("*.tmp-*"):
        match = _TEMPORARY.match(path.name)
        if match and (int(match[1]) == os.getpid() or not _alive(int(match[1]))):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` (its folder is made if need be); wait while another holds it.

    Threads and processes take turns. The kernel releases the lock of a killed process. The file
    stays on the disk.

    Raises:
        DiskError: the lock file cannot be made or opened.
    """
    lock = FileLock(path, fallback_to_soft=False)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def locked(folder: Path, sweeping: bool = True) -> Iterator[None]:
    """Holds ``folder`` (made if need be) for this process alone.

    The lock is the kernel's, so one left by a killed process does not exist. Temporary files of
    dead processes are swept once it is held.

    Args:
        folder: to work in.
        sweeping: not to be done in a folder that may be somebody else's.

    Raises:
        LockedError: another process holds it; says which.
        DiskError: the folder cannot be made or written.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(200).strip() or "another process"
            message = f"{folder} is in use by {holder}"
            hint = "wait for it, or choose another --out"
            raise LockedError(Finding("locked", "error", message, hint)) from None
        with disk_errors(folder):
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
            if sweeping:
                sweep(folder)
                sweep(folder / "checkpoint")
        yield
