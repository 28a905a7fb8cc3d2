"""What studies can promise, by simulation: equality, the planner's numbers, and several looks.

``python benchmarks/power.py OUT.json``, for the cases of ``simulated.py`` on 50 frames:

- how often two starts are called practically equal (margin 0.02), when they are equal and when they
  differ by the margin, with 5, 10 and 20 seeds; and how often any of six verdicts is wrong, when
  all starts differ by the margin, and when half of them do;
- the planner: five seeds say how many seeds, or test frames, would find a difference. The study
  goes on to that many. How often does it find the difference, and how often was it told to? Seeds
  are added to the study at hand, so this is its second look;
- looks at 5, 10 and 20 seeds of a study without differences: how often any look claims one, when
  they were planned, when they were not, and when nothing is paid for them. The same with six
  comparisons. And how often a true difference of 0.02 is found by the last look.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from simulated import FOLDED, FRAMES, SCENARIOS, Effects, scored, shift_of, simulate, studies

from headstart.studies import power
from headstart.studies import statistics as stats
from headstart.system.disk import write_json

MARGIN = 0.02
SEEDS = (5, 10, 20)
ERROR = 1 - stats.LEVEL
_MOST_FRAMES = 1000  # of the planner's studies, for time

Told = list[stats.Estimate]


def estimates(effects: Effects, shifts: list[float], count: int, seed: int) -> list[list[Told]]:
    """For each simulated study and number of seeds, how each start differs from the last."""
    drawn = studies(np.random.default_rng([7, seed]), effects, shifts, count, max(SEEDS))
    return [[study.estimates(seeds) for seeds in SEEDS] for study in drawn]


def share(looks: list[Told], *wanted: str) -> float:
    """The share of studies with such a verdict among their comparisons."""
    said = [{c.verdict for c in stats.holm(told, MARGIN)} for told in looks]
    return round(float(np.mean([bool(verdicts & set(wanted)) for verdicts in said])), 4)


def wrong(looks: list[Told], equal: list[bool]) -> float:
    """The share of studies with a wrong verdict; starts that are not equal differ by the margin."""
    errors = []
    for told in looks:
        verdicts = [c.verdict for c in stats.holm(told, MARGIN)]
        errors.append(
            any(
                v in ("helps", "hurts") if same else v in ("practically equal", "hurts")
                for v, same in zip(verdicts, equal, strict=True)
            )
        )
    return round(float(np.mean(errors)), 4)


def equality(effects: Effects, at_margin: float, count: int) -> dict[str, Any]:
    """What is called practically equal, by the number of seeds."""
    same = estimates(effects, [0.0, 0.0], count, 2)
    differ = estimates(effects, [at_margin * 1.001, 0.0], count, 2)
    return {
        f"{seeds} seeds": {
            "equal_called_equal": share([study[i] for study in same], "practically equal"),
            "margin_called_equal": share([study[i] for study in differ], "practically equal"),
        }
        for i, seeds in enumerate(SEEDS)
    }


def six(effects: Effects, at_margin: float, count: int) -> dict[str, Any]:
    """How often any of six verdicts is wrong, if all starts differ by the margin, or half do."""
    rows: dict[str, Any] = {}
    for name, starts, equal in (
        ("all_at_the_margin", [at_margin * 1.001] * 6, [False] * 6),
        ("half_at_the_margin", [at_margin * 1.001] * 3 + [0.0] * 3, [False] * 3 + [True] * 3),
    ):
        drawn = studies(np.random.default_rng([7, 5]), effects, [*starts, 0.0], count, 10)
        told = [[study.estimates(seeds) for seeds in (5, 10)] for study in drawn]
        rows[name] = {
            f"{seeds} seeds": wrong([study[i] for study in told], equal)
            for i, seeds in enumerate((5, 10))
        }
    return rows


def plans_of_seeds(effects: Effects, size: float, count: int) -> dict[str, Any]:
    """What the planner says of seeds, and what comes of it; this is the second look."""
    level, shift = 1 - ERROR / 2, shift_of(effects, size)
    rng, rows = np.random.default_rng([7, 8]), []
    for study in studies(rng, effects, [shift, 0.0], count, power.MOST_SEEDS):
        (pilot,) = study.estimates(5)
        number = power.seeds_for(pilot, size, level)
        if number is not None:
            low, _ = stats.interval(study.estimates(number)[0], level)
            promised = power.power(pilot, size, level, seeds=number)
            rows.append((number, promised, low is not None and low > 0))
    return _plans(size, rows, count)


def plans_of_frames(effects: Effects, size: float, count: int) -> dict[str, Any]:
    """What the planner says of frames, and what comes of it."""
    shift, rng, rows = shift_of(effects, size), np.random.default_rng([7, 9]), []
    for _ in range(count):
        runs = simulate(rng, effects, [shift, 0.0], 1, 5, _MOST_FRAMES)
        (pilot,) = next(scored(runs[:, :, :, :FRAMES])).estimates()
        number = power.units_for(pilot, size, stats.LEVEL)
        if number is not None and number <= _MOST_FRAMES:
            (estimate,) = next(scored(runs[:, :, :, :number])).estimates()
            low, _ = stats.interval(estimate)
            promised = power.power(pilot, size, stats.LEVEL, units=number)
            rows.append((number, promised, low is not None and low > 0))
    return _plans(size, rows, count)


def _plans(size: float, rows: list[tuple[int, float | None, bool]], count: int) -> dict[str, Any]:
    result: dict[str, Any] = {"difference": size, "no_answer": round(1 - len(rows) / count, 3)}
    if rows:
        numbers, promised, said = np.array(rows, dtype=float).T
        result["asked_for"] = np.quantile(numbers, (0.1, 0.5, 0.9)).round(1).tolist()
        result["promised"] = round(float(promised.mean()), 3)
        result["found"] = round(float(said.mean()), 3)
    return result


def several_looks(effects: Effects, at_margin: float, count: int) -> dict[str, Any]:
    """How often any look says something, without differences and with one of 0.02."""
    equal = estimates(effects, [0.0, 0.0], count, 10)
    six = estimates(effects, [0.0] * 7, count // 2, 11)
    found = estimates(effects, [at_margin, 0.0], count // 2, 12)

    def said(all_studies: list[list[Told]], errors: list[float]) -> float:
        claims = [
            any(
                c.verdict in ("helps", "hurts")
                for told, error in zip(looks, errors, strict=False)
                for c in stats.holm(told, error=error)
            )
            for looks in all_studies
        ]
        return round(float(np.mean(claims)), 4)

    rows: dict[str, Any] = {}
    for looks in (2, 3):
        ways = {
            "planned": [ERROR / looks] * looks,
            "not planned": [ERROR / j for j in range(1, looks + 1)],
            "nothing paid": [ERROR] * looks,
        }
        rows[f"{looks} looks"] = {
            way: {
                "wrong": said(equal, errors),
                "wrong_of_six": said(six, errors),
                "found": said(found, errors),
            }
            for way, errors in ways.items()
        }
    return rows


def of_case(effects: Effects, count: int) -> dict[str, Any]:
    """All of one case."""
    at_margin = shift_of(effects, MARGIN)
    return {
        "equality": equality(effects, at_margin, count),
        "six, any wrong": six(effects, at_margin, 4 * count),
        "seeds_planned": [plans_of_seeds(effects, size, 2 * count) for size in (0.02, 0.05)],
        "frames_planned": [plans_of_frames(effects, size, 2 * count) for size in (0.02, 0.05)],
        "looks": several_looks(effects, at_margin, 4 * count),
    }


def main() -> None:
    """Simulate, and write the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    record: dict[str, Any] = {
        "schema": 2,
        "benchmark": "power",
        "frames": FRAMES,
        "margin": MARGIN,
        "studies": options.studies,
        "power": power.POWER,
        "cases": {},
    }
    with ProcessPoolExecutor(options.jobs) as pool:
        every = {**SCENARIOS, "hw6, folds": FOLDED["hw6, folds"]}
        futures = {
            name: pool.submit(of_case, effects, options.studies) for name, effects in every.items()
        }
        for name, future in futures.items():
            record["cases"][name] = future.result()
            print(name, record["cases"][name], flush=True)
    write_json(options.out, record)


if __name__ == "__main__":
    main()
