"""Runs of classifiers that train in about a second: their configuration and its parts."""

from __future__ import annotations

from pathlib import Path

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import RunConfig
from headstart.data.augmentation import Augmentation

SIZE = (32, 32)
SAME_BYTES = ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv", "config.json",
              "README.md", "calibration.json")  # fmt: skip
HEAD = ("classifier.2.mean", "classifier.2.std", "classifier.3.weight", "classifier.3.bias")
COLOURS = {"fern": (40, 160, 60), "rust": (180, 80, 40), "sky": (70, 120, 200)}

RECIPE = CLASSIFIER_DEFAULT.with_epochs(3).model_copy(
    update={
        "batch": 8,
        "head_epochs": 2,
        "head_learning_rate": 1e-2,
        "augmentation": Augmentation(),
    }
)


def classifier(data: Path, **changes: object) -> RunConfig:
    """A configuration that trains in about a second."""
    settings = {
        "schema": 1, "data": str(data), "task": "classification", "model": "squeezenet1_0",
        "width": None, "size": SIZE, "threads": 1, "recipe": RECIPE, "tune": "head", "seed": 3,
        **changes,
    }  # fmt: skip
    return RunConfig.model_validate(settings)
