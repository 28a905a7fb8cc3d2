"""2(c) as plain values: which network is the better start for an entirely new dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from headstart.assignment.parts import NEW_DATA, called
from headstart.assignment.report import words
from headstart.assignment.report.parts import Section
from headstart.errors import printable
from headstart.report import charts
from headstart.report.read import Records, Run
from headstart.report.summary import cells, point, verdict_classes
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
from headstart.scores.pooled import ACCURACY
from headstart.training.config import SCRATCH, StudyConfig
from headstart.training.recipes import ClassifierRecipe

STARTS = {"2a": "(a)", "2b": "(b), ImageNet", SCRATCH: "new weights"}
"""The starts of 2(c), by the last part of their path."""

TUNES = {"all": "Every weight trained", "head": "Last layer trained"}


def section(new: Records | None, b: Run | None, not_run: str) -> Section:
    """2(c).

    Args:
        new: its study; None where it was not run.
        b: the run of 2(b).
        not_run: what it takes to run it, where it was not.
    """
    about = (
        called(NEW_DATA),
        f"part-{NEW_DATA}",
        "Which is the better start for new data?",
        "Is the network of (a) or that of (b) to be preferred as the start for an entirely new "
        "dataset?",
    )
    if new is None or b is None:
        return Section(*about, (), not_run=not_run)
    return Section(
        *about,
        (
            *preferred(new),
            *filter(None, [_how_sure(new)]),
            _same_start(new, b),
            "(a) and (b) are one network each, and this is one new dataset: the intervals are over "
            "seeds of the new training and over its test pictures. They say nothing about another "
            "(a), and nothing about data less like ImageNet’s.",
        ),
        figure="2c-labels",
        caption="Accuracy over the number of labels of the new dataset; with enough seeds, their "
        "mean and its 95 % interval.",
        tables=(_accuracies(new), _comparisons(new)),
        settings=_of_study(new),
    )


def _same_start(new: Records, b: Run) -> str:
    """Whether (b) and ImageNet directly are one start."""
    from_b = (run for run in new.runs if _name(run.start) == "2b")
    start = b.environment["start"]
    from_imagenet, trained = set(start["moved"]), set(start["fresh"])
    onward = [set(run.environment["start"]["moved"]) for run in from_b]
    if trained and all(moved == from_imagenet for moved in onward):
        return (
            "(b) as a start is ImageNet’s weights themselves, to the last bit: only its last layer "
            "was trained, and that did not move to the new classes. One study answers for both."
        )
    return (
        "(b) as a start is ImageNet’s weights and the last layer that (b) trained: both datasets "
        "have the same classes, so that it moved too."
    )


def preferred(new: Records) -> list[str]:
    """Which start, for each number of labels: a paragraph for each tuning."""
    assert isinstance(new.config, StudyConfig) and new.study is not None
    told = []
    for tune in new.config.tunes:
        mine = [c for c in new.study["comparisons"] if c["tune"] == tune]
        b = [c for c in mine if _name(c["start"]) == "2b"]
        control = [c for c in mine if c["start"] == SCRATCH]
        sentences = [f"{TUNES[tune]}: {choices(b, '(b)', '(a)')}."]
        if control:
            sentences.append(f"(a) beside new weights: {choices(control, 'new weights', '(a)')}.")
        told.append(" ".join(sentences))
    return told


def _name(start: str) -> str:
    return Path(start).name


def _accuracies(new: Records) -> Table:
    config = new.config
    assert isinstance(config, StudyConfig)
    rows: list[tuple[Entry, ...]] = []
    found = {(c.line, c.labels): c for c in cells(new)}
    for line, (start, tune) in enumerate(product(config.starts, config.tunes)):
        its = [found.get((line, labels)) for labels in config.labels]
        scores = (over_seeds(c.spread("accuracy")) if c else NONE for c in its)
        rows.append(((STARTS[_name(start)], TUNES[tune].lower()), *scores))
    rows.append(
        (
            "the most frequent class",
            *[number(new.runs[0].scores["trivial"]["accuracy"])] * len(config.labels),
        )
    )
    seeds = plural(len(config.seeds), "seed")
    caption = f"Accuracy on {plural(new.runs[0].scores['pictures'], 'test picture')}" + (
        f", mean over {seeds} with the range below." if len(config.seeds) > 1 else ", one seed."
    )
    head = ("start", *(plural(n, "label") for n in config.labels))
    return Table(caption, head, tuple(rows))


def _comparisons(new: Records) -> Table:
    assert new.study is not None
    rows: list[tuple[Entry, ...]] = []
    tune = ""
    for c in new.study["comparisons"]:
        if c["tune"] != tune:
            tune = c["tune"]
            rows.append((TUNES[tune],))
        pair = f"{STARTS[_name(c['start'])].split(',')[0]} against (a)"
        rows.append((pair, str(c["labels"]), difference(c), c["verdict"]))
    caption = (
        "Differences in accuracy with their intervals over seeds and pictures, adjusted after Holm "
        "so that with 95 % none of the verdicts is wrong."
    )
    return Table(caption, ("", "labels", "difference", "verdict"), tuple(rows), left=(3,))


def _of_study(new: Records) -> Table:
    config, some = new.config, new.runs[0]
    assert isinstance(config, StudyConfig)
    recipe = config.recipe
    assert isinstance(recipe, ClassifierRecipe)
    rate = f"{recipe.learning_rate:g} (the last layer alone: {recipe.head_learning_rate:g})"
    steps = some.history[-1]["step"]
    rows: list[tuple[Entry, ...]] = [
        ("dataset", printable(Path(config.data).resolve().name)),
        ("network", config.model),
        ("input", f"{config.size[0]} × {config.size[1]}"),
        ("optimizer", f"{recipe.optimizer}, learning rate {rate}, weight decay "
         f"{recipe.weight_decay:g}"),
        ("batch", str(recipe.batch)),
        ("schedule", words.schedule(recipe)),
        (
            "augmentation",
            f"{words.augmentation(recipe)} (the last layer alone: none)",
        ),
        ("steps", f"{steps}, whatever the number of labels"),
        ("labels", listed([str(n) for n in config.labels])
         + f"; {some.environment['labels']['validation']} to validate"),
        ("seeds", listed([str(n) for n in config.seeds])),
        ("time", f"{duration(sum(run.seconds for run in new.runs))} for {len(new.runs)} runs, one "
         f"after the other, on {config.device}"),
    ]  # fmt: skip
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def choices(comparisons: Sequence[Mapping[str, Any]], start: str, against: str) -> str:
    """Which of two starts is to be preferred, with so many labels.

    Args:
        comparisons: of the two, in ``study.json``.
        start: how the one is called.
        against: how the other is.

    >>> its = {"verdict": "helps", "low": 0.08, "high": 0.16, "seeds": 5}
    >>> few = {**its, "labels": 9, "difference": 0.1}
    >>> many = {**its, "labels": 99, "difference": 0.2}
    >>> choices([few, many], "(b)", "(a)")
    '(b) is to be preferred with 9 labels (accuracy +0.100, interval +0.080 to +0.160) and with \
99 labels (accuracy +0.200, interval +0.080 to +0.160)'
    """
    said = {
        "helps": f"{start} is to be preferred",
        "hurts": f"{against} is to be preferred",
        "no difference shown": "no difference is shown",
        "too few seeds": "there is no verdict",
    }
    told = []
    for verdict, begin in said.items():
        mine = [c for c in comparisons if c["verdict"] == verdict]
        if mine:
            told.append(f"{begin} {listed([_with_labels(c, start) for c in mine])}")
    return "; ".join(told)


def _with_labels(c: Mapping[str, Any], start: str) -> str:
    labels = f"with {plural(c['labels'], 'label')}"
    if c["low"] is None:
        so_far = f"{signed(c['difference'])} so far for {start}"
        return f"{labels} from {plural(c['seeds'], 'seed')} (accuracy {so_far})"
    ends = f"{signed(c['low'])} to {signed(c['high'])}"
    return f"{labels} (accuracy {signed(c['difference'])}, interval {ends})"


def _how_sure(new: Records) -> str:
    """What the intervals are; empty where there are none."""
    assert new.study is not None
    its = [c for c in new.study["comparisons"] if c["low"] is not None]
    if not its:
        return ""
    seeds, among = min(c["seeds"] for c in its), max(c["among"] for c in its)
    told = f"{plural(seeds, 'seed')}. The intervals are adjusted for {among} comparisons (Holm): "
    told += "with 95 % none of the verdicts is wrong."
    if any(c["verdict"] == "no difference shown" for c in its):
        told += " No difference shown is not the same as equal."
    return told


def difference(c: Mapping[str, Any]) -> Entry:
    """A difference with its interval below it, where there is one."""
    if c["low"] is None:
        return signed(c["difference"]), "no interval"
    return signed(c["difference"]), f"{signed(c['low'])} to {signed(c['high'])}"


def draw(new: Records) -> Figure:
    """Accuracy over the number of labels, a line for each start and tuning."""
    config = new.config
    assert isinstance(config, StudyConfig)
    usable = verdict_classes(new)
    assert usable is not None
    lines = []
    for line, (start, tune) in enumerate(product(config.starts, config.tunes)):
        points = [point(c, usable.classes, None, ACCURACY) for c in cells(new) if c.line == line]
        lines.append((f"{STARTS[_name(start)]}: {TUNES[tune].lower()}", points))
    trivial = new.runs[0].scores["trivial"]["accuracy"]
    return charts.label_efficiency(lines, trivial, "accuracy")


def record(new: Records) -> dict[str, Any]:
    """For ``homework.json``: starts by the names of their folders."""
    assert new.study is not None
    return {
        name: [
            {**row, "start": _name(row["start"]), "against": _name(row["against"])}
            for row in new.study[name]
        ]
        for name in ("comparisons", "labels_saved")
    }
