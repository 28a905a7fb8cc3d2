"""How long a study of 1,000 runs takes on 64 workers, against the least that it could take.

``python benchmarks/makespan.py --out makespan.json``: simulates the coordinator's own order
(``headstart.studies.units.queue_of``). Lengths are lognormal, half of the runs need a pretext, and
2 % of all starts fail at a random moment, after which the unit begins again from nothing, as it
does where no checkpoint was written. In ``known``, lengths follow from the optimizer steps, which
the order uses; in ``unknown``, all units have the same number of steps, and what they take is
drawn; in ``both``, half of the variance is of either kind.

The bound is the larger of all work (with what failures waste) over the workers, and the longest
chain of a pretext and a run. ``waiting`` is the share of the workers' time that is lost, nearly all
of it at the end.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from pathlib import Path
from statistics import mean
from typing import Any

from headstart.studies.units import Unit, queue_of

WORKERS, SEEDS, ARMS, PRETEXTS, FAILS, STEPS = 64, 20, 50, 4, 0.02, 1000


def study(rng: random.Random, sigma: float) -> list[Unit]:
    """The units: in each seed four pretexts, and fifty runs, half of which need one."""
    units = []
    for seed in range(SEEDS):
        pretexts = [f"starts/{seed}-{p}" for p in range(PRETEXTS)]
        steps = [max(1, int(STEPS * rng.lognormvariate(0, sigma))) for _ in range(ARMS + PRETEXTS)]
        units += [
            Unit(name=name, about=name, seed=seed, steps=length, pretext="p")
            for name, length in zip(pretexts, steps, strict=False)
        ]
        for arm in range(ARMS):
            needs = (pretexts[arm % PRETEXTS],) if arm % 2 else ()
            name = f"runs/{seed}-{arm}"
            length = steps[PRETEXTS + arm]
            units.append(Unit(name=name, about=name, seed=seed, steps=length, needs=needs))
    return units


def simulate(seed: int, known: float, unknown: float, overhead: float) -> dict[str, float]:
    """One study: its length, the bound, and what was waited for at the end."""
    rng = random.Random(f"{seed} {known} {unknown}")
    units = study(rng, known)
    order = queue_of(units)
    takes = {u.name: u.length * rng.lognormvariate(0, unknown) + overhead for u in units}
    left = {unit.name: unit for unit in units}
    done: set[str] = set()
    running: list[tuple[float, str, bool]] = []
    at_work: set[str] = set()
    now, work, ends = 0.0, 0.0, []
    while left:
        while len(running) < WORKERS:
            ready = [u for u in left.values() if u.name not in at_work and done.issuperset(u.needs)]
            if not ready:
                break
            unit = order.next(ready, list(left.values()), WORKERS)
            fails = rng.random() < FAILS
            seconds = takes[unit.name] * (rng.random() if fails else 1.0)
            work += seconds
            heapq.heappush(running, (now + seconds, unit.name, fails))
            at_work.add(unit.name)
        now, name, failed = heapq.heappop(running)
        at_work.discard(name)
        ends.append(now)
        if not failed:
            done.add(name)
            del left[name]
    chains = [takes[u.name] + max((takes[n] for n in u.needs), default=0.0) for u in units]
    bound = max(work / WORKERS, *chains)
    return {
        "ratio": now / bound,
        "waiting": 1 - work / WORKERS / now,
        "of_work": now * WORKERS / work,
    }


def main() -> None:
    """Simulate all cases; print and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--studies", type=int, default=20)
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for spread in (0.25, 0.5, 1.0):
        for kind, known, unknown in (
            ("known", spread, 0.0), ("unknown", 0.0, spread),
            ("both", spread / 2**0.5, spread / 2**0.5),
        ):  # fmt: skip
            found = [simulate(s, known, unknown, 0.02 * STEPS) for s in range(args.studies)]
            row: dict[str, Any] = {"sigma": spread, "lengths": kind, "studies": args.studies}
            row |= {f"mean_{k}": round(mean(f[k] for f in found), 3) for k in found[0]}
            row["most_ratio"] = round(max(f["ratio"] for f in found), 3)
            rows.append(row)
            print(json.dumps(row), flush=True)
    record = {"schema": 1, "benchmark": "makespan", "runs": SEEDS * ARMS, "workers": WORKERS}
    if args.out is not None:
        args.out.write_text(
            json.dumps({**record, "failures": FAILS, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
