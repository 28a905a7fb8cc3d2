"""A pretext run: pictures without labels, from whole to spoiled to restored; one folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from headstart.data.batches import steps_per_epoch
from headstart.data.decoded_frames import Decoded, channel_statistics, decode, digest
from headstart.data.files import merged, shown
from headstart.data.label_map import LabelMap
from headstart.data.layouts.folders import Frame, find_pictures, layout_of, open_dataset
from headstart.data.pictures.duplicates import NEAR, copies, fingerprints, nearest
from headstart.errors import DataError, Finding, InterruptedRun
from headstart.models.encoder_unet import check_segmenter, make_segmenter
from headstart.plots import figures
from headstart.runs.card import pretext_card
from headstart.runs.folder import check_folder, how_to_continue
from headstart.runs.records import Recording, record_environment, refuse_changed_data
from headstart.seeding import generator, key
from headstart.system.disk import locked, write_atomic, write_json
from headstart.system.signals import Stopping
from headstart.tasks.batches_and_maps import placed
from headstart.training.checkpoint import save_weights
from headstart.training.config import PretextConfig
from headstart.training.config_files import read_config, to_json
from headstart.training.fit import Listener, State, fit
from headstart.training.pretexts import PRETEXTS, Pretext, restoration, restored, trivial_loss

_HELD_OUT = ("validation", "test")
_MOST_HELD_OUT = 200
_SHOWN = 5
_NO_LABELS = LabelMap(("picture",), (0,))


@dataclass(frozen=True)
class Pictures:
    """What a pretext is trained on.

    Attributes:
        root: the folder they are in.
        source: which of its pictures these are, in words.
        train: to learn from.
        validation: to choose the epoch by.
        labelled: validation and test frames of the same dataset, which a start should not know.
    """

    root: Path
    source: str
    train: tuple[Frame, ...]
    validation: tuple[Frame, ...]
    labelled: tuple[Frame, ...]


def find_pretext_pictures(data: Path) -> Pictures:
    """The pictures of a folder that need no labels.

    Of a dataset its unlabelled pictures; where it has none, the pictures of its training split. Of
    any other folder the pictures in it. Where nobody has set validation pictures aside, a tenth
    (at most 200) is, always the same.

    Raises:
        DataError: there are fewer than two pictures, or the dataset is at fault.
    """
    if layout_of(data) is None:
        frames = find_pictures(data)
        train, validation = _set_aside(frames)
        return Pictures(data, "the pictures of the folder", train, validation, ())
    dataset = open_dataset(data)
    labelled = tuple(f for split in _HELD_OUT for f in dataset.splits.get(split, ()))
    source = "the unlabelled pictures"
    train = dataset.unlabelled.get("train", ())
    validation = dataset.unlabelled.get("validation", ())
    if not train:
        source = "the training split's pictures (there are no unlabelled ones)"
        train = tuple(replace(f, mask=None) for f in dataset.splits.get("train", ()))
        validation = ()
    if not validation:
        train, validation = _set_aside(train)
    return Pictures(dataset.root, source, train, validation, labelled)


def _set_aside(frames: tuple[Frame, ...]) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    if len(frames) < 2:
        message = f"{len(frames)} pictures, but a pretext needs two: one of them to validate"
        raise DataError(Finding("too-few-pictures", "error", message, "add pictures"))
    count = min(_MOST_HELD_OUT, max(1, len(frames) // 10))
    chosen = set(generator(0, "pretext validation").permutation(len(frames))[:count].tolist())
    train = tuple(f for i, f in enumerate(frames) if i not in chosen)
    return train, tuple(f for i, f in enumerate(frames) if i in chosen)


@dataclass(frozen=True)
class Leaks:
    """Pretext pictures that are validation or test frames too; indices into both pools together.

    Attributes:
        same: pixel by pixel.
        near: within 5 grey levels, see [`headstart.data.pictures.duplicates`][].
    """

    same: tuple[int, ...]
    near: tuple[int, ...]


def find_leaks(pictures: Pictures) -> Leaks:
    """Compares every pretext picture with every validation and test frame."""
    pool = (*pictures.train, *pictures.validation)
    if not pictures.labelled:
        return Leaks((), ())
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        of = fingerprints(pool, pictures.root, threads)
        among = fingerprints(pictures.labelled, pictures.root, threads)
    same = copies(of, among) >= 0
    near = ~same & (nearest(of, among)[1] <= NEAR)
    return Leaks(tuple(np.flatnonzero(same).tolist()), tuple(np.flatnonzero(near).tolist()))


def leaks_of(folder: Path, data: Path) -> dict[str, Any] | None:
    """What a pretext's folder records about its pictures and those held out, counted.

    Args:
        folder: of the pretext, or of something else.
        data: the dataset of a run that starts from it; whether it is the pretext's too is told.

    Returns:
        None where the folder is no pretext's.
    """
    path = folder / "leaks.json"
    if not path.exists():
        return None
    record, its = json.loads(path.read_bytes()), read_config(folder / "config.json")
    return {
        "pictures": record["pictures"],
        "copies": len(record["copies"]),
        "near": len(record["near"]),
        "dropped": record["dropped"],
        "compared_with": record["compared_with"],
        "same_data": Path(its.data).resolve() == data.resolve(),
    }


def _without(pictures: Pictures, leaks: Leaks) -> Pictures:
    gone = {*leaks.same, *leaks.near}
    kept = [f for i, f in enumerate((*pictures.train, *pictures.validation)) if i not in gone]
    whole = {f.image for f in pictures.validation}
    train = tuple(f for f in kept if f.image not in whole)
    validation = tuple(f for f in kept if f.image in whole)
    if not validation:
        train, validation = _set_aside(train)
    return replace(pictures, train=train, validation=validation)


def pretrain(
    config: PretextConfig,
    out: Path,
    listener: Listener,
    checkpoint_seconds: float = 10.0,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Trains a pretext in ``out``; continues what is there; answers at once if finished.

    Args:
        config: all that decides the result.
        out: the run's folder; made if need be.
        listener: told how it goes.
        checkpoint_seconds: at most about this much work is lost by a kill.
        cache: where decoded pictures are kept; by default inside ``out``.

    Returns:
        The content of ``scores.json``: the validation loss, beside that of somebody who has not
        learned anything.

    Raises:
        DataError: the pictures cannot be used, or are not those the run began with.
        UsageError: ``out`` holds a run with other settings, or something else; or the network
            cannot take pictures of that size.
        LockedError: another process works there.
        InterruptedRun: SIGINT or SIGTERM came; the state is saved.
    """
    check_segmenter(config.model, config.size)
    pictures = find_pretext_pictures(Path(config.data))
    check_folder(config, out)
    with locked(out), Stopping() as stopping:
        check_folder(config, out)
        done, weights = out / "scores.json", out / "weights.safetensors"
        if done.exists() and weights.exists():  # records may have travelled without their weights
            # it does not answer for other pictures than its own
            before = json.loads((out / "environment.json").read_bytes())["data"]
            refuse_changed_data(out, before, _digests(pictures, out))
            scores: dict[str, Any] = json.loads(done.read_bytes())
            return scores
        listener.begins(f"pretext {config.pretext}")
        torch.set_num_threads(config.threads)
        device = torch.device(config.device)
        leaks = find_leaks(pictures)
        record = _record_of(leaks, pictures, config)
        pictures = _without(pictures, leaks) if config.drop_leaks else pictures
        train, validation = _read(pictures, config, cache or out / "cache")
        write_atomic(out / "config.json", to_json(config))  # first: it says whose folder this is
        write_json(out / "leaks.json", record)
        pretext = PRETEXTS[config.pretext]
        model = _new_model(pretext, train, config, device)
        facts = {"pictures": {"train": len(train.names), "validation": len(validation.names)}}
        digests = {"train": train.digest, "validation": validation.digest}
        record_environment(out, config, digests, {"source": pictures.source, **facts})
        recipe = config.recipe
        state = fit(
            model,
            restoration(pretext, train, validation, recipe, config.seed, device),
            recipe,
            seed=config.seed,
            steps=steps_per_epoch(len(train.names), recipe.batch),
            device=device,
            folder=out / "checkpoint",
            stop=stopping.asked,
            listener=Recording(listener, out),
            checkpoint_seconds=checkpoint_seconds,
        )
        if stopping.signal is not None:
            raise InterruptedRun(how_to_continue(out, state, recipe.epochs), stopping.signal)
        assert state.best is not None and state.best_weights is not None
        model.load_state_dict(state.best_weights)
        return _finish(model, pretext, validation, config, out, state, device)


