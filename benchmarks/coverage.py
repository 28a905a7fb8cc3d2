"""How often the intervals of ``headstart.studies.statistics`` contain the truth, by simulation.

Each row simulates 500 studies. Also measures how often a study of six comparisons without any
difference claims one.

``python benchmarks/coverage.py OUT.json [--a RUN ... --b RUN ...]``. Simulated runs are counts of
true positive, false positive and false negative pixels, drawn from a model whose true difference
is known: recall and precision of a class on a frame are logistic in the sum of

    start + seed + frame + start x seed + start x group + start x frame + start x seed x frame

each effect drawn per class, those of single frames with heavy tails. Every study draws new
seeds and frames, so the truth is that of all seeds and all frames. With folds, every seed deals the
frames anew and has a network for each fold; its effect is shared by the frames of the fold, and a
part of it by all folds of the seed, because their training sets overlap. ``--only folds`` measures
these cases alone, and keeps the rest of the file. ``--a`` and ``--b`` (runs of two
recipes or starts, seed by seed, on hw6) measure the same components on real runs; the sizes below
come from there.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from headstart.scores.pooled import MIN_FRAMES, pooled_dice, usable_classes
from headstart.studies import statistics as stats
from headstart.system.disk import write_json

# The test split of hw6: which of its four usable classes (bipolar forceps, prograsp forceps, needle
# driver, other) are on a frame together, and on how many of the 50; the logarithm of their pixels.
PATTERNS = np.array(
    [[0, 1, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1]], dtype=bool
)
PATTERN_FRAMES = np.array([20, 15, 6, 6, 2, 1])
LOG_PIXELS, LOG_PIXELS_SD = np.array([8.6, 8.55, 9.2, 8.4]), np.array([0.8, 0.5, 0.35, 0.45])
# Fitted so that the score of a simulated run (0.85), its variance between frames, and the rest of a
# difference are those of the default and the assignment recipe at 300 labels.
RECALL, PRECISION = np.array([2.6, 2.3, 2.9, 2.5]), np.array([1.9, 1.8, 2.5, 2.0])  # logits
FRAME_SD = np.array([2.7, 1.8, 1.45, 1.25])
PRECISION_SHARE = 0.5  # its effects are so much smaller than recall's
STRAY = np.array([0.02, 0.12, 0.03, 0.03])  # absent classes of which pixels are predicted
LOG_STRAY, LOG_STRAY_SD = 7.0, 1.0

BUDGETS = {30: -0.6, 75: -0.1, 300: 0.5}  # of labels; the lead over the other start's 300, logits
SIZES = (3, 5, 10)  # seeds


@dataclass(frozen=True)
class Effects:
    """Standard deviations on the logit scale, and ``per_group`` frames per video.

    With ``folds``, ``alike`` is the share of the variance of a seed's networks that they share.
    """

    start_seed: float
    start_frame: float
    seed: float = 0.2
    rest: float = 0.5
    start_group: float = 0.0
    per_group: int = 1
    folds: int = 1
    alike: float = 1.0


# `hw6` has the ratio measured there: with rest 1, start x seed and start x frame have variances of
# about 0.1. The others are what three seeds cannot exclude, and what would be worse.
SCENARIOS = {
    "hw6": Effects(start_seed=0.15, start_frame=0.15),
    "no effects of seeds or frames": Effects(start_seed=0.0, start_frame=0.0),
    "seeds differ a little": Effects(start_seed=0.35, start_frame=0.15),
    "seeds differ": Effects(start_seed=0.7, start_frame=0.15),
    "frames differ": Effects(start_seed=0.15, start_frame=1.0),
    "both differ": Effects(start_seed=0.5, start_frame=1.0),
}


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draws of variance 1 with heavy tails: one in ten is five times as wide, like misses."""
    return rng.standard_normal(shape) * np.where(rng.random(shape) < 0.1, 2.7, 0.52)


def of_networks(
    rng: np.random.Generator, e: Effects, shape: tuple[int, ...], fold: np.ndarray
) -> np.ndarray:
    """Draws of variance 1, one for each network, at the frames that it predicts.

    ``shape`` is (..., studies, seeds); ``fold`` (studies, seeds, frames) is the network of a frame.
    """
    if e.folds == 1:
        return rng.standard_normal((*shape, 1, 4))
    common = rng.standard_normal((*shape, 1, 4))
    own = rng.standard_normal((*shape, e.folds, 4))
    drawn = np.sqrt(e.alike) * common + np.sqrt(1 - e.alike) * own
    index = np.broadcast_to(fold[..., None], (*shape, fold.shape[-1], 4))
    return np.take_along_axis(drawn, index, axis=-2)


