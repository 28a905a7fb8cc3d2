"""One run: start, fit, score once, figures, card; all its records in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from headstart import figures, metrics
from headstart.checkpoint import save_weights
from headstart.config import SCRATCH, RunConfig, to_json, weights_file
from headstart.data.batches import steps_per_epoch
from headstart.data.decoded import Decoded, channel_statistics, decode, digest
from headstart.data.files import merged
from headstart.data.folders import Dataset, open_dataset
from headstart.data.frame import read_frame
from headstart.data.label_map import LabelMap
from headstart.data.splits import label_budget
from headstart.disk import locked, write_atomic, write_json
from headstart.errors import DataError, Finding, InterruptedRun
from headstart.fit import Listener, State, Stopping, fit
from headstart.frames import frames_csv
from headstart.models.unet import UNet
from headstart.pretrain import pretrain
from headstart.record import (
    Recording,
    hash_of_label_map,
    model_card,
    record_environment,
    refuse_changed_data,
)
from headstart.run_folder import budget_too_large, check_folder, how_to_continue
from headstart.seeding import key
from headstart.starts import Moved, Source, move, read_source
from headstart.tasks import count_frames, placed, segment, segmentation


def train(
    config: RunConfig,
    out: Path,
    listener: Listener,
    checkpoint_seconds: float = 10.0,
    cache: Path | None = None,
    pretext_run: Path | None = None,
) -> dict[str, Any]:
    """Trains and scores one run in ``out``; continues what is there; answers at once if finished.

    Args:
        config: all that decides the result.
        out: the run folder; made if need be.
        listener: told how it goes.
        checkpoint_seconds: at most about this much work is lost by a kill.
        cache: where decoded frames are kept; by default inside ``out``.
        pretext_run: where the pretext of the start is trained, if it is not yet; by default
            ``out/start``.

    Returns:
        The content of ``scores.json``.

    Raises:
        DataError: data or start cannot be used, or are not those the run began with.
        UsageError: ``out`` holds a run with other settings, or something else.
        LockedError: another process works there.
        InterruptedRun: SIGINT or SIGTERM came; the state is saved.
    """
    dataset = open_dataset(Path(config.data))  # before anything is made
    check_folder(config, out)
    with locked(out), Stopping() as stopping:
        check_folder(config, out)
        done = out / "scores.json"
        if done.exists():
            _check_same_data(dataset, config, out)
            scores: dict[str, Any] = json.loads(done.read_bytes())
            return scores
        torch.set_num_threads(config.threads)
        cache = cache or out / "cache"
        train_split, validation, scored = _read(dataset, config, cache)
        whole = len(train_split.names)
        budget = train_split.subset(_budget(train_split, config))
        write_atomic(out / "config.json", to_json(config))
        source = _source(config, pretext_run or out / "start", listener, checkpoint_seconds, cache)
        listener.begins(f"segmentation from {config.start}")
        device = torch.device(config.device)
        model, moved = _new_model(dataset.label_map, config, budget, source, device)
        splits = {"train": train_split, "validation": validation, config.score: scored}
        data = {name: split.digest for name, split in splits.items()}
        data["label map"] = hash_of_label_map(dataset.label_map)
        if moved.weights_sha256 is not None:
            data["start"] = moved.weights_sha256
        labelled = {"train": len(budget.names), "validation": len(validation.names)}
        began_with = {"start": moved.to_json(), "labels": labelled}
        record_environment(out, config, data, began_with)
        state = _fit(
            model,
            budget,
            validation,
            whole,
            config,
            out,
            listener,
            stopping.asked,
            checkpoint_seconds,
        )
        if stopping.signal is not None:
            finding = how_to_continue(out, state, config.recipe.epochs)
            raise InterruptedRun(finding, stopping.signal)
        assert state.best is not None and state.best_weights is not None
        model.load_state_dict(state.best_weights)
        facts = {
            "task": config.task,
            "model": config.model,
            "width": config.width,
            "size": config.size,
            "names": dataset.label_map.names,
            "greys": dataset.label_map.greys,
            "min_area": config.recipe.min_area,
        }
        save_weights(out / "weights.safetensors", model.state_dict(), facts)
        return _score(model, dataset, scored, config, out, state, device)


def _check_same_data(dataset: Dataset, config: RunConfig, out: Path) -> None:
    """A finished run does not answer for other pictures than its own."""
    before = json.loads((out / "environment.json").read_bytes())["data"]
    now = {s: digest(dataset.splits.get(s, ()), dataset.root) for s in _splits(config)}
    refuse_changed_data(out, before, {**now, "label map": hash_of_label_map(dataset.label_map)})


def _splits(config: RunConfig) -> tuple[str, str, str]:
    return "train", "validation", config.score


def _read(dataset: Dataset, config: RunConfig, cache: Path) -> tuple[Decoded, Decoded, Decoded]:
    """Training, validation and scored split.

    All are decoded now, so that a file that cannot be read is known before hours of training; the
    scored one is looked at when they are over.
    """
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
    try:
        return label_budget(train_split.present, config.labels, config.seed)
    except ValueError:
        assert config.labels is not None
        raise budget_too_large(config.labels, len(train_split.names)) from None


def _source(
    config: RunConfig,
    pretext_run: Path,
    listener: Listener,
    checkpoint_seconds: float,
    cache: Path,
) -> Source | None:
    """The weights to start from; a pretext is trained now unless it was before."""
    if config.start == SCRATCH:
        return None
    if config.pretext is None:
        return read_source(weights_file(config.start), config.start)
    pretrain(config.pretext, pretext_run, listener, checkpoint_seconds, cache)
    return read_source(pretext_run / "weights.safetensors", config.start)


def _new_model(
    label_map: LabelMap,
    config: RunConfig,
    budget: Decoded,
    source: Source | None,
    device: torch.device,
) -> tuple[UNet, Moved]:
    """New weights from the seed, the source's over them, and the recipe's standardisation.

    What no start brings is the same for all starts of a seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(config.seed, "weights"))
        model = UNet(len(label_map.names), config.width)
    moved = Moved(SCRATCH) if source is None else move(model, source, label_map.names)
    if config.recipe.standardise:
        mean, std = channel_statistics(budget.images)
        model.mean.copy_(torch.tensor(mean)[:, None, None])
        model.std.copy_(torch.tensor(std)[:, None, None])
    return placed(model, device), moved


