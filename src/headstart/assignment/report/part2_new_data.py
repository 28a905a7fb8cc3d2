"""The section 2(c): which network is the better start for an entirely new dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from headstart.assignment.report import answers
from headstart.assignment.report.part1_sections import Rows, Section
from headstart.assignment.settings import NEW_DATA, part_name
from headstart.config.records import StudyConfig
from headstart.config.start_names import SCRATCH
from headstart.errors import printable
from headstart.reports import charts
from headstart.reports.arms import arms_of, point, verdict_classes
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
from headstart.reports.page_tables import over_seeds
from headstart.reports.records import Records, RunRecord
from headstart.scores.pooled import ACCURACY
from headstart.tasks.classification import recipe_of

STARTS = {"2a": "(a)", "2b": "(b), ImageNet", SCRATCH: "new weights"}
"""The starts of 2(c), by the last part of their path."""

TUNES = {"all": "Every weight trained", "head": "Last layer trained"}


def section(study: Records | None, b: RunRecord | None, not_run: str) -> Section:
    """Return the section of 2(c).

    Args:
        study: the study of 2(c); ``None`` if it was not run.
        b: the run of 2(b).
        not_run: what is missing to run 2(c).
    """
    opening = (
        part_name(NEW_DATA),
        f"part-{NEW_DATA}",
        "Which is the better start for new data?",
        "Is the network of (a) or that of (b) the better start for an entirely new dataset?",
    )
    if study is None or b is None:
        return Section(*opening, (), not_run=not_run)
    return Section(
        *opening,
        (
            *better_start(study),
            *filter(None, [_confidence(study)]),
            _is_imagenet(study, b),
            "(a) and (b) are one network each, and the new dataset is a single one. The intervals "
            "are over seeds of the new training and over its test pictures: they say nothing about "
            "another (a), nor about data less like ImageNet’s.",
        ),
        figure="2c-labels",
        caption="Accuracy over the number of labels of the new dataset: mean over seeds and, with "
        "enough seeds, its 95 % interval.",
        tables=(_accuracy_table(study), _comparison_table(study)),
        settings=_settings(study),
    )


def _config(study: Records) -> StudyConfig:
    assert study.study is not None
    return study.study.config


def _summary(study: Records) -> dict[str, Any]:
    assert study.study is not None and study.study.summary is not None
    return study.study.summary


def _folder(start: str) -> str:
    return Path(start).name


def _is_imagenet(study: Records, b: RunRecord) -> str:
    """Return whether starting from (b) equals starting from the ImageNet weights."""
    start = b.environment.start
    assert start is not None
    from_imagenet, trained = set(start.moved), set(start.fresh)
    from_b = [run for run in study.runs if _folder(run.start) == "2b"]
    if trained and all(
        run.environment.start is not None and set(run.environment.start.moved) == from_imagenet
        for run in from_b
    ):
        return (
            "As a start, (b) is identical to ImageNet’s weights: (b) trained only its last layer, "
            "which is replaced for the new classes. One study answers for both."
        )
    return (
        "As a start, (b) is ImageNet’s weights with the last layer that (b) trained, because both "
        "datasets have the same classes."
    )


def better_start(study: Records) -> list[str]:
    """Return which start is better at each number of labels, with one paragraph per tuning."""
    paragraphs = []
    for tune in _config(study).tunes:
        comparisons = [c for c in _summary(study)["comparisons"] if c["tune"] == tune]
        b = [c for c in comparisons if _folder(c["start"]) == "2b"]
        control = [c for c in comparisons if c["start"] == SCRATCH]
        sentences = [f"{TUNES[tune]}: {choices(b, '(b)', '(a)')}."]
        if control:
            sentences.append(f"(a) against new weights: {choices(control, 'new weights', '(a)')}.")
        paragraphs.append(" ".join(sentences))
    return paragraphs


def _accuracy_table(study: Records) -> Table:
    config, scores = _config(study), study.runs[0].scores
    rows: Rows = []
    arms = {(arm.line, arm.labels): arm for arm in arms_of(study)}
    for line, (start, tune) in enumerate(product(config.starts, config.tunes)):
        of_line = [arms.get((line, labels)) for labels in config.labels]
        accuracies = (over_seeds(arm.spread("accuracy")) if arm else NONE for arm in of_line)
        rows.append(((STARTS[_folder(start)], TUNES[tune].lower()), *accuracies))
    trivial = number(scores["trivial"]["accuracy"])
    rows.append(("most frequent class", *[trivial] * len(config.labels)))
    seeds = len(config.seeds)
    over = f"; mean over {seeds} seeds, range below." if seeds > 1 else ", one seed."
    caption = f"Accuracy on {plural(scores['pictures'], 'test picture')}{over}"
    head = ("start", *(plural(n, "label") for n in config.labels))
    return Table(caption, head, tuple(rows))


def _comparison_table(study: Records) -> Table:
    rows: Rows = []
    tune = ""
    for c in _summary(study)["comparisons"]:
        if c["tune"] != tune:
            tune = c["tune"]
            rows.append((TUNES[tune],))
        pair = f"{STARTS[_folder(c['start'])].split(',')[0]} against (a)"
        rows.append((pair, str(c["labels"]), _difference(c), c["verdict"]))
    caption = (
        "Differences in accuracy with their intervals over seeds and pictures, adjusted after "
        "Holm: the chance that any verdict is wrong is at most 5 %."
    )
    return Table(caption, ("", "labels", "difference", "verdict"), tuple(rows), left=(3,))


def _settings(study: Records) -> Table:
    config, run = _config(study), study.runs[0]
    recipe = recipe_of(config)
    rate = f"{recipe.learning_rate:g} (last layer alone: {recipe.head_learning_rate:g})"
    budgets = listed([str(n) for n in config.labels])
    seconds = duration(sum(run.seconds for run in study.runs))
    rows: Rows = [
        ("dataset", printable(Path(config.data).resolve().name)),
        ("network", config.model),
        ("input", f"{config.size[0]} × {config.size[1]}"),
        ("optimizer", f"{recipe.optimizer}, learning rate {rate}, weight decay "
         f"{recipe.weight_decay:g}"),
        ("batch", str(recipe.batch)),
        ("schedule", answers.schedule(recipe)),
        ("augmentation", f"{answers.augmentation(recipe)} (last layer alone: none)"),
        ("steps", f"{run.history[-1]['step']} for every number of labels"),
        ("labels", f"{budgets}; {run.labelled.validation} for validation"),
        ("seeds", listed([str(n) for n in config.seeds])),
        ("time", f"{seconds} for {len(study.runs)} runs, one after the other, on {config.device}"),
    ]  # fmt: skip
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def choices(comparisons: Sequence[Mapping[str, Any]], start: str, against: str) -> str:
    """Return which of two starts is better at each number of labels.

    Args:
        comparisons: the comparisons of both starts in ``study.json``.
        start: name of the start.
        against: name of the start it is compared with.

    >>> interval = {"verdict": "helps", "low": 0.08, "high": 0.16, "seeds": 5}
    >>> few = {**interval, "labels": 9, "difference": 0.1}
    >>> many = {**interval, "labels": 99, "difference": 0.2}
    >>> choices([few, many], "(b)", "(a)")
    '(b) is better with 9 labels (accuracy +0.100, interval +0.080 to +0.160) and with 99 labels \
(accuracy +0.200, interval +0.080 to +0.160)'
    """
    statements = {
        "helps": f"{start} is better",
        "hurts": f"{against} is better",
        "practically equal": "the two are practically equal",
        "no difference shown": "no difference is shown",
        "too few seeds": "there is no verdict",
        "incomplete": "there is no verdict, because runs failed",
    }
    clauses = []
    for verdict, statement in statements.items():
        budgets = [_with_labels(c, start) for c in comparisons if c["verdict"] == verdict]
        if budgets:
            clauses.append(f"{statement} {listed(budgets)}")
    return "; ".join(clauses)


def _with_labels(c: Mapping[str, Any], start: str) -> str:
    labels = f"with {plural(c['labels'], 'label')}"
    if c["low"] is None:
        so_far = f"{signed(c['difference'])} so far for {start}"
        return f"{labels} from {plural(c['seeds'], 'seed')} (accuracy {so_far})"
    ends = f"{signed(c['low'])} to {signed(c['high'])}"
    return f"{labels} (accuracy {signed(c['difference'])}, interval {ends})"


def _confidence(study: Records) -> str:
    """Return what the intervals mean; empty if there are none."""
    comparisons = [c for c in _summary(study)["comparisons"] if c["low"] is not None]
    if not comparisons:
        return ""
    seeds, among = min(c["seeds"] for c in comparisons), max(c["among"] for c in comparisons)
    sentences = (
        f"{plural(seeds, 'seed')}. The intervals are adjusted for {among} comparisons (Holm): the "
        "chance that any verdict is wrong is at most 5 %."
    )
    if any(c["verdict"] == "no difference shown" for c in comparisons):
        sentences += " “No difference shown” does not mean equal."
    return sentences


def _difference(c: Mapping[str, Any]) -> Entry:
    """Return a difference with its interval below it."""
    if c["low"] is None:
        return signed(c["difference"]), "no interval"
    return signed(c["difference"]), f"{signed(c['low'])} to {signed(c['high'])}"


def draw_accuracies(study: Records) -> Figure:
    """Draw accuracy over the number of labels, with a line for each start and tuning."""
    config = _config(study)
    usable = verdict_classes(study)
    assert usable is not None
    arms = arms_of(study)
    lines = []
    for line, (start, tune) in enumerate(product(config.starts, config.tunes)):
        points = [point(a, usable.classes, None, ACCURACY) for a in arms if a.line == line]
        lines.append((f"{STARTS[_folder(start)]}: {TUNES[tune].lower()}", points))
    trivial = study.runs[0].scores["trivial"]["accuracy"]
    return charts.label_efficiency(lines, trivial, "accuracy")


def new_data_json(study: Records) -> dict[str, Any]:
    """Return what ``homework.json`` records of 2(c), with starts named by their folders."""
    return {
        name: [
            {**row, "start": _folder(row["start"]), "against": _folder(row["against"])}
            for row in _summary(study)[name]
        ]
        for name in ("comparisons", "labels_saved")
    }