def simulate(
    rng: np.random.Generator,
    effects: Effects,
    shifts: list[float],
    studies: int,
    seeds: int,
    frames: int,
) -> np.ndarray:
    """Counts ``(starts, studies, seeds, frames, 4, 3)``; ``shifts`` are the starts' logits."""
    e, starts, per = effects, len(shifts), effects.per_group
    groups = frames // per
    p = PATTERN_FRAMES / PATTERN_FRAMES.sum()
    pattern = rng.choice(len(p), p=p, size=(studies, groups)).repeat(per, axis=1)
    if per > 1:  # half the frames of a video show what its others show
        own = rng.choice(len(p), p=p, size=(studies, frames))
        pattern = np.where(rng.random((studies, frames)) < 0.5, own, pattern)
    held = PATTERNS[pattern][:, None]
    pixels = np.exp(LOG_PIXELS + LOG_PIXELS_SD * rng.standard_normal((studies, 1, frames, 4)))
    # (studies, seeds, frames): every seed deals the frames anew
    fold = rng.permuted(np.tile(np.arange(frames) % e.folds, (studies, seeds, 1)), axis=-1)
    rates = []
    for mean, share in ((RECALL, 1.0), (PRECISION, PRECISION_SHARE)):
        frame = heavy(rng, (studies, 1, frames, 4))
        if per > 1:  # half the variance between frames is between videos
            video = rng.standard_normal((studies, 1, groups, 4)).repeat(per, axis=2)
            frame = np.sqrt(0.5) * (frame + video)
        logit = np.array(shifts)[:, None, None, None, None] + FRAME_SD * frame
        logit = logit + e.seed * of_networks(rng, e, (studies, seeds), fold)
        logit = logit + e.start_seed * of_networks(rng, e, (starts, studies, seeds), fold)
        logit = logit + e.start_frame * heavy(rng, (starts, studies, 1, frames, 4))
        if e.start_group:
            video = rng.standard_normal((starts, studies, 1, groups, 4)).repeat(per, axis=3)
            logit = logit + e.start_group * video
        logit = logit + e.rest * heavy(rng, (starts, studies, seeds, frames, 4))
        rates.append(1 / (1 + np.exp(-mean - share * logit)))
    recall, precision = rates
    tp = np.rint(pixels * recall) * held
    fn = np.maximum(np.rint(pixels) * held - tp, 0)
    stray = np.exp(LOG_STRAY + LOG_STRAY_SD * rng.standard_normal(tp.shape))
    stray = stray * (rng.random(tp.shape) < STRAY)
    fp = np.where(held, np.minimum(tp * (1 - precision) / precision, 20_000), stray)
    return np.stack([tp, np.rint(fp), fn], axis=-1).astype(np.int64)


def class_dice(counts: np.ndarray) -> np.ndarray:
    """``(..., k, 3)`` to ``(..., k)``."""
    return 2 * counts[..., 0] / np.maximum(2 * counts[..., 0] + counts[..., 1] + counts[..., 2], 1)


def population(effects: Effects, shifts: list[float]) -> np.ndarray:
    """Expected dice ``(starts, 4)`` over all seeds, on so many frames that none matters."""
    rng = np.random.default_rng(0)
    parts = [class_dice(simulate(rng, effects, shifts, 40, 1, 1000).sum(3)) for _ in range(20)]
    return np.mean([part.mean((1, 2)) for part in parts], axis=0)


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


def t_ends(value: float, se: float, df: float) -> tuple[float, float]:
    half = float(stdtrit(df, 0.5 + stats.LEVEL / 2)) * se
    return value - half, value + half


def pooled_anyway(counts: np.ndarray) -> np.ndarray:
    """Dice of a resample that may have lost a class: the mean over the classes it contains."""
    held = counts[..., 0] + counts[..., 2] > 0
    return (class_dice(counts) * held).sum(-1) / np.maximum(held.sum(-1), 1)


