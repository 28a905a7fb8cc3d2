"""Training steps of one run with all threads, and of as many runs at once with one thread each.

``python benchmarks/at_once.py --out at_once.json``: processes train the U-Net on random pictures,
first one with all threads, then as many as there are threads, in turns. The JSON has the median
seconds of a step, and how many times as many steps the runs at once make.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path
from statistics import median
from typing import Any

from headstart.config.option_values import parse_size
from headstart.config.recipes import DEFAULT
from headstart.config.records import make_run_config
from headstart.runs.records import environment
from headstart.system.disk import write_json
from headstart.system.processor import available_threads

_CLASSES = 4


def seconds(size: tuple[int, int], width: int, precision: str, threads: int, rounds: int) -> float:
    """Return the median seconds of a step, of several measurements in this process."""
    from headstart.studies.step_time import seconds_per_step

    config = make_run_config(
        schema=1, data="", size=size, width=width, precision=precision, threads=threads,
        recipe=DEFAULT, seed=1,
    )  # fmt: skip
    return median(seconds_per_step(config, _CLASSES) for _ in range(rounds))


def compared(case: tuple[Any, ...], threads: int, rounds: int) -> dict[str, Any]:
    """Return a row: one process with all threads, then one process for each thread."""
    spawn = multiprocessing.get_context("spawn")
    alone, at_once = [], []
    for _ in range(2):
        with spawn.Pool(1) as pool:
            alone.append(pool.apply(seconds, (*case, threads, rounds)))
        with spawn.Pool(threads) as pool:
            at_once += pool.starmap(seconds, [(*case, 1, rounds)] * threads, chunksize=1)
    one, each = median(alone), median(at_once)
    return {"alone": one, "each_at_once": each, "times_as_many": threads * one / each}


def main() -> None:
    """Read the options, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="64x64/16,128x128/16,256x320/32", help="size/width")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    threads, rows = available_threads(), []
    for text in options.cases.split(","):
        size, width = text.split("/")
        for precision in ("bfloat16", "float32"):
            case = (parse_size(size), int(width), precision)
            row = {"size": size, "width": int(width), "precision": precision}
            rows.append(row | compared(case, threads, options.rounds))
            print(rows[-1])
    if options.out is not None:
        record = {"schema": 1, "benchmark": "at-once", "hardware": environment("cpu")}
        command = f"python benchmarks/at_once.py --cases {options.cases} --rounds {options.rounds}"
        load = os.getloadavg()[0]
        write_json(
            options.out,
            {**record, "command": command, "threads": threads, "load": load, "rows": rows},
        )


if __name__ == "__main__":
    main()
