"""The ledger of a study: a line for each finished run, which is never run again.

A line holds the SHA-256 of the run's ``frames.csv``: with its scores that is all that a verdict
needs, so a study can be carried to another machine without its weights.
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
"""Its lines by run, which is the name of a folder inside the study's."""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def line_of(name: str, run: Path, what: dict[str, Any]) -> dict[str, Any]:
    """The line of a finished run: its name, what it was, the work it took."""
    timing = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    return {
        "run": name,
        **what,
        "frames_sha256": _sha256(run / "frames.csv"),
        "steps": sum(row["steps"] for row in timing),
        "seconds": sum(row["train_seconds"] + row["validation_seconds"] for row in timing),
    }


def write_ledger(out: Path, ledger: Ledger, order: Sequence[str]) -> None:
    """Writes it in the order of the study's runs, whichever ended first."""
    place = {name: i for i, name in enumerate(order)}
    lines = sorted(ledger.values(), key=lambda line: place[line["run"]])
    write_atomic(out / "ledger.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def read_ledger(out: Path) -> Ledger:
    """Its lines, each checked against the run it tells of; none where there is no ledger.

    Raises:
        DataError: it is damaged, or files that it vouches for are gone or changed.
    """
    path = out / "ledger.jsonl"
    if not path.exists():
        return {}
    try:
        lines = {entry["run"]: entry for entry in map(json.loads, path.read_text().splitlines())}
        vouched = {name: line["frames_sha256"] for name, line in lines.items()}
    except (ValueError, KeyError, TypeError):
        message = f"{path} is damaged: expected a JSON object with run in each line"
        raise DataError(Finding("bad-ledger", "error", message, "restore it from a copy")) from None
    wrong = []
    for name, digest in vouched.items():
        frames, scores = out / name / "frames.csv", out / name / "scores.json"
        if not (frames.exists() and scores.exists() and _sha256(frames) == digest):
            wrong.append(name)
    if wrong:
        message = f"{len(wrong)} runs are in the ledger, but their frames.csv is gone or changed"
        hint = "restore them, or remove their lines from ledger.jsonl to run them again"
        raise DataError(Finding("ledger-differs", "error", message, hint, tuple(wrong)))
    return lines
