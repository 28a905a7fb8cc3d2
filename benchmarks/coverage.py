"""How often the intervals of ``headstart.studies`` contain the truth, and find it, by simulation.

``python benchmarks/coverage.py OUT.json [--a RUN ... --b RUN ...]``. ``simulated.py`` draws the
studies. For each of its cases, with one test split and with folds, and with 5 and 10 seeds:

- how often the interval of a difference contains the truth, and how wide it is on average, beside
  other intervals that could have been chosen;
- how often a study of one comparison, and one of six, claims a difference where there is none;
- how often a true difference of 0.02, 0.05 and 0.10 is found, with 3, 5, 10 and 20 seeds (three
  seeds get no verdict; the number is what they would find if they did).

``--a`` and ``--b`` (runs of two recipes or starts, seed by seed, on hw6) measure the components of
the simulation on real runs; without them, those in OUT.json are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from alternatives import METHODS, half_of, ours
from simulated import (
    FOLDED,
    FRAMES,
    SCENARIOS,
    Effects,
    population,
    shift_of,
    simulate,
    studies,
)

from headstart.scores.pooled import MIN_FRAMES, pooled_dice, usable_classes
from headstart.studies import statistics as stats
from headstart.studies.labels_saved import labels_saved
from headstart.system.disk import write_json

SHIFT = 0.5  # logits; a true difference of about 0.03
POWER_SEEDS, POWER_SIZES = (3, 5, 10, 20), (0.02, 0.05, 0.10)
BUDGETS = {30: -0.6, 75: -0.1, 300: 0.5}  # of labels; the lead over the other start's 300, logits


def covered(
    effects: Effects, shift: float, seeds: int, count: int, frames: int = FRAMES, **how: bool
) -> dict[str, dict[str, float]]:
    """For each method: coverage, how often a difference is claimed, mean width."""
    truth = np.zeros(4)
    if shift:
        expected = population(effects, [shift, 0.0], times=8)
        truth = expected[0] - expected[1]
    rng = np.random.default_rng([1, seeds, frames])
    rows: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in METHODS}
    for study in studies(rng, effects, [shift, 0.0], count, seeds, frames, **how):
        (estimate,) = study.estimates()
        true = float(truth[study.classes].mean())
        for name, method in METHODS.items():
            half = half_of(method, estimate)
            hit = abs(estimate.value - true) <= half
            rows[name].append((hit, abs(estimate.value) > half, 2 * half))
    result = {}
    for name, told in rows.items():
        hits, says, widths = np.array(told, dtype=float).T
        result[name] = {
            "covers": round(float(hits.mean()), 4),
            "says": round(float(says.mean()), 4),
            "mean_width": round(float(widths.mean()), 5),
        }
    return result


def several(effects: Effects, seeds: int, count: int, frames: int = FRAMES) -> dict[str, float]:
    """How often at least one of six verdicts is wrong: two starts, three budgets, all equal.

    Holm says something exactly where the smallest p-value is below 0.05 / 6.
    """
    rng = np.random.default_rng([5, seeds, frames])
    wrong: dict[str, list[bool]] = {name: [] for name in METHODS}
    drawn = [studies(rng, effects, [0.0] * 3, count, seeds, frames) for _ in range(3)]
    for budgets in zip(*drawn, strict=True):
        pairs = [estimate for study in budgets for estimate in study.estimates()]
        for name, method in METHODS.items():
            clear = [abs(e.value) > half_of(method, e, (1 - stats.LEVEL) / 6) for e in pairs]
            wrong[name].append(any(clear))
        told = any(c.verdict in ("helps", "hurts") for c in stats.holm(pairs))
        assert told == (wrong["two-way"][-1] and seeds >= stats.MIN_SEEDS)
    return {name: round(float(np.mean(each)), 4) for name, each in wrong.items()}


def found(effects: Effects, size: float, count: int) -> dict[str, float]:
    """How often a true difference is found, by the number of seeds, in a study of one."""
    rng, shift = np.random.default_rng([6]), shift_of(effects, size)
    said: dict[int, list[bool]] = {seeds: [] for seeds in POWER_SEEDS}
    for study in studies(rng, effects, [shift, 0.0], count, max(POWER_SEEDS)):
        for seeds, each in said.items():
            (estimate,) = study.estimates(seeds)
            each.append(estimate.value > half_of(ours, estimate))
    return {f"{seeds} seeds": round(float(np.mean(each)), 3) for seeds, each in said.items()}


def case(effects: Effects, count: int, frames: int = FRAMES) -> dict[str, Any]:
    """Coverage, error and power of one case, on 50 frames."""
    rows: dict[str, Any] = {"effects": asdict(effects)}
    for seeds in (5, 10):
        rows[f"{seeds} seeds"] = {
            "difference": covered(effects, SHIFT, seeds, count, frames),
            "no difference": covered(effects, 0.0, seeds, count, frames),
        }
        if effects.per_group == 1:
            told = several(effects, seeds, count // 2, frames)
            rows[f"{seeds} seeds"]["six comparisons, any wrong"] = told
        else:
            alone = covered(effects, SHIFT, seeds, count, frames, by_frames=True)["two-way"]
            rows[f"{seeds} seeds"]["by frames"] = alone
    if effects.per_group == 1:
        rows["found"] = {str(size): found(effects, size, count // 4) for size in POWER_SIZES}
    return rows


def cases() -> dict[str, tuple[Effects, int]]:
    """Effects and frames of every case."""
    every = {name: (effects, FRAMES) for name, effects in {**SCENARIOS, **FOLDED}.items()}
    for name in ("hw6", "seeds differ"):
        every[f"{name}, folds, not alike"] = replace(FOLDED[f"{name}, folds"], alike=0.0), FRAMES
    for number, per in ((2, 25), (5, 10), (20, 10)):
        videos = replace(SCENARIOS["hw6"], start_group=0.3, per_group=per)
        every[f"{number} videos of {per} frames"] = videos, number * per
    return every


def many_frames(effects: Effects, count: int) -> dict[str, Any]:
    """On 200 frames, where the seeds count for more: coverage, and errors among six."""
    return {
        "difference": covered(effects, SHIFT, 5, count, 200),
        "six comparisons, any wrong": several(effects, 5, count, 200),
    }


def few_frames(count: int) -> dict[str, Any]:
    """How often a true difference is found on small test splits, with five seeds: ``says``."""
    return {
        f"{name}, {frames} frames": covered(SCENARIOS[name], SHIFT, 5, count, frames)["two-way"]
        for name in ("hw6", "frames differ", "seeds differ")
        for frames in (8, 20, 40)
    }


def single_scores(count: int) -> dict[str, Any]:
    """Coverage of one start's true score, as on hw6."""
    effects = SCENARIOS["hw6"]
    truth, rows = population(effects, [0.0])[0], {}
    for seeds, frames in ((5, 50), (10, 50), (5, 200)):
        rng, hits = np.random.default_rng([2, seeds, frames]), []
        for run in simulate(rng, effects, [0.0], count, seeds, frames)[0]:
            classes = held_by(run)
            estimate = stats.mean_score(run, classes)
            true = float(truth[classes].mean())
            hits.append(abs(estimate.value - true) <= half_of(ours, estimate))
        rows[f"{seeds} seeds, {frames} frames"] = round(float(np.mean(hits)), 4)
    return rows


