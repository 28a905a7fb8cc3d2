"""Power: against simulated matrices of seeds by frames; what more seeds and frames would do."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.studies import power
from headstart.studies.statistics import Estimate, interval, two_way


def matrices(
    rng: np.random.Generator, count: int, seeds: int, units: int, sds: tuple[float, float, float]
) -> list[Estimate]:
    """Estimates of a true difference of 0 from normal seeds, frames and rest."""
    result = []
    for _ in range(count):
        of_seeds = sds[0] * rng.standard_normal((seeds, 1))
        of_units = sds[1] * rng.standard_normal((1, units))
        pseudo = of_seeds + of_units + sds[2] * rng.standard_normal((seeds, units))
        result.append(two_way(pseudo.mean(1), pseudo))
    return result


def exact(seeds: int, units: int, sds: tuple[float, float, float]) -> Estimate:
    """An estimate whose mean squares are the true ones."""
    a, b, rest = (sd**2 for sd in sds)
    squares = rest + units * a, rest + seeds * b, rest
    return Estimate(0.0, 1.0, None, seeds, units, squares, sds[0])


@pytest.mark.parametrize("sds", [(0.05, 0.1, 0.4), (0.2, 0.1, 0.3), (0.0, 0.5, 0.5)])
def test_the_power_is_that_of_simulated_studies(sds: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(0)
    for seeds, units in ((5, 40), (12, 40), (5, 120)):
        known = exact(400, 4000, sds)
        size = power.smallest_difference(known, 0.95, seeds, units)
        assert size is not None
        told = power.power(known, size, 0.95, seeds, units)
        ends = [interval(e) for e in matrices(rng, 1500, seeds, units, sds)]
        found = np.mean([low is not None and low + size > 0 for low, _ in ends])
        assert told == pytest.approx(0.8, abs=0.01)
        assert found == pytest.approx(0.8, abs=0.05), (sds, seeds, units)


def test_more_seeds_or_frames_show_a_smaller_difference() -> None:
    estimate = exact(5, 40, (0.1, 0.1, 0.3))
    sizes = [power.smallest_difference(estimate, 0.95, n) for n in (5, 8, 20)]
    assert sizes == sorted(sizes, reverse=True)
    asked_for = [power.seeds_for(estimate, size, 0.95) for size in (0.5, 0.15, 0.1)]
    assert asked_for[0] == 5 and asked_for == sorted(asked_for)
    for size, seeds in zip((0.15, 0.1), asked_for[1:], strict=True):
        likely = [n for n in range(5, 60) if power.power(estimate, size, 0.95, n) >= power.POWER]
        assert seeds is not None and seeds > min(likely)  # the variances may be larger than seen
    units = power.units_for(exact(5, 40, (0.0, 0.3, 0.1)), 0.1, 0.95)
    assert units is not None and units > 40


def test_frames_are_asked_for_only_if_seeds_surely_do_not_stand_in_the_way() -> None:
    """The same number of frames would do with the variances seen, were they the true ones."""
    size = 0.15
    known = [exact(400, 40, (sd, 0.3, 0.1)) for sd in (0.0, 0.06)]
    for estimate in known:
        assert (power.power(estimate, size, 0.95, seeds=5, units=200) or 0) > 0.9
    assert power.units_for(exact(5, 40, (0.0, 0.3, 0.1)), size, 0.95) is not None
    assert power.units_for(exact(5, 40, (0.06, 0.3, 0.1)), size, 0.95) is None


def test_what_nothing_would_show_is_none() -> None:
    estimate = exact(5, 40, (1.0, 1.0, 1.0))
    assert power.seeds_for(estimate, 0.01, 0.95) is None
    assert power.units_for(estimate, 0.01, 0.95) is None
    few = Estimate(0.1, 0.1, None, 3, 40, (1.0, 1.0, 1.0), 0.1)
    assert power.power(few, 0.1, 0.95) is power.seeds_for(few, 0.1, 0.95) is None
    assert power.better_on_another_seed(few) is None


def test_the_chance_that_another_seed_is_better_is_calibrated() -> None:
    """Over all means and deviations between seeds; the other seed is drawn."""
    rng = np.random.default_rng(1)
    chances, better = [], []
    for _ in range(8000):
        sd = 0.1 * np.exp(rng.uniform(-1, 1))
        values = rng.normal(rng.uniform(-1, 1), sd, 6)
        e = Estimate(values[:5].mean(), 1.0, None, 5, 40, None, values[:5].std(ddof=1))
        chances.append(power.better_on_another_seed(e))
        better.append(values[5] > 0)
    told, came = np.array(chances), np.array(better)
    for low, high in ((0.0, 0.05), (0.05, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1.0)):
        within = (told >= low) & (told <= high)
        assert came[within].mean() == pytest.approx(told[within].mean(), abs=0.06)
    sure = Estimate(0.1, 0.1, None, 5, 40, None, 0.0)
    assert power.better_on_another_seed(sure) == 1.0
