"""The interval of verdicts, and others that might have been chosen; for ``coverage.py``."""

from __future__ import annotations

from collections.abc import Callable

from scipy.special import stdtrit

from headstart.studies import statistics as stats

Squares = tuple[float, float, float]
Half = Callable[[Squares, int, int, float], float]
"""Half an interval, times the root of seeds x units; from mean squares, seeds, units and a tail."""


def ours(squares: Squares, s: int, u: int, tail: float) -> float:
    """The interval of verdicts, also with fewer than five seeds."""
    variance, parts = stats.combined(squares, s, u)
    return stats.t_of(parts, tail) * variance**0.5


def raised(squares: Squares, s: int, u: int, tail: float) -> float:
    """The interval until decision 0034: both mean squares are raised to that of the rest."""
    seeds, units, rest = squares
    return ours((max(seeds, rest), max(units, rest), rest), s, u, tail)


def three_ts(squares: Squares, s: int, u: int, tail: float) -> float:
    """The rest has degrees of freedom of its own, so that it is not multiplied by a large t."""
    seeds, units, rest = squares
    parts = (max(seeds - rest, 0), s - 1), (max(units - rest, 0), u - 1), (rest, (s - 1) * (u - 1))
    variance = sum(part for part, _ in parts)
    return sum(part * t(tail, df) for part, df in parts) / variance**0.5


def larger(squares: Squares, s: int, u: int, tail: float) -> float:
    """Ours, but never below the interval over frames alone."""
    return max(ours(squares, s, u, tail), over_units(squares, s, u, tail))


def over_seeds(squares: Squares, s: int, _u: int, tail: float) -> float:
    """Student's t over seeds."""
    return t(tail, s - 1) * squares[0] ** 0.5


def over_units(squares: Squares, _s: int, u: int, tail: float) -> float:
    """Student's t over frames."""
    return t(tail, u - 1) * squares[1] ** 0.5


def satterthwaite(squares: Squares, s: int, u: int, tail: float) -> float:
    """Our variance with a single number of degrees of freedom."""
    variance, parts = stats.combined(squares, s, u)
    freedom = 1 / sum(share**2 / df for share, df in parts)
    return t(tail, freedom) * variance**0.5


def pooled(squares: Squares, s: int, u: int, tail: float) -> float:
    """headstart's first: Satterthwaite, and what is not above the rest is pooled with it."""
    seeds, units, rest = squares
    main, df = [(seeds, s - 1), (units, u - 1)], float((s - 1) * (u - 1))
    for ms, d in sorted(main):
        if ms <= rest * (1 + 1e-9) and d > 1:
            rest, df = (rest * df + ms * d) / (df + d), df + d
            main.remove((ms, d))
    terms = [*((max(ms, rest), d) for ms, d in main), ((1 - len(main)) * rest, df)]
    variance = sum(ms for ms, _ in terms)
    freedom = variance**2 / sum(ms**2 / d for ms, d in terms)
    return t(tail, max(freedom, min((d for _, d in main), default=df))) * variance**0.5


METHODS: dict[str, Half] = {
    "two-way": ours,
    "raised to the rest": raised,
    "never below frames alone": larger,
    "Satterthwaite": satterthwaite,
    "a t for the rest": three_ts,
    "pooled, Satterthwaite": pooled,
    "over seeds alone": over_seeds,
    "over frames alone": over_units,
}


def t(tail: float, df: float) -> float:
    return -float(stdtrit(df, tail))


def half_of(method: Half, estimate: stats.Estimate, error: float = 1 - stats.LEVEL) -> float:
    """Half the interval of an estimate, by any of the methods."""
    assert estimate.squares is not None
    s, u = estimate.seeds, estimate.units
    return method(estimate.squares, s, u, error / 2) / (s * u) ** 0.5