def held_by(run: np.ndarray) -> list[int]:
    """The classes on enough frames of a run ``(seeds, frames, 4, 3)``."""
    return np.flatnonzero((run[0, ..., 0] + run[0, ..., 2] > 0).sum(0) >= MIN_FRAMES).tolist()


def crossing(budgets: list[int], leads: np.ndarray) -> float:
    """The first budget where the lead reaches 0, interpolated log-linearly; infinite if none."""
    above = np.flatnonzero(leads >= 0)
    if not len(above):
        return float("inf")
    if above[0] == 0:
        return float(budgets[0])
    i = above[0]
    share = leads[i - 1] / (leads[i - 1] - leads[i])
    return float(budgets[i - 1] * (budgets[i] / budgets[i - 1]) ** share)


def labels(count: int) -> dict[str, Any]:
    """Coverage of the budget at which one start reaches the other's score at 300 labels."""
    budgets, shifts, rows = list(BUDGETS), [*BUDGETS.values(), 0.0], {}
    for name in ("hw6", "seeds differ"):
        expected = population(SCENARIOS[name], shifts)
        for seeds in (5, 10):
            rng, hits = np.random.default_rng([3, seeds]), []
            runs = simulate(rng, SCENARIOS[name], shifts, count, seeds, FRAMES)
            for one in runs.swapaxes(0, 1):
                classes = held_by(one[0])
                score = expected[:, classes].mean(1)
                truth = crossing(budgets, score[:-1] - score[-1])
                saved = labels_saved(dict(zip(budgets, one[:-1], strict=True)), one[-1], classes)
                low, high = (x or float("inf") for x in (saved.low, saved.high))
                hits.append(low <= truth <= high)
            rows[f"{name}, {seeds} seeds"] = round(float(np.mean(hits)), 4)
    return rows


def mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, frames and the rest, for a matrix seeds by frames."""
    s, f = values.shape
    mean = values.mean()
    by_seed, by_frame = values.mean(1) - mean, values.mean(0) - mean
    rest = values - mean - by_seed[:, None] - by_frame
    df = (s - 1) * (f - 1)
    return (
        f * float((by_seed**2).sum()) / (s - 1),
        s * float((by_frame**2).sum()) / (f - 1),
        float((rest**2).sum()) / df,
    )


def pseudo_values(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores per seed, and jackknife pseudo-values seeds by frames, of ``(s, n, k, 3)``."""
    n, total = counts.shape[1], counts.sum(1, keepdims=True)
    values = pooled_dice(total)
    return values[:, 0], n * values - (n - 1) * pooled_dice(total - counts)


