"""The statistics of a study: differences between starts, intervals and verdicts.

The input is counts of shape ``(seeds, frames, classes, m)`` for each start and label budget, of
every run on every frame; see [`headstart.scores.pooled`][]. A score is
computed for each seed from counts summed over the frames, then averaged over the seeds. It has two
sources of uncertainty, which are crossed and not nested: another seed would have trained another
network, and other frames would have been easier or harder for all seeds.

**The interval.** Leaving one frame out at a time gives each seed's jackknife pseudo-values
``F * score - (F - 1) * score_without_f``, a seeds by frames matrix that varies as the score does. A
two-way analysis of variance splits its variation into seeds, frames and the rest, and

    ``Var(mean) = (MS_seeds + MS_frames - MS_rest) / (seeds * frames)``

The side with fewer members (in most studies the seeds) counts in full, because few members cannot
show that they make no difference. The other side counts where it exceeds the rest. Each part has
its own degrees of freedom, for example four for five seeds. The interval uses the mean of the two
Student's t, weighted by the parts, at the level asked for. Where groups of frames (videos,
patients) are known, they take the place of frames, because frames of one group err together.

``benchmarks/coverage.py`` measures how often the interval contains the truth, beside other
intervals, and how often a study without differences reports one. The usual single number of degrees
of freedom (Satterthwaite) gives intervals that are too short at the high levels that several
comparisons need.

Sources: Cornfield and Tukey 1956 (variance of a two-way mean), Cochran and Cox 1950 (t with two
variances), Efron and Stein 1981 (the jackknife), Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from headstart.config.option_values import FEWEST_SEEDS
from headstart.scores.pooled import DICE, Counts, Groups, PooledScore, sum_groups

Verdict = Literal[
    "helps", "hurts", "practically equal", "no difference shown", "too few seeds", "incomplete"
]
Parts = tuple[tuple[float, int], tuple[float, int]]  # two shares with their degrees of freedom

MIN_SEEDS = FEWEST_SEEDS  # for a verdict; docs/decisions/0009-interval.md
LEVEL = 0.95  # of an interval, and of all verdicts of a study together
LEAST_SHARE = 0.1  # of the mean square of the rest, in that of the side with fewer members

_LEAST = 1e-300  # the smallest probability that is told from 0


@dataclass(frozen=True)
class Estimate:
    """A score, or the difference of two scores."""

    value: float  # the mean over seeds
    se: float | None  # its standard error over seeds and frames; None with a single seed
    parts: Parts | None  # the parts of `se ** 2`, the one with fewer members first
    seeds: int
    units: int  # frames, or groups of frames
    squares: tuple[float, float, float] | None = None  # mean squares of seeds, frames and the rest
    seed_sd: float | None = None  # standard deviation between seeds, on these frames


@dataclass(frozen=True)
class Comparison:
    """One difference with its interval; see [`holm`][headstart.studies.statistics.holm]."""

    difference: float
    low: float | None  # None with too few seeds
    high: float | None
    level: float  # of the interval, adjusted by Holm's method
    among: int  # the number of comparisons adjusted together
    seeds: int
    verdict: Verdict  # follows from `low` and `high`
    margin: float | None = None  # a smaller difference does not matter; None: not said


def mean_score(
    counts: Counts, classes: Sequence[int], groups: Groups | None = None, score: PooledScore = DICE
) -> Estimate:
    """Return the score of one start at one budget, over seeds and frames.

    Its interval is less reliable than the interval of a difference, in which the difficulty of the
    frames cancels. In simulations it contained the truth in 90 % of the cases with 50 frames, and
    classes on as few as 9 of them; with 200 frames, in 94 %. No verdict uses it.

    Args:
        counts: the counts of all seeds on the same frames.
        classes: the indices of the classes in the score; see
            [`usable_classes`][headstart.scores.pooled.usable_classes].
        groups: the group (video, patient) of each frame; without it each frame is its own group.
        score: the score that is made from the counts.

    Raises:
        ValueError: shapes do not match, counts are negative, seeds have different truths, a class
            is unknown, or there are fewer than two frames (groups).
    """
    _check(counts, score, "counts")
    return two_way(*pseudo_values(counts, classes, groups, score))


def paired_difference(
    a: Counts,
    b: Counts,
    classes: Sequence[int],
    groups: Groups | None = None,
    score: PooledScore = DICE,
) -> Estimate:
    """Return the mean over seeds of ``score(a_s) - score(b_s)``.

    Args:
        a: the counts of a start, for the same seeds and frames as ``b``.
        b: the counts of the start that it is compared with.
        classes: as in [`mean_score`][headstart.studies.statistics.mean_score].
        groups: as in ``mean_score``.
        score: as in ``mean_score``.

    Raises:
        ValueError: as in ``mean_score``, or ``a`` and ``b`` differ in shape or in truth.

    >>> a = np.array([[[[8, 1, 1]], [[7, 2, 2]]], [[[9, 0, 0]], [[6, 1, 3]]]])
    >>> b = np.array([[[[5, 2, 4]], [[4, 2, 5]]], [[[6, 3, 3]], [[4, 2, 5]]]])
    >>> round(paired_difference(a, b, classes=[0]).value, 4)
    0.2645
    """
    return two_way(*pseudo_differences(a, b, classes, groups, score))


def interval(estimate: Estimate, level: float = LEVEL) -> tuple[float, float] | tuple[None, None]:
    """Return ``value - t * se`` and ``value + t * se``; None twice with fewer than five seeds.

    >>> only_seeds = (1.0, 4), (0.0, 49)
    >>> low, high = interval(Estimate(0.05, se=0.01, parts=only_seeds, seeds=5, units=50))
    >>> round(low, 4), round(high, 4)
    (0.0222, 0.0778)
    """
    if estimate.seeds < MIN_SEEDS or estimate.se is None or estimate.parts is None:
        return None, None
    half = t_of(estimate.parts, (1 - level) / 2) * estimate.se
    return estimate.value - half, estimate.value + half


def t_of(parts: Parts, tail: float) -> float:
    """Return the t that a difference, in standard errors, exceeds with probability ``tail``.

    Args:
        parts: the parts of the variance; see [`Estimate`][headstart.studies.statistics.Estimate].
        tail: the one-sided probability.

    >>> round(t_of(((1.0, 4), (0.0, 49)), 0.025), 3), round(t_of(((0.5, 4), (0.5, 49)), 0.025), 3)
    (2.776, 2.393)
    """
    from scipy.special import stdtrit  # slow to load

    return sum(share * -float(stdtrit(df, tail)) for share, df in parts)


def p_value(estimate: Estimate) -> float | None:
    """Return the two-sided p-value of no difference; ``None`` with fewer than five seeds.

    It is 1 minus the level at which one end of the interval is 0. Bisection searches it between the
    p-values for the degrees of freedom of either part; docs/decisions/0022 says why not SciPy.

    >>> only_seeds = (1.0, 4), (0.0, 49)
    >>> round(p_value(Estimate(0.05, se=0.01, parts=only_seeds, seeds=5, units=50)), 4)
    0.0075
    """
    if estimate.seeds < MIN_SEEDS or estimate.se is None or estimate.parts is None:
        return None
    if estimate.se == 0:
        return float(estimate.value == 0)
    from scipy.special import stdtr

    t = abs(estimate.value) / estimate.se
    tails = [max(float(stdtr(df, -t)), _LEAST) for _, df in estimate.parts]
    low, high = min(tails), max(tails)
    while high > low * (1 + 1e-12):
        tail = math.sqrt(low * high)
        if not low < tail < high:
            break
        low, high = (tail, high) if t_of(estimate.parts, tail) > t else (low, tail)
    return 2 * high


def verdict(low: float | None, high: float | None, margin: float | None = None) -> Verdict:
    """Return the verdict that follows from the interval of a difference.

    Args:
        low: the interval's lower end; None: there are too few seeds for an interval.
        high: its upper end.
        margin: if the whole interval is smaller than this, the starts are practically equal, even
            where the interval does not contain 0; None: they are never called so.

    >>> verdict(0.01, 0.09), verdict(-0.09, -0.01), verdict(-0.01, 0.09), verdict(None, None)
    ('helps', 'hurts', 'no difference shown', 'too few seeds')
    >>> verdict(-0.01, 0.015, margin=0.02), verdict(0.001, 0.015, 0.02), verdict(0.01, 0.03, 0.02)
    ('practically equal', 'practically equal', 'helps')
    """
    if low is None or high is None:
        return "too few seeds"
    if margin is not None and -margin < low and high < margin:
        return "practically equal"
    if low > 0:
        return "helps"
    return "hurts" if high < 0 else "no difference shown"


def holm(
    estimates: Sequence[Estimate], margin: float | None = None, error: float = 1 - LEVEL
) -> list[Comparison]:
    """Return all comparisons of a study, adjusted by Holm's method (1979).

    The probability that any of a study's verdicts is wrong is at most ``error``. In the order of
    the p-values, the interval of comparison ``r`` of ``m`` (from 0) has the level
    ``1 - error / (m - r)``. The first interval that contains 0 stops this: that comparison and all
    later ones keep its level. So an interval excludes 0 exactly where Holm's test rejects. Each
    interval has its own level; jointly they would contain the truth only at ``1 - error / m``.
    Comparisons with too few seeds are not tests and do not count in ``m``.

    Two starts are practically equal if the interval at the first level, ``1 - error / m``, lies
    within the margin; that interval is then shown. Holm's later levels would not do: six starts
    that all differ by the margin would be called different one by one, and the last of them equal
    too often.

    Args:
        estimates: all comparisons of a study.
        margin: see [`verdict`][headstart.studies.statistics.verdict].
        error: the largest probability that any verdict is wrong; less than 5 % where a study has
            several looks, see [`headstart.studies.looks`][].

    Returns:
        The comparisons, in the order of ``estimates``.
    """
    p_values = [p_value(e) for e in estimates]
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    among = len(order)
    levels = [1 - error] * len(estimates)
    level, stopped = 1 - error, False
    for rank, (_, i) in enumerate(order):
        if not stopped:
            level = 1 - error / (among - rank)
            stopped = verdict(*interval(estimates[i], level)) == "no difference shown"
        levels[i] = level
        low, high = interval(estimates[i], level)
        if verdict(low, high, margin) == "practically equal":
            levels[i] = 1 - error / among
    comparisons = []
    for e, level in zip(estimates, levels, strict=True):
        low, high = interval(e, level)
        comparisons.append(
            Comparison(
                e.value, low, high, level, among, e.seeds, verdict(low, high, margin), margin
            )
        )
    return comparisons


def _check(counts: Counts, score: PooledScore, name: str) -> None:
    if counts.ndim != 4 or not counts.size:
        expected = "(seeds, frames, classes, counts), none of them 0"
        raise ValueError(f"{name} must have the shape {expected}; found {counts.shape}")
    if (counts < 0).any():
        raise ValueError(f"{name} holds negative counts")
    if (score.truth(counts) != score.truth(counts[:1])).any():
        raise ValueError(f"the seeds of {name} do not have the same frames: their truth differs")


def pseudo_values(
    counts: Counts, classes: Sequence[int], groups: Groups | None, score: PooledScore
) -> tuple[Float64[np.ndarray, " s"], Float64[np.ndarray, "s u"]]:
    """Return each seed's score and the pseudo-values of its units."""
    known = range(counts.shape[2])
    if not classes or len(set(classes)) < len(classes) or not set(classes) <= set(known):
        raise ValueError(f"classes must be some of 0 to {len(known) - 1}; found {list(classes)}")
    units = sum_groups(counts[:, :, list(classes)], groups)
    n = units.shape[1]
    if n < 2:
        raise ValueError(f"an interval needs two frames (groups) or more; found {n}")
    total = units.sum(1)
    values = score.of(total)
    return values, n * values[:, None] - (n - 1) * score.of(total[:, None] - units)


