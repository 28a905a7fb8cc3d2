"""The tables of the page: scores, comparisons, classes and pretexts, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.errors import printable
from headstart.records.run_records import Row
from headstart.reports.arms import Arm, Spread, verdict_classes
from headstart.reports.formatting import (
    NONE,
    Entry,
    Table,
    duration,
    listed,
    number,
    plural,
    signed,
)
from headstart.reports.records import Records
from headstart.scores.pooled import MIN_FRAMES
from headstart.studies.ensembles import together_sentences
from headstart.studies.wording import called, level_words
from headstart.tasks.lookup import task_named
from headstart.tasks.measures import Measures

Rows = list[tuple[Entry, ...]]


def over_seeds(spread: Spread | None) -> Entry:
    """Return the mean of a score, with its range below where there are several seeds."""
    if spread is None:
        return NONE
    if len(spread.values) == 1:
        return number(spread.mean)
    return number(spread.mean), f"{number(spread.low)}–{number(spread.high)}"


def scores_section(records: Records, arms: Sequence[Arm]) -> dict[str, Any]:
    """Return all scores of each arm, and of each run.

    Returns:
        ``table``; ``together``: how the seeds of each arm score together, in sentences; ``runs``:
        the table of all runs, None for a single run; ``reasons``: why a score is missing;
        ``left_out``: frames that some scores skip; ``meanings`` of the scores.
    """
    measures = task_named(records.config.task).measures
    rows: Rows = []
    summary = (records.study.summary if records.study else None) or {}
    together = summary.get("together", [])
    ensembles = {(row["start"], row["tune"], row["labels"]): row for row in together}
    for i, arm in enumerate(arms):
        if i == 0 or arm.labels != arms[i - 1].labels:
            rows.append((plural(arm.labels, "label"),))
        rows.append((_name_and_mark(arm), *(over_seeds(arm.spread(s)) for s in measures.scores)))
        if (row := ensembles.get((arm.runs[0].start, arm.runs[0].tune, arm.labels))) is not None:
            values = (number(row["scores"][s]) for s in measures.scores)
            rows.append((f"its {row['seeds']} seeds together", *values))
    scores = records.runs[0].scores
    rows.append(("Without learning",))
    constant = (number(scores["trivial"].get(score)) for score in measures.scores)
    rows.append(("best constant prediction", *constant))
    several = any(len(arm.runs) > 1 for arm in arms)
    split = f"{scores[measures.units]} {scores['split']} {measures.units}"
    caption = f"Scores on the {split}{'; mean over seeds, range below' if several else ''}."
    caption += " The last row is the highest value of each score for predicting one class "
    caption += "everywhere."
    return {
        "table": Table(caption, ("start", *measures.scores), tuple(rows)),
        "together": list(map(printable, together_sentences(summary, measures))),
        "runs": _every_run(records, measures) if len(records.runs) > 1 else None,
        "reasons": [f"{score}: {why}." for score, why in scores.get("reasons", {}).items()],
        "left_out": _left_out(records),
        "meanings": measures.meanings,
    }


def _left_out(records: Records) -> str:
    most = max(run.scores.get("frames_left_out", 0) for run in records.runs)
    if not most:
        return ""
    return (
        f"dice_frame, endovis_iou and isi_iou skip up to {plural(most, 'frame')} without "
        "foreground in truth and prediction."
    )


def _name_and_mark(arm: Arm) -> Entry:
    if not arm.collapsed:
        return printable(arm.name)
    return printable(arm.name), f"collapsed: {arm.collapsed} of {len(arm.runs)}"


def _every_run(records: Records, measures: Measures) -> Table:
    head = ("run", *measures.shown, "collapsed", "epochs", "steps", "time")
    rows: Rows = [
        (
            printable(run.name),
            *(number(run.scores[score]) for score in measures.shown),
            "yes" if run.scores["collapsed"] else "no",
            str(len(run.history)),
            str(run.history[-1]["step"]),
            duration(run.seconds),
        )
        for run in records.runs
    ]
    return Table("Every run.", head, tuple(rows))


def comparisons_table(records: Records) -> Table | None:
    """Return the differences between starts with their intervals; None where there are none."""
    study = records.study
    if study is None or study.summary is None or not study.summary["comparisons"]:
        return None
    comparisons = study.summary["comparisons"]
    rows = [_comparison_row(c, len(study.config.tunes) > 1) for c in comparisons]
    measures = task_named(study.config.task).measures
    holm = ", adjusted after Holm: the chance that any verdict is wrong is at most 5 %"
    caption = (
        f"Differences in {measures.headline} with their intervals over seeds and "
        f"{measures.units}{holm if len(rows) > 1 else ''}. "
        "The verdict follows from the interval. If the interval contains 0, no difference is "
        "shown, which does not mean equal."
    )
    head = ("start", "labels", "difference", "interval", "seeds", "verdict")
    return Table(caption, head, tuple(rows), left=(5,))


def _comparison_row(c: Row, several_tunes: bool) -> tuple[Entry, ...]:
    tune = f", tune {c['tune']}" if several_tunes else ""
    pair = printable(called(c["start"])) + tune, f"against {printable(called(c['against']))}"
    interval: Entry = NONE
    if c["low"] is not None:
        interval = f"{signed(c['low'])} to {signed(c['high'])}", level_words(c["level"])
    labels, seeds = str(c["labels"]), str(c["seeds"])
    return (pair, labels, signed(c["difference"]), interval, seeds, c["verdict"])


def classes_section(records: Records, arms: Sequence[Arm]) -> dict[str, Any]:
    """Return the scores of each class.

    Returns:
        ``tables``: the main score for each budget, the largest first; ``budgets``: their names;
        ``more``: the other scores for the largest budget; ``others``: names of these scores;
        ``left_out``: whether the verdict leaves out a class; ``no_truth``: classes without a score;
        ``split``; ``few``: the fewest frames with which a class enters the verdict.
    """
    measures = task_named(records.config.task).measures
    usable = verdict_classes(records)
    truth = records.runs[0].scores["classes"]
    names = tuple(truth)
    left_out = {names[c] for c in usable.left_out} if usable else set()
    main = measures.by_class[0]
    budgets = sorted({arm.labels for arm in arms}, reverse=True)
    tables = []
    for labels in budgets:
        of_budget = [arm for arm in arms if arm.labels == labels]
        rows: Rows = []
        for name in names:
            count = truth[name][measures.units]
            mark = " †" if name in left_out else "" if count else " ‡"
            values = (over_seeds(arm.spread_of_class(name, main)) for arm in of_budget)
            rows.append((printable(name) + mark, str(count), *values))
        head = ("class", measures.units, *(printable(arm.name) for arm in of_budget))
        caption = (
            f"{main.capitalize()} by class with {plural(labels, 'label')}, and the number of "
            f"{measures.units} that show the class."
        )
        tables.append(Table(caption, head, tuple(rows)))
    largest = [arm for arm in arms if arm.labels == budgets[0]]
    return {
        "tables": tables,
        "budgets": [plural(labels, "label") for labels in budgets],
        "more": _other_scores(names, largest, measures.by_class[1:]),
        "others": _spoken(measures.by_class[1:]),
        "left_out": bool(left_out),
        "no_truth": [printable(name) for name in names if not truth[name][measures.units]],
        "split": records.runs[0].scores["split"],
        "few": MIN_FRAMES,
    }


def _spoken(scores: Sequence[str]) -> str:
    """Return the names of scores as the beginning of a sentence."""
    words = listed([{"iou": "IoU"}.get(score, score) for score in scores])
    return words[0].upper() + words[1:]


def _other_scores(names: Sequence[str], arms: Sequence[Arm], scores: Sequence[str]) -> Table:
    rows: Rows = []
    for name in names:
        rows.append((printable(name),))
        rows.extend(
            (printable(arm.name), *(over_seeds(arm.spread_of_class(name, s)) for s in scores))
            for arm in arms
        )
    caption = f"{_spoken(scores)} by class with {plural(arms[0].labels, 'label')}."
    return Table(caption, ("class, start", *scores), tuple(rows))


def pretexts_section(records: Records) -> dict[str, Any] | None:
    """Return what pre-training reached and cost; None without pretexts.

    Returns:
        ``table``; ``runs``: the cost of a run on labelled frames, in a sentence.
    """
    if not records.pretexts:
        return None
    rows: Rows = [
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
        "Pretexts: validation loss, loss of the trivial answer, and the cost of pre-training, "
        "which uses no labels."
    )
    costs = []
    for start in dict.fromkeys(run.start for run in records.runs):
        runs = [run for run in records.runs if run.start == start]
        steps = sum(run.history[-1]["step"] for run in runs) / len(runs)
        seconds = sum(run.seconds for run in runs) / len(runs)
        costs.append(f"{printable(start)} {steps:.0f} steps, {duration(seconds)}")
    sentence = f"For comparison, the mean cost of a run on labelled frames: {'; '.join(costs)}."
    return {"table": Table(caption, head, tuple(rows)), "runs": sentence if costs else ""}
