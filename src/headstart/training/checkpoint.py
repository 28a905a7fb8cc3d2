"""Checkpoints and weights, written so that no kill can damage them.

A checkpoint is two files, ``step-00001200.pt`` and
``step-00001200.json``; **it exists if its JSON exists and the SHA-256 in it matches**. There is no
"latest" file to tear: the newest valid checkpoint is continued, a damaged one is set aside by name.
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
from headstart.system.disk import disk_errors, write_atomic, write_json

KEEP = 2


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
