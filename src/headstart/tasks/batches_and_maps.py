"""What a training is about: which batch, which loss, what is validated.

A [`Task`][] is all that [`fit`][headstart.training.fit.fit] knows of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.data.augment import augment
from headstart.data.batches import rarity_weights
from headstart.data.decoded_frames import Decoded
from headstart.scores import segmentation as metrics
from headstart.seeding import generator
from headstart.training.losses import dice_cross_entropy_loss, dice_loss
from headstart.training.recipes import Recipe

Batch = tuple[Tensor, Tensor]
AnyModel = TypeVar("AnyModel", bound=nn.Module)


@dataclass(frozen=True)
class Task:
    """One training's data and question.

    Attributes:
        count: training pictures.
        names: theirs.
        weights: how often each is drawn, in proportion; None: all alike.
        batch: indices and step to input and target, augmented, on the device.
        loss: output and target to a scalar.
        validate: model to ``{"loss": ..., score: ...}`` on the validation split. Asks ``stop``
            between batches and gives None when told to.
    """

    count: int
    names: tuple[str, ...]
    weights: tuple[float, ...] | None
    batch: Callable[[Int64[np.ndarray, "b"], int], Batch]
    loss: Callable[[Tensor, Tensor], Tensor]
    validate: Callable[[nn.Module, Callable[[], bool]], dict[str, float] | None]


def to_input(images: UInt8[Tensor, "b c h w"], device: torch.device) -> Float[Tensor, "b c h w"]:
    """Pictures in ``[0, 1]`` on the device, in its layout."""
    images = images.to(device, non_blocking=True)
    return images.to(torch.float32, memory_format=layout(device)).div_(255)


def layout(device: torch.device) -> torch.memory_format:
    """Of pictures and weights in memory: channels last on a GPU, and on a CPU that has AVX-512.

    There over a quarter is gained. On one without, nothing is gained at 64 x 80, and a fifth of
    the speed is lost at 256 x 320 (docs/results/README.md, Speed).
    """
    wide = device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.channels_last if wide else torch.contiguous_format


def placed(model: AnyModel, device: torch.device) -> AnyModel:
    """The model on the device, in its layout."""
    return model.to(device, memory_format=layout(device))  # type: ignore[call-overload,no-any-return]


def resident(data: Tensor, device: torch.device) -> Tensor:
    """The data on the device if they take at most a quarter of what is free there.

    Else they stay where they are, on the disk if they are mapped from there.
    """
    if device.type != "cuda":
        return data
    free, _ = torch.cuda.mem_get_info(device)
    return data.to(device) if data.nbytes <= free // 4 else data


def rows(data: Tensor, indices: Int64[np.ndarray, "b"]) -> Tensor:
    """``data[indices]``, where the data are; the host does not wait for the device."""
    return data[torch.from_numpy(indices).to(data.device, non_blocking=True)]


def low_precision(device: torch.device) -> bool:
    """Whether to train in bfloat16: where the hardware has it; emulated it is slower."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def class_maps(
    logits: Float[Tensor, "b k h w"], sizes: Sequence[tuple[int, int]], min_area: float
) -> list[UInt8[Tensor, "_ _"]]:
    """The most probable class of each pixel, at each frame's own size.

    Probabilities are resized (bilinear) *before* the argmax, so that a model trained at 64 x 80 and
    one trained at 256 x 320 are judged on the same pixels.

    Args:
        logits: of a batch of frames.
        sizes: height and width of each frame.
        min_area: a foreground class that is the most probable on a smaller share of a frame is not
            predicted there; its pixels go to what is the most probable without it. In ``[0, 1)``.
    """
    probs = logits.float().softmax(1)
    return [  # frame by frame: a batch of large photographs would take gigabytes
        _classes(_resized(p[None], size), min_area)[0] for p, size in zip(probs, sizes, strict=True)
    ]


def _classes(probs: Tensor, min_area: float) -> Tensor:
    # The same as argmax, the first of equals too, which is several times slower over classes that
    # are far apart in memory, as on a CPU they are.
    classes = probs.max(1).indices
    if min_area:
        num_classes = probs.shape[1]
        area = torch.stack([(classes == k).float().mean((1, 2)) for k in range(num_classes)], dim=1)
        too_small = area < min_area
        too_small[:, 0] = False
        classes = probs.masked_fill(too_small[:, :, None, None], -1).max(1).indices
    return classes.to(torch.uint8)


