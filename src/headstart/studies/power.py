"""What a study could show: the power of its comparisons, and the seeds or frames for more.

The two-way analysis of variance of a comparison (see [`headstart.studies.statistics`][]) gives the
variance between seeds, between frames, and of the rest. With ``S`` seeds and ``U`` frames the
difference then has the variance

    ``var_seeds / S + var_frames / U + var_rest / (S * U)``

A difference of a given size is found if it exceeds half the interval. Two things are uncertain: the
variances, which a few seeds have shown, and the interval to come, which few seeds will again
estimate. So the power is a mean over both: over the variances that the observed mean squares allow
(``MS * df / chi2``; O'Hagan and others 2005 call such a mean assurance), and over the mean squares
that the next study may observe.

With ``df`` of five seeds, the mean asks for too many seeds, because studies that add seeds keep the
five they have; without it, for too few. Three times the ``df`` is in between: in
``benchmarks/power.py``, studies with as many seeds as asked for find the difference about as often
as promised.

Source of the expectation of the larger of a mean square and a constant: the partial moments of the
chi-squared distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.studies.statistics import LEAST_SHARE, MIN_SEEDS, Estimate

POWER = 0.8  # the chance of finding a difference that "would be shown"
MOST_SEEDS, MOST_UNITS = 200, 5000  # beyond these nobody goes on

_CASES = 12  # equally likely values that stand for a distribution
_TRUST = 3  # in the variances of the study at hand: its degrees of freedom count so many times


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
    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None
    halves, ses = _halves(estimate, level, seeds, units)
    return _found(halves, ses, size)


def smallest_difference(
    estimate: Estimate, level: float, seeds: int | None = None, units: int | None = None
) -> float | None:
    """Return the smallest true difference that would be found in four of five studies."""
    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None
    halves, ses = _halves(estimate, level, seeds, units)
    low, high = 0.0, float((halves + 6 * ses).max())  # which is always found
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _found(halves, ses, middle) >= POWER else (middle, high)
    return high


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
    if (chance(most) or 0.0) < POWER:
        return None
    high = most
    while low < high:
        middle = (low + high) // 2
        if (chance(middle) or 0.0) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def _found(halves: Any, ses: Any, size: float) -> float:
    """Return how often a difference of ``size`` exceeds half the interval, over all cases."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = ndtr((size - halves) / ses), ndtr((-size - halves) / ses)
    return float(np.mean(np.where(ses > 0, above + below, size > halves)))


def _halves(estimate: Estimate, level: float, seeds: int | None, units: int | None) -> Any:
    """Return half the interval and the standard error of the next study, in many likely cases.

    The axes are: the true variance between seeds, that between units, and the mean square that the
    next study observes of the side with fewer members; the other side has its expected one.
    """
    from scipy.special import stdtrit

    assert estimate.squares is not None
    seeds, units = seeds or estimate.seeds, units or estimate.units
    of_seeds, of_units, rest = estimate.squares
    likely_seeds = of_seeds / _shares(_TRUST * (estimate.seeds - 1))[:, None, None]
    likely_units = of_units / _shares(_TRUST * (estimate.units - 1))[None, :, None]
    true_seeds = _with_more(likely_seeds, rest, units / estimate.units)
    true_units = _with_more(likely_units, rest, seeds / estimate.seeds)
    sides = (true_seeds, seeds - 1), (true_units, units - 1)
    (fewer, few), (other, more) = sorted(sides, key=lambda side: side[1])
    main = np.maximum(fewer * _shares(few), LEAST_SHARE * rest)
    added = _larger(other, rest, more) - rest
    tail = (1 - level) / 2
    weighted = -main * stdtrit(few, tail) - added * stdtrit(more, tail)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.where(main + added > 0, weighted / np.sqrt(main + added), 0)
    count = seeds * units
    variance = np.maximum(true_seeds + true_units - rest, LEAST_SHARE * rest)
    return half / math.sqrt(count), np.sqrt(variance / count)


def _with_more(square: Any, rest: float, ratio: float) -> Any:
    """Return the mean square of one side when the other has ``ratio`` times as many members.

    What exceeds the rest grows with them; what is missing to it is chance, and stays.

    >>> _with_more(np.array([3.0, 0.5]), 1.0, 2.0)
    array([5. , 0.5])
    """
    return np.where(square > rest, rest + ratio * (square - rest), square)


def _shares(df: int) -> Any:
    """Return equally likely values of a mean square over its expectation: ``chi2 / df``.

    >>> _shares(4)[[0, -1]].round(2), round(float(_shares(4).mean()), 2)
    (array([0.19, 2.52]), 0.99)
    """
    from scipy.special import chdtri

    return chdtri(df, 1 - (np.arange(_CASES) + 0.5) / _CASES) / df


def _larger(square: Any, least: float, df: int) -> Any:
    """Return the expectation of the larger of a mean square and a constant.

    ``square * P(chi2_{df+2} > x) + least * P(chi2_df < x)``, ``x = df * least / square``.

    >>> round(float(_larger(np.array(1.0), 1.0, 4)), 3), float(_larger(np.array(1.0), 0.0, 4))
    (1.271, 1.0)
    """
    from scipy.special import chdtr, chdtrc

    if least == 0:
        return square
    x = df * least / square
    return square * chdtrc(df + 2, x) + least * chdtr(df, x)
