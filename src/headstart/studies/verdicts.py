"""From a study's finished runs to its comparisons and the labels saved, and these in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.scores.pooled import Groups, PooledScore, Usable
from headstart.studies import statistics as stats
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import labelled_task
from headstart.training.config import PRETEXT_NAMES, SCRATCH, SCRATCH_LONGER, StudyConfig

Counts = Int64[np.ndarray, "n k m"]
Runs = dict[tuple[str, str, int], dict[int, Counts]]
"""Counts by start, tuning and budget, then by seed."""


def reference(config: StudyConfig) -> str:
    """The start that the others are compared with: that asked for, else scratch, else the first."""
    if config.against is not None:
        return config.against
    return SCRATCH if SCRATCH in config.starts else config.starts[0]


def pairs(config: StudyConfig) -> list[tuple[str, str]]:
    """Which start is compared with which.

    Each with the reference; a pretext with ``scratch-longer`` too, where that is in the study: it
    had as many steps.
    """
    first = reference(config)
    found = [(start, first) for start in config.starts if start != first]
    if SCRATCH_LONGER in config.starts and first != SCRATCH_LONGER:
        pretexts = [start for start in config.starts if start in PRETEXT_NAMES and start != first]
        found += [(start, SCRATCH_LONGER) for start in pretexts]
    return found


def read_runs(records: list[dict[str, Any]], out: Path, task: LabelledTask) -> Runs:
    """The counts of each record's ``frames.csv``."""
    runs: Runs = {}
    for record in records:
        counts = task.read_counts(out / record["run"]).counts
        key = (record["start"], record["tune"], record["labels"])
        runs.setdefault(key, {})[record["seed"]] = counts
    return runs


