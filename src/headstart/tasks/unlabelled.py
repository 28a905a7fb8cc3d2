"""The pictures without labels that a semi-supervised run learns from, without leaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from headstart.config.recipe_records import Recipe
from headstart.config.records import RunConfig
from headstart.data.batches import batch_indices
from headstart.data.decoded_frames import Decoded, decode
from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.layouts.dataset import Dataset
from headstart.data.own_size import cut
from headstart.data.pictures.frame import Frame
from headstart.data.tiles import draw_corners
from headstart.data.transforms import augment, surroundings
from headstart.errors import DataError, Finding
from headstart.seeding import generator, key
from headstart.tasks.pretext import PretextPictures, find_leaks, leaks_record
from headstart.training.batch_source import Batches
from headstart.training.placement import resident, rows, to_input
from headstart.training.semi_supervised import SemiSupervised, Views

Whole = Callable[[Any], tuple[Tensor, Tensor]]
"""From indices to pictures ``(B, 3, H, W)``, and where they are pictures ``(B, H, W)``."""

_NO_LABELS = LabelMap(("picture",), (0,))
_CHECKED = 40
_HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Unlabelled:
    """The pictures without labels of a run.

    Attributes:
        pictures: decoded, without masks; leaks are among them, so that runs share what is decoded.
        kept: indices of those that are no leaks.
        source: where they come from, in words.
        leaks: content of ``leaks.json``: which pictures were left out, as they are also validation
            or test frames.
    """

    pictures: Decoded
    kept: Int64[np.ndarray, "n"]
    source: str
    leaks: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What ``environment.json`` says of them."""
        left_out = len(self.leaks["copies"]) + len(self.leaks["near"])
        return {
            "source": self.source,
            "pictures": len(self.kept),
            "left_out": left_out,
        }


def candidates(dataset: Dataset, budget: Sequence[str]) -> tuple[str, tuple[Frame, ...]]:
    """Return where pictures without labels come from, and which: leaks are among them.

    These are the dataset's unlabelled pictures or, without any, the training pictures beyond the
    label budget, whose labels are not used.

    Args:
        dataset: with the splits of the run, or of its fold.
        budget: names of the labelled training pictures of the run.
    """
    unlabelled = tuple(frame for part in dataset.unlabelled.values() for frame in part)
    if unlabelled:
        return "the unlabelled pictures", unlabelled
    used = set(budget)
    beyond = tuple(f for f in dataset.splits["train"] if f.name not in used)
    return "the training pictures beyond the label budget", beyond


def unlabelled_of(
    dataset: Dataset, config: RunConfig, budget: Sequence[str], cache: Path
) -> Unlabelled:
    """Find and decode the pictures without labels of a run.

    Copies and near-duplicates of validation and test frames are left out, always.

    Args:
        dataset: with the splits of the run, or of its fold.
        config: of the run.
        budget: names of its labelled training pictures.
        cache: folder for decoded pictures.

    Raises:
        DataError: there are none, or none but leaks; or they cannot be read.
    """
    source, frames = candidates(dataset, budget)
    held_out = tuple(f for split in _HELD_OUT for f in dataset.splits.get(split, ()))
    if not frames:
        message = f"{dataset.root} has no pictures without labels, and --labels takes all others"
        hint = "add a folder of unlabelled pictures, or train with --method supervised"
        raise DataError(Finding("no-unlabelled", "error", message, hint))
    found = PretextPictures(dataset.root, source, frames, (), held_out, dataset=dataset)
    unmasked = [replace(f, mask=None) for f in frames]
    decoded = decode(unmasked, config.size, _NO_LABELS, dataset.root, cache, framing=config.framing)
    leaks = find_leaks(found, decoded.prints)
    leaked = {*leaks.same, *leaks.near}
    kept = np.array([i for i in range(len(frames)) if i not in leaked], dtype=np.int64)
    if not len(kept):
        message = f"all {len(frames)} pictures without labels are also validation or test frames"
        hint = "add other unlabelled pictures, or train with --method supervised"
        raise DataError(Finding("no-unlabelled", "error", message, hint))
    return Unlabelled(decoded, kept, source, leaks_record(leaks, found, dropped=True))


