"""Training and scoring a segmenter: frames, network, batches, loss, scores and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn

from headstart.config.files import frame_names_text
from headstart.config.recipe_records import Recipe
from headstart.config.records import RunConfig
from headstart.config.start_names import SCRATCH
from headstart.config.task_settings import UNET
from headstart.data.checks.foreground import no_foreground
from headstart.data.checks.leaks import Overlap
from headstart.data.checks.overlaps import overlaps
from headstart.data.decoded_frames import Decoded, channel_statistics, decode
from headstart.data.files import merged
from headstart.data.folds import fold_splits
from headstart.data.label_map import IGNORE
from headstart.data.layouts.dataset import LABELLED, Dataset, pooled, rules_of
from headstart.errors import DataError, Finding
from headstart.models.encoder_unet import make_segmenter
from headstart.models.unet import MULTIPLE
from headstart.records.run_records import LEAKS
from headstart.seeding import generator, key
from headstart.system.disk import write_atomic
from headstart.tasks.budgets import LABELS, labelled_indices
from headstart.tasks.code_snippets import onnx_code
from headstart.tasks.interface import CardFacts, Prepared, Scored, Stage
from headstart.tasks.mismatches import fitting_recipe, mismatches, sampled_windows
from headstart.tasks.segmentation import (
    freeze_by,
    frozen_at_random,
    hash_of_groups,
    hash_of_unlabelled,
    hashes_of_labels,
    recipe_of,
)
from headstart.tasks.segmentation_batches import frame_batches, tile_batches
from headstart.tasks.segmentation_scoring import write_scores
from headstart.tasks.unlabelled import semi_supervised, unlabelled_of
from headstart.tasks.weaknesses import weak_classes
from headstart.tasks.window_sample import Part, count_windows, sample
from headstart.training.fit import State
from headstart.training.placement import in_bfloat16, placed
from headstart.training.starts import Moved, Source, start_of


def prepare(config: RunConfig, dataset: Dataset, cache: Path) -> Prepared:
    """Prepare a segmentation run: decode its frames and define its network and stage.

    Raises:
        DataError: the data cannot be used; lists every fault.
    """
    groups = {} if config.fold is None else {"groups": hash_of_groups(dataset)}
    dataset, (train_split, validation, scored) = _decoded(dataset, config, cache)
    budget_indices = labelled_indices(train_split.present, train_split.names, config)
    budget = train_split.subset(budget_indices)
    splits = {"train": train_split, "validation": validation, config.score: scored}
    recipe, width = recipe_of(config), config.width
    assert width is not None
    names, device = dataset.label_map.names, torch.device(config.device)

    single = one_value_at_bottleneck(config.model, config.size)
    findings: tuple[Finding, ...] = ()
    if recipe.adapt_min_area:
        recipe, findings = fitting_recipe(budget, recipe, names)
    findings += (*mismatches(budget, recipe, single), *frozen_at_random(config))
    facts: dict[str, Any] = {
        "labels": {"train": len(budget.names), "validation": len(validation.names)}
    }
    unlabelled = None
    if recipe.teacher is not None:
        unlabelled = unlabelled_of(dataset, config, budget.names, cache)
        facts["unlabelled"] = unlabelled.facts
    validated: tuple[Part, ...] = ()
    if config.framing == "tile":
        validated, facts["validation_windows"] = _validated(config, recipe, validation, len(names))
        findings += sampled_windows(**facts["validation_windows"])

    def network(source: Source | None) -> tuple[nn.Module, Moved]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(config.seed, "weights"))
            model = make_segmenter(config.model, len(names), width)
        moved = Moved(SCRATCH) if source is None else start_of(model, source, names)
        if recipe.standardise:
            mean, std = channel_statistics(budget.channels_first())
            model.mean.copy_(torch.tensor(mean)[:, None, None])
            model.std.copy_(torch.tensor(std)[:, None, None])
        freeze_by(model, config)
        return placed(model, device), moved

    def stages(model: nn.Module) -> tuple[Stage]:
        args = (budget, validation, recipe, len(names), config.seed, device)
        if config.framing == "tile":
            source = tile_batches(*args, config.size, single, dataset.ignore, validated)
        else:
            padded = budget.padded or validation.padded
            ignore = IGNORE if padded else dataset.ignore
            source = frame_batches(*args, repeat_single=single, ignore=ignore)
        source = replace(source, half=in_bfloat16(config))
        steps = recipe.total_steps(len(budget.names), len(train_split.names))
        if unlabelled is None:
            return (Stage("", model, source, recipe, steps),)
        of_tiles = config.size if config.framing == "tile" else None
        taught = semi_supervised(source, unlabelled, recipe, config.seed, device, of_tiles, steps)
        return (Stage("", model, taught, recipe, steps),)

    def score(model: nn.Module, state: State, out: Path) -> Scored:
        budget_names = [train_split.names[i] for i in budget_indices]
        write_atomic(out / LABELS, frame_names_text(budget_names))
        args = (model, dataset, validation, scored, config, recipe, out, state)
        counts, scores = write_scores(*args)
        prints = {name: split.prints for name, split in splits.items()}
        shared = overlaps(prints, budget_indices, config.score, cache)
        facts = _card_facts(
            config, dataset, recipe.min_area, train_split, budget, shared, scores, counts
        )
        return Scored(scores, facts)

    digests = {name: split.digest for name, split in splits.items()}
    if config.fold is not None:
        # of all frames that the folds are drawn from, and what decides the folds
        digests = {LABELLED: train_split.digest, **groups}
    rules = rules_of(dataset)
    of_pictures = {"range": rules.value_range, "page": rules.page}
    of_unlabelled = {} if unlabelled is None else hash_of_unlabelled(dataset)
    of_folds = "" if config.fold is None else f", fold {config.fold} of {config.folds}"
    tuned = "" if config.tune == "all" else f", tune {config.tune}"
    at = f"{'in tiles of' if config.framing == 'tile' else 'at'} {config.size[0]}x{config.size[1]}"
    return Prepared(
        title=f"segmentation from {config.start}{tuned}, {at}{of_folds}",
        data={**digests, **hashes_of_labels(dataset), **of_unlabelled},
        facts=facts,
        weights_facts={
            "task": config.task,
            "model": config.model,
            "width": config.width,
            "size": config.size,
            "names": names,
            "greys": dataset.label_map.greys,
            "min_area": recipe.min_area,
            **({"colours": dataset.label_map.colours} if dataset.label_map.colours else {}),
            **({} if config.framing == "squeeze" else {"framing": config.framing}),
            **{name: value for name, value in of_pictures.items() if value is not None},
        },
        network=network,
        stages=stages,
        score=score,
        findings=findings,
        records={} if unlabelled is None else {LEAKS: unlabelled.leaks},
    )


def _validated(
    config: RunConfig, recipe: Recipe, validation: Decoded, num_classes: int
) -> tuple[tuple[Part, ...], dict[str, int]]:
    """Return the windows that validate each epoch, empty if all do; and how many, of how many."""
    windows, bound = count_windows(validation.sizes, config.size), recipe.validation_windows
    if bound is None or windows <= bound:
        return (), {"predicted": windows, "all": windows}
    rng = generator(config.seed, "validation windows")
    parts = sample(validation.truth, config.size, num_classes, bound, rng)
    return parts, {"predicted": sum(len(part.windows) for part in parts), "all": windows}


def _splits(config: RunConfig) -> tuple[str, str, str]:
    return "train", "validation", config.score


_Parts = tuple[Decoded, Decoded, Decoded]


def _decoded(dataset: Dataset, config: RunConfig, cache: Path) -> tuple[Dataset, _Parts]:
    """Decode the training, validation and scored split; return them with the dataset that has them.

    For a fold of a cross-validation, the splits are drawn from all labelled frames.
    """
    if config.fold is not None:
        return _decoded_fold(dataset, config, cache)
    missing = [s for s in _splits(config) if not dataset.splits.get(s)]
    if missing:
        message = f"{dataset.root} has no frames for {', '.join(missing)}"
        hint = "add some, or train with --score validation or --folds 5"
        raise DataError(Finding("empty-split", "error", message, hint * (missing == ["test"])))
    findings: list[Finding] = []
    parts = []
    for split in _splits(config):
        try:
            args = (dataset.splits[split], config.size, dataset.label_map, dataset.root, cache)
            keep_truth = split != "train" or config.framing == "tile"
            parts.append(decode(*args, keep_truth, config.framing))
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    by_split = dict(zip(_splits(config), parts, strict=True))
    if empty := no_foreground(s for s, part in by_split.items() if not part.present[:, 1:].any()):
        raise DataError(empty)
    return dataset, (parts[0], parts[1], parts[2])


def _decoded_fold(dataset: Dataset, config: RunConfig, cache: Path) -> tuple[Dataset, _Parts]:
    """Decode all labelled frames, and draw the splits of the fold from them."""
    assert config.folds is not None and config.fold is not None
    assert config.pretext_fits_the_fold  # else its start has seen held-out pictures
    frames = pooled(dataset).splits[LABELLED]
    args = (frames, config.size, dataset.label_map, dataset.root, cache)
    pool = decode(*args, framing=config.framing)
    groups = [frame.group for frame in frames]
    splits = fold_splits(groups, pool.present, config.folds, config.fold, config.seed)
    in_fold = {name: tuple(frames[i] for i in indices) for name, indices in splits.items()}
    parts = pool.subset(splits["train"]), pool.subset(splits["validation"])
    learns = zip(("train", "validation"), parts, strict=True)
    if empty := no_foreground(name for name, part in learns if not part.present[:, 1:].any()):
        raise DataError(empty)
    return replace(dataset, splits=in_fold), (*parts, pool.subset(splits["test"]))


def _card_facts(
    config: RunConfig,
    dataset: Dataset,
    min_area: float,
    train_split: Decoded,
    budget: Decoded,
    shared: Mapping[tuple[str, str], Overlap],
    scores: dict[str, Any],
    counts: Int64[np.ndarray, "n k 3"],
) -> CardFacts:
    names, greys = dataset.label_map.names, dataset.label_map.greys
    value_range = rules_of(dataset).value_range
    code = onnx_code(config.size, config.framing, names, greys, min_area, value_range)
    usage = (
        "Run `headstart export` on this folder to write `model.onnx`, which holds the network and "
        "its normalisation. Then NumPy, Pillow and ONNX Runtime suffice:\n\n"
        f"```python\n{code}```"
    )
    splits = dataset.splits.items()
    return CardFacts(
        kind="Segmentation",
        things="frames",
        layout=dataset.layout,
        splits={name: len(frames) for name, frames in splits},
        labels=len(budget.names),
        sizes=tuple(sorted(frozenset(train_split.sizes))),
        classes=dict(zip(names, greys, strict=True)),
        overlaps=shared,
        groups={name: frozenset(f.group for f in frames) for name, frames in splits},
        weak=tuple(weak_classes(scores, counts, names)),
        usage=usage,
        sheet="![predictions](predictions.png)",
        constant="the best score of a constant prediction (one class everywhere)",
        unit="pixel",
        tuned=config.tune != "all",
    )


def one_value_at_bottleneck(model: str, size: tuple[int, int]) -> bool:
    """Return whether the coarsest features of a picture are 1x1.

    Batch norm cannot train on a single such picture, as one value has no variance. Only the plain
    U-Net gets that small: for encoders,
    [`check_segmenter`][headstart.models.encoder_unet.check_segmenter] refuses such sizes.
    """
    return model == UNET and max(size) <= MULTIPLE
