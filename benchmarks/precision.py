"""Seconds of a training step in float32 and in bfloat16, in turns in one process.

``python benchmarks/precision.py --out precision.json``: the U-Net on random pictures, as ``fit``
trains it: forward pass, loss, backward pass and update, at 64 x 80 and width 16, 128 x 160 and
width 16, and 256 x 320 and width 32.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from headstart.config.recipes import DEFAULT
from headstart.models.unet import UNet
from headstart.runs.records import environment
from headstart.system.devices import pick_device
from headstart.system.disk import write_json
from headstart.system.processor import available_threads, multiplies_bfloat16
from headstart.training.losses import dice_cross_entropy_loss
from headstart.training.placement import layout, placed
from headstart.training.step import make_optimizer

CASES = (((64, 80), 16, 30), ((128, 160), 16, 12), ((256, 320), 32, 3))  # size, width, steps
_CLASSES, _BATCH = 8, 5


def seconds(size: tuple[int, int], width: int, steps: int, turns: int) -> dict[str, list[float]]:
    """Return the median seconds of a step in each turn, by precision."""
    device = torch.device(pick_device("auto"))
    torch.manual_seed(0)
    model = placed(UNet(_CLASSES, width), device)
    optimizer = make_optimizer(model, DEFAULT)
    image = torch.rand(_BATCH, 3, *size, device=device).contiguous(memory_format=layout(device))
    mask = torch.randint(0, _CLASSES, (_BATCH, *size), dtype=torch.uint8, device=device)
    result: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(turns + 1):  # the first warms up
        for precision, medians in result.items():
            times = []
            for _ in range(steps):
                began = time.perf_counter()
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                    logits = model(image)
                dice_cross_entropy_loss(logits, mask, absent="skip").backward()
                optimizer.step()
                optimizer.zero_grad()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                times.append(time.perf_counter() - began)
            medians.append(median(times))
    return {precision: medians[1:] for precision, medians in result.items()}


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(available_threads())
    cases: list[dict[str, Any]] = []
    for size, width, steps in CASES:
        turns = seconds(size, width, steps, options.turns)
        ratios = [a / b for a, b in zip(turns["float32"], turns["bfloat16"], strict=True)]
        faster = {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)}
        cases.append({"size": list(size), "width": width, "seconds": turns, "times_faster": faster})
        print(size, width, {k: round(v, 2) for k, v in faster.items()}, flush=True)
    capability = torch.backends.cpu.get_cpu_capability()
    write_json(
        options.out,
        {
            "schema": 1,
            "benchmark": "precision",
            "hardware": environment("cpu"),
            "capability": capability,
            "multiplies_bfloat16": multiplies_bfloat16(),
            "batch": _BATCH,
            "cases": cases,
        },
    )


if __name__ == "__main__":
    main()
