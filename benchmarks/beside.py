"""Seconds of a training step alone, and beside a second training on the same cores.

``python benchmarks/beside.py --out beside.json``: trains the U-Net on random pictures in a process
of its own, alone and while another process does the same, with headstart's number of spins of
waiting threads (``headstart.system.processor.spin_briefly``) and with the default of PyTorch's
OpenMP library. The four take turns. The JSON has the median of the steps of every turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from headstart.config.option_values import parse_size
from headstart.runs.records import environment
from headstart.system.disk import write_json
from headstart.system.processor import available_threads

SPINS = {"library's default": "300000", "headstart": "1000"}
_CLASSES, _BATCH, _WARM_UP = 8, 5, 3


def steps(size: tuple[int, int], width: int, threads: int, count: int | None) -> list[float]:
    """Return the seconds of training steps; without a count, train until killed."""
    import torch

    from headstart.config.recipes import DEFAULT
    from headstart.models.unet import UNet
    from headstart.training.losses import dice_cross_entropy_loss
    from headstart.training.placement import layout, placed
    from headstart.training.step import make_optimizer

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    device = torch.device("cpu")
    model = placed(UNet(_CLASSES, width), device)
    optimizer = make_optimizer(model, DEFAULT)
    image = torch.rand(_BATCH, 3, *size).contiguous(memory_format=layout(device))
    mask = torch.randint(0, _CLASSES, (_BATCH, *size), dtype=torch.uint8)
    seconds: list[float] = []
    while count is None or len(seconds) < count + _WARM_UP:
        began = time.perf_counter()
        dice_cross_entropy_loss(model(image), mask, absent="skip").backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds = [*seconds[-1000:], time.perf_counter() - began]
    return seconds[_WARM_UP:]


def command(options: argparse.Namespace, count: int | None) -> list[str]:
    """Return the command of a process that trains."""
    words = ["--size", options.size, "--width", str(options.width)]
    words += ["--threads", str(options.threads)]
    return [sys.executable, __file__, *words, "--steps", str(count or 0), "--child"]


@contextlib.contextmanager
def training(options: argparse.Namespace, environ: dict[str, str]) -> Iterator[None]:
    """Train in another process meanwhile."""
    with subprocess.Popen(command(options, None), env=environ, stdout=subprocess.DEVNULL) as other:
        time.sleep(options.pause)  # until it has loaded PyTorch
        yield
        other.kill()


def measure(options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Return the median seconds of a step of every turn, by number of spins and neighbour."""
    result: dict[str, dict[str, list[float]]] = {n: {"alone": [], "beside": []} for n in SPINS}
    for _ in range(options.turns):
        for name, spins in SPINS.items():
            environ = {**os.environ, "GOMP_SPINCOUNT": spins}
            for where in ("alone", "beside"):
                near = training(options, environ) if where == "beside" else contextlib.nullcontext()
                with near:
                    words = command(options, options.steps)
                    said = subprocess.run(words, env=environ, check=True, capture_output=True)
                result[name][where].append(median(json.loads(said.stdout)))
                print(name, where, f"{result[name][where][-1]:.4f} s", flush=True)
    return result


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="64x80")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--steps", type=int, default=30, help="of every turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--pause", type=float, default=10.0, help="seconds to load PyTorch")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = parse_size(options.size)
    if options.child:
        print(json.dumps(steps(size, options.width, options.threads, options.steps or None)))
        return
    seconds: dict[str, Any] = measure(options)
    ratios = {
        name: {
            "beside to alone": round(median(turns["beside"]) / median(turns["alone"]), 2),
            "alone to library's default": round(
                median(turns["alone"]) / median(seconds["library's default"]["alone"]), 3
            ),
        }
        for name, turns in seconds.items()
    }
    record = {
        "schema": 1,
        "benchmark": "beside",
        "hardware": environment("cpu"),
        "size": list(size),
        "width": options.width,
        "batch": _BATCH,
        "threads": options.threads,
        "spins": SPINS,
        "seconds": seconds,
        "ratios": ratios,
    }
    print(json.dumps(ratios, indent=2))
    if options.out is not None:
        write_json(options.out, record)


if __name__ == "__main__":
    main()
