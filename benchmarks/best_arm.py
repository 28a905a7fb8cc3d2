"""Whether the arm that a report calls best with a probability of 80 % is the best in 80 % of them.

``python benchmarks/best_arm.py OUT.json``. ``simulated.py`` draws studies of three and six arms,
whose true scores differ by an amount that is drawn, too; the arm with the highest true score is
known. For each case, number of seeds and spread of the true scores:

- by the probability that ``headstart.studies.best_arm`` gives: how often that arm is the best;
- how often the arm with the highest measured score is the best, and its mean probability.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from simulated import FOLDED, FRAMES, SCENARIOS, Effects, pseudo_of, simulate, usable

from headstart.studies.best_arm import chances_of
from headstart.system.disk import write_json

ARMS, SEEDS = (3, 6), (5, 10)
SPREADS = (0.3, 1.0)  # standard deviation of the arms' logits; about 0.02 and 0.06 in dice
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


def told(
    effects: Effects, arms: int, seeds: int, spread: float, studies: int
) -> list[list[tuple[float, bool]]]:
    """For each study and arm: the probability that it is the best, and whether it is."""
    rng = np.random.default_rng([7, arms, seeds])
    rows = []
    for _ in range(studies):
        shifts = spread * rng.standard_normal(arms)
        counts = simulate(rng, effects, list(shifts), 1, seeds, FRAMES)
        truth = counts[0, :, 0, ..., 0] + counts[0, :, 0, ..., 2]
        values, pseudo = pseudo_of(counts, usable(truth, effects.per_group))
        chances = chances_of(values[:, 0].mean(-1), pseudo[:, 0])
        best = int(shifts.argmax())
        rows.append([(chance, i == best) for i, chance in enumerate(chances)])
    return rows


def reliability(rows: list[list[tuple[float, bool]]]) -> dict[str, Any]:
    """By probability: how often the arm is the best; and the same of the leading arm alone."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for chance, best in (pair for row in rows for pair in row):
        bins[min(int(np.searchsorted(EDGES, chance, side="right")), len(EDGES) - 1)].append(
            (chance, best)
        )
    leaders = np.array([max(row) for row in rows], dtype=float)
    return {
        "bins": [
            {
                "from": EDGES[k - 1],
                "to": EDGES[k],
                "arms": len(bins[k]),
                "said": round(float(np.mean([c for c, _ in bins[k]])), 3),
                "best": round(float(np.mean([b for _, b in bins[k]])), 3),
            }
            for k in sorted(bins)
        ],
        "leader": {
            "said": round(float(leaders[:, 0].mean()), 3),
            "best": round(float(leaders[:, 1].mean()), 3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--studies", type=int, default=1000, help="drawn for each combination")
    options = parser.parse_args()
    result: dict[str, Any] = {"studies": options.studies, "frames": FRAMES, "cases": {}}
    for name, effects in (SCENARIOS | FOLDED).items():
        for arms in ARMS:
            for seeds in SEEDS:
                rows = [
                    row
                    for spread in SPREADS
                    for row in told(effects, arms, seeds, spread, options.studies)
                ]
                key = f"{name}, {arms} arms, {seeds} seeds"
                result["cases"][key] = reliability(rows)
                print(key, result["cases"][key]["leader"], flush=True)
    write_json(options.out, result)


if __name__ == "__main__":
    main()
