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
from headstart.checkpoint import (
    disk_errors,
    locked,
    save_weights,
    write_atomic,
    write_json,
)
from headstart.config import RunConfig, differences, read_run_config, to_json
from headstart.data.batches import steps_per_epoch
from headstart.data.decoded import Decoded, decode
from headstart.data.files import merged
from headstart.data.folders import Dataset, open_dataset
from headstart.data.label_map import LabelMap
from headstart.data.pictures import read_image
from headstart.data.splits import label_budget
from headstart.errors import DataError, Finding, InterruptedRun, UsageError
from headstart.fit import Listener, State, Stopping, fit
from headstart.models.unet import UNet
from headstart.record import Recording, frames_csv, model_card, record_environment
from headstart.seeding import key
from headstart.tasks import count_frames, segment, segmentation


def fresh_folder(out: Path) -> Path:
    """``out``, or the first of ``out-2``, ``out-3``, ... that does not exist."""
    candidates = (out if n == 1 else out.with_name(f"{out.name}-{n}") for n in range(1, 10_000))
    return next(path for path in candidates if not path.exists())


def train(
    config: RunConfig,
    out: Path,
    listener: Listener,
    checkpoint_seconds: float = 10.0,
) -> dict[str, Any]:
    """Trains and scores one run in ``out``; continues what is there; answers at once if finished.

    Args:
        config: all that decides the result.
        out: the run folder; made if need be.
        listener: told how it goes.
        checkpoint_seconds: at most about this much work is lost by a kill.

    Returns:
        The content of ``scores.json``.

    Raises:
        DataError: the data cannot be used, or are not those the run began with.
        UsageError: ``out`` holds a run with other settings, or something else.
        LockedError: another process works there.
        InterruptedRun: SIGINT or SIGTERM came; the state is saved.
    """
    dataset = open_dataset(Path(config.data))  # before anything is made
    _check_folder(config, out)
    with locked(out), Stopping() as stopping:
        _check_folder(config, out)
        done = out / "scores.json"
        if done.exists():
            scores: dict[str, Any] = json.loads(done.read_bytes())
            return scores
        torch.set_num_threads(config.threads)
        train_split, validation, scored = _read(dataset, config, out)
        whole = len(train_split.names)
        budget = train_split.subset(_budget(train_split, config))
        write_atomic(out / "config.json", to_json(config))
        device = torch.device(config.device)
        model = _new_model(dataset.label_map, config, budget, device)
        splits = {"train": train_split, "validation": validation, config.score: scored}
        record_environment(out, config, dataset.label_map, splits, len(budget.names))
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
            raise InterruptedRun(_how_to_continue(out, state, config), stopping.signal)
        assert state.best is not None and state.best_weights is not None
        model.load_state_dict(state.best_weights)
        facts = {
            "model": config.model,
            "width": config.width,
            "size": config.size,
            "names": dataset.label_map.names,
            "greys": dataset.label_map.greys,
            "min_area": config.recipe.min_area,
        }
        save_weights(out / "weights.safetensors", model.state_dict(), facts)
        return _score(model, dataset, scored, config, out, state, device)


def _check_folder(config: RunConfig, out: Path) -> None:
    """Refuses a folder that holds another run, or something that is no run."""
    path = out / "config.json"
    with disk_errors(out):
        if not path.exists():
            strangers = (
                [
                    p.name
                    for p in out.iterdir()
                    if p.name not in (".lock", "cache") and ".tmp-" not in p.name
                ]
                if out.exists()
                else []
            )
            if not strangers:
                return
            message = f"{out} is not empty and holds no run"
            hint = "choose another --out, or give --fresh to start beside it"
            raise UsageError(Finding("not-a-run", "error", message, hint, tuple(strangers)))
    changed = [d for d in differences(read_run_config(path), config) if not d.startswith("data: ")]
    if changed:
        message = f"{out} holds a run with other settings (old -> new): {'; '.join(changed)}"
        hint = "choose another --out, or give --fresh to start beside it"
        raise UsageError(Finding("settings-differ", "error", message, hint))


def _read(dataset: Dataset, config: RunConfig, out: Path) -> tuple[Decoded, Decoded, Decoded]:
    """Training, validation and scored split.

    All are decoded now, so that a file that cannot be read is known before hours of training; the
    scored one is looked at when they are over.
    """
    missing = [s for s in ("train", "validation", config.score) if not dataset.splits.get(s)]
    if missing:
        message = f"{dataset.root} has no frames for {', '.join(missing)}"
        raise DataError(Finding("empty-split", "error", message))
    read = (dataset.label_map, dataset.root, out / "cache")
    findings: list[Finding] = []
    parts = []
    for split in ("train", "validation", config.score):
        try:
            keep = split != "train"
            parts.append(decode(dataset.splits[split], config.size, *read, keep_truth=keep))
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    return parts[0], parts[1], parts[2]


def _budget(train_split: Decoded, config: RunConfig) -> Int64[np.ndarray, "m"]:
    try:
        return label_budget(train_split.present, config.labels, config.seed)
    except ValueError:
        message = (
            f"a budget of {config.labels} labels was asked for, "
            f"but the training split has {len(train_split.names)} labelled frames"
        )
        hint = f"--labels takes 1 to {len(train_split.names)}, or all"
        raise DataError(Finding("budget-too-large", "error", message, hint)) from None


def _new_model(
    label_map: LabelMap, config: RunConfig, budget: Decoded, device: torch.device
) -> UNet:
    """New weights from the seed; standardisation, where the recipe wants it, from the pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(config.seed, "weights"))
        model = UNet(len(label_map.names), config.width)
    if config.recipe.standardise:
        mean, std = channel_statistics(budget)
        model.mean.copy_(torch.tensor(mean)[:, None, None])
        model.std.copy_(torch.tensor(std)[:, None, None])
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def channel_statistics(data: Decoded) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pictures, in ``[0, 1]``.

    From exact integer sums, so that they do not depend on the order of summation.
    """
    levels = np.arange(256)
    means, stds = [], []
    for c in range(3):
        histogram = np.zeros(256, dtype=np.int64)
        for image in data.images:
            histogram += np.bincount(image[c].ravel(), minlength=256)
        total = int(histogram.sum())
        mean = int((histogram * levels).sum()) / total
        square = int((histogram * levels**2).sum()) / total
        means.append(mean / 255)
        stds.append(max((square - mean**2) ** 0.5 / 255, 1 / 255))
    return means, stds


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


def _how_to_continue(out: Path, state: State, config: RunConfig) -> Finding:
    message = (
        f"stopped after epoch {len(state.history)} of at most {config.recipe.epochs}, step "
        f"{state.step}; everything is saved in {out}"
    )
    hint = f"the same command again continues exactly there (--out {out}, without --fresh)"
    return Finding("interrupted", "info", message, hint)


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
            read_image(frames[i].image, dataset.root),
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
