"""Training and scoring a classifier: pictures, network, batches, scores and figures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.config.recipe_records import ClassifierRecipe
from headstart.config.records import RunConfig
from headstart.config.start_names import SCRATCH
from headstart.data.augmentation import Augmentation
from headstart.data.checks.leaks import Overlap
from headstart.data.checks.overlaps import overlaps
from headstart.data.files import merged
from headstart.data.folds import fold_splits
from headstart.data.labelled_pictures import Labelled, read_labelled_pictures
from headstart.data.layouts.class_dataset import ClassDataset, pooled
from headstart.data.layouts.dataset import LABELLED
from headstart.errors import DataError, Finding
from headstart.models.classifiers import make_network, normalisation
from headstart.models.standardise import Standardise
from headstart.models.timm_networks import is_timm
from headstart.models.tuning import FrozenPart, SplitNetwork, cut, trained_weights
from headstart.plots import curves
from headstart.records.calibration import CALIBRATION, to_json
from headstart.scores import classification as classification_scores
from headstart.scores.frames_csv import answers_csv
from headstart.seeding import generator, key
from headstart.system.devices import moved
from headstart.system.disk import write_atomic, write_json
from headstart.tasks.budgets import labelled_indices
from headstart.tasks.calibration import calibration
from headstart.tasks.classification import recipe_of, splits_of
from headstart.tasks.code_snippets import classifier_code
from headstart.tasks.interface import CardFacts, Prepared, Scored, Stage
from headstart.tasks.weaknesses import weak_labels
from headstart.training.batch_source import Batch, Batches, Stop, at_least_two
from headstart.training.collapse import constant_scores
from headstart.training.features import cached_features, compute, prepared
from headstart.training.fit import State
from headstart.training.placement import exact, in_bfloat16, placed, resident, rows
from headstart.training.starts import Moved, Source, move

_STATISTICS = 1024  # most pictures from which the features' mean and deviation are computed
_BATCH = 64  # pictures per forward pass outside training


def prepare(config: RunConfig, dataset: ClassDataset, cache: Path) -> Prepared:
    """Prepare a classification run: decode its pictures and define its network and stages.

    Raises:
        DataError: the data cannot be used; lists every fault.
    """
    dataset, splits = _decoded(dataset, config, cache)
    train_split, validation, scored = splits["train"], splits["validation"], splits[config.score]
    present = train_split.labels[:, None] == np.arange(len(dataset.names))
    budget_indices = labelled_indices(present, train_split.names, config)
    budget = train_split.subset(budget_indices)
    recipe, device, names = recipe_of(config), torch.device(config.device), dataset.names

    feature_seconds: list[float] = []  # spent on cached features since the last stage

    def network(source: Source | None) -> tuple[nn.Module, Moved]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(config.seed, "weights"))
            model, head = make_network(config.model, len(names))
        moved = Moved(SCRATCH)
        if source is not None:
            moved = move(model, source, names, f"{head.name}.", whole=True)
        model = placed(model, device)
        new_head = source is None or any(n.startswith(f"{head.name}.") for n in moved.fresh)
        if head.standardise is not None and new_head:
            began = time.perf_counter()
            _standardise(model, head.standardise, budget, config, cache)
            feature_seconds.append(time.perf_counter() - began)
        return model, moved

    def stage(model: nn.Module, name: str, tune: str, recipe: ClassifierRecipe) -> Stage:
        parts = cut(model, trained_weights(model, tune), config.size)
        began = time.perf_counter()
        source = picture_batches(parts, budget, validation, recipe, config, cache)
        if parts.frozen is not None:
            feature_seconds.append(time.perf_counter() - began)
        steps = recipe.total_steps(len(budget.names), len(train_split.names))
        seconds = sum(feature_seconds, 0.0)
        feature_seconds.clear()
        constant = constant_scores(validation.labels, len(names), recipe.smoothing)
        return Stage(name, parts.rest, source, recipe, steps, seconds, constant)

    def stages(model: nn.Module) -> Iterator[Stage]:
        unaugmented = recipe.model_copy(update={"augmentation": Augmentation()})
        head_rate = {"learning_rate": recipe.head_learning_rate}
        if config.tune == "staged":
            head_recipe = unaugmented.of_head().model_copy(update=head_rate)
            yield stage(model, "head", "head", head_recipe)
        if config.tune == "head":
            yield stage(model, "", "head", unaugmented.model_copy(update=head_rate))
        else:
            trains_all = config.tune in ("all", "staged")
            yield stage(model, "", config.tune, recipe if trains_all else unaugmented)

    def score(model: nn.Module, state: State, out: Path) -> Scored:
        parts = cut(model, trained_weights(model, config.tune), config.size)
        logits, of_validation = (
            _logits(parts.rest, _inputs(parts.frozen, data, config, cache), config)
            for data in (scored, validation)
        )
        predicted = logits.argmax(1).numpy()
        pairs = ((of_validation, validation), (logits, scored))
        held_out, on_scored = ([(z.softmax(1).numpy(), d.labels)] for z, d in pairs)
        record = calibration(held_out, on_scored, config.score)
        write_json(out / CALIBRATION, to_json(record))
        matrix, scores = _write_scores(predicted, scored, dataset, config, out, state)
        prints = {name: split.prints for name, split in splits.items()}
        shared = overlaps(prints, budget_indices, config.score, cache)
        facts = _card_facts(config, dataset, len(budget.names), shared, scores, matrix, model)
        return Scored(scores, facts)

    digests = {name: split.digest for name, split in splits.items()}
    if config.fold is not None:
        digests = {LABELLED: train_split.digest}  # of all pictures that the folds are drawn from
    of_folds = "" if config.fold is None else f", fold {config.fold} of {config.folds}"
    return Prepared(
        title=f"classification from {config.start}{of_folds}",
        data=digests,
        facts={"labels": {"train": len(budget.names), "validation": len(validation.names)}},
        weights_facts={
            "task": config.task,
            "model": config.model,
            "size": config.size,
            "names": names,
            "mean": normalisation(config.model)[0],
            "std": normalisation(config.model)[1],
        },
        network=network,
        stages=stages,
        score=score,
    )


def _decoded(
    dataset: ClassDataset, config: RunConfig, cache: Path
) -> tuple[ClassDataset, dict[str, Labelled]]:
    """Read the splits of a run; return them with the dataset that has them.

    For a fold of a cross-validation, the splits are drawn from all labelled pictures.
    """
    if config.fold is not None:
        return _decoded_fold(dataset, config, cache)
    missing = [s for s in splits_of(config) if s not in dataset.splits]
    if missing:
        message = f"{dataset.root} has no pictures for {', '.join(missing)}"
        raise DataError(Finding("empty-split", "error", message))
    findings: list[Finding] = []
    splits = {}
    for name in splits_of(config):
        try:
            splits[name] = read_labelled_pictures(dataset, name, config.size, cache)
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    return dataset, splits


def _decoded_fold(
    dataset: ClassDataset, config: RunConfig, cache: Path
) -> tuple[ClassDataset, dict[str, Labelled]]:
    assert config.folds is not None and config.fold is not None
    together = pooled(dataset)
    pictures = together.splits[LABELLED]
    pool = read_labelled_pictures(together, LABELLED, config.size, cache)
    present = pool.labels[:, None] == np.arange(len(dataset.names))
    groups = [None] * len(pool.names)
    splits = fold_splits(groups, present, config.folds, config.fold, config.seed)
    in_fold = {name: pictures.subset(indices) for name, indices in splits.items()}
    parts = {name: pool.subset(indices) for name, indices in splits.items()}
    return replace(dataset, splits=in_fold), parts


@torch.no_grad()
def _standardise(
    model: nn.Module, standardise: Standardise, budget: Labelled, config: RunConfig, cache: Path
) -> None:
    """Set the mean and deviation of the untrained network's features, by which they are scaled."""
    count = len(budget.names)
    # evenly spaced, so that pictures sorted by class give every class
    sample = np.linspace(0, count - 1, min(count, _STATISTICS)).astype(np.int64)
    device = torch.device(config.device)
    frozen = cut(model, trained_weights(model, "head"), config.size).frozen
    assert isinstance(frozen, FrozenPart)
    if config.tune in ("head", "staged"):  # training needs the features of all pictures anyway
        features = _inputs(frozen, budget, config, cache)[torch.from_numpy(sample)]
    else:
        images = torch.from_numpy(budget.images[sample])
        args = (config.size, device, in_bfloat16(config), normalisation(config.model))
        batches = compute(frozen, images, *args)
        features = torch.cat(list(batches))
    standardise.set(features.to(device))


