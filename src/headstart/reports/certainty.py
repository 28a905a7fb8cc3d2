"""The section on calibration: temperatures, calibration errors before and after, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.errors import printable
from headstart.records.calibration import Calibration
from headstart.reports.arms import Arm, Spread, spread
from headstart.reports.charts import ReliabilityLine
from headstart.reports.formatting import NONE, Entry, Table, number, plural
from headstart.reports.records import Records
from headstart.scores.calibration import BINS
from headstart.system.spreadsheets import csv_text
from headstart.tasks.lookup import task_named

_HEAD = ("start", "temperature", "ECE before", "ECE after", "NLL before", "NLL after")
_COLUMNS = ("temperature", "ece_before", "ece_after", "nll_before", "nll_after")


def certainty_section(records: Records, arms: Sequence[Arm]) -> dict[str, Any] | None:
    """Return how well certainty matches accuracy; None if an older version made all runs.

    Returns:
        ``table``; ``unfitted``: why some temperatures are 1, in sentences; ``unit``: what is
        predicted; ``same_split``: whether the temperature was judged on the split that it was
        fitted on; ``folds``: how several temperatures became one; ``largest``: the budget that the
        figure shows.
    """
    known = [run for run in records.runs if run.calibration is not None]
    if not known:
        return None
    summary = (records.study.summary if records.study else None) or {}
    together = {
        (row["start"], row["tune"], row["labels"]): row for row in summary.get("together", [])
    }
    rows: list[tuple[Entry, ...]] = []
    for i, arm in enumerate(arms):
        if i == 0 or arm.labels != arms[i - 1].labels:
            rows.append((plural(arm.labels, "label"),))
        each = [_values(run.calibration) for run in arm.runs]
        columns = (_over_seeds(spread(list(column))) for column in zip(*each, strict=True))
        rows.append((printable(arm.name), *columns))
        row = together.get((arm.runs[0].start, arm.runs[0].tune, arm.labels), {})
        if (of_seeds := row.get("calibration")) is not None:
            values = (number(of_seeds[name]) for name in _COLUMNS)
            rows.append((f"its {row['seeds']} seeds together", *values))
    first = known[0].calibration
    assert first is not None
    unit = task_named(records.config.task).measures.unit
    predictions = "pixels" if unit == "frame" else "pictures"
    several = any(len(arm.runs) > 1 for arm in arms)
    caption = (
        f"Calibration on the {first.split} {predictions}, with temperature 1 and with the fitted "
        f"one{'; mean over seeds, range below' if several else ''}. Lower errors are better."
    )
    return {
        "table": Table(caption, _HEAD, tuple(rows)),
        "unfitted": _unfitted(records),
        "predictions": predictions,
        "same_split": first.split == first.fitted_on,
        "folds": records.config.folds is not None,
        "largest": plural(max(arm.labels for arm in arms), "label"),
        "several": several,
    }


def _over_seeds(values: Spread | None) -> Entry:
    """Return the mean, with the range below; errors are small, so both have three decimals."""
    if values is None:
        return NONE
    if len(values.values) == 1:
        return number(values.mean)
    return number(values.mean), f"{number(values.low)}–{number(values.high)}"


def _values(record: Calibration | None) -> tuple[float | None, ...]:
    """Return temperature and errors, as the table has them."""
    if record is None:
        return (None,) * len(_COLUMNS)
    before, after = record.before, record.after
    return record.temperature, before.ece, after.ece, before.nll, after.nll


def _unfitted(records: Records) -> list[str]:
    """Return the runs whose temperature is 1 because nothing could be fitted, by reason."""
    runs: dict[str, list[str]] = {}
    for run in records.runs:
        record = run.calibration
        if record is not None and record.temperature == 1 and record.reason:
            runs.setdefault(record.reason, []).append(printable(run.name))
    return [f"{', '.join(names)}: {reason}" for reason, names in runs.items()]


def reliability_lines(arms: Sequence[Arm]) -> list[ReliabilityLine]:
    """Return the bins of each arm with the most labels, added up over its seeds."""
    lines = []
    largest = max((arm.labels for arm in arms), default=0)
    for arm in arms:
        known = [run.calibration for run in arm.runs if run.calibration is not None]
        if arm.labels == largest and known:
            empty = np.zeros((BINS, 4))
            before = sum((record.before.sums for record in known), empty)
            after = sum((record.after.sums for record in known), empty)
            lines.append(ReliabilityLine(arm.line, arm.name, before, after))
    return lines


def calibration_csv(records: Records) -> str | None:
    """Return a line for each run; None if an older version made all of them."""
    if all(run.calibration is None for run in records.runs):
        return None
    head = ("start", "tune", "labels", "seed", "split", *_COLUMNS, "reason")
    rows: list[tuple[Any, ...]] = [head]
    for run in records.runs:
        settings = (run.start, run.tune, run.labels, run.seed, run.scores["split"])
        reason = run.calibration.reason if run.calibration else "run of an older version"
        rows.append((*settings, *_values(run.calibration), reason))
    return csv_text(rows)
