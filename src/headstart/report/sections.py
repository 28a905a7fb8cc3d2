"""The page's sections, as plain values that its template sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.config import StudyConfig
from headstart.errors import printable
from headstart.metrics import SCORES
from headstart.report.read import Records
from headstart.report.summary import Cell, verdict_classes
from headstart.report.words import (
    NONE,
    Entry,
    Table,
    duration,
    number,
    over_seeds,
    plural,
    signed,
)
from headstart.stats import MIN_FRAMES

_MEANINGS = (
    ("dice", "per class 2 TP / (2 TP + FP + FN) of the pixels of all frames together; mean over "
     "the foreground classes that the truth holds. The headline"),
    ("dice_frame", "per frame, over the foreground classes in its truth or prediction (one only "
     "predicted counts 0); mean over frames"),
    ("dice_assignment", "per frame, over all classes, background too; a class absent from the "
     "truth counts 1 if no pixel of it is predicted, else 0; mean over frames"),
    ("iou", "as dice, with the Jaccard index TP / (TP + FP + FN)"),
    ("endovis_iou", "per frame, mean IoU over the foreground classes in its truth; mean over "
     "frames"),
    ("isi_iou", "as endovis_iou, but classes only predicted enter too, as 0"),
    ("mc_iou", "per class, mean IoU over the frames that hold it; mean over classes"),
    ("absent_fp_rate", "share of the pairs of a frame and a foreground class absent from it in "
     "which any pixel of the class is predicted. Lower is better"),
)  # fmt: skip


def of_scores(records: Records, cells: Sequence[Cell]) -> dict[str, Any]:
    """All eight scores of every start and budget, and of every run."""
    rows: list[tuple[Entry, ...]] = []
    for i, cell in enumerate(cells):
        if i == 0 or cell.labels != cells[i - 1].labels:
            rows.append((plural(cell.labels, "label"),))
        rows.append((_name_and_mark(cell), *(over_seeds(cell.spread(s)) for s in SCORES)))
    some = records.runs[0].scores
    rows.append(("Without learning",))
    best = (number(some["trivial"][score]) for score in SCORES)
    rows.append(("best constant prediction", *best))
    several = any(len(cell.runs) > 1 for cell in cells)
    split = f"{some['frames']} {some['split']} frames"
    caption = f"Scores on the {split}" + (
        ", mean over seeds with the range below." if several else "."
    )
    caption += " The last row is what one class everywhere reaches at best, by each score."
    return {
        "table": Table(caption, ("start", *SCORES), tuple(rows)),
        "runs": _every_run(records) if len(records.runs) > 1 else None,
        "reasons": [f"{score}: {why}." for score, why in some.get("reasons", {}).items()],
        "left_out": _left_out(records),
        "meanings": _MEANINGS,
    }


def _left_out(records: Records) -> str:
    most = max(run.scores["frames_left_out"] for run in records.runs)
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
    head = ("run", "dice", "dice_assignment", "collapsed", "epochs", "steps", "time")
    rows: list[tuple[Entry, ...]] = [
        (
            printable(run.name),
            number(run.scores["dice"]),
            number(run.scores["dice_assignment"]),
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
        pair = printable(c["start"]) + tune, f"against {printable(c['against'])}"
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
    caption = (
        "Differences in dice, with their intervals over seeds and frames"
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
    """Dice by class for each budget, the largest first; then the other scores."""
    usable = verdict_classes(records)
    names = records.runs[0].frames.names
    left_out = {names[c] for c in usable.left_out} if usable else set()
    truth = records.runs[0].scores["classes"]
    budgets = sorted({cell.labels for cell in cells}, reverse=True)
    tables = []
    for labels in budgets:
        mine = [cell for cell in cells if cell.labels == labels]
        rows: list[tuple[Entry, ...]] = []
        for name in names:
            mark = " †" if name in left_out else "" if truth[name]["frames"] else " ‡"
            dice = (over_seeds(cell.spread_of_class(name, "dice")) for cell in mine)
            rows.append((printable(name) + mark, str(truth[name]["frames"]), *dice))
        head = ("class", "frames", *(printable(cell.name) for cell in mine))
        caption = f"Dice by class with {plural(labels, 'label')}; frames whose truth holds it."
        tables.append(Table(caption, head, tuple(rows)))
    return {
        "tables": tables,
        "budgets": [plural(labels, "label") for labels in budgets],
        "more": _precision_and_recall(names, [c for c in cells if c.labels == budgets[0]]),
        "left_out": bool(left_out),
        "no_truth": [printable(n) for n in names if not truth[n]["frames"]],
        "split": records.runs[0].scores["split"],
        "few": MIN_FRAMES,
    }


def _precision_and_recall(names: Sequence[str], cells: Sequence[Cell]) -> Table:
    keys = ("iou", "precision", "recall")
    rows: list[tuple[Entry, ...]] = []
    for name in names:
        rows.append((printable(name),))
        rows.extend(
            (printable(cell.name), *(over_seeds(cell.spread_of_class(name, k)) for k in keys))
            for cell in cells
        )
    caption = f"IoU, precision and recall by class, with {plural(cells[0].labels, 'label')}."
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