def _fit(
    model: UNet,
    budget: Decoded,
    validation: Decoded,
    whole: int,
    config: RunConfig,
    out: Path,
    listener: Listener,
    stop: Callable[[], bool],
    checkpoint_seconds: float,
) -> State:
    recipe, device = config.recipe, torch.device(config.device)
    classes = model.head.out_channels
    task = segmentation(budget, validation, recipe, classes, config.seed, device)
    passes = whole if recipe.epoch == "steps" else task.count
    return fit(
        model,
        task,
        recipe,
        seed=config.seed,
        steps=steps_per_epoch(passes, recipe.batch),
        device=device,
        folder=out / "checkpoint",
        stop=stop,
        listener=Recording(listener, out),
        checkpoint_seconds=checkpoint_seconds,
    )


def _score(
    model: UNet,
    dataset: Dataset,
    data: Decoded,
    config: RunConfig,
    out: Path,
    state: State,
    device: torch.device,
) -> dict[str, Any]:
    """Predicts the scored split for the first and only time; writes ``scores.json`` last."""
    names = dataset.label_map.names
    frames = dataset.splits[config.score]
    counts = count_frames(model, data, len(names), device, config.recipe.min_area)
    scores = {"split": config.score, **metrics.score(counts, names)}
    write_atomic(out / "frames.csv", frames_csv(counts, data.names, names))
    assert state.best is not None
    title = f"{config.recipe.name} recipe, {config.start}, seed {config.seed}"
    write_atomic(out / "curves.png", figures.curves(state.history, state.best["epoch"], title))
    chosen = figures.choose_examples(metrics.dice_of_frames(counts))
    some = data.subset([i for _, i in chosen])
    maps = segment(model, some.images, some.sizes, device, config.recipe.min_area)
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
    write_atomic(out / "README.md", model_card(config, names, scores, state))
    write_json(out / "scores.json", scores)
    return scores
