"""What the page says first: verdicts in words, made from their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.errors import printable
from headstart.report.measures import Measures, measures_of
from headstart.report.read import Pretext, Records, Row, Run
from headstart.report.summary import Cell, verdict_classes
from headstart.report.words import listed, number, plural, signed
from headstart.scores.pooled import MIN_FRAMES
from headstart.studies.statistics import MIN_SEEDS
from headstart.studies.verdicts import called, sentences
from headstart.training.config import StudyConfig


def verdict(records: Records, cells: Sequence[Cell]) -> dict[str, Any]:
    """What is said first: a sentence for each comparison, or what the one run reaches."""
    if not isinstance(records.config, StudyConfig):
        told = [_of_run(run, measures_of(records)) for run in records.runs] + [
            _of_pretext(p) for p in records.pretexts
        ]
        return {"told": told, "compared": "", "saved": [], "notes": []}
    notes = _progress(records)
    if collapsed := sum(cell.collapsed for cell in cells):
        notes.append(
            f"{collapsed} of {plural(len(records.runs), 'run')} collapsed (one class predicted "
            "everywhere); such runs count in every mean."
        )
    kept = (p.leaks for p in records.pretexts if not p.leaks["dropped"])
    if leaked := max((len(leaks["copies"]) + len(leaks["near"]) for leaks in kept), default=0):
        notes.append(
            f"Pre-training has seen {plural(leaked, 'picture')} that, exactly or nearly, "
            f"{'is a validation or test frame' if leaked == 1 else 'are validation or test frames'}"
            "; see Data."
        )
    study = records.study or {"comparisons": [], "labels_saved": []}
    several = len({c["against"] for c in study["comparisons"]}) > 1
    return {
        "told": [_of_comparison(c, several, records.config) for c in study["comparisons"]],
        "compared": _how_compared(study, several, records.runs[0], measures_of(records)),
        "saved": list(map(printable, sentences({**study, "comparisons": []}))),
        "notes": notes,
    }


def _of_comparison(c: Row, several: bool, config: StudyConfig) -> dict[str, str]:
    """The verdict in as few words as it has; the whole sentence is `sentence`."""
    start = printable(called(c["start"])) + (
        f" (tune {c['tune']})" if len(config.tunes) > 1 else ""
    )
    with_labels = f"With {plural(c['labels'], 'label')}, "
    amount = f"{c['metric']} {signed(c['difference'])}"
    amount += f" against {printable(called(c['against']))}" if several else ""
    interval = (
        f"({100 * c['level']:.3g}\u00a0% interval {signed(c['low'])} to {signed(c['high'])})."
    )
    if c["verdict"] == "too few seeds":
        head = f"{with_labels}too few seeds for a verdict on {start}:"
        return {
            "kind": "open",
            "head": head,
            "rest": f"{amount} so far, {c['seeds']} of {MIN_SEEDS}.",
        }
    if c["verdict"] == "no difference shown":
        head = f"{with_labels}no difference shown for {start}:"
        return {"kind": "open", "head": head, "rest": f"{amount} {interval}"}
    head = f"{with_labels}{start} {c['verdict']}:"
    return {"kind": c["verdict"], "head": head, "rest": f"{amount} {interval}"}


def _how_compared(study: Row, several: bool, run: Run, its: Measures) -> str:
    comparisons = study["comparisons"]
    if not comparisons:
        return ""
    against = "" if several else f" with {printable(called(comparisons[0]['against']))}"
    seeds = {c["seeds"] for c in comparisons}
    over = f" over {plural(seeds.pop(), 'seed')}" if len(seeds) == 1 else ""
    words = (
        f"Compared{against}{over}, on {run.scores[its.units]} {run.scores['split']} {its.units}."
    )
    if (among := max(c["among"] for c in comparisons)) > 1:
        words += f" Intervals are adjusted for {among} comparisons (Holm)."
    if any(c["verdict"] == "no difference shown" for c in comparisons):
        words += " No difference shown is not the same as equal."
    if "groups" in study and any(c["low"] is not None for c in comparisons):
        words += f" {_for_whom(study['groups'], its)}"
    return words


def _for_whom(groups: int | None, its: Measures) -> str:
    """What the intervals take as drawn by chance, and so of what else they speak."""
    if groups is not None:
        return (
            f"The intervals take the {groups} videos or patients of these {its.units} as drawn by "
            "chance: they are about others of that kind."
        )
    return (
        f"The intervals take each {its.unit} as drawn by itself: they are about other {its.units} "
        "from the same sources. For a new video or patient they are too narrow."
    )


def _progress(records: Records) -> list[str]:
    if not isinstance(records.config, StudyConfig):
        return []
    notes = []
    there = len(records.runs)
    if there < records.expected:
        notes.append(
            f"This study is not complete: {there} of its {records.expected} runs are here. "
            "What stands below may change."
        )
    if records.since:
        notes.append(
            f"{plural(records.since, 'more run')} finished since the comparisons were made; the "
            "study's own command, given again, brings them in."
        )
    if records.study is None:
        notes.append("There is no verdict yet: no seed is complete.")
    elif "reason" in (records.study.get("classes") or {}):
        notes.append(f"There is no verdict: {records.study['classes']['reason']}.")
    elif not records.study["comparisons"] and there == records.expected:
        notes.append("There is one start only: nothing is compared.")
    return notes


def _of_run(run: Run, its: Measures) -> dict[str, str]:
    scores, name = run.scores, its.headline
    split = f"{scores[its.units]} {scores['split']} {its.units}"
    if scores[name] is None:
        why = scores["reasons"][name]
        return {"kind": "open", "head": f"There is no {name} on the {split}:", "rest": f"{why}."}
    trivial = f"the best constant prediction reaches {number(scores['trivial'][name])}"
    if scores["collapsed"]:
        head = f"Collapsed: on the {split} one class is predicted everywhere."
        return {"kind": "hurts", "head": head, "rest": f"Its {name} is {number(scores[name])}."}
    head = f"{name.capitalize()} {number(scores[name])} on the {split};"
    rest = (
        f"{trivial}. One run: another seed would give another number. A study says how much of "
        "it is chance (headstart study)."
    )
    return {"kind": "open", "head": head, "rest": rest}


def _of_pretext(pretext: Pretext) -> dict[str, str]:
    scores = pretext.scores
    head = f"Validation loss {scores['loss']:.4g} on {scores['pictures']} pictures;"
    rest = (
        f"of somebody who has not learned anything {scores['trivial']['loss']:.4g}. These weights "
        "are a start, no result: whether they help, a study says (headstart study)."
    )
    return {"kind": "open", "head": head, "rest": rest}


def verdict_means(records: Records, grouped: bool) -> str:
    """What the verdict's score is over, in words."""
    usable = verdict_classes(records)
    if usable is None:
        return ""
    if measures_of(records).unit == "picture":
        return "The verdict’s accuracy is over all pictures of the split."
    names = [printable(n) for n in records.runs[0].frames.names]
    over = f"The verdict’s dice is the mean over {listed([names[c] for c in usable.classes])}."
    if usable.left_out:
        over += (
            f" Left out, being on fewer than {MIN_FRAMES} frames"
            f"{' or in one group only' if grouped else ''}: "
            f"{listed([names[c] for c in usable.left_out])}."
        )
    if usable.fallback:
        over += (
            f" No class is on {MIN_FRAMES} frames or more: the verdict stands on very few frames."
        )
    return over
