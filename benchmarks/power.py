"""What studies can show, by simulation: power, practical equality, and the planner's numbers.

``python benchmarks/power.py OUT.json``: for each scenario of ``coverage.py``, and for 5, 10 and 20
seeds on 50 frames: how often a true difference of 0.02, 0.05 and 0.10 is found; how often two
starts are called practically equal (margin 0.02), when they are equal and when they differ by the
margin; and how often any of six verdicts is wrong, when all starts differ by the margin, and when
half of them do and half are equal. Then the planner: a pilot study of five seeds says how many
would find a difference; studies of that many find it how often? Four times in five is promised.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from coverage import SCENARIOS, Effects, population, simulate

from headstart.scores.pooled import MIN_FRAMES
from headstart.studies import power
from headstart.studies import statistics as stats
from headstart.system.disk import write_json

MARGIN = 0.02
DIFFERENCES = (0.02, 0.05, 0.10)
SEEDS = (5, 10, 20)
FRAMES = 50
_AT_ONCE = 25  # studies simulated at once, for memory
_MOST_SEEDS = 60  # of the planner's studies, for time


def shift_of(effects: Effects, difference: float) -> float:
    """Return the shift of a start, in logits, that makes it better by a difference in dice."""
    tried = np.linspace(0.0, 2.5, 11)
    dice = population(effects, tried.tolist()).mean(1)
    return float(np.interp(difference, dice - dice[0], tried))


def estimates(
    effects: Effects, shifts: list[float], studies: int, seeds: int, seed: int
) -> list[list[stats.Estimate]]:
    """Return, for each simulated study, how every start but the last differs from the last."""
    rng, result = np.random.default_rng([7, seed, seeds]), []
    for _ in range(-(-studies // _AT_ONCE)):
        runs = simulate(rng, effects, shifts, _AT_ONCE, seeds, FRAMES)
        for one in runs.swapaxes(0, 1):
            held = (one[0, 0, ..., 0] + one[0, 0, ..., 2] > 0).sum(0) >= MIN_FRAMES
            classes = np.flatnonzero(held).tolist()
            result.append([stats.paired_difference(a, one[-1], classes) for a in one[:-1]])
    return result[:studies]


def share(studies: list[list[stats.Estimate]], *wanted: str) -> float:
    """Return the share of studies with such a verdict among their comparisons."""
    said = [{c.verdict for c in stats.holm(study, MARGIN)} for study in studies]
    return round(float(np.mean([bool(verdicts & set(wanted)) for verdicts in said])), 4)


def wrong(studies: list[list[stats.Estimate]], equal: list[bool]) -> float:
    """Return the share of studies with a wrong verdict; other starts differ by the margin."""
    errors = []
    for study in studies:
        verdicts = [c.verdict for c in stats.holm(study, MARGIN)]
        errors.append(
            any(
                v in ("helps", "hurts") if same else v in ("practically equal", "hurts")
                for v, same in zip(verdicts, equal, strict=True)
            )
        )
    return round(float(np.mean(errors)), 4)


def planned(effects: Effects, shift: float, size: float, studies: int) -> dict[str, Any]:
    """Return how often studies of as many seeds as their pilots ask for find the difference."""
    pilots = estimates(effects, [shift, 0.0], studies, 5, seed=3)
    asked = [power.seeds_for(pilot[0], size, stats.LEVEL) for pilot in pilots]
    within = [n for n in asked if n is not None and n <= _MOST_SEEDS]
    found: list[bool] = []
    for number in sorted(set(within)):
        several = estimates(effects, [shift, 0.0], within.count(number), number, seed=4)
        found += [c.verdict == "helps" for study in several for c in stats.holm(study)]
    return {
        "difference": size,
        "seeds_asked_for": [float(q) for q in np.quantile(within, (0.1, 0.5, 0.9))]
        if within
        else None,
        "asked_for_more": round(1 - len(within) / len(asked), 4),
        "found": round(float(np.mean(found)), 4) if found else None,
    }


def main() -> None:
    """Simulate, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--only", default="", help="part of a scenario's name")
    options = parser.parse_args()
    record: dict[str, Any] = {}
    for name, effects in SCENARIOS.items():
        if options.only not in name:
            continue
        shifts = {size: shift_of(effects, size) for size in DIFFERENCES}
        at_margin = shifts[MARGIN]
        rows: dict[str, Any] = {}
        for seeds in SEEDS:
            count = options.studies if seeds < 20 else options.studies // 2
            found = {
                str(size): share(estimates(effects, [shift, 0.0], count, seeds, 1), "helps")
                for size, shift in shifts.items()
            }
            same = estimates(effects, [0.0, 0.0], count, seeds, 2)
            differ = estimates(effects, [at_margin * 1.001, 0.0], count, seeds, 2)
            all_differ = estimates(effects, [at_margin * 1.001] * 6 + [0.0], count, seeds, 5)
            half = [at_margin * 1.001] * 3 + [0.0] * 3 + [0.0]
            rows[str(seeds)] = {
                "found": found,
                "equal_called_equal": share(same, "practically equal"),
                "equal_called_different": share(same, "helps", "hurts"),
                "margin_called_equal": share(differ, "practically equal"),
                "six_at_the_margin_any_wrong": wrong(all_differ, [False] * 6),
                "six_half_at_the_margin_any_wrong": wrong(
                    estimates(effects, half, count, seeds, 6), [False] * 3 + [True] * 3
                ),
            }
            print(name, seeds, rows[str(seeds)], flush=True)
        plans = [planned(effects, shifts[size], size, options.studies) for size in (0.02, 0.05)]
        print(name, "planner", plans, flush=True)
        record[name] = {"seeds": rows, "planner": plans}
        write_json(
            options.out,
            {
                "schema": 1,
                "benchmark": "power",
                "frames": FRAMES,
                "margin": MARGIN,
                "studies": options.studies,
                "power": power.POWER,
                "scenarios": record,
            },
        )


if __name__ == "__main__":
    main()