def resampled(rng: np.random.Generator, runs: list[np.ndarray], times: int = 500) -> np.ndarray:
    """Scores ``(runs, times)`` of two-way resamples: seeds and frames drawn with replacement."""
    s, n, k = runs[0].shape[:3]
    frames = rng.multinomial(n, np.full(n, 1 / n), size=times).astype(float)
    seeds = rng.multinomial(s, np.full(s, 1 / s), size=times) / s
    scores = []
    for run in runs:
        summed = frames @ run.swapaxes(0, 1).reshape(n, -1)
        scores.append((seeds * pooled_anyway(summed.reshape(times, s, k, 3))).sum(1))
    return np.array(scores)


def satterthwaite(pseudo: np.ndarray, *, pooled: bool = False) -> tuple[float, float]:
    """Standard error, and one number of degrees of freedom for both parts.

    ``pooled`` is the first version: a mean square not above that of the rest is pooled with it.
    """
    s, n = pseudo.shape
    seeds, frames, rest = mean_squares(pseudo)
    main, df = [(seeds, s - 1), (frames, n - 1)], float((s - 1) * (n - 1))
    if pooled:
        for ms, d in sorted(main):
            if ms <= rest * (1 + 1e-9) and d > 1:
                rest, df = (rest * df + ms * d) / (df + d), df + d
                main.remove((ms, d))
    main = [(max(ms, rest), d) for ms, d in main]
    terms = [*main, ((1 - len(main)) * rest, df)]
    variance = sum(ms for ms, _ in terms)
    freedom = variance**2 / sum(ms**2 / d for ms, d in terms)
    lowest = min((d for _, d in main), default=df)
    return (variance / (s * n)) ** 0.5, max(freedom, lowest)


def ours(estimate: stats.Estimate, level: float = stats.LEVEL) -> tuple[float, float]:
    """Like ``stats.interval``, but also with fewer than five seeds."""
    assert estimate.se is not None and estimate.parts is not None
    half = stats.t_of(estimate.parts, (1 - level) / 2) * estimate.se
    return estimate.value - half, estimate.value + half


