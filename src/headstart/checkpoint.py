"""What a run folder holds, and how it is written so that no kill can damage it.

Every file that matters is written to a temporary name in the same folder, flushed to the disk and
renamed; the folder is flushed after it. A checkpoint is two files, ``step-00001200.pt`` and
``step-00001200.json``; **it exists if its JSON exists and the SHA-256 in it matches**. There is no
"latest" file to tear: the newest valid checkpoint is continued, a damaged one is set aside by name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from headstart.errors import DataError, DiskError, Finding, LockedError

KEEP = 2
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
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    with disk_errors(path):
        try:
            with temporary.open("wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
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


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds ``folder`` (made if need be) for this process alone.

    The lock is the kernel's, so one left by a killed process does not exist. Temporary files of
    dead processes are swept once it is held.

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
            for path in [*folder.glob("*.tmp-*"), *folder.glob("checkpoint/*.tmp-*")]:
                match = _TEMPORARY.match(path.name)
                if match and not _alive(int(match[1])):
                    path.unlink(missing_ok=True)
        yield


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], facts: dict[str, Any]) -> None:
    """Writes the checkpoint of ``step`` and removes all but the newest ``KEEP``.

    Args:
        folder: ``RUN/checkpoint``; made if need be.
        step: optimizer steps done.
        state: tensors and plain values, loadable with ``weights_only=True``.
        facts: plain values for people and for what must match when it is continued.

    Raises:
        DiskError: no room; older checkpoints are as they were.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    with disk_errors(path):  # one of this step stops to exist before its content changes
        path.with_suffix(".json").unlink(missing_ok=True)
    write_atomic(path, content)
    digest = hashlib.sha256(content).hexdigest()
    facts = {"step": step, "bytes": len(content), "sha256": digest, **facts}
    write_json(path.with_suffix(".json"), facts)
    for old in sorted(folder.glob("step-*.json"))[:-KEEP]:
        old.unlink(missing_ok=True)  # first the JSON: without it the checkpoint does not exist
    for part in folder.glob("step-*.pt"):
        if not part.with_suffix(".json").exists():
            part.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The state of the newest valid checkpoint, or None where there never was one.

    Damaged checkpoints are renamed ``*.corrupt`` and reported.

    Raises:
        DataError: there are checkpoints, and every one is damaged. Training is never begun again
            in silence.
    """
    findings: list[Finding] = []
    for meta in sorted(folder.glob("step-*.json"), reverse=True):
        path = meta.with_suffix(".pt")
        try:
            facts = json.loads(meta.read_bytes())
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == facts["sha256"]:
                state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
                return state, findings
        except (OSError, ValueError, KeyError, TypeError):
            pass  # damaged in another way: treated alike
        for part in (path, meta):
            with contextlib.suppress(FileNotFoundError):
                part.rename(part.with_name(part.name + ".corrupt"))
        message = f"{path.name} is damaged (its checksum differs) and was set aside as *.corrupt"
        findings.append(Finding("checkpoint-damaged", "warning", message, files=(str(path),)))
    damaged = sorted(str(p) for p in folder.glob("step-*.pt.corrupt"))
    if damaged:
        message = f"no valid checkpoint is left in {folder}; damaged: {len(damaged)}"
        hint = "start again beside it with --fresh, or restore a checkpoint from a backup"
        raise DataError(Finding("no-valid-checkpoint", "error", message, hint, tuple(damaged)))
    return None, findings


def save_weights(path: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Weights as safetensors, atomically; ``facts`` stand in its metadata as one JSON text.

    One text, because safetensors does not keep the order of several: the bytes would differ from
    process to process.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in sorted(weights.items())}
    metadata = {"headstart": json.dumps(facts, sort_keys=True)}
    write_atomic(path, save_safetensors(tensors, metadata))


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights on the CPU and the facts written with them.

    Raises:
        DataError: the file is missing or no safetensors file of headstart's.
    """
    try:
        content = path.read_bytes()
        weights = load_safetensors(content)
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["headstart"])
    except OSError as e:
        message = f"{path}: {e.strerror}; expected the weights of a finished run"
        raise DataError(Finding("no-weights", "error", message)) from None
    except (SafetensorError, ValueError, KeyError, TypeError):
        message = f"{path} is damaged or no weights file of headstart's"
        raise DataError(Finding("bad-weights", "error", message)) from None
    return weights, facts
