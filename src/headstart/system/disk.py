"""Atomic writes, and locks so that one process at a time works in a folder.

A file that matters is written under a temporary name in the same folder, flushed to the disk and
renamed; then the folder is flushed. A kill at any moment leaves the old content or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from headstart.errors import DiskError, Finding, LockedError

_TEMPORARY = re.compile(r".*\.tmp-(\d+)$")
_LONG_NAME = 100  # bytes
_SHOWN = 500  # characters of a path in a message
_FULL = "make room or choose another --out, then run the same command: it continues"
_FILE = "a file stands where a folder is needed: choose another --out, or move the file away"
_ELSE = "choose another --out, or make this one writable; the same command then continues"
_HINTS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EIO: "check the disk; with another --out the command begins again",
    errno.EROFS: "the disk is mounted read-only: choose another --out, on a disk that is writable",
    errno.EACCES: "you may not write there: choose another --out, or ask for the permission",
    errno.EPERM: "you may not write there: choose another --out, or ask for the permission",
    errno.ENOTDIR: _FILE,
    errno.EEXIST: _FILE,
    errno.EISDIR: "a folder stands where a file is needed: choose another --out, or move it away",
    errno.ENAMETOOLONG: "the name is too long for the file system: choose a shorter one",
}


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the ``with`` block into a [`DiskError`][] that names ``path``."""
    try:
        yield
    except OSError as e:
        raise cannot_write(path, e) from e


def cannot_write(path: Path, error: OSError) -> DiskError:
    """Return the error for a file or folder that cannot be written, with what to do about it."""
    free, hint = "", _HINTS.get(error.errno or 0, _ELSE)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        with contextlib.suppress(OSError):
            parent = next(p for p in (path, *path.parents) if p.exists())
            free = f"; {shutil.disk_usage(parent).free / 1e6:.0f} MB are free there"
    name = str(path) if len(str(path)) < _SHOWN else f"{str(path)[:_SHOWN]}..."
    message = f"cannot write {name}: {error.strerror or error}{free}"
    return DiskError(Finding("disk", "error", message, hint))


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that it has its old content or the new one, even after a crash.

    Raises:
        DiskError: writing failed; the old content is intact.
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
    """Return this process's temporary name for ``path``; [`sweep`][] removes it after a crash."""
    name = path.name
    if len(os.fsencode(name)) > _LONG_NAME:  # the ending could make it longer than names may be
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return path.with_name(f"{name}.tmp-{os.getpid()}")


def into_place(temporary: Path, path: Path) -> None:
    """Rename a file that was written and flushed, then flush its folder.

    Raises:
        OSError: renaming failed.
    """
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as indented JSON; raise ``ValueError`` for NaN and infinity."""
    write_atomic(path, json_text(value))


def json_text(value: Any) -> str:
    """Return indented JSON; raise ``ValueError`` for NaN and infinity."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep(folder: Path, name: str = "*") -> None:
    """Remove the temporary files of processes that no longer run.

    Call it before this process writes any. A file that bears this process's own number then belongs
    to an earlier process: in a container a command may get the same number every time.

    Args:
        folder: the folder; it need not exist.
        name: only the temporary files of this file, in a folder that may hold somebody else's.

    Raises:
        OSError: a file cannot be removed.
    """
    for path in folder.glob(f"{name}.tmp-*"):
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
    """Hold ``folder`` (made if need be) for this process alone.

    The lock is the file ``.lock``, which names its holder and stays on the disk. The kernel
    releases the lock of a killed process.

    Args:
        folder: the folder to work in.
        sweeping: remove the temporary files of dead processes; not for a folder that may hold
            somebody else's files.

    Raises:
        LockedError: another process holds the folder; the message names it.
        DiskError: the folder cannot be made or written.
    """
    path = folder / ".lock"
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            holder = path.read_text(errors="replace")[:200].strip() or "another process"
            message = f"{folder} is in use by {holder}"
            hint = "wait for it, or choose another --out"
            raise LockedError(Finding("locked", "error", message, hint)) from None
    try:
        with disk_errors(folder):
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
            if sweeping:
                sweep(folder)
                sweep(folder / "checkpoint")
        yield
    finally:
        lock.release()
