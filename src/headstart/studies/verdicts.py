"""Comparisons and labels saved from a study's finished runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from headstart.config.methods import SEMI_SUPERVISED, SUPERVISED_LONGER, parted
from headstart.config.records import StudyConfig
from headstart.config.start_names import PRETEXT_NAMES, SCRATCH, SCRATCH_LONGER
from headstart.scores.pooled import Groups, PooledScore, Usable
from headstart.studies import power
from headstart.studies import statistics as stats
from headstart.studies.best_arm import chances
from headstart.studies.counts_of_runs import Arms, Runs, of_seeds, read_runs
from headstart.studies.labels_saved import labels_saved
from headstart.studies.looks import at_a_look, error_with_more_seeds, look_at
from headstart.tasks.lookup import labelled_task

_SIDES = ("start", "against")


def reference(config: StudyConfig) -> str:
    """Return the start to compare with: ``against`` if set, else scratch, else the first."""
    if config.against is not None:
        return config.against
    return SCRATCH if SCRATCH in config.starts else config.starts[0]


def pairs(config: StudyConfig) -> list[tuple[str, str]]:
    """Return the pairs of starts to compare.

    Each start is compared with the reference. A pretext is also compared with ``scratch-longer``,
    if the study has it, as both train for equally many steps. A semi-supervised arm is also
    compared with the same start, supervised, and with ``supervised-longer``, whose network sees as
    many pictures and which is compared with nothing else.
    """
    against = reference(config)
    arms = [arm for arm in config.starts if parted(arm)[1] != SUPERVISED_LONGER or arm == against]
    compared = [(arm, against) for arm in arms if arm != against]
    if SCRATCH_LONGER in config.starts and against != SCRATCH_LONGER:
        pretexts = [start for start in config.starts if start in PRETEXT_NAMES and start != against]
        compared += [(start, SCRATCH_LONGER) for start in pretexts]
    for arm in config.starts:
        start, method = parted(arm)
        for other in (start, f"{start}+{SUPERVISED_LONGER}"):
            pair = (arm, other)
            if method == SEMI_SUPERVISED and other in config.starts and pair not in compared:
                compared.append(pair)
    return compared


def compare(
    records: list[dict[str, Any]],
    out: Path,
    config: StudyConfig,
    groups: Groups | None,
    failed: Arms = frozenset(),
) -> dict[str, Any]:
    """Compare the starts of a study; all of ``study.json`` but its records.

    Runs are paired by seed; a seed that only one of two starts has is left out. All comparisons
    are adjusted together, and again whenever runs are added.

    An arm with a run that failed gets no verdict: runs do not fail by chance, and the seeds that
    are left may be those that suit it.

    Args:
        records: finished runs of the study.
        out: folder of the study.
        config: configuration of the study.
        groups: groups of the scored frames, see
            [`numbered_groups`][headstart.studies.counts_of_runs.numbered_groups].
        failed: the arms with runs that failed and are not tried again.

    Returns:
        ``classes`` that enter the score; ``groups``, the number of videos or patients, None if the
        intervals are over single frames; ``comparisons``; ``labels_saved``; with several looks,
        ``look``, see [`Look`][headstart.studies.looks.Look]; with enough seeds, ``best``: the arms
        of each budget, the best first, each with its ``score`` over the seeds that all of them
        have, and the ``chance`` that it is the best.
    """
    task = labelled_task(config.task)
    runs, score = read_runs(records, out, task), task.score
    num_groups = None if groups is None else len(np.unique(groups))
    complete = _complete_seeds(records, config)
    look = look_at(config, complete)
    empty: dict[str, Any] = {"groups": num_groups, "comparisons": [], "labels_saved": []}
    if len(look.seeds) > 1:
        empty["look"] = asdict(look)
    if not runs:
        return {"classes": None, **empty}
    any_run = next(iter(next(iter(runs.values())).values()))
    try:
        usable = score.usable(any_run, groups)
    except ValueError as e:
        return {"classes": {"reason": str(e)}, **empty}
    if look.most is not None:  # the seeds after this look wait for the next
        runs = {key: dict(sorted(of_arm.items())[: look.most]) for key, of_arm in runs.items()}

    def has_failed(pairing: dict[str, Any]) -> bool:
        arms = {(pairing[side], pairing["tune"], pairing["labels"]) for side in _SIDES}
        return not failed.isdisjoint(arms)

    pairings, estimates = _differences(runs, config, usable, groups, score)
    more = error_with_more_seeds(config, complete) / look.error
    compared = stats.holm(estimates, config.margin, look.error)
    if complete < look.needed:  # no verdict before the first look
        waiting: dict[str, Any] = {"low": None, "high": None, "verdict": "too few seeds"}
        compared = [replace(c, **waiting) if c.seeds < look.needed else c for c in compared]
    compared = [
        replace(c, low=None, high=None, verdict="incomplete") if has_failed(pairing) else c
        for pairing, c in zip(pairings, compared, strict=True)
    ]
    comparisons = [
        {**pairing, "metric": score.name, **asdict(c), **outlook(estimate, c, config, more)}
        for pairing, estimate, c in zip(pairings, estimates, compared, strict=True)
    ]
    saved = _labels_saved(runs, config, usable, groups, score, comparisons)
    saved = [row for row in saved if not any(map(has_failed, _budgets(row, config)))]
    if complete < look.needed:
        no_ends: dict[str, Any] = {"low": None, "high": None}
        saved = [{**row, **no_ends} if row["seeds"] < look.needed else row for row in saved]
    result = {
        "classes": asdict(usable),
        **empty,
        "comparisons": comparisons,
        "labels_saved": saved,
    }
    if complete >= look.needed and (best := _best(runs, config, usable, groups, score, failed)):
        result["best"] = best
    return result


def _best(
    runs: Runs,
    config: StudyConfig,
    usable: Usable,
    groups: Groups | None,
    score: PooledScore,
    failed: Arms,
) -> list[dict[str, Any]]:
    """Return the arms of each budget with the chance that each is the best of them."""
    rows = []
    for labels in config.labels:
        arms = [(start, tune, labels) for start, tune in product(config.starts, config.tunes)]
        if len(arms) < 2 or not failed.isdisjoint(arms) or any(arm not in runs for arm in arms):
            continue
        seeds = sorted(set.intersection(*(set(runs[arm]) for arm in arms)))
        if not seeds:
            continue
        counts = [of_seeds(runs[arm], seeds) for arm in arms]
        chance = chances(counts, usable.classes, groups, score)
        if chance is None:
            continue
        means = [float(score.of(c[:, :, list(usable.classes)].sum(1)).mean()) for c in counts]
        ranked = sorted(zip(means, chance, arms, strict=True), key=lambda row: -row[0])
        for mean, share, (start, tune, _) in ranked:
            row = {"start": start, "tune": tune, "labels": labels, "score": mean, "chance": share}
            rows.append(row)
    return rows


def _budgets(row: dict[str, Any], config: StudyConfig) -> list[dict[str, Any]]:
    """Return a row of labels saved once for each budget, of which it is made."""
    return [{**row, "labels": labels} for labels in config.labels]


def _complete_seeds(records: list[dict[str, Any]], config: StudyConfig) -> int:
    """Return how many seeds have all their runs."""
    runs = Counter(record["seed"] for record in records)
    each = len(config.starts) * len(config.tunes) * len(config.labels)
    return sum(runs[seed] == each for seed in config.seeds)


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
        studies, at the level of the first of all comparisons; with a margin, also ``margin``,
        ``groups``, ``seeds_needed`` and ``frames_needed``, as in [`outlook`][].
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
    error = error_with_more_seeds(config, _complete_seeds(records, config))
    level, seeds, rows = 1 - error / max(1, among), len(config.seeds), []
    for pairing, estimate in zip(pairings, estimates, strict=True):
        size = power.smallest_difference(estimate, level, seeds)
        if size is None:
            continue
        row = {**pairing, "seeds": seeds, "difference": size}
        if (margin := config.margin) is not None:
            row["margin"] = margin
            row["groups"] = None if groups is None else len(np.unique(groups))
            row["seeds_needed"] = at_a_look(config, power.seeds_for(estimate, margin, level))
            row["frames_needed"] = power.units_for(estimate, margin, level)
        rows.append(row)
    return tuple(rows)


def outlook(
    estimate: stats.Estimate, comparison: stats.Comparison, config: StudyConfig, share: float
) -> dict[str, Any]:
    """Return what more seeds would bring.

    Args:
        estimate: the difference.
        comparison: its verdict.
        config: configuration of the study.
        share: error of the next look, after more seeds, over that of this one.

    Returns:
        ``better_on_another_seed``: the probability of it. Where no difference is shown:
        ``seeds_needed`` and ``frames_needed`` (or groups), with which a difference as large as the
        margin would be found in four of five studies; None: these runs name no number.
    """
    result: dict[str, Any] = {"better_on_another_seed": power.better_on_another_seed(estimate)}
    if comparison.verdict == "no difference shown" and comparison.margin is not None:
        level = 1 - (1 - comparison.level) * share
        needed = power.seeds_for(estimate, comparison.margin, level)
        result["seeds_needed"] = at_a_look(config, needed)
        result["frames_needed"] = power.units_for(estimate, comparison.margin, comparison.level)
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
            saved = labels_saved(curve, goal, usable.classes, groups, score, level)
            rows.append({"start": start, "against": against, "tune": tune, **asdict(saved)})
    return rows
