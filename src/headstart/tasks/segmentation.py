"""Segmentation as the subject of a run: its frames, its network, its loss and its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn

from headstart.data.batches import steps_per_epoch
from headstart.data.decoded_frames import Decoded, channel_statistics, decode, digest
from headstart.data.files import merged
from headstart.data.layouts.folders import Dataset, open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.data.splits import label_budget
from headstart.errors import DataError, Finding
from headstart.models.encoder_unet import check_segmenter, make_segmenter
from headstart.plots import figures
from headstart.runs.card_facts import card_of_segmentation
from headstart.runs.folder import LABELS, budget_too_large
from headstart.runs.provenance import overlaps
from headstart.runs.records import hash_of_label_map
from headstart.scores import segmentation as metrics
from headstart.scores.frames_csv import frames_csv
from headstart.seeding import key
from headstart.system.disk import write_atomic
from headstart.tasks.batches_and_maps import count_frames, placed, segment, segmentation
from headstart.tasks.interface import Stage, Subject
from headstart.training.config import SCRATCH, RunConfig
from headstart.training.fit import State
from headstart.training.recipes import Recipe
from headstart.training.starts import Moved, Source, start_of


def check(config: RunConfig) -> None:
    """Refuses what is known to be wrong before anything is decoded or made.

    Raises:
        DataError: the folders are at fault.
        UsageError: there is no such network, or it cannot take pictures of that size.
    """
    check_segmenter(config.model, config.size)
    open_dataset(Path(config.data))


def digests(config: RunConfig) -> dict[str, str]:
    """Hashes of the data as they are now, by name; nothing is decoded.

    Raises:
        DataError: the folders are at fault, or a file cannot be read.
    """
    dataset = open_dataset(Path(config.data))
    now = {s: digest(dataset.splits.get(s, ()), dataset.root) for s in _splits(config)}
    return {**now, "label map": hash_of_label_map(dataset.label_map)}


def read(config: RunConfig, cache: Path) -> Subject:
    """The subject of a segmentation run.

    Raises:
        DataError: data cannot be used; every fault is named.
    """
    dataset = open_dataset(Path(config.data))
    train_split, validation, scored = _read(dataset, config, cache)
    chosen = _budget(train_split, config)
    budget = train_split.subset(chosen)
    splits = {"train": train_split, "validation": validation, config.score: scored}
    recipe, width = config.recipe, config.width
    assert isinstance(recipe, Recipe) and width is not None
    names, device = dataset.label_map.names, torch.device(config.device)

    def network(source: Source | None) -> tuple[nn.Module, Moved]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(config.seed, "weights"))
            model = make_segmenter(config.model, len(names), width)
        moved = Moved(SCRATCH) if source is None else start_of(model, source, names)
        if recipe.standardise:
            mean, std = channel_statistics(budget.images)
            model.mean.copy_(torch.tensor(mean)[:, None, None])
            model.std.copy_(torch.tensor(std)[:, None, None])
        return placed(model, device), moved

    def stages(model: nn.Module) -> tuple[Stage]:
        task = segmentation(budget, validation, recipe, len(names), config.seed, device)
        passes = len(train_split.names) if recipe.epoch == "steps" else task.count
        return (Stage("", model, task, recipe, steps_per_epoch(passes, recipe.batch)),)

    def score(model: nn.Module, state: State, out: Path) -> dict[str, Any]:
        learned = "".join(f"{train_split.names[i]}\n" for i in chosen)
        write_atomic(out / LABELS, learned.encode("utf-8", "surrogateescape"))  # as files are named
        counts, scores = _score(model, dataset, scored, config, recipe, out, state, device)
        prints = {name: split.prints for name, split in splits.items()}
        found = overlaps(prints, chosen, config.score, cache)
        sizes = frozenset(train_split.sizes)
        text = card_of_segmentation(config, dataset, sizes, found, scores, counts, state, out)
        write_atomic(out / "README.md", text)
        return scores

    return Subject(
        data={
            **{name: split.digest for name, split in splits.items()},
            "label map": hash_of_label_map(dataset.label_map),
        },
        labels={"train": len(budget.names), "validation": len(validation.names)},
        facts={
            "task": config.task,
            "model": config.model,
            "width": config.width,
            "size": config.size,
            "names": names,
            "greys": dataset.label_map.greys,
            "min_area": recipe.min_area,
        },
        network=network,
        stages=stages,
        score=score,
    )


def _splits(config: RunConfig) -> tuple[str, str, str]:
    return "train", "validation", config.score


def _read(dataset: Dataset, config: RunConfig, cache: Path) -> tuple[Decoded, Decoded, Decoded]:
    """Training, validation and scored split."""
    missing = [s for s in _splits(config) if not dataset.splits.get(s)]
    if missing:
        message = f"{dataset.root} has no frames for {', '.join(missing)}"
        raise DataError(Finding("empty-split", "error", message))
    findings: list[Finding] = []
    parts = []
    for split in _splits(config):
        try:
            read = (dataset.splits[split], config.size, dataset.label_map, dataset.root, cache)
            parts.append(decode(*read, keep_truth=split != "train"))
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    return parts[0], parts[1], parts[2]


def _budget(train_split: Decoded, config: RunConfig) -> Int64[np.ndarray, "m"]:
    if config.frames is not None:
        places = {name: i for i, name in enumerate(train_split.names)}
        if unknown := tuple(name for name in config.frames if name not in places):
            message = f"{len(unknown)} of the frames to train on are not in the training split"
            hint = f"its frames are called {', '.join(train_split.names[:3])}, ..."
            raise DataError(Finding("unknown-frames", "error", message, hint, unknown))
        return np.array(sorted(places[name] for name in config.frames), dtype=np.int64)
    try:
        return label_budget(train_split.present, config.labels, config.seed)
    except ValueError:
        assert config.labels is not None
        raise budget_too_large(config.labels, len(train_split.names)) from None


def _score(
    model: nn.Module,
    dataset: Dataset,
    data: Decoded,
    config: RunConfig,
    recipe: Recipe,
    out: Path,
    state: State,
    device: torch.device,
) -> tuple[Int64[np.ndarray, "n k 3"], dict[str, Any]]:
    names = dataset.label_map.names
    frames = dataset.splits[config.score]
    counts = count_frames(model, data, len(names), device, recipe.min_area)
    scores = {"split": config.score, **metrics.score(counts, names)}
    write_atomic(out / "frames.csv", frames_csv(counts, data.names, names))
    assert state.best is not None
    title = f"{recipe.name} recipe, {Path(config.start).name}, seed {config.seed}"
    write_atomic(out / "curves.png", figures.curves(state.history, state.best["epoch"], title))
    chosen = figures.choose_examples(metrics.dice_of_frames(counts))
    some = data.subset([i for _, i in chosen])
    maps = segment(model, some.images, some.sizes, device, recipe.min_area)
    examples = [
        figures.Example(
            f"{kind}: {frames[i].name}",
            read_frame(frames[i], dataset.root),
            truth,
            m.cpu().numpy(),
        )
        for (kind, i), truth, m in zip(chosen, some.truth, maps, strict=True)
    ]
    sheet = figures.predictions(examples, names, f"{config.score} frames")
    write_atomic(out / "predictions.png", sheet)
    return counts, scores