def numbered_groups(names: Sequence[str | None]) -> Int64[np.ndarray, " n"] | None:
    """The video or patient of each frame as a number; None where they are not known.

    >>> numbered_groups(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    known = sorted({name for name in names if name is not None})
    if None in names or len(known) < 2:
        return None
    return np.array([known.index(name) for name in names if name is not None], dtype=np.int64)


def of_seeds(runs: Mapping[int, Counts], seeds: list[int]) -> Int64[np.ndarray, "s n k m"]:
    """The counts of these seeds, one above the other."""
    return np.stack([runs[seed] for seed in seeds])


def compare(
    records: list[dict[str, Any]], out: Path, config: StudyConfig, groups: Groups | None
) -> dict[str, Any]:
    """What ``study.json`` says beside its records, from the runs there are.

    Runs are paired by seed; a seed that only one of two starts has is left out. All comparisons
    that can be made are adjusted together, and anew whenever runs are added.

    Args:
        records: the study's finished runs.
        out: its folder.
        config: its settings.
        groups: of the frames of the scored split, see [`numbered_groups`][].

    Returns:
        ``classes`` that enter; ``groups``, how many videos or patients the intervals take as drawn
        by chance, None where these are single frames; ``comparisons``; ``labels_saved``.
    """
    task = labelled_task(config.task)
    runs, score = read_runs(records, out, task), task.score
    drawn = None if groups is None else len(np.unique(groups))
    nothing: dict[str, Any] = {"groups": drawn, "comparisons": [], "labels_saved": []}
    if not runs:
        return {"classes": None, **nothing}
    some = next(iter(next(iter(runs.values())).values()))
    try:
        usable = score.usable(some, groups)
    except ValueError as e:
        return {"classes": {"reason": str(e)}, **nothing}
    asked, estimates = [], []
    for tune in config.tunes:
        for labels in config.labels:
            for start, against in pairs(config):
                a = runs.get((start, tune, labels), {})
                b = runs.get((against, tune, labels), {})
                if seeds := sorted(a.keys() & b.keys()):
                    counts = of_seeds(a, seeds), of_seeds(b, seeds)
                    estimates.append(
                        stats.paired_difference(*counts, usable.classes, groups, score)
                    )
                    about = {"labels": labels, "tune": tune, "start": start, "against": against}
                    asked.append(about)
    told = stats.holm(estimates)
    comparisons = [
        {**about, "metric": score.name, **asdict(c)} for about, c in zip(asked, told, strict=True)
    ]
    return {
        "classes": asdict(usable),
        "groups": drawn,
        "comparisons": comparisons,
        "labels_saved": _labels_saved(runs, config, usable, groups, score, comparisons),
    }


def _labels_saved(
    runs: Runs,
    config: StudyConfig,
    usable: Usable,
    groups: Groups | None,
    score: PooledScore,
    comparisons: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """For each start and what it is compared with, where both have run with several budgets.

    Each interval has the level of their comparison with all labels, so that the two never
    contradict each other.
    """
    pair = ("start", "against", "tune", "labels")
    levels = {tuple(c[name] for name in pair): c["level"] for c in comparisons}
    found = []
    for tune in config.tunes:
        for start, against in pairs(config):
            mine = {n: runs[start, tune, n] for n in config.labels if (start, tune, n) in runs}
            others = runs.get((against, tune, max(config.labels)), {})
            if len(mine) < 2 or len(mine) < len(config.labels):
                continue
            seeds = sorted(set(others).intersection(*mine.values()))
            if not seeds:
                continue
            curve = {n: of_seeds(by_seed, seeds) for n, by_seed in mine.items()}
            level = levels[start, against, tune, max(config.labels)]
            theirs = of_seeds(others, seeds)
            saved = stats.labels_saved(curve, theirs, usable.classes, groups, score, level)
            found.append({"start": start, "against": against, "tune": tune, **asdict(saved)})
    return found


def called(start: str) -> str:
    """A start as people call it: of a path to a run or a file its last part.

    >>> called("colorization"), called("../weights/squeezenet1_0-imagenet.safetensors")
    ('colorization', 'squeezenet1_0-imagenet')
    """
    path = Path(start)
    return path.name.removesuffix(".safetensors").removesuffix(".pth") or start


def sentences(study: dict[str, Any]) -> list[str]:
    """What a ``study.json`` says, in words: comparisons, then labels saved."""
    told = (*study["comparisons"], *study["labels_saved"])
    several = len({about["tune"] for about in told}) > 1

    def names(about: dict[str, Any]) -> tuple[str, str]:
        tune = f" (tune {about['tune']})" if several else ""
        return called(about["start"]) + tune, called(about["against"]) + tune

    words = []
    for c in study["comparisons"]:
        its = stats.Comparison(**{f: c[f] for f in stats.Comparison.__dataclass_fields__})
        words.append(sentence(its, *names(c), c["labels"], c["metric"]))
    for s in study["labels_saved"]:
        fields = stats.LabelsSaved.__dataclass_fields__
        saved = stats.LabelsSaved(**{f: s[f] for f in fields if f in s})  # once without a level
        words.append(labels_sentence(saved, *names(s)))
    return words


def sentence(
    c: stats.Comparison, start: str, against: str, labels: int, metric: str = "dice"
) -> str:
    """The verdict in words, with the interval it is made from.

    >>> told = stats.Comparison(0.054, 0.012, 0.096, 0.95, 1, 5, "helps")
    >>> print(sentence(told, "colorization", "scratch", 30))  # doctest: +NORMALIZE_WHITESPACE
    With 30 labels, starting from colorization helps: dice 0.054 higher than from scratch
    (95 % interval 0.012 to 0.096, 5 seeds).
    """
    opening = f"With {labels} labels, "
    if c.low is None or c.high is None:
        why = f"too few seeds: {c.seeds}, a verdict needs {stats.MIN_SEEDS}"
        return f"{opening}no verdict on starting from {start} against {against}: {why}."
    holm_says = f" after Holm among {c.among} comparisons" if c.among > 1 else ""
    ends = f"{_decimal(c.low)} to {_decimal(c.high)}"
    support = f"({100 * c.level:.4g} % interval {ends}{holm_says}, {c.seeds} seeds)"
    direction = "lower" if c.difference < 0 else "higher"
    amount = f"{metric} {_decimal(abs(c.difference))} {direction}"
    if c.verdict == "no difference shown":
        both = f"between starting from {start} and from {against} (which is not the same as equal)"
        return f"{opening}no difference shown {both}: {amount} {support}."
    return f"{opening}starting from {start} {c.verdict}: {amount} than from {against} {support}."


def labels_sentence(saved: stats.LabelsSaved, start: str, against: str) -> str:
    """Labels saved in words.

    >>> saved = stats.LabelsSaved(300, 30, 120.5, 80.1, None, 5)
    >>> print(labels_sentence(saved, "imagenet", "scratch"))  # doctest: +NORMALIZE_WHITESPACE
    Starting from imagenet reaches with 120 labels what scratch reaches with 300
    (95 % interval 80 to more than 300 labels, 5 seeds).
    """
    reaches, low, high = (_budget(x, saved) for x in (saved.reaches, saved.low, saved.high))
    ends = f"{100 * saved.level:.4g} % interval {low} to {high} labels"
    support = f"{ends}, {saved.seeds} seeds"
    if saved.seeds < stats.MIN_SEEDS:
        support = f"no interval: too few seeds: {saved.seeds}, it needs {stats.MIN_SEEDS}"
    there = f"what {against} reaches with {saved.labels}"
    return f"Starting from {start} reaches with {reaches} labels {there} ({support})."


def _decimal(value: float) -> str:
    """Three decimals, or the first digit that is not 0, so that no end of an interval is hidden.

    >>> _decimal(0.0544), _decimal(-0.00021), _decimal(-0.0)
    ('0.054', '-0.0002', '0.000')
    """
    return f"{value:.1g}" if 0 < abs(value) < 0.0005 else f"{value + 0.0:.3f}"


def _budget(value: float | None, saved: stats.LabelsSaved) -> str:
    if value is None:
        return f"more than {saved.labels}"
    return f"{saved.smallest} or fewer" if value <= saved.smallest else f"{value:.0f}"