def semi_supervised(
    labelled: Batches,
    unlabelled: Unlabelled,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    tile: tuple[int, int] | None,
    steps: int,
) -> SemiSupervised:
    """Return batches of pictures with and without labels.

    Args:
        labelled: batches with labels.
        unlabelled: the other pictures.
        recipe: its augmentation and its teacher.
        seed: seed of the run.
        device: device to train on.
        tile: height and width of tiles; None: whole pictures.
        steps: optimizer steps of the training.
    """
    assert recipe.teacher is not None
    whole = _whole(unlabelled.pictures, device) if tile is None else None
    views = views_of(unlabelled, recipe, seed, device, tile, whole)
    looked_at = checked(unlabelled, seed, device, tile, whole)
    return SemiSupervised(labelled, views, looked_at, recipe.teacher, steps, seed)


def views_of(
    unlabelled: Unlabelled,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    tile: tuple[int, int] | None,
    whole: Whole | None,
) -> Views:
    """Return the weak views of pictures without labels: moved as labelled ones, not recoloured.

    Args:
        unlabelled: pictures at the training size or, for tiles, at their own.
        recipe: its augmentation, and the number of pictures of each step.
        seed: seed of order, tiles and augmentation.
        device: device to train on.
        tile: height and width of the tiles; None: whole pictures.
        whole: returns whole pictures by their indices; None with tiles.
    """
    assert recipe.teacher is not None
    own, count = key(seed, "unlabelled"), recipe.teacher.batch
    pictures, kept = unlabelled.pictures, unlabelled.kept
    weak = replace(recipe.augmentation, brightness=0.0, contrast=0.0, saturation=0.0)

    def views(step: int) -> tuple[Tensor, Tensor]:
        indices = kept[batch_indices(own, len(kept), count, step, 1, "steps")]
        rng = generator(seed, "weak view", step)
        if whole is not None:
            return augment(*whole(indices), weak, rng)
        assert tile is not None
        window = surroundings(weak, tile)
        margin = np.array([(w - t) // 2 for w, t in zip(window, tile, strict=True)])
        sizes = [pictures.sizes[i] for i in indices]
        corners = draw_corners(generator(seed, "unlabelled tiles", step), sizes, tile) - margin
        image = _tiles(pictures, indices, corners, window, device)
        return augment(image, _everywhere(image), weak, rng, tile)

    return views


def checked(
    unlabelled: Unlabelled,
    seed: int,
    device: torch.device,
    tile: tuple[int, int] | None,
    whole: Whole | None,
) -> tuple[Tensor, Tensor]:
    """Return at most 40 pictures or tiles, always the same, and where they are pictures."""
    rng, pictures = generator(seed, "checked pictures"), unlabelled.pictures
    indices = unlabelled.kept[rng.permutation(len(unlabelled.kept))[:_CHECKED]]
    if whole is not None:
        return whole(indices)
    assert tile is not None
    corners = draw_corners(rng, [pictures.sizes[i] for i in indices], tile)
    image = _tiles(pictures, indices, corners, tile, device)
    return image, _everywhere(image)


def _whole(pictures: Decoded, device: torch.device) -> Whole:
    images = resident(torch.from_numpy(pictures.images), device)
    height, width = pictures.images.shape[2:]
    areas = torch.zeros(len(images), height, width, dtype=torch.uint8)
    for area, (h, w) in zip(areas, pictures.contents, strict=False):
        area[h:], area[:, w:] = IGNORE, IGNORE
    areas = resident(areas, device)

    def whole(indices: Any) -> tuple[Tensor, Tensor]:
        return to_input(rows(images, indices), device), rows(areas, indices).to(device)

    return whole


def _tiles(
    pictures: Decoded, indices: Any, corners: Any, window: tuple[int, int], device: torch.device
) -> Tensor:
    places = [
        (int(i), pictures.sizes[i], (int(y), int(x)))
        for i, (y, x) in zip(indices, corners, strict=True)
    ]
    images = np.stack([cut(pictures.pictures, *place, window) for place in places])
    return to_input(torch.from_numpy(images).permute(0, 3, 1, 2), device)


def _everywhere(image: Tensor) -> Tensor:
    shape = (len(image), *image.shape[2:])
    return torch.zeros(shape, dtype=torch.uint8, device=image.device)
