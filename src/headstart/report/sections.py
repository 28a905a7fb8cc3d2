"""The page's sections, as plain values that its template sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.errors import printable
from headstart.report.measures import Measures, measures_of
from headstart.report.read import Records
from headstart.report.summary import Cell, verdict_classes
from headstart.report.words import (
    NONE,
    Entry,
    Table,
    duration,
    listed,
    number,
    over_seeds,
    plural,
    signed,
)
from headstart.scores.pooled import MIN_FRAMES
from headstart.studies.verdicts import called
from headstart.training.config import StudyConfig


def of_scores(records: Records, cells: Sequence[Cell]) -> dict[str, Any]:
    """All scores of every start and budget, and of every run."""
    its = measures_of(records)
    rows: list[tuple[Entry, ...]] = []
    for i, cell in enumerate(cells):
        if i == 0 or cell.labels != cells[i - 1].labels:
            rows.append((plural(cell.labels, "label"),))
        rows.append((_name_and_mark(cell), *(over_seeds(cell.spread(s)) for s in its.scores)))
    some = records.runs[0].scores
    rows.append(("Without learning",))
    best = (number(some["trivial"].get(score)) for score in its.scores)
    rows.append(("best constant prediction", *best))
    several = any(len(cell.runs) > 1 for cell in cells)
    split = f"{some[its.units]} {some['split']} {its.units}"
    caption = f"Scores on the {split}" + (
        ", mean over seeds with the range below." if several else "."
    )
    caption += " The last row is what one class everywhere reaches at best, by each score."
    return {
        "table": Table(caption, ("start", *its.scores), tuple(rows)),
        "runs": _every_run(records) if len(records.runs) > 1 else None,
        "reasons": [f"{score}: {why}." for score, why in some.get("reasons", {}).items()],
        "left_out": _left_out(records),
        "meanings": its.meanings,
    }


def _left_out(records: Records) -> str:
    most = max(run.scores.get("frames_left_out", 0) for run in records.runs)
    if not most:
        return ""
    return (
        f"Up to {plural(most, 'frame')} without foreground in truth and prediction do not enter "
        "dice_frame, endovis_iou and isi_iou."
    )


def _name_and_mark(cell: Cell) -> Entry:
    if not cell.collapsed:
        return printable(cell.name)
    return printable(cell.name), f"collapsed: {cell.collapsed} of {len(cell.runs)}"


def _every_run(records: Records) -> Table:
    its = measures_of(records)
    head = ("run", *its.shown, "collapsed", "epochs", "steps", "time")
    rows: list[tuple[Entry, ...]] = [
        (
            printable(run.name),
            *(number(run.scores[score]) for score in its.shown),
            "yes" if run.scores["collapsed"] else "no",
            str(len(run.history)),
            str(run.history[-1]["step"]),
            duration(run.seconds),
        )
        for run in records.runs
    ]
    return Table("Every run.", head, tuple(rows))


def of_comparisons(records: Records) -> dict[str, Any] | None:
    """Differences with their intervals, and labels saved."""
    if not isinstance(records.config, StudyConfig) or not records.study:
        return None
    rows: list[tuple[Entry, ...]] = []
    for c in records.study["comparisons"]:
        tune = f", tune {c['tune']}" if len(records.config.tunes) > 1 else ""
        pair = printable(called(c["start"])) + tune, f"against {printable(called(c['against']))}"
        ends = NONE if c["low"] is None else f"{signed(c['low'])} to {signed(c['high'])}"
        level = f"{100 * c['level']:.4g} %"
        interval = ends if ends == NONE else (ends, level)
        rows.append(
            (
                pair,
                str(c["labels"]),
                signed(c["difference"]),
                interval,
                str(c["seeds"]),
                c["verdict"],
            )
        )
    several = len(rows) > 1
    its = measures_of(records)
    caption = (
        f"Differences in {its.headline}, with their intervals over seeds and {its.units}"
        + (
            ", adjusted after Holm so that with 95 % none of the verdicts is wrong"
            if several
            else ""
        )
        + ". A verdict is read off its interval: where it holds 0, no difference is shown, which "
        "is not the same as equal."
    )
    head = ("start", "labels", "difference", "interval", "seeds", "verdict")
    return {
        "table": Table(caption, head, tuple(rows), left=(5,)) if rows else None,
    }


def of_classes(records: Records, cells: Sequence[Cell]) -> dict[str, Any]:
    """Dice or recall by class for each budget, the largest first; then the other scores."""
    its = measures_of(records)
    usable = verdict_classes(records)
    truth = records.runs[0].scores["classes"]
    names = tuple(truth)
    left_out = {names[c] for c in usable.left_out} if usable else set()
    budgets = sorted({cell.labels for cell in cells}, reverse=True)
    tables = []
    for labels in budgets:
        mine = [cell for cell in cells if cell.labels == labels]
        rows: list[tuple[Entry, ...]] = []
        for name in names:
            mark = " †" if name in left_out else "" if truth[name][its.units] else " ‡"
            first = (over_seeds(cell.spread_of_class(name, its.by_class[0])) for cell in mine)
            rows.append((printable(name) + mark, str(truth[name][its.units]), *first))
        head = ("class", its.units, *(printable(cell.name) for cell in mine))
        first_score = its.by_class[0].capitalize()
        caption = f"{first_score} by class with {plural(labels, 'label')}; {its.units} of it."
        tables.append(Table(caption, head, tuple(rows)))
    return {
        "tables": tables,
        "budgets": [plural(labels, "label") for labels in budgets],
        "more": _other_scores(names, [c for c in cells if c.labels == budgets[0]], its),
        "others": listed([_called(score) for score in its.by_class[1:]]),
        "unit": its.unit,
        "left_out": bool(left_out),
        "no_truth": [printable(n) for n in names if not truth[n][its.units]],
        "split": records.runs[0].scores["split"],
        "few": MIN_FRAMES,
    }


def _called(score: str) -> str:
    return {"iou": "IoU"}.get(score, score)


def _other_scores(names: Sequence[str], cells: Sequence[Cell], its: Measures) -> Table:
    keys = its.by_class[1:]
    rows: list[tuple[Entry, ...]] = []
    for name in names:
        rows.append((printable(name),))
        rows.extend(
            (printable(cell.name), *(over_seeds(cell.spread_of_class(name, k)) for k in keys))
            for cell in cells
        )
    scores = listed([_called(score) for score in keys])
    caption = f"{scores[0].upper() + scores[1:]} by class, with {plural(cells[0].labels, 'label')}."
    return Table(caption, ("class, start", *keys), tuple(rows))


def of_pretexts(records: Records) -> dict[str, Any] | None:
    """What pre-training cost and came to."""
    if not records.pretexts:
        return None
    rows: list[tuple[Entry, ...]] = [
        (
            p.pretext,
            str(p.seed),
            f"{p.scores['loss']:.4g}",
            f"{p.scores['trivial']['loss']:.4g}",
            str(p.scores["steps"]),
            duration(p.seconds),
        )
        for p in records.pretexts
    ]
    head = ("pretext", "seed", "loss", "trivial loss", "steps", "time")
    caption = (
        "Pretexts: validation loss beside that of having learned nothing, and what they cost "
        "before any label was used."
    )
    costs = []
    for name in dict.fromkeys(run.start for run in records.runs):
        runs = [run for run in records.runs if run.start == name]
        steps = sum(run.history[-1]["step"] for run in runs) / len(runs)
        seconds = sum(run.seconds for run in runs) / len(runs)
        costs.append(f"{printable(name)} {steps:.0f} steps, {duration(seconds)}")
    return {
        "table": Table(caption, head, tuple(rows)),
        "runs": f"For comparison, a run on labelled frames takes on average: {'; '.join(costs)}."
        if costs
        else "",
    }
