"""The counts of a study's runs, by arm and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.records.vouching import damaged
from headstart.scores.frames_csv import FRAMES
from headstart.tasks.interface import LabelledTask

Counts = Int64[np.ndarray, "n k m"]
Runs = dict[tuple[str, str, int], dict[int, Counts]]
"""Counts by start, tuning and budget, then by seed."""
Arms = frozenset[tuple[str, str, int]]
"""Start, tuning and budget of some arms."""


def read_runs(records: list[dict[str, Any]], out: Path, task: LabelledTask) -> Runs:
    """Read the counts from each record's ``frames.csv``.

    Raises:
        DataError: a file is missing or damaged, or the runs were not scored on the same frames.
    """
    runs: Runs = {}
    first: Counts | None = None
    for record in records:
        counts = task.read_counts(out / record["run"]).counts
        first = counts if first is None else first
        truth = task.score.truth
        if counts.shape != first.shape or (truth(counts) != truth(first)).any():
            other = out / records[0]["run"]
            reason = f"its frames, classes or truth are not those of {other}"
            raise damaged(out / record["run"] / FRAMES, reason)
        key = (record["start"], record["tune"], record["labels"])
        runs.setdefault(key, {})[record["seed"]] = counts
    return runs


def numbered_groups(names: Sequence[str | None]) -> Int64[np.ndarray, " n"] | None:
    """Return the video or patient of each frame as a number; None if they are not all known.

    >>> numbered_groups(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    known = sorted({name for name in names if name is not None})
    if None in names or len(known) < 2:
        return None
    return np.array([known.index(name) for name in names if name is not None], dtype=np.int64)


def of_seeds(runs: Mapping[int, Counts], seeds: list[int]) -> Int64[np.ndarray, "s n k m"]:
    """Return the counts of these seeds, stacked."""
    return np.stack([runs[seed] for seed in seeds])