def _resized(probs: Tensor, size: tuple[int, int]) -> Tensor:
    if probs.shape[-2:] == size:
        return probs
    return F.interpolate(probs, size=size, mode="bilinear", align_corners=False)


@torch.no_grad()
def segment(
    model: nn.Module,
    images: UInt8[np.ndarray, "n c h w"],
    sizes: Sequence[tuple[int, int]],
    device: torch.device,
    min_area: float,
    batch: int = 8,
) -> Iterator[UInt8[Tensor, "_ _"]]:
    """Class maps of pictures at the model's size, each at its own size, batch by batch.

    Scoring and prediction both come through here, so that masks written to files score exactly
    what the run scored.
    """
    model.eval()
    for start in range(0, len(images), batch):
        chunk = torch.from_numpy(np.ascontiguousarray(images[start : start + batch]))
        logits = model(to_input(chunk, device))
        yield from class_maps(logits, sizes[start : start + batch], min_area)


def _frame_counts(maps: Sequence[Tensor], truth: Sequence[Tensor], num_classes: int) -> Tensor:
    if len({m.shape for m in maps}) == 1:
        return metrics.count(torch.stack(list(maps)), torch.stack(list(truth)), num_classes)
    parts = [metrics.count(m[None], t[None], num_classes) for m, t in zip(maps, truth, strict=True)]
    return torch.cat(parts)


def count_frames(
    model: nn.Module, data: Decoded, num_classes: int, device: torch.device, min_area: float
) -> Int64[np.ndarray, "n k 3"]:
    """TP, FP, FN of every frame and class, at every mask's own size."""
    maps = segment(model, data.images, data.sizes, device, min_area)
    parts = []
    for m, t in zip(maps, data.truth, strict=True):
        truth = torch.from_numpy(np.array(t)).to(device)
        parts.append(metrics.count(m[None], truth[None], num_classes))
    return torch.cat(parts).cpu().numpy()


def segmentation(
    train: Decoded,
    validation: Decoded,
    recipe: Recipe,
    num_classes: int,
    seed: int,
    device: torch.device,
) -> Task:
    """Frames to class maps, with the recipe's loss and augmentation; validated on Dice.

    ``validate`` gives the loss at the training size, and ``dice`` (the headline score) and
    ``collapsed`` at the masks' own size.
    """
    assert train.masks is not None and validation.masks is not None
    images, masks = torch.from_numpy(train.images), torch.from_numpy(train.masks)
    images, masks = resident(images, device), resident(masks, device)
    held_out = tuple(
        resident(torch.from_numpy(part), device) for part in (validation.images, validation.masks)
    )
    truth = [torch.from_numpy(np.array(t)).to(device) for t in validation.truth]

    def batch(indices: Int64[np.ndarray, "b"], step: int) -> Batch:
        image = to_input(rows(images, indices), device)
        mask = rows(masks, indices).to(device, non_blocking=True)
        return augment(image, mask, recipe.augmentation, generator(seed, "augment", step))

    def loss(logits: Tensor, mask: Tensor) -> Tensor:
        if recipe.loss == "dice":
            return dice_loss(logits.float().softmax(1), mask, absent=recipe.absent)
        return dice_cross_entropy_loss(logits, mask, absent=recipe.absent)

    @torch.no_grad()
    def validate(model: nn.Module, stop: Callable[[], bool]) -> dict[str, float] | None:
        model.eval()
        total = torch.zeros((), dtype=torch.float64, device=device)
        counts = []
        for start in range(0, len(truth), recipe.batch):
            if stop():
                return None
            part = slice(start, start + recipe.batch)
            mask = held_out[1][part].to(device)
            logits = model(to_input(held_out[0][part], device))
            total += loss(logits, mask).double() * len(mask)
            maps = class_maps(logits, validation.sizes[part], recipe.min_area)
            counts.append(_frame_counts(maps, truth[part], num_classes))
        per_frame = torch.cat(counts).cpu().numpy()
        dice = metrics.dice(per_frame)
        return {
            "loss": total.item() / len(truth),
            "dice": 0.0 if dice is None else dice,
            "collapsed": metrics.collapsed(per_frame),
        }

    weights = rarity_weights(train.present, recipe.balance) if recipe.balance else None
    return Task(len(train.names), train.names, weights, batch, loss, validate)
