"""The result of a finished run: its scores, and the counts that they were computed from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.errors import DataError, Finding, printable
from headstart.records.run_records import SCORES
from headstart.records.vouching import damaged
from headstart.scores.frames_csv import FRAMES, FrameCounts
from headstart.tasks.interface import LabelledTask


def read_result(task: LabelledTask, run: Path) -> tuple[dict[str, Any], FrameCounts]:
    """Return the content of a finished run's ``scores.json`` and ``frames.csv``, which must agree.

    Runs of older versions have no manifest, so one of the two files may have changed alone.

    Raises:
        DataError: a file is missing or damaged, or the two do not have the same classes or the same
            headline score.
    """
    scores, counts = task.read_scores(run), task.read_counts(run)
    if len(counts.names) > 1:  # a classification's counts are of one class "all"
        found, expected = (
            list(map(printable, names)) for names in (scores["classes"], counts.names)
        )
        if found != expected:
            classes = f"its classes are {', '.join(found)}; {FRAMES} has {', '.join(expected)}"
            raise damaged(run / SCORES, classes)
    name = task.score.name
    recorded, computed = scores[name], _headline(task, counts)
    if (recorded is None) != (computed is None) or not math.isclose(
        recorded or 0.0, computed or 0.0, rel_tol=1e-6, abs_tol=1e-9
    ):
        differ = f"its {name} is {recorded}; {FRAMES} gives {computed}; one of the two has changed"
        raise damaged(run / SCORES, differ)
    return scores, counts


def refuse_twice(names: Sequence[str], out: Path) -> None:
    """Refuse to put folds together that were dealt differently.

    Args:
        names: the test pictures of all folds.
        out: folder of the cross-validation.

    Raises:
        DataError: a picture was tested twice, and so another one never.
    """
    twice = tuple(name for name, count in Counter(names).items() if count > 1)
    if twice:
        message = f"the folds of {out} were dealt differently: some pictures are in two of them"
        hint = "delete its folder, and repeat the command that made it"
        raise DataError(Finding("bad-record", "error", message, hint, twice))


def _headline(task: LabelledTask, counts: FrameCounts) -> float | None:
    """Return the headline score over all frames; None if it is undefined."""
    total = counts.counts.sum(0)
    try:
        return float(task.score.of(total[1:] if len(total) > 1 else total))
    except ValueError:
        return None