def pseudo_differences(
    a: Counts, b: Counts, classes: Sequence[int], groups: Groups | None, score: PooledScore
) -> tuple[Float64[np.ndarray, " s"], Float64[np.ndarray, "s u"]]:
    """Return each seed's difference and the pseudo-values of its units."""
    _check(a, score, "a")
    _check(b, score, "b")
    if a.shape != b.shape or (score.truth(a[0]) != score.truth(b[0])).any():
        shapes = f"found shapes {a.shape} and {b.shape}"
        raise ValueError(f"a and b must have the same seeds, frames and truth; {shapes}")
    values_a, pseudo_a = pseudo_values(a, classes, groups, score)
    values_b, pseudo_b = pseudo_values(b, classes, groups, score)
    return values_a - values_b, pseudo_a - pseudo_b


def two_way(values: Float64[np.ndarray, " s"], pseudo: Float64[np.ndarray, "s u"]) -> Estimate:
    """Return the mean over seeds with its two-way standard error; see the module's docstring."""
    s, u = pseudo.shape
    value = float(values.mean())
    if s < 2:
        return Estimate(value, None, None, s, u)
    mean = pseudo.mean()
    by_seed, by_unit = pseudo.mean(1) - mean, pseudo.mean(0) - mean
    rest = float(((pseudo - mean - by_seed[:, None] - by_unit) ** 2).sum()) / ((s - 1) * (u - 1))
    squares = (
        u * float((by_seed**2).sum()) / (s - 1),
        s * float((by_unit**2).sum()) / (u - 1),
        rest,
    )
    variance, parts = combined(squares, s, u)
    return Estimate(
        value, math.sqrt(variance / (s * u)), parts, s, u, squares, float(values.std(ddof=1))
    )


def combined(squares: tuple[float, float, float], seeds: int, units: int) -> tuple[float, Parts]:
    """Return ``seeds * units`` times the variance of the mean, and its parts.

    Args:
        squares: the mean squares of seeds, units and the rest.
        seeds: their number.
        units: the number of frames or groups.

    >>> combined((3.0, 2.0, 1.0), seeds=5, units=50)
    (4.0, ((0.75, 4), (0.25, 49)))
    """
    of_seeds, of_units, rest = squares
    sides = (of_seeds, seeds - 1), (of_units, units - 1)
    (fewer, few), (other, more) = sorted(sides, key=lambda side: side[1])
    main = max(fewer, LEAST_SHARE * rest)  # seeds may score alike by chance, on few frames
    added = max(other - rest, 0.0)
    share = main / (main + added) if main + added > 0 else 1.0
    return main + added, ((share, few), (1 - share, more))
