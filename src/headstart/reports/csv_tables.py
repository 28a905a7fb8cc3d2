"""Tables for other programs: CSV with a line for each run, class or comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headstart.reports.arm_costs import ArmCost
from headstart.reports.records import Records
from headstart.studies.wording import needed_seeds
from headstart.system.spreadsheets import csv_text
from headstart.tasks.lookup import task_named

_COMPARED = (
    "labels", "tune", "start", "against", "metric", "difference", "low", "high", "level", "seeds",
    "verdict",
)  # fmt: skip
_ARMS = (
    "start", "tune", "labels", "seeds", "score", "low", "high", "chance_to_be_best", "pictures",
    "seconds",
)  # fmt: skip
_SAVED = (
    "start", "against", "tune", "labels", "smallest", "reaches", "low", "high", "level", "seeds",
)  # fmt: skip


def scores_csv(records: Records) -> str:
    """Return a line for each run, and one for the best constant prediction by each score."""
    scores = task_named(records.config.task).measures.scores
    rows = [
        [r.start, r.tune, r.labels, r.seed, r.scores["split"], r.scores["collapsed"]]
        + [r.scores[s] for s in scores]
        for r in records.runs
    ]
    first = records.runs[0].scores
    constant = ["best constant prediction", None, None, None, first["split"], None]
    rows.append(constant + [first["trivial"].get(s) for s in scores])
    return _csv(["start", "tune", "labels", "seed", "split", "collapsed", *scores], rows)


def classes_csv(records: Records) -> str:
    """Return a line for each run and class, with the reason where a score is missing."""
    measures = task_named(records.config.task).measures
    columns = (*measures.counts, *measures.by_class)
    rows = [
        [run.start, run.tune, run.labels, run.seed, name]
        + [scores[column] for column in columns]
        + [scores.get("reason")]
        for run in records.runs
        for name, scores in run.scores["classes"].items()
    ]
    return _csv(["start", "tune", "labels", "seed", "class", *columns, "reason"], rows)


def comparisons_csv(summary: dict[str, Any]) -> str:
    """Return a line for each comparison of ``study.json``."""
    return _csv(_COMPARED, ([c[key] for key in _COMPARED] for c in summary["comparisons"]))


def arms_csv(costs: Sequence[ArmCost]) -> str:
    """Return a line for each start, tuning and budget: score, chance to be the best, and cost."""
    rows = [
        [
            *(row.arm.runs[0].start, row.arm.runs[0].tune, row.arm.labels, len(row.arm.runs)),
            *(row.point.mean, row.point.low, row.point.high, row.chance),
            *(round(row.pictures), round(row.seconds, 1)),
        ]
        for row in costs
    ]
    return _csv(_ARMS, rows)


def labels_saved_csv(summary: dict[str, Any]) -> str:
    """Return a line for each start, and what its numbers of labels mean.

    ``reaches``, ``low`` and ``high`` lie between ``smallest`` and ``labels``: ``smallest`` itself
    means so many or fewer, and an empty field more than ``labels``. ``interval`` is ``no`` where
    there are too few seeds for one; then ``low`` and ``high`` mean nothing.
    """
    needed = needed_seeds(summary)
    rows = (
        [*(s.get(key) for key in _SAVED), "yes" if s["seeds"] >= needed else "no"]
        for s in summary["labels_saved"]
    )
    return _csv((*_SAVED, "interval"), rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return csv_text([head, *rows])