def measure(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Components of the difference of two recipes over crossed seeds and frames.

    ``logits`` are variances of the difference in recall's and precision's logit on the frames whose
    truth contains a class, summed over classes, relative to the rest; ``score`` has mean squares of
    the pseudo-values of pooled dice, relative to the rest, and the rest itself.
    """
    logits: dict[str, dict[str, float]] = {}
    for name, other in (("recall", 2), ("precision", 1)):
        sums = np.zeros(3)
        for c in range(a.shape[2]):
            held = a[0, :, c, 0] + a[0, :, c, 2] > 0
            pair = [np.log((x[:, held, c, 0] + 0.5) / (x[:, held, c, other] + 0.5)) for x in (a, b)]
            seeds, frames, rest = mean_squares(pair[0] - pair[1])
            sums += (seeds - rest) / held.sum(), (frames - rest) / len(a), rest
        logits[name] = {
            "start_seed": round(sums[0] / sums[2], 3),
            "start_frame": round(sums[1] / sums[2], 3),
        }
    score: dict[str, dict[str, float]] = {}
    (_, pseudo_a), (_, pseudo_b) = pseudo_values(a), pseudo_values(b)
    for name, values in (("one", pseudo_a), ("difference", pseudo_a - pseudo_b)):
        seeds, frames, rest = mean_squares(values)
        score[name] = {"seeds": seeds / rest, "frames": frames / rest, "rest": rest}
    return {"logits": logits, "score": score}


def read_runs(runs: list[Path]) -> np.ndarray:
    """Counts ``(seeds, frames, usable classes, 3)`` of run folders."""
    stacked = []
    for run in runs:
        with (run / "frames.csv").open(newline="") as f:
            rows = list(csv.DictReader(f))
        frames = len({row["frame"] for row in rows})
        counts = np.array([[int(row[k]) for k in ("TP", "FP", "FN")] for row in rows])
        stacked.append(counts.reshape(frames, -1, 3))
    counts = np.stack(stacked)
    return counts[:, :, list(usable_classes(counts[0]).classes)]


def medians(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each number in equal nested dictionaries."""
    first: dict[str, Any] = measured[0]
    return {
        key: medians([m[key] for m in measured])
        if isinstance(value, dict)
        else round(float(np.median([m[key] for m in measured])), 5)
        for key, value in first.items()
    }


def simulated_measure(effects: Effects) -> dict[str, Any]:
    """`measure` of simulated studies of three seeds and 50 frames: medians of 100."""
    runs = simulate(np.random.default_rng(4), effects, [0.0, 0.0], 100, 3, 50)
    enough = [
        (r[0, 0, ..., 0] + r[0, 0, ..., 2] > 0).sum(0).min() >= 5 for r in runs.swapaxes(0, 1)
    ]
    return medians([measure(*runs[:, i]) for i in np.flatnonzero(enough)])


def main() -> None:
    """Simulate, measure, and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--a", type=Path, nargs="+", default=[], help="runs of one recipe or start")
    parser.add_argument("--b", type=Path, nargs="+", default=[], help="of another, the same seeds")
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=("200 frames",), help="and keep the rest of OUT")
    args = parser.parse_args()
    n = args.studies
    old = json.loads(args.out.read_text()) if args.out.exists() else {}
    record: dict[str, Any] = {"schema": 2, "benchmark": "coverage", "studies": n, "frames": FRAMES}
    record["measured"] = old.get("measured")
    if args.a:
        record["measured"] = measure(read_runs(args.a), read_runs(args.b))
    with ProcessPoolExecutor(args.jobs) as pool:
        on_200 = {name: pool.submit(many_frames, e, n // 2) for name, e in SCENARIOS.items()}
        of_200 = {name: future.result() for name, future in on_200.items()}
        if args.only:
            write_json(args.out, {**old, args.only: of_200})
            return
        record["200 frames"] = of_200
        of_cases = {name: pool.submit(case, e, n, f) for name, (e, f) in cases().items()}
        others = {
            "few frames": pool.submit(few_frames, n // 2),
            "one score": pool.submit(single_scores, n // 4),
            "labels saved": pool.submit(labels, n // 8),
        }
        measured = {name: pool.submit(simulated_measure, e) for name, e in SCENARIOS.items()}
        record["cases"] = {}
        for name, future in of_cases.items():
            record["cases"][name] = future.result()
            print(name, flush=True)
        record |= {name: future.result() for name, future in others.items()}
        record["simulated"] = {name: future.result() for name, future in measured.items()}
    write_json(args.out, record)


if __name__ == "__main__":
    main()
