"""A training step of a U-Net on an encoder: seconds by layout and precision, and where they go.

    python benchmarks/encoders.py --model timm/tf_efficientnet_lite0 --size 128x160 --out FILE

Every layout and precision takes its turn in each round, in one process, because machines are noisy;
the median counts. A step is forward, loss, backward and AdamW on a fixed resident batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from headstart.models.encoder_unet import make_segmenter
from headstart.system.processor import cpu_model

CLASSES = 8
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Step:
    """One training step in a layout and a precision."""

    def __init__(self, model: str, width: int, layout: str, half: bool, batch: torch.Tensor):
        torch.manual_seed(0)
        self.network = make_segmenter(model, CLASSES, width).to(memory_format=LAYOUTS[layout])
        self.network.train()
        self.half, self.batch = half, batch.contiguous(memory_format=LAYOUTS[layout])
        self.truth = torch.randint(0, CLASSES, (len(batch), *batch.shape[2:]))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 1e-3)

    def __call__(self) -> None:
        """Take the step."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.network(self.batch)
        F.cross_entropy(logits.float(), self.truth).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def giga_operations(network: nn.Module, batch: torch.Tensor) -> float:
    """Return the products and sums of forward and backward, in 1e9."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(batch).sum().backward()
    return counter.get_total_flops() / 1e9


def parts(step: Step) -> dict[str, float]:
    """Return the milliseconds of a step by kind of convolution and by operator, the largest ones.

    Dense 3x3 convolutions are the decoder's and the first layer; the others are the encoder's.
    """
    from torch.profiler import ProfilerActivity, profile

    step()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
        step()
    took: Counter[str] = Counter()
    for row in found.key_averages(group_by_input_shape=True):
        way = {"aten::convolution": "forward", "aten::convolution_backward": "backward"}
        if row.key in way:
            shape = row.input_shapes[1 if way[row.key] == "forward" else 2]
            dense = "1x1" if shape[-1] == 1 else f"{shape[-1]}x{shape[-1]}"
            kind = "depthwise" if shape[1] == 1 else dense
            took[f"convolution {kind}, {way[row.key]}"] += row.cpu_time_total / 1e3
        elif "convolution" not in row.key:
            took[row.key] += row.self_cpu_time_total / 1e3
    return {name: round(spent, 1) for name, spent in took.most_common(14)}


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="timm/tf_efficientnet_lite0")
    parser.add_argument("--size", default="128x160")
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="also by kind of layer")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    height, width = map(int, given.size.split("x"))
    torch.manual_seed(0)
    batch = torch.rand(given.batch, 3, height, width)
    steps = {
        f"{layout}, {precision}": Step(given.model, given.width, layout, half, batch)
        for layout in LAYOUTS
        for precision, half in (("float32", False), ("bfloat16", True))
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(given.rounds + 1):  # the first one warms up
        for name, step in steps.items():
            began = time.process_time()  # of this process alone, on a shared machine
            step()
            if round_:
                seconds[name].append(time.process_time() - began)
    operations = giga_operations(next(iter(steps.values())).network, batch)
    result: dict[str, Any] = {
        "schema": 1,
        "model": given.model,
        "size": [height, width],
        "batch": given.batch,
        "width": given.width,
        "threads": given.threads,
        "cpu": cpu_model(),
        "torch": torch.__version__,
        "giga_operations": round(operations, 1),
        "processor_seconds": {n: round(statistics.median(s), 4) for n, s in seconds.items()},
        "least_seconds": {name: round(min(s), 4) for name, s in seconds.items()},
    }
    if given.profile:
        result["milliseconds"] = {name: parts(step) for name, step in steps.items()}
    text = json.dumps(result, indent=1)
    sys.stdout.write(text + "\n")
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
