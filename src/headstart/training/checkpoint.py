"""Checkpoints and weights, written so that a kill at any moment cannot damage them.

A checkpoint is two files, ``step-00001200.pt`` and ``step-00001200.json``. It is valid if its JSON
file exists and holds the SHA-256 of the other. [`fit`][headstart.training.fit.fit]
resumes from the newest valid checkpoint; damaged ones are renamed to ``*.corrupt``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from headstart.errors import DataError, Finding
from headstart.records.vouching import read_record
from headstart.system.disk import disk_errors, write_atomic, write_json

KEEP = 2
"""Number of checkpoints kept."""


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write the checkpoint of ``step``, and remove all but the newest ``KEEP``.

    Args:
        folder: ``RUN/checkpoint``; created if necessary.
        step: number of optimizer steps done.
        state: tensors and plain values, loadable with ``weights_only=True``.
        facts: further entries of the JSON file.

    Raises:
        DiskError: the disk is full or fails; older checkpoints are unchanged.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    with disk_errors(path):  # invalidate an older file of this step before overwriting it
        path.with_suffix(".json").unlink(missing_ok=True)
    write_atomic(path, content)
    digest = hashlib.sha256(content).hexdigest()
    facts = {"step": step, "bytes": len(content), "sha256": digest, **facts}
    write_json(path.with_suffix(".json"), facts)
    for old in sorted(folder.glob("step-*.json"))[:-KEEP]:
        old.unlink(missing_ok=True)  # JSON first: without it the checkpoint is invalid
    for part in folder.glob("step-*.pt"):
        if not part.with_suffix(".json").exists():
            part.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[Finding]]:
    """Load the newest valid checkpoint; None if the folder never had one.

    Damaged checkpoints are renamed to ``*.corrupt`` and reported as findings.

    Raises:
        DataError: every checkpoint is damaged; training would silently start again.
    """
    findings: list[Finding] = []
    for meta in sorted(folder.glob("step-*.json"), reverse=True):
        path = meta.with_suffix(".pt")
        try:
            facts = json.loads(meta.read_bytes())
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == facts["sha256"]:
                state: dict[str, Any] = torch.load(
                    io.BytesIO(content), map_location="cpu", weights_only=True
                )
                return state, findings
        except (OSError, ValueError, KeyError, TypeError):
            pass  # damaged in another way
        for part in (path, meta):
            with contextlib.suppress(FileNotFoundError):
                part.rename(part.with_name(part.name + ".corrupt"))
        message = f"{path.name} is damaged (wrong checksum) and was renamed to *.corrupt"
        findings.append(Finding("checkpoint-damaged", "warning", message, files=(str(path),)))
    damaged = sorted(str(p) for p in folder.glob("step-*.pt.corrupt"))
    if damaged:
        message = f"all {len(damaged)} checkpoints in {folder} are damaged"
        hint = "restore a checkpoint from a backup, or start in a new folder beside it with --fresh"
        raise DataError(Finding("no-valid-checkpoint", "error", message, hint, tuple(damaged)))
    return None, findings


def save_weights(path: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write weights as a safetensors file, atomically, with ``facts`` in its metadata.

    The facts are a single JSON entry: safetensors does not keep the order of several entries, so
    the bytes would differ between processes.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in sorted(weights.items())}
    metadata = {"headstart": json.dumps(facts, sort_keys=True)}
    write_atomic(path, save_safetensors(tensors, metadata))


def load_weights(path: Path) -> tuple[dict[str, Tensor], Any, str]:
    """Read weights to the CPU, with the facts written by [`save_weights`][] and the file's SHA-256.

    The file is checked against the manifest of its folder, if there is one.

    Raises:
        DataError: the file is missing, damaged, or not written by headstart, or a weight is not
            finite.
    """
    content = read_record(path.parent, path.name)
    try:
        weights = load_safetensors(content)
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["headstart"])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise bad_weights(path, "it is damaged, or was not written by headstart") from None
    if odd := [n for n, t in weights.items() if t.is_floating_point() and not t.isfinite().all()]:
        raise bad_weights(path, f"{len(odd)} tensors are not finite, such as {odd[0][:80]}")
    return weights, facts, hashlib.sha256(content).hexdigest()


def bad_weights(path: Path, reason: str) -> DataError:
    """Return the error for a file of weights that cannot be used."""
    hint = f"restore it from a copy; or delete {path.parent} and train again"
    return DataError(Finding("bad-weights", "error", f"{path} cannot be used: {reason}", hint))
