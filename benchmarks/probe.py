"""The cost of ten epochs of a linear probe, next to one forward pass over the same pictures.

``python benchmarks/probe.py --out probe.json``. Both take turns in one process: the probe is
``headstart train --tune head`` without decoding: statistics of the features, features of training
and validation pictures, ten epochs, validation after each.
"""

from __future__ import annotations

import argparse
import statistics
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import RunConfig, make_run_config
from headstart.data.layouts.idx import FILES
from headstart.models.classifiers import make_network
from headstart.runs.records import environment
from headstart.system.disk import write_json
from headstart.tasks.classification import Classification
from headstart.tasks.interface import Prepared
from headstart.training.features import prepared
from headstart.training.fit import fit
from headstart.training.listener import SILENT
from headstart.training.placement import placed

_BATCH = 64


def draw(root: Path, pictures: int, classes: int = 10) -> Path:
    """Noise in Fashion-MNIST's format; the content of a picture does not change its cost."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", pictures), ("test", classes)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % classes).astype(np.uint8)
        for name, magic, array in zip(FILES[split], (2051, 2049), (images, labels), strict=True):
            header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
            (root / name.removesuffix(".gz")).write_bytes(header + array.tobytes())
    return root


def probe(run: Prepared, config: RunConfig, folder: Path) -> float:
    """Seconds of the probe; ``folder`` has no cache yet."""
    began = time.perf_counter()
    network, _ = run.network(None)
    for stage in run.stages(network):
        fit(
            stage.model,
            stage.source,
            stage.recipe,
            seed=config.seed,
            steps=stage.steps,
            device=torch.device(config.device),
            folder=folder / "checkpoint",
            stop=lambda: False,
            listener=SILENT,
        )
    return time.perf_counter() - began


@torch.no_grad()
def forward(config: RunConfig, images: torch.Tensor, classes: int = 10) -> float:
    """Seconds of one forward pass of the whole network over the pictures."""
    network = placed(make_network(config.model, classes)[0], torch.device(config.device)).eval()
    began = time.perf_counter()
    for start in range(0, len(images), _BATCH):
        network(prepared(images[start : start + _BATCH], config.size, torch.device(config.device)))
    return time.perf_counter() - began


def main() -> None:
    """Run rounds of both, and compute the ratio within each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="squeezenet1_0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    its = parser.parse_args()
    torch.set_num_threads(its.threads)
    recipe = CLASSIFIER_DEFAULT.with_epochs(10)
    seconds: dict[str, list[float]] = {"probe": [], "forward": []}
    with tempfile.TemporaryDirectory() as made:
        data = draw(Path(made, "data"), its.pictures)
        settings = {"data": str(data), "model": its.model, "size": (its.size, its.size)}
        settings |= {"tune": "head", "threads": its.threads, "recipe": recipe}
        config = make_run_config(task="classification", width=None, **settings)
        images = torch.randint(0, 256, (its.pictures, 1, 28, 28), dtype=torch.uint8)
        task = Classification()
        for round_ in range(its.rounds):
            cache = Path(made, str(round_))
            run = task.prepare(config, task.open(data), cache)
            seconds["forward"].append(forward(config, images))
            seconds["probe"].append(probe(run, config, cache))
    ratios = [p / f for p, f in zip(seconds["probe"], seconds["forward"], strict=True)]
    record = {
        "schema": 1,
        "benchmark": "probe",
        "hardware": environment("cpu"),
        "settings": {**config.model_dump(by_alias=True), "data": "noise", "pictures": its.pictures},
        "seconds": seconds,
        "ratio": {
            "median": statistics.median(ratios),
            "min": min(ratios),
            "max": max(ratios),
        },
    }
    write_json(its.out, record)
    print(f"ten epochs of a probe / one forward pass: {record['ratio']}")


if __name__ == "__main__":
    main()