def _inputs(frozen: nn.Module | None, data: Labelled, config: RunConfig, cache: Path) -> Tensor:
    """Return the inputs of the trained part: cached features, or the pictures themselves."""
    if not isinstance(frozen, FrozenPart):
        return torch.from_numpy(np.ascontiguousarray(data.images))
    content = hashlib.sha256(data.digest.encode() + "\n".join(data.names).encode())
    device = torch.device(config.device)
    args = (np.ascontiguousarray(data.images), content.hexdigest(), config.size, device, cache)
    return cached_features(frozen, *args, in_bfloat16(config), normalisation(config.model))


def _on_device(part: Tensor, config: RunConfig) -> Tensor:
    """Move a batch of inputs to the device; pictures are resized and normalised there."""
    device = torch.device(config.device)
    if part.dtype == torch.uint8:
        return prepared(part, config.size, device, expected=normalisation(config.model))
    return moved(part, device)


@torch.no_grad()
def _logits(rest: nn.Module, inputs: Tensor, config: RunConfig) -> Float[Tensor, "n k"]:
    rest.eval()
    parts = (inputs[i : i + _BATCH] for i in range(0, len(inputs), _BATCH))
    return torch.cat([rest(_on_device(part, config)).float().cpu() for part in parts])


def picture_batches(
    parts: SplitNetwork,
    train: Labelled,
    validation: Labelled,
    recipe: ClassifierRecipe,
    config: RunConfig,
    cache: Path,
) -> Batches:
    """Return batches of pictures with their classes, trained by cross-entropy.

    Features of frozen layers are computed once, without augmentation. ``validate`` returns
    ``loss``, ``accuracy`` and ``collapsed``.

    Args:
        parts: the network's frozen and trained layers.
        train: labelled pictures to train on.
        validation: labelled pictures that choose the epoch.
        recipe: batch size, label smoothing and augmentation.
        config: configuration of the run.
        cache: folder for cached features.
    """
    device, size = torch.device(config.device), config.size
    augmentation = recipe.augmentation if recipe.augmentation != Augmentation() else None
    assert augmentation is None or parts.frozen is None
    inputs = resident(_inputs(parts.frozen, train, config, cache), device)
    held_out = resident(_inputs(parts.frozen, validation, config, cache), device)
    labels = torch.from_numpy(train.labels).to(device)
    truth = torch.from_numpy(validation.labels).to(device)

    def batch(indices: Int64[np.ndarray, "b"], step: int) -> Batch:
        indices = at_least_two(indices)
        part = rows(inputs, indices)
        if augmentation is None:
            return _on_device(part, config), rows(labels, indices)
        rng = generator(config.seed, "augment", step)
        expected = normalisation(config.model)
        return prepared(part, size, device, augmentation, rng, expected), rows(labels, indices)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), target, label_smoothing=recipe.smoothing)

    @torch.no_grad()
    def validate(model: nn.Module, stop: Stop) -> dict[str, float] | None:
        model.eval()
        total = torch.zeros((), dtype=exact(device), device=device)
        predicted = []
        for start in range(0, len(truth), _BATCH):
            if stop():
                return None
            target = truth[start : start + _BATCH]
            logits = model(_on_device(held_out[start : start + _BATCH], config))
            total += loss(logits, target).to(total.dtype) * len(target)
            predicted.append(logits.argmax(1))
        classes = torch.cat(predicted)
        return {
            "loss": total.item() / len(truth),
            "accuracy": (classes == truth).to(total.dtype).mean().item(),
            "collapsed": bool((classes == classes[0]).all()),
        }

    return Batches(train.names, None, batch, loss, validate, in_bfloat16(config))


