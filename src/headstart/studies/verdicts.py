"""Comparisons and labels saved from a study's finished runs, and the sentences about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from headstart.config.records import PRETEXT_NAMES, SCRATCH, SCRATCH_LONGER, StudyConfig
from headstart.records.vouching import damaged
from headstart.scores.frames_csv import FRAMES
from headstart.scores.pooled import Groups, PooledScore, Usable
from headstart.studies import power
from headstart.studies import statistics as stats
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import labelled_task

Counts = Int64[np.ndarray, "n k m"]
Runs = dict[tuple[str, str, int], dict[int, Counts]]
"""Counts by start, tuning and budget, then by seed."""


def reference(config: StudyConfig) -> str:
    """Return the start to compare with: ``against`` if set, else scratch, else the first."""
    if config.against is not None:
        return config.against
    return SCRATCH if SCRATCH in config.starts else config.starts[0]


def pairs(config: StudyConfig) -> list[tuple[str, str]]:
    """Return the pairs of starts to compare.

    Each start is compared with the reference. A pretext is also compared with ``scratch-longer``,
    if the study has it, as both train for equally many steps.
    """
    against = reference(config)
    compared = [(start, against) for start in config.starts if start != against]
    if SCRATCH_LONGER in config.starts and against != SCRATCH_LONGER:
        pretexts = [start for start in config.starts if start in PRETEXT_NAMES and start != against]
        compared += [(start, SCRATCH_LONGER) for start in pretexts]
    return compared


def read_runs(records: list[dict[str, Any]], out: Path, task: LabelledTask) -> Runs:
    """Read the counts from each record's ``frames.csv``.

    Raises:
        DataError: a file is missing or damaged, or the runs were not scored on the same frames.
    """
    runs: Runs = {}
    first: Counts | None = None
    for record in records:
        counts = task.read_counts(out / record["run"]).counts
        first = counts if first is None else first
        truth = task.score.truth
        if counts.shape != first.shape or (truth(counts) != truth(first)).any():
            other = out / records[0]["run"]
            reason = f"its frames, classes or truth are not those of {other}"
            raise damaged(out / record["run"] / FRAMES, reason)
        key = (record["start"], record["tune"], record["labels"])
        runs.setdefault(key, {})[record["seed"]] = counts
    return runs


def numbered_groups(names: Sequence[str | None]) -> Int64[np.ndarray, " n"] | None:
    """Return the video or patient of each frame as a number; None if they are not all known.

    >>> numbered_groups(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    known = sorted({name for name in names if name is not None})
    if None in names or len(known) < 2:
        return None
    return np.array([known.index(name) for name in names if name is not None], dtype=np.int64)


def of_seeds(runs: Mapping[int, Counts], seeds: list[int]) -> Int64[np.ndarray, "s n k m"]:
    """Return the counts of these seeds, stacked."""
    return np.stack([runs[seed] for seed in seeds])


def compare(
    records: list[dict[str, Any]], out: Path, config: StudyConfig, groups: Groups | None
) -> dict[str, Any]:
    """Compare the starts of a study; all of ``study.json`` but its records.

    Runs are paired by seed; a seed that only one of two starts has is left out. All comparisons
    are adjusted together, and again whenever runs are added.

    Args:
        records: finished runs of the study.
        out: folder of the study.
        config: configuration of the study.
        groups: groups of the scored frames, see [`numbered_groups`][].

    Returns:
        ``classes`` that enter the score; ``groups``, the number of videos or patients, None if the
        intervals are over single frames; ``comparisons``; ``labels_saved``.
    """
    task = labelled_task(config.task)
    runs, score = read_runs(records, out, task), task.score
    num_groups = None if groups is None else len(np.unique(groups))
    empty: dict[str, Any] = {"groups": num_groups, "comparisons": [], "labels_saved": []}
    if not runs:
        return {"classes": None, **empty}
    any_run = next(iter(next(iter(runs.values())).values()))
    try:
        usable = score.usable(any_run, groups)
    except ValueError as e:
        return {"classes": {"reason": str(e)}, **empty}
    pairings, estimates = _differences(runs, config, usable, groups, score)
    comparisons = [
        {**pairing, "metric": score.name, **asdict(comparison), **outlook(estimate, comparison)}
        for pairing, estimate, comparison in zip(
            pairings, estimates, stats.holm(estimates, config.margin), strict=True
        )
    ]
    return {
        "classes": asdict(usable),
        "groups": num_groups,
        "comparisons": comparisons,
        "labels_saved": _labels_saved(runs, config, usable, groups, score, comparisons),
    }


def _differences(
    runs: Runs, config: StudyConfig, usable: Usable, groups: Groups | None, score: PooledScore
) -> tuple[list[dict[str, Any]], list[stats.Estimate]]:
    """Return which starts are compared, and their difference over the seeds that both have."""
    pairings, estimates = [], []
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
                    pairings.append(
                        {"labels": labels, "tune": tune, "start": start, "against": against}
                    )
    return pairings, estimates


def prospects(
    records: list[dict[str, Any]], out: Path, config: StudyConfig, groups: Groups | None
) -> tuple[dict[str, Any], ...]:
    """Return what a study could show once all its seeds are finished, from those that are.

    Returns:
        For each pair of starts with five seeds or more: ``labels``, ``tune``, ``start``,
        ``against``, ``seeds``, and ``difference``, the smallest that would be found in four of five
        studies, at the level of the first of all comparisons.
    """
    task = labelled_task(config.task)
    runs = read_runs(records, out, task)
    if not runs:
        return ()
    try:
        usable = task.score.usable(next(iter(next(iter(runs.values())).values())), groups)
    except ValueError:
        return ()
    pairings, estimates = _differences(runs, config, usable, groups, task.score)
    among = len(config.tunes) * len(config.labels) * len(pairs(config))
    level, seeds = 1 - (1 - stats.LEVEL) / max(1, among), len(config.seeds)
    sizes = (power.smallest_difference(e, level, seeds) for e in estimates)
    return tuple(
        {**pairing, "seeds": seeds, "difference": size}
        for pairing, size in zip(pairings, sizes, strict=True)
        if size is not None
    )


def outlook(estimate: stats.Estimate, comparison: stats.Comparison) -> dict[str, Any]:
    """Return what more seeds would bring.

    Returns:
        ``better_on_another_seed``: the probability of it. Where no difference is shown:
        ``seeds_needed`` and ``frames_needed`` (or groups), with which a difference as large as the
        margin would be found in four of five studies; None: more than anybody would try.
    """
    result: dict[str, Any] = {"better_on_another_seed": power.better_on_another_seed(estimate)}
    if comparison.verdict == "no difference shown" and comparison.margin is not None:
        asked = estimate, comparison.margin, comparison.level
        result["seeds_needed"] = power.seeds_for(*asked)
        result["frames_needed"] = power.units_for(*asked)
    return result


def _labels_saved(
    runs: Runs,
    config: StudyConfig,
    usable: Usable,
    groups: Groups | None,
    score: PooledScore,
    comparisons: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the labels saved for each pair of starts with runs at several budgets.

    Each interval has the level of the pair's comparison at all labels, so that the two agree.
    """
    pair = ("start", "against", "tune", "labels")
    levels = {tuple(c[name] for name in pair): c["level"] for c in comparisons}
    most, rows = max(config.labels), []
    for tune in config.tunes:
        for start, against in pairs(config):
            budgets = {n: runs[start, tune, n] for n in config.labels if (start, tune, n) in runs}
            reference_runs = runs.get((against, tune, most), {})
            if len(budgets) < 2 or len(budgets) < len(config.labels):
                continue
            seeds = sorted(set(reference_runs).intersection(*budgets.values()))
            if not seeds:
                continue
            curve = {n: of_seeds(by_seed, seeds) for n, by_seed in budgets.items()}
            level = levels[start, against, tune, most]
            goal = of_seeds(reference_runs, seeds)
            saved = stats.labels_saved(curve, goal, usable.classes, groups, score, level)
            rows.append({"start": start, "against": against, "tune": tune, **asdict(saved)})
    return rows


def called(start: str) -> str:
    """Return a short name of a start; for a path, its last part without the suffix.

    >>> called("colorization"), called("../weights/squeezenet1_0-imagenet.safetensors")
    ('colorization', 'squeezenet1_0-imagenet')
    """
    path = Path(start)
    return path.name.removesuffix(".safetensors").removesuffix(".pth") or start


def sentences(study: dict[str, Any]) -> list[str]:
    """Return the conclusions in a ``study.json`` as sentences: comparisons, then labels saved."""
    rows = (*study["comparisons"], *study["labels_saved"])
    several_tunes = len({row["tune"] for row in rows}) > 1

    def names(row: dict[str, Any]) -> tuple[str, str]:
        tune = f" (tune {row['tune']})" if several_tunes else ""
        return called(row["start"]) + tune, called(row["against"]) + tune

    conclusions = []
    for row in study["comparisons"]:
        told = sentence(read_comparison(row), *names(row), row["labels"], row["metric"])
        conclusions.append(" ".join([told, *more_sentences(row, study.get("groups"))]))
    for row in study["labels_saved"]:
        fields = stats.LabelsSaved.__dataclass_fields__
        saved = stats.LabelsSaved(**{f: row[f] for f in fields if f in row})  # old files lack level
        conclusions.append(labels_sentence(saved, *names(row)))
    return conclusions


def read_comparison(row: dict[str, Any]) -> stats.Comparison:
    """Return a comparison of ``study.json``; older files lack the margin."""
    fields = stats.Comparison.__dataclass_fields__
    return stats.Comparison(**{name: row[name] for name in fields if name in row})


def more_sentences(row: dict[str, Any], groups: int | None = None) -> list[str]:
    r"""Return what another seed would say, and what would show a difference, as sentences.

    >>> row = {"verdict": "no difference shown", "margin": 0.02, "start": "chroma",
    ...        "better_on_another_seed": 0.831, "seeds_needed": 12, "frames_needed": None}
    >>> print(*more_sentences(row), sep="\n")
    Another seed would favour chroma with a probability of 83 %.
    A difference of 0.02 would probably be shown with 12 seeds.
    """
    told = []
    if (chance := row.get("better_on_another_seed")) is not None:
        start = called(row["start"])
        told.append(f"Another seed would favour {start} with a probability of {_percent(chance)}.")
    if row["verdict"] == "no difference shown" and row.get("margin") is not None:
        seeds, units = row.get("seeds_needed"), row.get("frames_needed")
        noun = "test pictures" if groups is None else "test groups"
        ways = [f"{seeds} seeds"] if seeds else []
        ways += [f"{units} {noun}"] if units else []
        difference = f"A difference of {row['margin']:g} would"
        if ways:
            told.append(f"{difference} probably be shown with {' or '.join(ways)}.")
        else:
            most = f"with {power.MOST_SEEDS} seeds nor with {power.MOST_UNITS} {noun}"
            told.append(f"{difference} be shown neither {most}.")
    return told


def _percent(chance: float) -> str:
    """Return a probability; never 0 or 100 %.

    >>> _percent(0.831), _percent(0.9999), _percent(0.0)
    ('83 %', 'over 99 %', 'under 1 %')
    """
    if chance > 0.99:
        return "over 99 %"
    return "under 1 %" if chance < 0.01 else f"{100 * chance:.0f} %"


def sentence(
    c: stats.Comparison, start: str, against: str, labels: int, metric: str = "dice"
) -> str:
    """Return the verdict and its interval as a sentence.

    >>> helps = stats.Comparison(0.054, 0.012, 0.096, 0.95, 1, 5, "helps")
    >>> print(sentence(helps, "colorization", "scratch", 30))  # doctest: +NORMALIZE_WHITESPACE
    With 30 labels, starting from colorization helps: dice 0.054 higher than from scratch
    (95 % interval 0.012 to 0.096, 5 seeds).
    """
    opening = f"With {labels} labels, "
    if c.low is None or c.high is None:
        reason = f"too few seeds ({c.seeds} of the {stats.MIN_SEEDS} needed)"
        return f"{opening}no verdict on starting from {start} against {against}: {reason}."
    adjusted = f", adjusted for {c.among} comparisons (Holm)" if c.among > 1 else ""
    ends = f"{_decimal(c.low)} to {_decimal(c.high)}"
    support = f"({100 * c.level:.4g} % interval {ends}{adjusted}, {c.seeds} seeds)"
    direction = "lower" if c.difference < 0 else "higher"
    amount = f"{metric} {_decimal(abs(c.difference))} {direction}"
    if c.verdict == "no difference shown":
        both = f"between starting from {start} and from {against} (which is not the same as equal)"
        return f"{opening}no difference shown {both}: {amount} {support}."
    if c.verdict == "practically equal":
        both = f"starting from {start} and from {against} are practically equal"
        within = f"closer than the margin of {c.margin:g}"
        return f"{opening}{both}, {within}: {amount} {support}."
    return f"{opening}starting from {start} {c.verdict}: {amount} than from {against} {support}."


def labels_sentence(saved: stats.LabelsSaved, start: str, against: str) -> str:
    """Return the labels saved as a sentence.

    >>> saved = stats.LabelsSaved(300, 30, 120.5, 80.1, None, 5)
    >>> print(labels_sentence(saved, "imagenet", "scratch"))  # doctest: +NORMALIZE_WHITESPACE
    Starting from imagenet reaches with 120 labels what scratch reaches with 300
    (95 % interval 80 to more than 300 labels, 5 seeds).
    """
    reaches, low, high = (_budget(x, saved) for x in (saved.reaches, saved.low, saved.high))
    ends = f"{100 * saved.level:.4g} % interval {low} to {high} labels"
    support = f"{ends}, {saved.seeds} seeds"
    if saved.seeds < stats.MIN_SEEDS:
        support = f"no interval: too few seeds, {saved.seeds} of the {stats.MIN_SEEDS} needed"
    goal = f"what {against} reaches with {saved.labels}"
    return f"Starting from {start} reaches with {reaches} labels {goal} ({support})."


def _decimal(value: float) -> str:
    """Return three decimals, or the first non-zero digit so that small values do not show as 0.

    >>> _decimal(0.0544), _decimal(-0.00021), _decimal(-0.0)
    ('0.054', '-0.0002', '0.000')
    """
    return f"{value:.1g}" if 0 < abs(value) < 0.0005 else f"{value + 0.0:.3f}"


def _budget(value: float | None, saved: stats.LabelsSaved) -> str:
    if value is None:
        return f"more than {saved.labels}"
    return f"{saved.smallest} or fewer" if value <= saved.smallest else f"{value:.0f}"
