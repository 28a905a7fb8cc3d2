"""Which epoch a classifier keeps where few pictures validate: the first of the best, or the last.

``python benchmarks/kept_epoch.py DATA --out kept.jsonl``: networks are trained on a few dozen
labels, and after each epoch hundreds of validation pictures are predicted. Of these, 4, 8, 20 or 50
are drawn 300 times to choose the epoch by several rules; the accuracy of the chosen epoch is
counted on the others. ``DATA`` is as for ``classifier_recipes.py``. A line a training is added to
the ledger.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from classifier_recipes import CASES, SIZES, STARTS, write_fashion
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import RunConfig
from headstart.config.start_names import SCRATCH
from headstart.data.labelled_pictures import read_labelled_pictures
from headstart.runs.initial_weights import source_of
from headstart.tasks.classification import Classification
from headstart.training.batch_source import Batches, Stop
from headstart.training.features import prepared
from headstart.training.fit import fit
from headstart.training.listener import SILENT

_DRAWS, _FEW = 300, (4, 8, 20, 50)
TRAININGS = (
    ("fashion, 100 labels", "scratch", "all", 500),
    ("cifar10, 40 labels", "published", "all", 500),
    ("cifar10, 40 labels", "published", "head", 1000),
    ("fashion, 100 labels", "published", "head", 1000),
)
Correct = Bool[np.ndarray, "epochs n"]
Loss = Float[np.ndarray, "epochs n"]


def answers(config: RunConfig, folder: Path) -> tuple[Correct, Loss]:
    """Train, and return after each epoch which pictures are predicted correctly, and their loss."""
    task, cpu = Classification(), torch.device("cpu")
    folder.mkdir()
    torch.set_num_threads(config.threads)
    dataset = task.open(Path(config.data))
    held_out = read_labelled_pictures(dataset, "validation", config.size, folder / "cache")
    images, truth = torch.from_numpy(held_out.images.copy()), torch.from_numpy(held_out.labels)
    run = task.prepare(config, dataset, folder / "cache")
    start = None if config.start == SCRATCH else source_of(config, folder, lambda *_: None)
    network, _ = run.network(start)
    correct, losses = [], []
    for stage in run.stages(network):
        source = stage.source
        assert isinstance(source, Batches)

        @torch.no_grad()
        def validate(model: nn.Module, stop: Stop, of: Batches = source) -> Any:
            scores = of.validate(model, stop)
            network.eval()
            parts = [network(prepared(part, config.size, cpu)) for part in images.split(64)]
            logits: Tensor = torch.cat(parts)
            correct.append((logits.argmax(1) == truth).numpy())
            losses.append(F.cross_entropy(logits, truth, reduction="none").numpy())
            return scores

        fit(
            stage.model, replace(source, validation=validate), stage.recipe, seed=config.seed,
            steps=stage.steps, device=cpu, folder=folder / "checkpoint", stop=lambda: False,
            listener=SILENT,
        )  # fmt: skip
    return np.array(correct), np.array(losses)


def by_rule(correct: Correct, losses: Loss, few: int) -> dict[str, float]:
    """Return the mean accuracy of the epoch that each rule keeps, with so few pictures."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for _ in range(_DRAWS):
        drawn = rng.permutation(correct.shape[1])
        chosen_by, others = drawn[:few], drawn[few:]
        accuracy, loss = correct[:, chosen_by].mean(1), losses[:, chosen_by].mean(1)
        best = np.flatnonzero(accuracy == accuracy.max())
        kept = {
            "first of the most accurate": best[0],
            "last of the most accurate": best[-1],
            "of the most accurate, least loss": best[loss[best].argmin()],
            "least loss": loss.argmin(),
            "last": -1,
        }
        for rule, epoch in kept.items():
            found.setdefault(rule, []).append(float(correct[epoch, others].mean()))
    return {rule: round(mean(values), 4) for rule, values in found.items()}


def main() -> None:
    """Read the options, train, and write what each rule keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", type=int, nargs="*", default=range(len(TRAININGS)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folders: Mapping[str, Path] = {
            "fashion-mnist": write_fashion(options.data / "fashion-mnist", Path(work, "fashion")),
            "cifar10-5k": options.data / "cifar10-5k",
        }
        for number in options.only:
            name, start, tune, steps = TRAININGS[number]
            case = CASES[name]
            settings: dict[str, Any] = {
                "schema": 1, "data": str(folders[case.folder]), "task": "classification",
                "model": case.model, "width": None, "size": SIZES[tune], "labels": case.labels,
                "recipe": CLASSIFIER_DEFAULT.with_steps(steps), "tune": tune, "threads": 1,
                "start": SCRATCH if start == SCRATCH else str(options.data / STARTS[start]),
            }  # fmt: skip
            correct, losses = answers(RunConfig(**settings), Path(work, str(number)))
            row: dict[str, Any] = {"case": name, "start": start, "tune": tune, "steps": steps}
            row |= {"pictures": correct.shape[1], "epochs": correct.mean(1).round(4).tolist()}
            row |= {f"chosen by {few}": by_rule(correct, losses, few) for few in _FEW}
            print(json.dumps(row), flush=True)
            with options.out.open("a") as ledger:
                ledger.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