def _write_scores(
    predicted: Int64[np.ndarray, " n"],
    data: Labelled,
    dataset: ClassDataset,
    config: RunConfig,
    out: Path,
    state: State,
) -> tuple[Int64[np.ndarray, "k k"], dict[str, Any]]:
    names = dataset.names
    matrix = classification_scores.confusion_matrix(data.labels, predicted, len(names))
    scores = {"split": config.score, **classification_scores.score(matrix, names)}
    write_atomic(out / "frames.csv", answers_csv(data.labels, predicted, data.names, names))
    assert state.best is not None
    start = Path(config.start).name
    title = f"{config.model}, {start}, tune {config.tune}, seed {config.seed}"
    write_atomic(out / "curves.png", curves.curves(state.history, state.best["epoch"], title))
    sheet = curves.confusion(matrix, names, f"{config.score} pictures, share of each true class")
    write_atomic(out / "confusion.png", sheet)
    return matrix, scores


def _card_facts(
    config: RunConfig,
    dataset: ClassDataset,
    labels: int,
    shared: Mapping[tuple[str, str], Overlap],
    scores: Mapping[str, Any],
    confusion_matrix: Int64[np.ndarray, "k k"],
    network: nn.Module,
) -> CardFacts:
    code = classifier_code(config.model, network, config.size, dataset.names)
    head = "; the head's names are headstart's" if "BatchNorm1d" in code else ""
    library = "timm" if is_timm(config.model) else "torchvision"
    height, width = config.size
    usage = (
        f"The tensors in `weights.safetensors` have {library}'s names{head}. The input is an RGB "
        f"picture in [0, 1], resized to {height}x{width} and normalised with the mean and "
        f"standard deviation that the network's published weights expect:\n\n"
        f"```python\n{code}```"
    )
    return CardFacts(
        kind="Classification",
        things="pictures",
        layout=dataset.layout,
        splits={name: len(split.names) for name, split in dataset.splits.items()},
        labels=labels,
        sizes=(),
        classes=dict.fromkeys(dataset.names),
        overlaps=shared,
        groups={},
        weak=tuple(weak_labels(scores, confusion_matrix, dataset.names)),
        usage=usage,
        sheet="![confusion](confusion.png)",
        constant="the score of always predicting the most frequent class",
        unit="picture",
        tuned=True,
    )
