"""What a study could show: the power of its comparisons, and the seeds or frames for more.

The two-way analysis of variance of a comparison (see [`headstart.studies.statistics`][]) gives the
variance between seeds, between frames, and of the rest. With ``S`` seeds and ``U`` frames the
difference then has the variance

    ``var_seeds / S + var_frames / U + var_rest / (S * U)``

A difference of a given size is found if it exceeds half the interval. Two things are uncertain: the
variances, which a few seeds have shown, and what the seeds or frames to come will show. For each of
the variances that the observed mean squares allow (``MS * df / chi2``), the power is a mean over
the mean squares of the members that are added. Those that are there stay, and their mean squares
are known: a study grows. The power that is told is what three of five of these variances reach.

Numbers to go on to are asked for more carefully, because studies in which the variances happened to
look small are those that ask for few: so many that the power suffices with four of five of the
likely variances. More frames cannot make up for seeds that differ, and five seeds hardly say
whether they do; a number of frames is therefore given only if, with nearly all variances that even
half as many degrees of freedom would allow, some number would do.

``benchmarks/power.py`` measures how often studies that go on to the number asked for find the
difference, and how often they were told to.
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
# times the degrees of freedom of what was observed: frames have heavy tails (benchmarks/power.py)
_TRUST, _LESS_TRUST = (1.0, 0.1), (0.5, 0.1)
_LEAST_FREEDOM = 4.0  # of frames, where there are so many
_LIKELY, _CAREFUL, _NEARLY_ALL = 0.4, 0.2, 0.01  # quantiles of the power over the variances


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
    """Return how often a true difference of ``size`` would be found, with the likely variances.

    Args:
        estimate: a comparison; None is returned if it has fewer than five seeds.
        size: the true difference, positive.
        level: of the interval.
        seeds: how many; by default as many as the comparison has.
        units: how many frames or groups; by default as many as the comparison has.
    """
    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None
    return float(np.quantile(_powers(estimate, size, level, seeds, units), _LIKELY))


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
        found = float(np.quantile(_found(halves, ses, middle), _LIKELY))
        low, high = (low, middle) if found >= POWER else (middle, high)
    return high


def seeds_for(estimate: Estimate, size: float, level: float) -> int | None:
    """Return how many seeds would find a difference in four of five studies.

    None: more than ``MOST_SEEDS`` would be needed, or the comparison has fewer than five.
    """
    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None

    def careful(seeds: int) -> float:
        return float(np.quantile(_powers(estimate, size, level, seeds=seeds), _CAREFUL))

    return _fewest(careful, estimate.seeds, MOST_SEEDS)


def units_for(estimate: Estimate, size: float, level: float) -> int | None:
    """Return how many test frames, or groups of them, would.

    None: more than ``MOST_UNITS`` would be needed, these seeds do not say whether any number would
    do, or there are fewer than five.
    """
    if estimate.squares is None or estimate.seeds < MIN_SEEDS:
        return None
    with_most = _powers(estimate, size, level, units=MOST_UNITS, trust=_LESS_TRUST)
    if np.quantile(with_most, _NEARLY_ALL) < POWER:
        return None

    def careful(units: int) -> float:
        return float(np.quantile(_powers(estimate, size, level, units=units), _CAREFUL))

    return _fewest(careful, estimate.units, MOST_UNITS)


def _fewest(chance: Callable[[int], float], low: int, most: int) -> int | None:
    """Return a number from ``low`` at which a chance reaches ``POWER``: the smallest, if it grows.

    With one frame more, unknown frames come in, and the chance may fall before it grows.
    """
    if chance(low) >= POWER:
        return low
    if chance(most) < POWER:
        return None
    high = most
    while low < high:
        middle = (low + high) // 2
        if chance(middle) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def _powers(
    estimate: Estimate,
    size: float,
    level: float,
    seeds: int | None = None,
    units: int | None = None,
    trust: tuple[float, float] = _TRUST,
) -> Any:
    """Return how often a difference of ``size`` is found, for each likely pair of variances."""
    halves, ses = _halves(estimate, level, seeds, units, trust)
    return _found(halves, ses, size)


def _found(halves: Any, ses: Any, size: float) -> Any:
    """Return how often a difference exceeds half the interval, in the right direction."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(ses > 0, ndtr((size - halves) / ses), size > halves)
    return np.broadcast_to(found, (_CASES,) * 3).mean(-1)


def _halves(
    estimate: Estimate,
    level: float,
    seeds: int | None,
    units: int | None,
    trust: tuple[float, float] = _TRUST,
) -> Any:
    """Return half the interval and the standard error of the study to come, in many likely cases.

    The axes are: the true variance between seeds, that between units, and the mean square that the
    members which are added show, on the side with fewer members; on the other side they show the
    expected one.
    """
    from scipy.special import stdtrit

    assert estimate.squares is not None
    seeds, units = seeds or estimate.seeds, units or estimate.units
    of_seeds, of_units, rest = estimate.squares
    sides = []
    for axis, square, had, now, ratio in (
        (0, of_seeds, estimate.seeds, seeds, units / estimate.units),
        (1, of_units, estimate.units, units, seeds / estimate.seeds),
    ):
        freedom = trust[axis] * (had - 1)
        if axis == 1:  # a tenth of few would allow any variance
            freedom = max(freedom, min(had - 1, _LEAST_FREEDOM))
        likely = square / _shares(freedom)
        true = _with_more(likely, rest, ratio).reshape((-1, 1, 1) if axis == 0 else (-1, 1))
        sides.append((true, float(_with_more(square, rest, ratio)), had, now))
    (fewer, seen, had, few), (other, seen_of_other, had_of_other, more) = sorted(
        sides, key=lambda side: side[3]
    )
    new = few - had if few > had else few - 1  # their degrees of freedom, beside those of before
    main = _together(seen, had, fewer * _shares(new), few)
    main = np.maximum(main, LEAST_SHARE * rest)
    added = np.maximum(_together(seen_of_other, had_of_other, other, more) - rest, 0)
    tail = (1 - level) / 2
    weighted = -main * stdtrit(few - 1, tail) - added * stdtrit(more - 1, tail)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.where(main + added > 0, weighted / np.sqrt(main + added), 0)
    count = seeds * units
    true_seeds, true_units = sides[0][0], sides[1][0]
    variance = np.maximum(true_seeds + true_units - rest, LEAST_SHARE * rest)
    return half / math.sqrt(count), np.sqrt(variance / count)


def _together(seen: float, had: int, added: Any, now: int) -> Any:
    """Return the mean square of ``now`` members, of which the first ``had`` showed ``seen``."""
    if now < had:  # another study
        return added
    return ((had - 1) * seen + (now - had) * added) / (now - 1)


def _with_more(square: Any, rest: float, ratio: float) -> Any:
    """Return the mean square of one side when the other has ``ratio`` times as many members.

    What exceeds the rest grows with them; what is missing to it is chance, and stays.

    >>> _with_more(np.array([3.0, 0.5]), 1.0, 2.0)
    array([5. , 0.5])
    """
    return np.where(square > rest, rest + ratio * (square - rest), square)


def _shares(df: int | float) -> Any:
    """Return equally likely values of a mean square over its expectation: ``chi2 / df``.

    >>> _shares(4)[[0, -1]].round(2), round(float(_shares(4).mean()), 2)
    (array([0.16, 2.48]), 0.98)
    """
    from scipy.special import chdtri

    return chdtri(df, 1 - (np.arange(_CASES) + 0.5) / _CASES) / df
