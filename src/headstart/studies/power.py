"""What a study could show: the power of its comparisons, and the seeds or frames for more.

The two-way analysis of variance of a comparison (see [`headstart.studies.statistics`][]) gives the
variance between seeds, between frames, and of the rest. With ``S`` seeds and ``U`` frames the
difference then has the variance

    ``var_seeds / S + var_frames / U + var_rest / (S * U)``

and the interval is as wide as its rules make it on average: a mean square below that of the rest
is raised to it, so that the interval is wider than these variances alone would make it. A
difference of a given size is found if it exceeds half the interval. The variances come from the
few seeds of the study itself, so every number here is an estimate.

Source of the expectation of the larger of a mean square and a constant: the partial moments of the
chi-squared distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from headstart.studies.statistics import MIN_SEEDS, Estimate, Parts, t_of

POWER = 0.8  # the chance of finding a difference that "would be shown"
MOST_SEEDS, MOST_UNITS = 200, 5000  # beyond these nobody goes on


def better_on_another_seed(estimate: Estimate) -> float | None:
    """Return the probability that the start scores higher on another seed, on the same frames.

    ``P(t_{S-1} < mean / (sd * sqrt(1 + 1 / S)))`` with mean and standard deviation of the
    differences of the ``S`` seeds; None with fewer than five seeds.

    >>> sure = Estimate(0.05, 0.01, None, seeds=5, units=50, seed_sd=0.01)
    >>> even = Estimate(0.0, 0.01, None, seeds=5, units=50, seed_sd=0.01)
    >>> round(better_on_another_seed(sure), 3), better_on_another_seed(even)
    (0.995, 0.5)
    """
    from scipy.special import stdtr  # slow to load

    if estimate.seeds < MIN_SEEDS or estimate.seed_sd is None:
        return None
    if estimate.seed_sd == 0:
        return 0.5 * (1 + math.copysign(1, estimate.value)) if estimate.value else 0.5
    t = estimate.value / (estimate.seed_sd * math.sqrt(1 + 1 / estimate.seeds))
    return float(stdtr(estimate.seeds - 1, t))


def power(
    estimate: Estimate,
    size: float,
    level: float,
    seeds: int | None = None,
    units: int | None = None,
) -> float | None:
    """Return how often a true difference of ``size`` would be found.

    Args:
        estimate: a comparison; None is returned if it has fewer than five seeds.
        size: the true difference, positive.
        level: of the interval.
        seeds: how many; by default as many as the comparison has.
        units: how many frames or groups; by default as many as the comparison has.
    """
    from scipy.special import ndtr

    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None
    half, se = _half_and_se(estimate, level, seeds or estimate.seeds, units or estimate.units)
    if se == 0:
        return float(size > half)
    return float(ndtr((size - half) / se) + ndtr((-size - half) / se))


def smallest_difference(
    estimate: Estimate, level: float, seeds: int | None = None, units: int | None = None
) -> float | None:
    """Return the smallest true difference that would be found in four of five studies."""
    from scipy.special import ndtri

    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None
    half, se = _half_and_se(estimate, level, seeds or estimate.seeds, units or estimate.units)
    return half + float(ndtri(POWER)) * se


def seeds_for(estimate: Estimate, size: float, level: float) -> int | None:
    """Return how many seeds would find a difference in four of five studies.

    None: more than ``MOST_SEEDS`` would be needed, or the comparison has fewer than five.
    """
    return _fewest(lambda n: power(estimate, size, level, seeds=n), estimate.seeds, MOST_SEEDS)


def units_for(estimate: Estimate, size: float, level: float) -> int | None:
    """Return how many test frames, or groups of them, would; as [`seeds_for`][]."""
    return _fewest(lambda n: power(estimate, size, level, units=n), estimate.units, MOST_UNITS)


def _fewest(chance: Callable[[int], float | None], low: int, most: int) -> int | None:
    """Return the smallest number from ``low`` at which a chance that grows reaches ``POWER``."""
    enough = (chance(most) or 0.0) >= POWER
    if not enough:
        return None
    high = most
    while low < high:
        middle = (low + high) // 2
        if (chance(middle) or 0.0) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def _half_and_se(estimate: Estimate, level: float, seeds: int, units: int) -> tuple[float, float]:
    """Return half the expected interval, and the standard error of the difference."""
    assert estimate.squares is not None
    of_seeds, of_units, rest = estimate.squares
    var_seeds = max(0.0, (of_seeds - rest) / estimate.units)
    var_units = max(0.0, (of_units - rest) / estimate.seeds)
    true = rest + units * var_seeds, rest + seeds * var_units
    raised = [
        (_larger(square, rest, df), df)
        for square, df in zip(true, (seeds - 1, units - 1), strict=True)
    ]
    (first, fewest), (second, more) = sorted(raised, key=lambda part: part[1])
    variance = first + second - rest
    share = first / variance if variance > 0 else 1.0
    parts: Parts = ((share, fewest), (1 - share, more))
    count = seeds * units
    half = t_of(parts, (1 - level) / 2) * math.sqrt(variance / count)
    return half, math.sqrt((true[0] + true[1] - rest) / count)


def _larger(square: float, least: float, df: int) -> float:
    """Return the expectation of the larger of a mean square and a constant.

    ``square * P(chi2_{df+2} > x) + least * P(chi2_df < x)``, ``x = df * least / square``.

    >>> round(_larger(1.0, 1.0, 4), 3), _larger(1.0, 0.0, 4)
    (1.271, 1.0)
    """
    from scipy.special import chdtr, chdtrc

    if square == 0 or least == 0:
        return max(square, least)
    x = df * least / square
    return float(square * chdtrc(df + 2, x) + least * chdtr(df, x))
