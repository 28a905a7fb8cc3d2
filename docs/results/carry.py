"""Copies what a study needs to go on elsewhere: its ledger and each run's records.

``python docs/results/carry.py STUDY COPY``; weights, pictures, checkpoints and decoded frames
stay behind. The same study command with ``--out COPY`` then continues.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

RECORDS = (
    "config.json",
    "environment.json",
    "leaks.json",
    "metrics.jsonl",
    "timing.jsonl",
    "scores.json",
    "frames.csv",
)


def main() -> None:
    """Finished runs and pretexts only."""
    study, copy = map(Path, sys.argv[1:])
    done = [json.loads(line)["run"] for line in (study / "ledger.jsonl").read_text().splitlines()]
    starts = [f"starts/{p.parent.name}" for p in study.glob("starts/*/scores.json")]
    copy.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "ledger.jsonl", "study.json"):
        if (study / name).exists():
            shutil.copy(study / name, copy / name)
    for folder in (*done, *sorted(starts)):
        (copy / folder).mkdir(parents=True, exist_ok=True)
        for name in RECORDS:
            if (study / folder / name).exists():
                shutil.copy(study / folder / name, copy / folder / name)


if __name__ == "__main__":
    main()
