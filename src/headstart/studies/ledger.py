"""The ledger of a study: one line per finished run, which is never run again.

A line holds the SHA-256 of the run's ``frames.csv``. Verdicts need only this file and the scores,
so a study can be copied to another machine without its weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.errors import DataError, Finding
from headstart.system.disk import write_atomic

Ledger = dict[str, dict[str, Any]]
"""Ledger lines by run; a run is named by its folder inside the study's folder."""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def line_of(name: str, run: Path, cell: dict[str, Any]) -> dict[str, Any]:
    """Return the ledger line of a finished run: name, cell, hash, steps and seconds."""
    timing = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    return {
        "run": name,
        **cell,
        "frames_sha256": _sha256(run / "frames.csv"),
        "steps": sum(row["steps"] for row in timing),
        "seconds": sum(row["train_seconds"] + row["validation_seconds"] for row in timing),
    }


def write_ledger(out: Path, ledger: Ledger, order: Sequence[str]) -> None:
    """Write the ledger in the order of the study's runs, whichever finished first."""
    position = {name: i for i, name in enumerate(order)}
    lines = sorted(ledger.values(), key=lambda line: position[line["run"]])
    write_atomic(out / "ledger.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def read_ledger(out: Path) -> Ledger:
    """Read the ledger, and check each line against its run; empty if the file does not exist.

    Raises:
        DataError: the ledger is damaged, or files of a run are missing or changed.
    """
    path = out / "ledger.jsonl"
    if not path.exists():
        return {}
    try:
        lines = {entry["run"]: entry for entry in map(json.loads, path.read_text().splitlines())}
        hashes = {name: line["frames_sha256"] for name, line in lines.items()}
    except (ValueError, KeyError, TypeError):
        message = f"{path} is damaged: expected a JSON object with run and frames_sha256 per line"
        hint = "restore the file from a backup"
        raise DataError(Finding("bad-ledger", "error", message, hint)) from None
    changed = []
    for name, digest in hashes.items():
        frames, scores = out / name / "frames.csv", out / name / "scores.json"
        if not (frames.exists() and scores.exists() and _sha256(frames) == digest):
            changed.append(name)
    if changed:
        message = f"files of {len(changed)} runs in the ledger are missing or changed"
        hint = (
            "restore frames.csv and scores.json, or remove these lines from ledger.jsonl to repeat "
            "the runs"
        )
        raise DataError(Finding("ledger-differs", "error", message, hint, tuple(changed)))
    return lines
