"""The ledger of a study: one line per finished run, which is never run again.

A line holds the SHA-256 of the run's ``frames.csv`` and ``scores.json``, and of itself. Verdicts
need only these two files, so a study can be copied to another machine without its weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from headstart.errors import DataError, Finding, printable
from headstart.records.run_records import SCORES, Record, checked, read_timing
from headstart.records.vouching import (
    LEDGER,
    damaged,
    parse_json,
    read_record,
    sealed,
    unsealed,
)
from headstart.scores.frames_csv import FRAMES
from headstart.system.disk import write_atomic
from headstart.tasks.interface import LabelledTask
from headstart.tasks.results import read_result

Ledger = dict[str, dict[str, Any]]
"""Ledger lines by run; a run is named by its folder inside the study's folder."""


class _Line(Record):
    """What a line must hold; older versions did not write the hash of the scores."""

    model_config = ConfigDict(extra="forbid")  # such as a damaged name of the line's own hash

    run: str
    start: str
    tune: str
    labels: int
    seed: int
    frames_sha256: str
    scores_sha256: str | None = None
    steps: int
    seconds: float


def line_of(name: str, run: Path, cell: dict[str, Any], task: LabelledTask) -> dict[str, Any]:
    """Return the ledger line of a finished run: name, cell, hashes, steps and seconds.

    The ledger vouches for the run from then on, so the files are checked first.

    Raises:
        DataError: a record of the run is missing or damaged, or scores and counts disagree.
    """
    read_result(task, run)
    frames, scores = (hashlib.sha256(read_record(run, file)) for file in (FRAMES, SCORES))
    timing = read_timing(run)
    return {
        "run": name,
        **cell,
        "frames_sha256": frames.hexdigest(),
        "scores_sha256": scores.hexdigest(),
        "steps": sum(row.steps for row in timing),
        "seconds": sum(row.seconds for row in timing),
    }


def write_ledger(out: Path, ledger: Ledger, order: Sequence[str]) -> None:
    """Write the ledger in the order of the study's runs, whichever finished first."""
    position = {name: i for i, name in enumerate(order)}
    lines = sorted(ledger.values(), key=lambda line: position[line["run"]])
    write_atomic(out / LEDGER, "".join(json.dumps(sealed(line)) + "\n" for line in lines))


def read_ledger(out: Path) -> Ledger:
    """Read the ledger, and check each line against its run; empty if the file does not exist.

    Raises:
        DataError: the ledger is damaged, or files of a run are missing or changed.
    """
    ledger = read_lines(out)
    changed = [name for name, line in ledger.items() if not _unchanged(out / name, line)]
    if changed:
        path = out / LEDGER
        message = (
            f"{path} contradicts {len(changed)} of its runs: {FRAMES} or {SCORES} is missing, or "
            "its SHA-256 is another than in the ledger"
        )
        hint = (
            f"restore their {FRAMES} and {SCORES} from a copy; or, to train these runs again, "
            f"remove their lines from {path}, delete their folders in {out}, and repeat the "
            "study's command"
        )
        raise DataError(Finding("ledger-differs", "error", message, hint, tuple(changed)))
    return ledger


def _unchanged(run: Path, line: dict[str, Any]) -> bool:
    if "scores_sha256" not in line:
        same_scores = (run / SCORES).exists()
    else:
        same_scores = line["scores_sha256"] == _sha256(run / SCORES)
    return same_scores and line["frames_sha256"] == _sha256(run / FRAMES)


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def read_lines(out: Path) -> Ledger:
    """Read the ledger without its runs; empty if the file does not exist.

    Raises:
        DataError: the ledger is damaged, or names a run twice or outside the study.
    """
    path = out / LEDGER
    if not path.exists():
        return {}
    ledger: Ledger = {}
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        line = unsealed(parse_json(text, path, number), path, number)
        name = checked(line, _Line, path, number).run
        if name in ledger or not (out / name).resolve().is_relative_to(out.resolve()):
            reason = f"the run {printable(name)} is there twice, or not in the study"
            raise damaged(path, reason, number)
        ledger[name] = line
    return ledger