def _digests(pictures: Pictures, out: Path) -> dict[str, str]:
    """Hashes, as they are now, of the pictures that a finished pretext kept."""
    record = json.loads((out / "leaks.json").read_bytes())
    gone = {*record["copies"], *record["near"]} if record["dropped"] else set()
    pool = (*pictures.train, *pictures.validation)
    dropped = (i for i, f in enumerate(pool) if shown(f.image, pictures.root) in gone)
    kept = _without(pictures, Leaks(tuple(dropped), ())) if gone else pictures
    return {
        name: digest([replace(f, mask=None) for f in frames], kept.root)
        for name, frames in (("train", kept.train), ("validation", kept.validation))
    }


def refuse_other_pictures(pictures: Pictures, pretexts: Iterable[Path], study: Path) -> None:
    """Refuses pictures that are not those which a study's finished pretexts learned from.

    Args:
        pictures: as they are now.
        pretexts: folders of finished pretexts.
        study: whose they are.

    Raises:
        DataError: names what changed.
    """
    same: list[dict[str, str]] = []
    for folder in pretexts:
        before = json.loads((folder / "environment.json").read_bytes())["data"]
        if before not in same:  # seeds share their pictures, and hashing them takes its time
            now = _digests(pictures, folder)
            was, its = ({f"{name} without labels": d[name] for name in d} for d in (before, now))
            hint = "restore them, or begin another study in another --out"
            refuse_changed_data(study, was, its, hint)
            same.append(before)


