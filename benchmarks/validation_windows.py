"""How many windows must validate an epoch, so that the right epoch is chosen.

``python benchmarks/validation_windows.py DATA --out windows.json``: trains on tiles, and after each
epoch scores all windows of the validation split as a run without a bound does, and estimates that
score from samples of some sizes. For each size: how far estimates are off, and how much lower the
score of the epoch is that the samples choose than that of the best epoch.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import nn

from headstart.config.options import TrainOptions
from headstart.config.records import RunConfig
from headstart.config.resolve import run_config
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.label_map import IGNORE
from headstart.data.layouts.recognise import open_dataset
from headstart.data.own_size import cut
from headstart.inference.predictor import spread
from headstart.runs.records import environment
from headstart.scores import overlap
from headstart.scores.counts import count
from headstart.tasks.segmentation_training import prepare
from headstart.tasks.window_sample import own_truth, sample, windows_of
from headstart.training.batch_source import Stop
from headstart.training.fit import fit
from headstart.training.listener import SILENT
from headstart.training.placement import to_input

_SIZES = (20, 40, 80, 160, 320, 640)
_DRAWS = 20
_BATCH = 32


@torch.no_grad()
def counts_of_windows(
    model: nn.Module, data: Decoded, tile: tuple[int, int], classes: int
) -> Int64[np.ndarray, "n k 3"]:
    """Return the counts of the own pixels of each window of all pictures."""
    windows = [w for i, size in enumerate(data.sizes) for w in windows_of(i, size, tile)]
    counts = []
    for start in range(0, len(windows), _BATCH):
        some = windows[start : start + _BATCH]
        places = [(w.frame, data.sizes[w.frame], w.corner, tile) for w in some]
        images = np.stack([cut(data.pictures, *place) for place in places])
        truth = np.stack(
            [own_truth(cut(data.truth, *place), w) for place, w in zip(places, some, strict=True)]
        )
        logits = model(
            to_input(torch.from_numpy(images.transpose(0, 3, 1, 2)), torch.device("cpu"))
        )
        counts.append(count(logits.argmax(1), torch.from_numpy(truth), classes, IGNORE))
    return torch.cat(counts).numpy()


def estimates(
    counts: Int64[np.ndarray, "e n k 3"], data: Decoded, tile: tuple[int, int], windows: int
) -> Float64[np.ndarray, "d e"]:
    """Return the score of each epoch as estimated from each of some samples."""
    index = {
        (w.frame, w.corner): i
        for i, w in enumerate(
            w for f, size in enumerate(data.sizes) for w in windows_of(f, size, tile)
        )
    }
    results = []
    for draw in range(_DRAWS):
        rng = np.random.default_rng(draw)
        parts = sample(data.truth, tile, counts.shape[2], windows, rng)
        sums = sum(
            part.weight * counts[:, [index[w.frame, w.corner] for w in part.windows]].sum(1)
            for part in parts
        )
        pooled = np.rint(np.asarray(sums)).astype(np.int64)
        results.append([overlap.dice(of_epoch[None]) or 0.0 for of_epoch in pooled])
    return np.array(results)


def measure(config: RunConfig, cache: Path, pictures: int | None) -> dict[str, Any]:
    """Train; return how samples of each size choose."""
    dataset = open_dataset(Path(config.data))
    if pictures is not None:
        some = spread(dataset.splits["validation"], pictures)
        dataset = replace(dataset, splits={**dataset.splits, "validation": tuple(some)})
    prepared = prepare(config, dataset, cache)
    network, _ = prepared.network(None)
    (stage,) = prepared.stages(network)
    of_validation = (dataset.splits["validation"], config.size, dataset.label_map, dataset.root)
    validation = decode(*of_validation, cache, framing="tile")
    classes = len(dataset.label_map.names)
    of_windows: list[Int64[np.ndarray, "n k 3"]] = []

    def validate(model: nn.Module, stop: Stop) -> dict[str, float] | None:
        scores: dict[str, float] | None = stage.source.validate(model, stop)
        of_windows.append(counts_of_windows(model, validation, config.size, classes))
        return scores

    state = fit(
        stage.model,
        replace(stage.source, validation=validate),
        stage.recipe,
        seed=config.seed,
        steps=stage.steps,
        device=torch.device("cpu"),
        folder=cache / "checkpoint",
        stop=lambda: False,
        listener=SILENT,
        checkpoint_seconds=1e9,
    )
    true = np.array([row["validation_dice"] for row in state.history])
    counts = np.stack(of_windows)
    rows = {}
    for windows in _SIZES:
        if windows >= counts.shape[1]:
            continue
        estimated = estimates(counts, validation, config.size, windows)
        lost = true.max() - true[estimated.argmax(1)]
        rows[str(windows)] = {
            "off": float(np.sqrt(((estimated - true) ** 2).mean())),
            "lost_mean": float(lost.mean()),
            "lost_most": float(lost.max()),
        }
    everything = [overlap.dice(of_epoch) or 0.0 for of_epoch in counts]
    return {
        "tile": config.size,
        "width": config.width,
        "steps": stage.steps,
        "epochs": stage.recipe.epochs,
        "pictures": len(validation.names),
        "windows": counts.shape[1],
        "best": float(true.max()),
        "last_five": true[-5:].tolist(),
        "without_blending_and_min_area": float(true.max() - true[int(np.argmax(everything))]),
        "samples": rows,
        "draws": _DRAWS,
    }


def main() -> None:
    """Read the options, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--labels")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--pictures", type=int, help="validation pictures, evenly spread")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    options = TrainOptions(
        tile=True,
        size=asked.size,
        width=asked.width,
        steps=asked.steps,
        labels=asked.labels,
        seed=asked.seed,
        device="cpu",
        threads=torch.get_num_threads(),
    )
    config = run_config(options, asked.data)
    changed = {"validation_windows": None, "epochs": asked.epochs}
    unbounded = config.recipe.model_copy(update=changed)
    config = config.model_copy(update={"recipe": unbounded})
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "schema": 1,
            "data": asked.data.name,
            **measure(config, Path(folder), asked.pictures),
        }
    result["cpu"] = environment("cpu")["cpu"]
    asked.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
