"""How narrow an interval from five seeds can be, at best: a bound that no method can beat.

``python benchmarks/narrowest.py OUT.json`` (a minute). The best case for any method: frames make no
difference, the variance of the rest is known (1), and everything is normal. All that is unknown is
how much the mean square of the seeds exceeds the rest: by a factor of 1 or more. A method sees the
observed mean square ``x`` and gives half the interval ``h(x)``, in standard errors of the rest. Its
coverage for the factor ``f`` is the mean of ``2 Phi(h(x) / sqrt(f)) - 1`` over ``x = f chi2 / df``.

Which ``h`` is the narrowest on average at one factor, if the coverage must hold at every factor?
The coverage is concave in ``h``, so Lagrange's dual of this problem is a lower bound for any
method, whatever multipliers it has, and the best multipliers reach it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import stdtrit
from scipy.stats import chi2, norm

from headstart.system.disk import write_json

FACTORS = np.exp(np.linspace(0, np.log(40), 40))  # of the seeds' mean square over the rest's
SEEN = np.exp(np.linspace(np.log(0.005), np.log(2000), 300))


def bound(df: int, coverage: float, factor: float) -> float:
    """The smallest mean of ``h`` at a factor, of all methods with this coverage at every factor."""
    edges = np.concatenate([[0], np.sqrt(SEEN[1:] * SEEN[:-1]), [np.inf]])
    chances = np.array([np.diff(chi2.cdf(edges * df / f, df)) for f in FACTORS])
    here, root = np.diff(chi2.cdf(edges * df / factor, df)), np.sqrt(FACTORS)[:, None]

    def best_halves(weights: np.ndarray) -> np.ndarray:
        low, high = np.zeros(len(SEEN)), 40 * np.sqrt(np.maximum(SEEN, 1))
        for _ in range(50):
            middle = (low + high) / 2
            gain = (weights[:, None] * chances * 2 * norm.pdf(middle / root) / root).sum(0)
            low, high = np.where(gain > here, middle, low), np.where(gain > here, high, middle)
        return (low + high) / 2

    def negative_dual(logs: np.ndarray) -> tuple[float, np.ndarray]:
        weights = np.exp(logs)
        halves = best_halves(weights)
        missing = coverage - (chances * (2 * norm.cdf(halves / root) - 1)).sum(1)
        return -float((here * halves).sum() + (weights * missing).sum()), -weights * missing

    start = np.full(len(FACTORS), np.log(0.5))
    limits = [(-25, 8)] * len(FACTORS)
    found = minimize(
        negative_dual, start, jac=True, method="L-BFGS-B", bounds=limits,
        options={"maxiter": 3000, "maxfun": 4000},
    )  # fmt: skip
    return -float(found.fun)


def means(df: int, level: float, factor: float) -> tuple[float, float]:
    """The mean half of headstart's interval, and of the one before, which raised ``x`` to 1."""
    x = factor * chi2.ppf((np.arange(4000) + 0.5) / 4000, df) / df
    t = -float(stdtrit(df, (1 - level) / 2))
    return t * float(np.sqrt(x).mean()), t * float(np.sqrt(np.maximum(x, 1)).mean())


def main() -> None:
    """Compute the bounds, and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    rows: list[dict[str, Any]] = []
    for df in (4, 9):
        for level, coverage in ((0.95, 0.95), (0.95, 0.94), (1 - 0.05 / 6, 1 - 0.05 / 6)):
            for factor in (1.0, 1.2, 2.0, 4.0):
                ours, before = means(df, level, factor)
                lowest = bound(df, coverage, factor)
                rows.append(
                    {
                        "seeds": df + 1,
                        "level": round(level, 4),
                        "coverage": round(coverage, 4),
                        "factor": factor,
                        "narrowest_over_raised": round(lowest / before, 3),
                        "ours_over_raised": round(ours / before, 3),
                    }
                )
                print(rows[-1], flush=True)
    write_json(out, {"schema": 1, "benchmark": "narrowest", "bounds": rows})


if __name__ == "__main__":
    main()