def _record_of(leaks: Leaks, pictures: Pictures, config: PretextConfig) -> dict[str, Any]:
    files = [shown(f.image, pictures.root) for f in (*pictures.train, *pictures.validation)]
    return {
        "compared_with": list(_HELD_OUT) if pictures.labelled else [],
        "pictures": len(files),
        "copies": [files[i] for i in leaks.same],
        "near": [files[i] for i in leaks.near],
        "dropped": config.drop_leaks,
    }


def _read(pictures: Pictures, config: PretextConfig, cache: Path) -> tuple[Decoded, Decoded]:
    findings: list[Finding] = []
    parts = []
    for frames in (pictures.train, pictures.validation):
        try:
            bare = [replace(f, mask=None) for f in frames]
            parts.append(decode(bare, config.size, _NO_LABELS, pictures.root, cache))
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    return parts[0], parts[1]


def _grey(image: UInt8[np.ndarray, "3 h w"]) -> UInt8[np.ndarray, "3 h w"]:
    """As Pillow rounds it."""
    r, g, b = image.astype(np.uint32)
    grey = ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16).astype(np.uint8)
    return np.broadcast_to(grey, image.shape)


def _new_model(
    pretext: Pretext, train: Decoded, config: PretextConfig, device: torch.device
) -> nn.Module:
    """New weights from the seed; standardised by what the network will see."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(config.seed, "weights"))
        model = make_segmenter(config.model, pretext.channels, config.width)
    if config.recipe.standardise:
        seen = map(_grey, train.images) if pretext.grey else train.images
        mean, std = channel_statistics(seen)
        model.mean.copy_(torch.tensor(mean)[:, None, None])
        model.std.copy_(torch.tensor(std)[:, None, None])
    return placed(model, device)


def _finish(
    model: nn.Module,
    pretext: Pretext,
    validation: Decoded,
    config: PretextConfig,
    out: Path,
    state: State,
    device: torch.device,
) -> dict[str, Any]:
    """Weights, figures and card; ``scores.json`` last."""
    assert state.best is not None
    recipe, seed = config.recipe, config.seed
    title = f"{config.pretext}, {recipe.name} recipe, seed {seed}"
    write_atomic(out / "curves.png", figures.curves(state.history, state.best["epoch"], title))
    some = validation.subset(range(min(_SHOWN, len(validation.names))))
    parts = restored(model, pretext, some, recipe, seed, device)
    sheet = figures.restorations(list(zip(some.names, *parts, strict=True)), config.pretext)
    write_atomic(out / "restorations.png", sheet)
    scores = {
        "split": "validation",
        "pictures": len(validation.names),
        "loss": state.best["validation_loss"],
        "trivial": {"loss": trivial_loss(pretext, validation, recipe, seed, device)},
        "epoch": state.best["epoch"],
        "steps": state.step,
    }
    write_atomic(out / "README.md", pretext_card(config, scores))
    facts = {
        "task": "pretext",
        "pretext": config.pretext,
        "model": config.model,
        "width": config.width,
        "size": config.size,
    }
    save_weights(out / "weights.safetensors", model.state_dict(), facts)
    write_json(out / "scores.json", scores)
    return scores
