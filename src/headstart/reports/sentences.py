"""The sentences at the top of a report: its verdicts, and what limits them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.errors import printable
from headstart.records.run_records import Row
from headstart.reports.arms import Arm, verdict_classes
from headstart.reports.formatting import listed, number, plural, signed
from headstart.reports.records import PretextRecord, Records, RunRecord, StudyRecord
from headstart.scores.pooled import MIN_FRAMES
from headstart.studies.looks import look_sentence
from headstart.studies.wording import (
    called,
    level_words,
    more_sentences,
    needed_seeds,
    sentences,
)
from headstart.tasks.lookup import task_named
from headstart.tasks.measures import Measures

Sentence = dict[str, str]
"""``head``, which is set bold, ``rest``, and ``kind``: ``helps``, ``hurts`` or ``open``."""


def opening(records: Records, arms: Sequence[Arm]) -> dict[str, Any]:
    """Return what a report says first.

    Returns:
        ``sentences``: one for each comparison, or the score of the single run; ``compared``: how
        the starts were compared; ``saved``: labels saved, in sentences; ``notes``: warnings.
    """
    measures = task_named(records.config.task).measures
    if records.study is None:
        scored = [_of_run(run, measures) for run in records.runs]
        pretrained = [_of_pretext(pretext) for pretext in records.pretexts]
        return {"sentences": scored + pretrained, "compared": "", "saved": [], "notes": []}
    summary = records.study.summary or {"comparisons": [], "labels_saved": []}
    several_tunes = len(records.study.config.tunes) > 1
    several_references = len({c["against"] for c in summary["comparisons"]}) > 1
    return {
        "sentences": [
            _of_comparison(c, several_references, several_tunes, summary)
            for c in summary["comparisons"]
        ],
        "compared": _how_compared(
            summary, several_references, records.runs[0], measures, records.study.config.folds
        ),
        "saved": list(map(printable, sentences({**summary, "comparisons": []}))),
        "notes": [
            *_progress(records.study, len(records.runs)),
            *_failures(records.study),
            *_other_hardware(records),
            *_collapses(arms, len(records.runs)),
            *_leaks(records.pretexts),
        ],
    }


def _of_comparison(c: Row, several_references: bool, several_tunes: bool, summary: Row) -> Sentence:
    """Return a verdict with its difference and interval, as briefly as possible."""
    start = printable(called(c["start"])) + (f" (tune {c['tune']})" if several_tunes else "")
    with_labels = f"With {plural(c['labels'], 'label')}, "
    amount = f"{c['metric']} {signed(c['difference'])}"
    amount += f" against {printable(called(c['against']))}" if several_references else ""
    if c["verdict"] == "too few seeds":
        head = f"{with_labels}too few seeds for a verdict on {start}:"
        rest = f"{amount} so far, {c['seeds']} of {needed_seeds(summary)} seeds."
        return {"kind": "open", "head": head, "rest": rest}
    if c["verdict"] == "incomplete":
        head = f"{with_labels}no verdict on {start}, because runs of it or its reference failed:"
        return {"kind": "open", "head": head, "rest": f"{amount} over {c['seeds']} seeds."}
    ends = f"{signed(c['low'])} to {signed(c['high'])}"
    level = level_words(c["level"]).replace(" ", "\u00a0")
    rest = f"{amount} ({level} interval {ends})."
    rest = " ".join([rest, *more_sentences(c, summary.get("groups"))])
    if c["verdict"] == "no difference shown":
        head = f"{with_labels}no difference shown for {start}:"
        return {"kind": "open", "head": head, "rest": rest}
    if c["verdict"] == "practically equal":
        reference = printable(called(c["against"]))
        head = f"{with_labels}{start} and {reference} are practically equal:"
        return {"kind": "equal", "head": head, "rest": rest}
    head = f"{with_labels}{start} {c['verdict']}:"
    return {"kind": c["verdict"], "head": head, "rest": rest}


def _how_compared(
    summary: Row,
    several_references: bool,
    run: RunRecord,
    measures: Measures,
    folds: int | None,
) -> str:
    comparisons = summary["comparisons"]
    if not comparisons:
        return ""
    reference = printable(called(comparisons[0]["against"]))
    against = "" if several_references else f" with {reference}"
    seeds = {c["seeds"] for c in comparisons}
    over = f" over {plural(seeds.pop(), 'seed')}" if len(seeds) == 1 else ""
    units = measures.units
    scored = f"{run.scores[units]} {run.scores['split']} {units}"
    words = f"The starts are compared{against}{over}, on {scored}."
    if folds is not None:
        words += f" {in_folds(folds, measures)}"
    if (among := max(c["among"] for c in comparisons)) > 1:
        words += f" Intervals are adjusted for {among} comparisons (Holm)."
    if looked := look_sentence(summary.get("look")):
        words += f" {looked}"
    if any(c["verdict"] == "no difference shown" for c in comparisons):
        words += " “No difference shown” does not mean equal."
    if "groups" in summary and any(c["low"] is not None for c in comparisons):
        words += f" {_population(summary['groups'], measures)}"
    return words


def in_folds(folds: int, measures: Measures) -> str:
    """Return how a study with folds was scored, and what its intervals do not speak of."""
    return (
        f"These are all the labelled {measures.units}: each seed divides them into {folds} folds, "
        f"and each {measures.unit} is predicted by a network that was trained on other folds. The "
        "training sets overlap and are drawn from the same pictures, so the intervals do not say "
        "how scores would differ if other pictures had been labelled."
    )


def _population(groups: int | None, measures: Measures) -> str:
    """Return what the intervals treat as a random sample, and so what they generalise to."""
    if groups is not None:
        return (
            f"The intervals treat the {groups} videos or patients of these {measures.units} as a "
            "random sample, so they hold for similar videos or patients."
        )
    return (
        f"The intervals treat each {measures.unit} as an independent sample, so they hold for "
        f"other {measures.units} from the same sources. They are too narrow for a new video or "
        "patient."
    )


def _progress(study: StudyRecord, finished: int) -> list[str]:
    notes = []
    if finished < study.expected:
        notes.append(
            f"This study is not complete: {finished} of its {study.expected} runs are finished. "
            "The results below may change."
        )
    if study.since:
        notes.append(
            f"{plural(study.since, 'more run')} finished after the starts were compared. Repeat "
            "the study's command to include them."
        )
    if study.summary is None:
        notes.append("There is no verdict yet: no seed is complete.")
    elif "reason" in (study.summary.get("classes") or {}):
        notes.append(f"There is no verdict: {study.summary['classes']['reason']}.")
    elif not study.summary["comparisons"] and finished == study.expected:
        notes.append("The study has only one start, so there is nothing to compare.")
    return notes


def _failures(study: StudyRecord) -> list[str]:
    """Name the runs that failed, which may not have failed by chance."""
    if not study.failed:
        return []
    named = [f"{unit.about} ({unit.code}: {unit.reason})" for unit in study.failed]
    return [
        f"Failed: {printable('; '.join(named))}. Starts that miss a run for this reason get no "
        "verdict."
    ]


def _other_hardware(records: Records) -> list[str]:
    """Name the pairs of runs to compare that were trained on different hardware or precision."""
    assert records.study is not None
    by_cell = {(run.start, run.tune, run.labels, run.seed): run for run in records.runs}
    kinds: set[tuple[str, str]] = set()
    count = 0
    for c in (records.study.summary or {"comparisons": []})["comparisons"]:
        for seed in records.study.config.seeds:
            pair = [
                by_cell.get((c[side], c["tune"], c["labels"], seed))
                for side in ("start", "against")
            ]
            ours, theirs = (None if run is None else hardware(run) for run in pair)
            if ours is not None and theirs is not None and ours != theirs:
                kinds.add((min(ours, theirs), max(ours, theirs)))
                count += 1
    if not count:
        return []
    both = listed(sorted(f"{printable(a)} and {printable(b)}" for a, b in kinds))
    return [
        f"{plural(count, 'pair')} of runs that are compared were trained on different hardware or "
        f"in different precision: {both}. Part of their difference may come from there; train all "
        "runs of a study on one kind of machine."
    ]


def hardware(run: RunRecord) -> str:
    """Return what trained a run, in words: the GPU, else the processor; and the precision."""
    environment = run.environment
    device = environment.gpu or environment.cpu
    return device if environment.precision is None else f"{device} in {environment.precision}"


def _collapses(arms: Sequence[Arm], runs: int) -> list[str]:
    collapsed = sum(arm.collapsed for arm in arms)
    if not collapsed:
        return []
    return [
        f"{collapsed} of {plural(runs, 'run')} collapsed: they predict one class everywhere. All "
        "means include them."
    ]


def _leaks(pretexts: Sequence[PretextRecord]) -> list[str]:
    leaks = [pretext.leaks for pretext in pretexts if not pretext.leaks.dropped]
    seen = max((len(leak.copies) + len(leak.near) for leak in leaks), default=0)
    if not seen:
        return []
    copies = (
        "is a copy or near-copy of a validation or test frame"
        if seen == 1
        else "are copies or near-copies of validation or test frames"
    )
    return [f"Pre-training has seen {plural(seen, 'picture')} that {copies}; see Data."]


def _of_run(run: RunRecord, measures: Measures) -> Sentence:
    scores, name = run.scores, measures.headline
    split = f"{scores[measures.units]} {scores['split']} {measures.units}"
    if scores[name] is None:
        why = scores["reasons"][name]
        return {"kind": "open", "head": f"There is no {name} on the {split}:", "rest": f"{why}."}
    if scores["collapsed"]:
        head = f"Collapsed: the network predicts one class everywhere on the {split}."
        rest = f"Its {name} is {number(scores[name])}."
        return {"kind": "hurts", "head": head, "rest": rest}
    head = f"{name.capitalize()} {number(scores[name])} on the {split};"
    rest = (
        f"the best constant prediction scores {number(scores['trivial'][name])}. This is a single "
        "run: another seed would give another score. A study measures how much (headstart study)."
    )
    return {"kind": "open", "head": head, "rest": rest}


def _of_pretext(pretext: PretextRecord) -> Sentence:
    scores = pretext.scores
    head = f"Validation loss {scores['loss']:.4g} on {scores['pictures']} pictures;"
    rest = (
        f"without learning it would be {scores['trivial']['loss']:.4g}. These weights are a start, "
        "not a result: a study measures whether they help (headstart study)."
    )
    return {"kind": "open", "head": head, "rest": rest}


def left_out_of_verdicts(records: Records) -> str:
    """Return a sentence that names the classes which verdicts leave out; empty without any."""
    measures, usable = task_named(records.config.task).measures, verdict_classes(records)
    if not measures.class_mean or usable is None or not usable.left_out:
        return ""
    names = [printable(records.runs[0].frames.names[c]) for c in usable.left_out]
    return f"As in the verdicts, {measures.headline} leaves out {listed(names)}; Table 1 does not."


def verdict_scope(records: Records, grouped: bool) -> str:
    """Return what the verdict's score is taken over, in words; empty without a verdict."""
    usable = verdict_classes(records)
    if usable is None:
        return ""
    measures = task_named(records.config.task).measures
    if not measures.class_mean:
        return f"The verdict’s {measures.headline} is over all {measures.units} of the split."
    names = [printable(n) for n in records.runs[0].frames.names]
    chosen, left_out = (
        listed([names[c] for c in classes]) for classes in (usable.classes, usable.left_out)
    )
    one_group = " or in a single group" if grouped else ""
    few = f"fewer than {MIN_FRAMES} {measures.units}{one_group}"
    words = f"The verdict’s {measures.headline} is the mean over {chosen}."
    if usable.left_out:
        words += f" Classes left out (on {few}): {left_out}."
    if usable.fallback:
        words += (
            f" Every class appears in {few}, so the verdict rests on very few {measures.units}."
        )
    return words
