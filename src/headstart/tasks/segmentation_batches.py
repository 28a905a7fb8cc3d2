"""Batches, loss and validation of a segmentation: whole frames, or tiles of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor, nn

from headstart.config.recipe_records import Recipe
from headstart.data.batches import Weights, rarity_weights
from headstart.data.decoded_frames import Decoded
from headstart.data.label_map import IGNORE
from headstart.data.own_size import cut
from headstart.data.tiles import class_pixels, draw_corners
from headstart.data.transforms import augment, surroundings
from headstart.scores import overlap
from headstart.scores.counts import collapsed, count
from headstart.seeding import generator
from headstart.system.devices import moved
from headstart.tasks.class_maps import each_class_map, frame_counts
from headstart.tasks.window_sample import Part, own_truth
from headstart.tasks.windows import Corners, class_map
from headstart.training.batch_source import Batch, Batches, Stop, at_least_two
from headstart.training.losses import dice_cross_entropy_loss, dice_loss
from headstart.training.placement import exact, resident, rows, to_input

_BATCH = 8


def _resident_truth(data: Decoded, device: torch.device) -> Callable[[slice], Iterable[Tensor]]:
    """Return a function from frames to their true classes on the device.

    Like other data, they stay on a GPU if they fit into a quarter of its free memory.
    """

    def one(index: int) -> Tensor:
        return torch.from_numpy(np.array(data.truth[index])).to(device)

    frames = range(len(data.truth))
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if sum(h * w for h, w in data.sizes) <= free // 4:
            kept = [one(i) for i in frames]
            return lambda part: kept[part]
    return lambda part: (one(i) for i in frames[part])


def frame_batches(
    train: Decoded,
    validation: Decoded,
    recipe: Recipe,
    num_classes: int,
    seed: int,
    device: torch.device,
    repeat_single: bool = False,
    ignore: int | None = None,
) -> Batches:
    """Return batches of frames and masks, with the recipe's loss and augmentation.

    ``validate`` returns ``loss`` at the training size, and ``dice`` (the headline score) and
    ``collapsed`` at each mask's own size.

    Args:
        train: labelled frames to train on.
        validation: labelled frames that choose the epoch.
        recipe: loss, augmentation and class balance.
        num_classes: number of classes, background included.
        seed: seed of the augmentation.
        device: device to train on.
        repeat_single: whether a batch of one frame is doubled, see
            [`at_least_two`][headstart.training.batch_source.at_least_two].
        ignore: index in masks of pixels that enter neither loss nor scores; None if every pixel
            counts.
    """
    assert train.masks is not None and validation.masks is not None
    images, masks = torch.from_numpy(train.images), torch.from_numpy(train.masks)
    images, masks = resident(images, device), resident(masks, device)
    held_out = tuple(
        resident(torch.from_numpy(part), device) for part in (validation.images, validation.masks)
    )
    truth = _resident_truth(validation, device)
    # a frame without any pixel that counts has no part in the mean loss
    weighs = np.array([ignore is None or bool((m != ignore).any()) for m in validation.masks])

    def batch(indices: Int64[np.ndarray, "b"], step: int) -> Batch:
        indices = at_least_two(indices) if repeat_single else indices
        image = to_input(rows(images, indices), device)
        mask = moved(rows(masks, indices), device)
        return augment(image, mask, recipe.augmentation, generator(seed, "augment", step))

    loss = _loss(recipe, ignore)

    @torch.no_grad()
    def validate(model: nn.Module, stop: Stop) -> dict[str, float] | None:
        model.eval()
        total = torch.zeros((), dtype=exact(device), device=device)
        counts = []
        for start in range(0, len(validation.names), recipe.batch):
            if stop():
                return None
            part = slice(start, start + recipe.batch)
            mask = held_out[1][part].to(device)
            logits = model(to_input(held_out[0][part], device))
            total += loss(logits, mask).to(total.dtype) * int(weighs[part].sum())
            sizes, contents = validation.sizes[part], validation.contents[part]
            maps = each_class_map(logits, sizes, recipe.min_area, contents)
            counts.append(frame_counts(maps, truth(part), num_classes, ignore))
        return _scores(total.item() / max(1, int(weighs.sum())), torch.cat(counts))

    return Batches(train.names, _frequencies(train, recipe), batch, loss, validate)


def tile_batches(
    train: Decoded,
    validation: Decoded,
    recipe: Recipe,
    num_classes: int,
    seed: int,
    device: torch.device,
    tile: tuple[int, int],
    repeat_single: bool = False,
    ignore: int | None = None,
    validated: Sequence[Part] = (),
) -> Batches:
    """Return batches of tiles: crops of frames at their own size, one of each frame of a batch.

    ``validate`` returns ``loss``, the mean over the windows of all frames, and ``dice`` and
    ``collapsed`` of the class maps that [`class_map`][headstart.tasks.windows.class_map] makes of
    the windows. Of a sample of windows it returns estimates of these: each pixel is predicted by
    the window that it belongs to, without blending and without ``min_area``, which is a share of
    whole frames.

    Args:
        train: labelled frames at their own size.
        validation: labelled frames that choose the epoch, at their own size.
        recipe: loss, augmentation and class balance.
        num_classes: number of classes, background included.
        seed: seed of tiles and augmentation.
        device: device to train on.
        tile: height and width of a tile.
        repeat_single: as in [`frame_batches`][].
        ignore: as in [`frame_batches`][].
        validated: a [`sample`][headstart.tasks.window_sample.sample] of the windows of the
            validation frames; empty: all of them validate.
    """
    pixels = tuple(
        class_pixels(mask, num_classes, generator(seed, "class pixels", i))
        for i, mask in enumerate(train.truth)
    )
    window = surroundings(recipe.augmentation, tile)
    margin = np.array([(w - t) // 2 for w, t in zip(window, tile, strict=True)])
    loss = _loss(recipe, ignore)

    def batch(indices: Int64[np.ndarray, "b"], step: int) -> Batch:
        indices = at_least_two(indices) if repeat_single else indices
        sizes = [train.sizes[i] for i in indices]
        of_batch = [pixels[i] for i in indices]
        corners = draw_corners(generator(seed, "tiles", step), sizes, tile, of_batch) - margin
        places = list(zip(indices.tolist(), sizes, corners.tolist(), strict=True))
        images = np.stack([cut(train.pictures, i, s, (y, x), window) for i, s, (y, x) in places])
        masks = np.stack([cut(train.truth, i, s, (y, x), window) for i, s, (y, x) in places])
        image = to_input(torch.from_numpy(images).permute(0, 3, 1, 2), device)
        mask = moved(torch.from_numpy(masks), device)
        rng = generator(seed, "augment", step)
        return augment(image, mask, recipe.augmentation, rng, tile)

    @torch.no_grad()
    def validate(model: nn.Module, stop: Stop) -> dict[str, float] | None:
        model.eval()
        losses: dict[tuple[int, tuple[int, int]], float] = {}  # by window, which may come twice
        counts = []
        for index, (picture, truth) in enumerate(
            zip(validation.pictures, validation.truth, strict=True)
        ):
            if stop():
                return None

            def answer(
                windows: UInt8[np.ndarray, "n 3 h w"], corners: Corners, index: int = index
            ) -> Float32[np.ndarray, "n k h w"]:
                logits = model(to_input(torch.from_numpy(windows), device))
                size = validation.sizes[index]
                masks = [cut(validation.truth, index, size, corner, tile) for corner in corners]
                counted = [ignore is None or bool((mask != ignore).any()) for mask in masks]
                if any(counted):
                    mask = torch.from_numpy(np.stack(masks)).to(device)
                    value = loss(logits, mask).item()
                    found = [
                        c for c, is_counted in zip(corners, counted, strict=True) if is_counted
                    ]
                    losses.update({(index, corner): value for corner in found})
                probs: Tensor = logits.float().softmax(1)
                return probs.cpu().numpy()

            predicted = class_map(picture, tile, answer, recipe.min_area)
            maps = [torch.from_numpy(np.array(m))[None] for m in (predicted, truth)]
            counts.append(frame_counts(maps[0], maps[1], num_classes, ignore))
        return _scores(sum(losses.values()) / max(1, len(losses)), torch.cat(counts))

    on_sample = _on_sample(validated, validation, num_classes, tile, device, loss)
    validation_of = on_sample if validated else validate
    return Batches(train.names, _frequencies(train, recipe), batch, loss, validation_of)


def _on_sample(
    parts: Sequence[Part],
    data: Decoded,
    num_classes: int,
    tile: tuple[int, int],
    device: torch.device,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[nn.Module, Stop], dict[str, float] | None]:
    """Return a validation by a sample of windows."""

    @torch.no_grad()
    def validate(model: nn.Module, stop: Stop) -> dict[str, float] | None:
        model.eval()
        losses = total = 0.0
        counts = torch.zeros(num_classes, 3, dtype=torch.float64)
        for part in parts:
            for start in range(0, len(part.windows), _BATCH):
                if stop():
                    return None
                windows = part.windows[start : start + _BATCH]
                places = [(w.frame, data.sizes[w.frame], w.corner, tile) for w in windows]
                images = np.stack([cut(data.pictures, *place) for place in places])
                masks = [cut(data.truth, *place) for place in places]
                own = map(own_truth, masks, windows)
                logits = model(to_input(torch.from_numpy(images.transpose(0, 3, 1, 2)), device))
                truth, of_own = (
                    torch.from_numpy(np.stack(list(m))).to(device) for m in (masks, own)
                )
                losses += part.weight * len(windows) * loss(logits, truth).item()
                total += part.weight * len(windows)
                counted = count(logits.argmax(1), of_own, num_classes, IGNORE)
                counts += part.weight * counted.sum(0).cpu()
        return _scores(losses / max(1.0, total), counts.round().long()[None])

    return validate


def _loss(recipe: Recipe, ignore: int | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the recipe's loss, a function of logits and mask.

    Args:
        recipe: names the loss.
        ignore: index in masks of pixels that do not enter it; None if every pixel counts.
    """

    def loss(logits: Tensor, mask: Tensor) -> Tensor:
        if recipe.loss == "dice":
            probs = logits.float().softmax(1)
            return dice_loss(probs, mask, absent=recipe.absent, ignore=ignore)
        return dice_cross_entropy_loss(logits, mask, absent=recipe.absent, ignore=ignore)

    return loss


def _frequencies(train: Decoded, recipe: Recipe) -> Weights | None:
    """Return how often each frame is drawn, relative to the others; None: all alike."""
    return rarity_weights(train.present, recipe.balance) if recipe.balance else None


def _scores(loss: float, counts: Int64[Tensor, "n k 3"]) -> dict[str, float]:
    per_frame = counts.cpu().numpy()
    dice = overlap.dice(per_frame)
    score = 0.0 if dice is None else dice
    return {"loss": loss, "dice": score, "collapsed": collapsed(per_frame)}