def alternatives(
    rng: np.random.Generator, a: np.ndarray, b: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Other intervals of the same difference."""
    (values_a, pseudo_a), (values_b, pseudo_b) = pseudo_values(a), pseudo_values(b)
    values, pseudo = values_a - values_b, pseudo_a - pseudo_b
    (s, n), value = pseudo.shape, float(values.mean())
    again = resampled(rng, [a, b])
    low, high = np.quantile(again[0] - again[1], [0.025, 0.975])
    return {
        "t over seeds alone": t_ends(value, float(values.std(ddof=1)) / s**0.5, s - 1),
        "t over frames alone": t_ends(value, float(pseudo.mean(0).std(ddof=1)) / n**0.5, n - 1),
        "two-way, Satterthwaite": t_ends(value, *satterthwaite(pseudo)),
        "two-way, Satterthwaite, components below 0 pooled": t_ends(
            value, *satterthwaite(pseudo, pooled=True)
        ),
        "two-way bootstrap, percentiles": (float(low), float(high)),
    }


class Tally:
    """Counts how often intervals contain the truth, and how often they exclude 0."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[bool, bool, bool, float]]] = {}

    def add(self, method: str, low: float, high: float, truth: float, null: float = 0.0) -> None:
        row = (high < truth, low > truth, low > null or high < null, high - low)
        self.rows.setdefault(method, []).append(row)

    def result(self) -> dict[str, dict[str, float]]:
        """``says``: the share of studies that say "helps" or "hurts"."""
        result = {}
        for method, rows in self.rows.items():
            below, above, says, width = np.array(rows, dtype=float).T
            result[method] = {
                "covers": round(1 - float(below.mean() + above.mean()), 4),
                "interval_too_low": round(float(below.mean()), 4),
                "interval_too_high": round(float(above.mean()), 4),
                "says": round(float(says.mean()), 4),
                "median_width": round(float(np.median(width)), 5),
            }
        return result


def differences(
    effects: Effects,
    shift: float,
    truth: np.ndarray,
    seeds: int,
    frames: int,
    studies: int,
    *,
    others: bool = True,
) -> dict[str, dict[str, float]]:
    """Coverage of the true difference ``truth`` (per class), by our and other methods."""
    rng = np.random.default_rng([1, seeds, frames])
    runs = simulate(rng, effects, [shift, 0.0], studies, seeds, frames)
    groups = np.arange(frames) // effects.per_group
    tally = Tally()
    for a, b in zip(*runs, strict=True):
        # Class 0 stands for background here; it only has to be there.
        whole = np.concatenate([a[0, :, :1], a[0]], axis=1)
        grouped = None if effects.per_group == 1 else groups
        usable = usable_classes(whole, grouped)
        classes = [c - 1 for c in usable.classes]
        true = float(truth[classes].mean())
        estimate = stats.paired_difference(a, b, classes, grouped)
        ends = ours(estimate)
        tally.add("two-way" if grouped is None else "two-way by groups", *ends, true)
        given = stats.interval(estimate)
        assert given == ((None, None) if seeds < stats.MIN_SEEDS else ends)
        if not others:
            continue
        if grouped is None:
            for method, ends in alternatives(rng, a[:, :, classes], b[:, :, classes]).items():
                tally.add(method, *ends, true)
        else:
            alone = stats.paired_difference(a, b, classes)
            tally.add("two-way by frames", *ours(alone), true)
    return tally.result()


def several(effects: Effects, seeds: int, frames: int, studies: int) -> dict[str, float]:
    """How often at least one of six verdicts is wrong: two starts, three budgets, all equal."""
    rng = np.random.default_rng([5, seeds, frames])
    wrong: dict[str, list[bool]] = {}
    for _ in range(studies // 25):
        runs = simulate(rng, effects, [0.0] * 9, 25, seeds, frames)
        for one in runs.swapaxes(0, 1):
            held = (one[0, 0, ..., 0] + one[0, 0, ..., 2] > 0).sum(0) >= MIN_FRAMES
            classes = np.flatnonzero(held).tolist()
            pairs = [(one[b + k], one[b]) for b in (0, 3, 6) for k in (1, 2)]
            told = stats.holm([stats.paired_difference(*pair, classes) for pair in pairs])
            said = any(c.verdict in ("helps", "hurts") for c in told)
            wrong.setdefault("two-way", []).append(said)
            # Holm says something exactly where the smallest p-value is below 0.05 / 6.
            names = {"two-way, Satterthwaite": False}
            names |= {"two-way, Satterthwaite, components below 0 pooled": True}
            for name, pooled in names.items():
                clear = []
                for pair in pairs:
                    a, b = (pseudo_values(x[:, :, classes]) for x in pair)
                    se, df = satterthwaite(a[1] - b[1], pooled=pooled)
                    t = float(stdtrit(df, 1 - 0.025 / len(pairs)))
                    clear.append(abs(float((a[0] - b[0]).mean())) > t * se)
                wrong.setdefault(name, []).append(any(clear))
    return {name: round(float(np.mean(each)), 4) for name, each in wrong.items()}


def single_scores(
    effects: Effects, truth: np.ndarray, seeds: int, frames: int, studies: int
) -> dict[str, dict[str, float]]:
    """Coverage of one start's true score ``truth`` (per class)."""
    rng = np.random.default_rng([2, seeds, frames])
    runs = simulate(rng, effects, [0.0], studies, seeds, frames)[0]
    tally = Tally()
    for run in runs:
        held = (run[0, ..., 0] + run[0, ..., 2] > 0).sum(0) >= MIN_FRAMES
        classes = np.flatnonzero(held).tolist()
        ends = ours(stats.mean_score(run, classes))
        tally.add("two-way", *ends, float(truth[classes].mean()))
    return tally.result()


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


def labels(effects: Effects, expected: np.ndarray, seeds: int, studies: int) -> dict[str, Any]:
    """Coverage of the budget at which one start reaches the other's score at 300 labels."""
    budgets, shifts = list(BUDGETS), [*BUDGETS.values(), 0.0]
    rng = np.random.default_rng([3, seeds])
    runs = simulate(rng, effects, shifts, studies, seeds, 50)
    tally, truths = Tally(), []
    for one in runs.swapaxes(0, 1):
        held = (one[0, 0, ..., 0] + one[0, 0, ..., 2] > 0).sum(0) >= MIN_FRAMES
        classes = np.flatnonzero(held).tolist()
        score = expected[:, classes].mean(1)
        truth = crossing(budgets, score[:-1] - score[-1])
        truths.append(truth)
        saved = stats.labels_saved(dict(zip(budgets, one[:-1], strict=True)), one[-1], classes)
        inf = float("inf")
        tally.add("two-way, Fieller", saved.low or inf, saved.high or inf, truth)
        again = resampled(rng, list(one[:, :, :, classes]))
        reached = [crossing(budgets, lead) for lead in (again[:-1] - again[-1]).T]
        low, high = np.quantile(reached, [0.025, 0.975], method="inverted_cdf")
        tally.add("two-way bootstrap, percentiles", float(low), float(high), truth)
    result: dict[str, Any] = tally.result()
    for row in result.values():
        del row["says"]  # there is no budget that would mean "no difference"
        if row["median_width"] == float("inf"):
            row["median_width"] = None  # half the intervals end with "more than 300"
    return {"true_budget": round(float(np.median(truths)), 1), **result}


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
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--only", choices=("folds",))
    args = parser.parse_args()
    n, shift = args.studies, 0.5
    if args.only == "folds":
        record = json.loads(args.out.read_text())
        record |= {"folds": in_folds(n, shift), "few frames": few_frames(n, shift)}
        write_json(args.out, record)
        return
    record: dict[str, Any] = {"schema": 1, "benchmark": "coverage", "studies": n, "frames": 50}
    if args.a:
        record["measured"] = measure(read_runs(args.a), read_runs(args.b))
    record["simulated"] = {name: simulated_measure(e) for name, e in SCENARIOS.items()}
    record["scenarios"] = {}
    cases = [(name, e, 50, SIZES) for name, e in SCENARIOS.items()]
    for number, per in ((2, 25), (5, 10), (20, 10)):
        videos = replace(SCENARIOS["hw6"], start_group=0.3, per_group=per)
        cases.append((f"{number} videos of {per} frames", videos, number * per, (5, 10)))
    for name, effects, frames, sizes in cases:
        expected = population(effects, [shift, 0.0])
        truth = expected[0] - expected[1]
        rows: dict[str, Any] = {"effects": asdict(effects), "difference": float(truth.mean())}
        for seeds in sizes:
            rows[f"{seeds} seeds"] = {
                "difference": differences(effects, shift, truth, seeds, frames, n),
                "no difference": differences(effects, 0.0, np.zeros(4), seeds, frames, n),
            }
            print(name, seeds, rows[f"{seeds} seeds"], flush=True)
        record["scenarios"][name] = rows
    record["six comparisons"] = {}
    for frames in (50, 200):
        for name, effects in SCENARIOS.items():
            told = several(effects, 5, frames, 4 * n)
            record["six comparisons"][f"{name}, 5 seeds, {frames} frames"] = told
            print(name, frames, told, flush=True)
    hw6 = SCENARIOS["hw6"]
    truth = population(hw6, [0.0])[0]
    record["one score"] = {
        f"{s} seeds, {f} frames": single_scores(hw6, truth, s, f, n)
        for s, f in ((5, 50), (10, 50), (5, 200))
    }
    record["labels saved"] = {}
    for name in ("hw6", "seeds differ"):
        effects = SCENARIOS[name]
        expected = population(effects, [*BUDGETS.values(), 0.0])
        rows = {f"{s} seeds": labels(effects, expected, s, n) for s in (5, 10)}
        record["labels saved"][name] = rows
    record |= {"folds": in_folds(n, shift), "few frames": few_frames(n, shift)}
    write_json(args.out, record)


def few_frames(studies: int, shift: float) -> dict[str, Any]:
    """How often a true difference is found on small test splits, with five seeds: ``says``."""
    rows: dict[str, Any] = {}
    for name in ("hw6", "frames differ", "seeds differ"):
        expected = population(SCENARIOS[name], [shift, 0.0])
        truth = expected[0] - expected[1]
        for frames in (8, 20, 40):
            common = (SCENARIOS[name], shift, truth, 5, frames, studies)
            rows[f"{name}, {frames} frames"] = differences(*common, others=False)
    return rows


def in_folds(studies: int, shift: float) -> dict[str, Any]:
    """Coverage of studies with five folds; ``median_width`` beside that of one test split."""
    rows: dict[str, Any] = {}
    for name in ("hw6", "seeds differ", "frames differ", "both differ"):
        expected = population(SCENARIOS[name], [shift, 0.0])
        truth = expected[0] - expected[1]
        for alike in (0.0, 0.5):
            effects = replace(SCENARIOS[name], folds=5, alike=alike)
            of_case: dict[str, Any] = {}
            for frames, seeds in ((50, 5), (50, 10), (200, 5)):
                common = (seeds, frames, studies)
                of_case[f"{seeds} seeds, {frames} frames"] = {
                    "difference": differences(effects, shift, truth, *common, others=False),
                    "no difference": differences(effects, 0.0, np.zeros(4), *common, others=False),
                }
            rows[f"{name}, alike {alike:g}"] = of_case
            print(name, alike, of_case, flush=True)
    return rows


if __name__ == "__main__":
    main()
