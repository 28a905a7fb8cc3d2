"""The card of a segmentation, and of a classification: what differs between the two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import nn

from headstart.data.checks.leaks import Overlap
from headstart.data.layouts.class_folders import ClassDataset
from headstart.data.layouts.folders import Dataset
from headstart.runs.card import card
from headstart.runs.code_snippets import classifier_code, onnx_code
from headstart.runs.provenance import Material
from headstart.runs.weaknesses import weak_classes, weak_labels
from headstart.training.config import RunConfig
from headstart.training.fit import State
from headstart.training.recipes import Recipe

Overlaps = Mapping[tuple[str, str], Overlap]


def _labels(config: RunConfig, splits: Mapping[str, int]) -> int:
    return splits["train"] if config.labels is None else config.labels


def card_of_segmentation(
    config: RunConfig,
    dataset: Dataset,
    sizes: frozenset[tuple[int, int]],
    overlaps: Overlaps,
    scores: Mapping[str, Any],
    counts: Int64[np.ndarray, "n k 3"],
    state: State,
    out: Path,
) -> str:
    """See [`card`][headstart.runs.card.card].

    Args:
        config: of the run.
        dataset: what it was trained on.
        sizes: heights and widths of the training frames.
        overlaps: see [`overlaps`][headstart.runs.provenance.overlaps].
        scores: content of its ``scores.json``.
        counts: TP, FP, FN by scored frame and class.
        state: where its training ended.
        out: its folder.
    """
    names, greys = dataset.label_map.names, dataset.label_map.greys
    frames = dataset.splits.items()
    counted = {name: len(its) for name, its in frames}
    material = Material(
        layout=dataset.layout,
        things="frames",
        splits=counted,
        labels=_labels(config, counted),
        sizes=tuple(sorted(sizes)),
        classes=dict(zip(names, greys, strict=True)),
        overlaps=overlaps,
        groups={name: frozenset(f.group for f in its if f.group) for name, its in frames},
    )
    assert isinstance(config.recipe, Recipe)
    code = onnx_code(config.size, names, greys, config.recipe.min_area)
    how = (
        "`headstart export` with this folder writes `model.onnx` here, which holds the network, "
        f"normalisation included. NumPy, Pillow and ONNX Runtime are enough:\n\n"
        f"```python\n{code}```"
    )
    weak = weak_classes(scores, counts, names)
    return card(config, material, scores, state, out, weak=weak, how=how)


def card_of_classification(
    config: RunConfig,
    dataset: ClassDataset,
    overlaps: Overlaps,
    scores: Mapping[str, Any],
    confusion: Int64[np.ndarray, "k k"],
    network: nn.Module,
    state: State,
    out: Path,
) -> str:
    """The same of a classification.

    Its ``confusion`` has the scored pictures by true class (row) and predicted class (column); its
    ``network`` the last layer it was trained with.
    """
    counted = {name: len(its.names) for name, its in dataset.splits.items()}
    material = Material(
        layout=dataset.layout,
        things="pictures",
        splits=counted,
        labels=_labels(config, counted),
        sizes=(),
        classes=dict.fromkeys(dataset.names),
        overlaps=overlaps,
        groups={},
    )
    code = classifier_code(config.model, network, config.size, dataset.names)
    new = ", apart from the last part, which is new" if "BatchNorm1d" in code else ""
    height, width = config.size
    how = (
        f"`weights.safetensors` has torchvision's names{new}. Pictures come in as RGB in [0, 1], "
        f"brought to {height}x{width}, minus ImageNet's mean, divided by its deviation:\n\n"
        f"```python\n{code}```"
    )
    weak = weak_labels(scores, confusion, dataset.names)
    return card(config, material, scores, state, out, weak=weak, how=how)
