"""Collects time and scores of finished runs in one JSON file: ``collect.py OUT.json RUN...``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from headstart.system.disk import write_json


def collect(run: Path) -> dict[str, Any]:
    """Hardware, settings, cost and scores of one run folder.

    The seconds include steps repeated after a kill. Each run has its own hardware, because a stage
    may be continued on another machine.
    """
    config, environment, scores = (
        json.loads((run / f"{name}.json").read_bytes())
        for name in ("config", "environment", "scores")
    )
    rows = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    train = sum(row["train_seconds"] for row in rows)
    return {
        "run": run.name,
        "hardware": environment,
        "settings": config,
        "epochs": max(row["epoch"] for row in rows),
        "steps": sum(row["steps"] for row in rows),
        "train_seconds": train,
        "validation_seconds": sum(row["validation_seconds"] for row in rows),
        "scores": scores,
    }


def main() -> None:
    """Read the runs and write the file."""
    out, *runs = map(Path, sys.argv[1:])
    record = {"schema": 1, "benchmark": out.stem, "runs": [collect(run) for run in runs]}
    write_json(out, record)


if __name__ == "__main__":
    main()
