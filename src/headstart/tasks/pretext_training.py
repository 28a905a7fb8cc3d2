"""Training a pretext, for example to restore corrupted pictures, which needs no labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from headstart.config.recipe_records import PretextRecipe
from headstart.config.records import PretextConfig
from headstart.config.start_names import pretext_itself
from headstart.data.decoded_frames import Decoded, channel_statistics, decode
from headstart.data.files import merged
from headstart.data.folds import fold_splits
from headstart.data.label_map import LabelMap
from headstart.data.own_size import cut
from headstart.data.pictures.duplicates import joined
from headstart.data.tiles import draw_corners
from headstart.data.transforms import augment_image, surroundings
from headstart.errors import DataError, Finding
from headstart.models.encoder_unet import make_segmenter
from headstart.plots import curves, sheets
from headstart.records.run_records import LEAKS
from headstart.seeding import generator, key
from headstart.system.disk import write_atomic
from headstart.tasks.interface import Prepared, Scored, Stage
from headstart.tasks.pretext import (
    PretextPictures,
    find_leaks,
    hashes_of_folds,
    labelled_frames,
    leaks_record,
    pictures_of_fold,
    without_leaks,
)
from headstart.tasks.segmentation_training import one_value_at_bottleneck
from headstart.training.batch_source import Batch, Batches, Stop, at_least_two
from headstart.training.fit import State
from headstart.training.placement import exact, in_bfloat16, placed, resident, rows, to_input
from headstart.training.pretexts import PRETEXTS, Pretext
from headstart.training.starts import Moved, Source, start_of

_SHOWN = 5
VALIDATION_TILES = 4
"""Tiles of each validation picture, where a pretext trains on tiles."""
_NO_LABELS = LabelMap(("picture",), (0,))


def prepare(config: PretextConfig, pictures: PretextPictures, cache: Path) -> Prepared:
    """Prepare a pretext run: find leaks, decode the pictures, define the network and stage.

    Leaks are left out if ``config.drop_leaks`` is set.

    Raises:
        DataError: the pictures cannot be used; lists every fault.
    """
    device, recipe = torch.device(config.device), config.recipe
    of_dataset = pictures
    if config.folds is not None:
        pictures = _of_folds(pictures, config, cache)
    if config.drop_leaks:
        leaks = find_leaks(pictures)
        kept = without_leaks(pictures, leaks)
        train, validation = _decoded(kept, config, cache)
    else:
        kept = pictures
        train, validation = _decoded(kept, config, cache)
        leaks = find_leaks(pictures, joined([train.prints, validation.prints]))
    record = leaks_record(leaks, pictures, config.drop_leaks)
    held_out = _held_out(validation, config)
    pretext = PRETEXTS[pretext_itself(config.pretext)]

    def network(source: Source | None) -> tuple[nn.Module, Moved | None]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(config.seed, "weights"))
            model = make_segmenter(config.model, pretext.channels, config.width)
        moved = None if source is None else start_of(model, source, ())
        if recipe.standardise:
            inputs = train.channels_first()
            inputs = map(_grey, inputs) if pretext.grey else inputs
            mean, std = channel_statistics(inputs)
            model.mean.copy_(torch.tensor(mean)[:, None, None])
            model.std.copy_(torch.tensor(std)[:, None, None])
        return placed(model, device), moved

    def stages(model: nn.Module) -> tuple[Stage]:
        args = (pretext, train, held_out, recipe, config.seed, device, config.size)
        single = one_value_at_bottleneck(config.model, config.size)
        source = pretext_batches(*args, repeat_single=single)
        source = replace(source, half=in_bfloat16(config))
        steps = recipe.total_steps(len(train.names), len(train.names))
        return (Stage("", model, source, recipe, steps),)

    def score(model: nn.Module, state: State, out: Path) -> Scored:
        scores = _score(model, pretext, validation.names, held_out, config, out, state, device)
        return Scored(scores, None)

    data = {"train": train.digest, "validation": validation.digest}
    if config.fold is not None:
        data = hashes_of_folds(of_dataset)
    of_folds = "" if config.fold is None else f", fold {config.fold} of {config.folds}"
    return Prepared(
        title=f"pretext {config.pretext}{of_folds}",
        data=data,
        facts={
            "source": kept.source,
            "pictures": {"train": len(train.names), "validation": len(validation.names)},
        },
        weights_facts={
            "task": "pretext",
            "pretext": config.pretext,
            "model": config.model,
            "width": config.width,
            "size": config.size,
        },
        network=network,
        stages=stages,
        score=score,
        records={LEAKS: record},
    )


def _of_folds(pictures: PretextPictures, config: PretextConfig, cache: Path) -> PretextPictures:
    """Return the pictures for a cross-validation: those of the fold, or what all folds share."""
    frames, dataset = labelled_frames(pictures), pictures.dataset
    if config.fold is None:
        return replace(pictures, labelled=frames)  # each is a test picture of some fold
    assert config.folds is not None and dataset is not None
    # as the runs of the fold decode them, so that they are decoded once
    args = (frames, config.size, dataset.label_map, dataset.root, cache)
    pool = decode(*args, framing=config.framing)
    groups = [frame.group for frame in frames]
    splits = fold_splits(groups, pool.present, config.folds, config.fold, config.seed)
    return pictures_of_fold(pictures, splits)


def _decoded(
    pictures: PretextPictures, config: PretextConfig, cache: Path
) -> tuple[Decoded, Decoded]:
    findings: list[Finding] = []
    parts = []
    for frames in (pictures.train, pictures.validation):
        try:
            unmasked = [replace(f, mask=None) for f in frames]
            args = (unmasked, config.size, _NO_LABELS, pictures.root, cache)
            parts.append(decode(*args, framing=config.framing))
        except DataError as e:
            findings.extend(e.findings)
    if findings:
        raise DataError(merged(findings))
    return parts[0], parts[1]


def _held_out(validation: Decoded, config: PretextConfig) -> UInt8[np.ndarray, "n 3 h w"]:
    """Return the pictures to validate on, or some tiles of each, always the same."""
    if config.framing != "tile":
        return validation.images
    several = [i for i in range(len(validation.names)) for _ in range(VALIDATION_TILES)]
    sizes = [validation.sizes[i] for i in several]
    corners = draw_corners(generator(config.seed, "validation tiles"), sizes, config.size)
    places = zip(several, sizes, corners.tolist(), strict=True)
    tiles = [cut(validation.pictures, i, size, (y, x), config.size) for i, size, (y, x) in places]
    return np.stack(tiles).transpose(0, 3, 1, 2)


def _grey(image: UInt8[np.ndarray, "3 h w"]) -> UInt8[np.ndarray, "3 h w"]:
    """Return the grey picture in three channels, rounded as Pillow does."""
    r, g, b = image.astype(np.uint32)
    grey = ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16).astype(np.uint8)
    return np.broadcast_to(grey, image.shape)


def _score(
    model: nn.Module,
    pretext: Pretext,
    names: tuple[str, ...],
    held_out: UInt8[np.ndarray, "n 3 h w"],
    config: PretextConfig,
    out: Path,
    state: State,
    device: torch.device,
) -> dict[str, Any]:
    """Write the figures and return the content of ``scores.json``."""
    assert state.best is not None
    recipe, seed = config.recipe, config.seed
    title = f"{config.pretext}, {recipe.name} recipe, seed {seed}"
    write_atomic(out / "curves.png", curves.curves(state.history, state.best["epoch"], title))
    each = len(held_out) // len(names)  # one, or so many tiles
    parts = restored(model, pretext, held_out[::each][:_SHOWN], recipe, seed, device)
    sheet = sheets.restorations(list(zip(names[:_SHOWN], *parts, strict=True)), config.pretext)
    write_atomic(out / "restorations.png", sheet)
    return {
        "split": "validation",
        "pictures": len(names),
        "loss": state.best["validation_loss"],
        "trivial": {"loss": trivial_loss(pretext, held_out, recipe, seed, device)},
        "epoch": state.best["epoch"],
        "steps": state.step,
    }


def _rng(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    return torch.Generator(device).manual_seed(key(seed, *purpose))


def pretext_batches(
    pretext: Pretext,
    train: Decoded,
    validation: UInt8[np.ndarray, "n 3 h w"],
    recipe: PretextRecipe,
    seed: int,
    device: torch.device,
    size: tuple[int, int],
    repeat_single: bool = False,
) -> Batches:
    """Return batches of corrupted pictures, with the clean pictures as targets.

    ``validate`` returns ``loss`` on pictures that are corrupted the same way at every epoch.

    Args:
        pretext: corruption and loss.
        train: pictures to train on; those at their own size are cut into tiles.
        validation: pictures or tiles that choose the epoch.
        recipe: batch size, augmentation and strength of the corruption.
        seed: seed of augmentation and corruption.
        device: device to train on.
        size: height and width of a tile.
        repeat_single: whether a batch of one picture is doubled, see
            [`at_least_two`][headstart.training.batch_source.at_least_two].
    """
    images = resident(torch.from_numpy(train.images), device)
    order = np.arange(len(validation))
    if pretext.views > 1:  # neighbours, as in a video, would hardly differ within a batch
        order = generator(seed, "validation order").permutation(len(validation))
    held_out = resident(torch.from_numpy(validation), device)
    window = surroundings(recipe.augmentation, size)
    margin = np.array([(w - t) // 2 for w, t in zip(window, size, strict=True)])

    def tiles(indices: Int64[np.ndarray, "b"], step: int) -> UInt8[Tensor, "b 3 h w"]:
        sizes = [train.sizes[i] for i in indices]
        corners = draw_corners(generator(seed, "tiles", step), sizes, size) - margin
        places = zip(indices.tolist(), sizes, corners.tolist(), strict=True)
        cuts = [cut(train.pictures, i, of, (y, x), window) for i, of, (y, x) in places]
        return torch.from_numpy(np.stack(cuts)).permute(0, 3, 1, 2)

    def batch(indices: Int64[np.ndarray, "b"], step: int) -> Batch:
        indices = at_least_two(indices) if repeat_single else indices
        rng = generator(seed, "augment", step)
        if train.pictures:
            clean = to_input(tiles(indices, step), device)
            clean = augment_image(clean, recipe.augmentation, rng, size)
        else:
            clean = to_input(rows(images, indices), device)
            clean = augment_image(clean, recipe.augmentation, rng)
        return pretext.spoil(clean, _rng(device, seed, "spoil", step), recipe), clean

    @torch.no_grad()
    def validate(model: nn.Module, stop: Stop) -> dict[str, float] | None:
        model.eval()
        total = torch.zeros((), dtype=exact(device), device=device)
        for start in range(0, len(held_out), recipe.batch):
            if stop():
                return None
            clean = to_input(rows(held_out, order[start : start + recipe.batch]), device)
            corrupted = pretext.spoil(clean, _rng(device, seed, "spoil validation", start), recipe)
            total += pretext.loss(model(corrupted), clean).to(total.dtype) * len(clean)
        return {"loss": total.item() / len(held_out)}

    return Batches(train.names, None, batch, pretext.loss, validate)


@torch.no_grad()
def trivial_loss(
    pretext: Pretext,
    validation: UInt8[np.ndarray, "n 3 h w"],
    recipe: PretextRecipe,
    seed: int,
    device: torch.device,
) -> float:
    """Return the validation loss of the trivial answer, which needs no training.

    For pretexts that restore pictures it is the unchanged input; for histograms, the overall
    histogram of the validation pictures at every pixel; for embeddings, a constant one.
    """

    def batches() -> Iterator[tuple[int, Tensor]]:
        for start in range(0, len(validation), recipe.batch):
            part = torch.from_numpy(validation[start : start + recipe.batch])
            yield start, to_input(part, device)

    summary: Tensor | None = None
    if pretext.summary is not None:
        summary = sum((pretext.summary(clean) for _, clean in batches()), start=torch.zeros(()))
    total = torch.zeros((), dtype=exact(device), device=device)
    for start, clean in batches():
        corrupted = pretext.spoil(clean, _rng(device, seed, "spoil validation", start), recipe)
        loss = pretext.loss(pretext.trivial(corrupted, summary), clean)
        total += loss.to(total.dtype) * len(clean)
    return total.item() / len(validation)


@torch.no_grad()
def restored(
    model: nn.Module,
    pretext: Pretext,
    pictures: UInt8[np.ndarray, "n 3 h w"],
    recipe: PretextRecipe,
    seed: int,
    device: torch.device,
) -> tuple[
    Float[np.ndarray, "n h w 3"], Float[np.ndarray, "n h w 3"], Float[np.ndarray, "n h w 3"]
]:
    """Return input, output and clean pictures for a figure, each in ``[0, 1]``.

    Of several views of a picture, the input is the last.
    """
    model.eval()
    clean = to_input(torch.from_numpy(pictures), device)
    corrupted = pretext.spoil(clean, _rng(device, seed, "spoil shown"), recipe)
    corrupted, output = (p.chunk(pretext.views)[-1] for p in (corrupted, model(corrupted)))
    answer = pretext.picture(output, corrupted)
    first, second, third = (
        p.movedim(1, -1).clamp(0, 1).cpu().numpy() for p in (corrupted, answer, clean)
    )
    return first, second, third
