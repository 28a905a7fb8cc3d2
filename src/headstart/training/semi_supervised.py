"""Training on pictures with labels and on pictures without: an averaged network labels the latter.

At each step the teacher, which is the moving average of the network's weights, predicts pictures
without labels. Where it is sure of a pixel's class, the network learns that class on a strongly
changed copy of the picture. Randomness is a function of the step, and the teacher is saved in every
checkpoint, so a training that was stopped resumes exactly.

Source: FixMatch, https://arxiv.org/abs/2001.07685; mean teacher, https://arxiv.org/abs/1703.01780;
confidence by class, here of the batch alone, after FlexMatch, https://arxiv.org/abs/2110.08263;
dropped channels, after UniMatch, https://arxiv.org/abs/2208.09910.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.config.methods import Teacher
from headstart.data.label_map import IGNORE
from headstart.data.strong_views import strong_view
from headstart.models.encoder_unet import EncoderUNet
from headstart.models.unet import UNet
from headstart.seeding import generator
from headstart.training.batch_source import Batches, Scores, Stop

Views = Callable[[int], tuple[Tensor, Tensor]]
"""From a step to pictures without labels, ``(B, 3, H, W)`` in ``[0, 1]``, and a mask of them,
``(B, H, W)``, that is ``IGNORE`` where there is no picture (padding) and 0 elsewhere."""


@dataclass(frozen=True)
class SemiSupervised:
    """A source of batches of pictures with and without labels.

    The loss of a step is that of the labelled batch, plus ``w`` times the cross-entropy of the
    unlabelled one: the sum over the pixels that the teacher is sure of, perhaps weighted by class,
    divided by the number of all pixels. ``w`` rises linearly from 0 to ``teacher.weight`` during
    the first share ``teacher.ramp`` of all steps.

    Attributes:
        labelled: batches with labels, their loss and the validation.
        views: pictures without labels.
        checked: some pictures without labels, always the same, to tell of how many pixels the
            teacher is sure.
        teacher: the settings.
        steps: optimizer steps of the training.
        seed: seed of the strong changes.
    """

    labelled: Batches
    views: Views
    checked: tuple[Tensor, Tensor]
    teacher: Teacher
    steps: int
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """See [`BatchSource`][headstart.training.batch_source.BatchSource]."""
        return self.labelled.names

    @property
    def weights(self) -> tuple[float, ...] | None:
        """See [`BatchSource`][headstart.training.batch_source.BatchSource]."""
        return self.labelled.weights

    def step(
        self, model: nn.Module, averaged: nn.Module, indices: Int64[np.ndarray, "b"], step: int
    ) -> Float[Tensor, ""]:
        """See [`BatchSource`][headstart.training.batch_source.BatchSource]."""
        half = self.labelled.half
        image, target = self.labelled.batch(indices, step)
        weak, area = self.views(step)
        device = image.device.type
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=half):
            answer = averaged(weak)
        found = sure_classes(answer, area, self.teacher.confidence, self.teacher.by_class)
        rng = generator(self.seed, "strong view", step)
        strong, found = strong_view(weak, found, self.teacher.changes, rng)
        both = torch.cat([image, strong.to(memory_format=_format(image))])
        with (
            torch.autocast(device, torch.bfloat16, enabled=half),
            dropped_channels(model, self.teacher.dropped, len(image), self.seed, step),
        ):
            output = model(both)
        of_unlabelled = sure_cross_entropy(output[len(image) :], found, self.teacher.balance)
        weight = self.teacher.weight * self._risen(step)
        return self.labelled.loss(output[: len(image)], target) + weight * of_unlabelled

    def _risen(self, step: int) -> float:
        rise = self.teacher.ramp * self.steps
        return min(1.0, step / rise) if rise else 1.0

    def validate(self, model: nn.Module, stop: Stop) -> Scores | None:
        """See [`BatchSource`][headstart.training.batch_source.BatchSource].

        ``confident`` is the share of pixels without labels that the teacher is sure of.
        """
        scores = self.labelled.validate(model, stop)
        return scores if scores is None else {**scores, "confident": self._confident(model)}

    @torch.no_grad()
    def _confident(self, model: nn.Module) -> float:
        model.eval()
        sure = counted = 0
        images, areas = self.checked
        for first in range(0, len(images), self.teacher.batch):
            part = slice(first, first + self.teacher.batch)
            image, area = images[part], areas[part]
            found = sure_classes(model(image), area, self.teacher.confidence, self.teacher.by_class)
            sure += int((found != IGNORE).sum())
            counted += int((area != IGNORE).sum())
        return sure / max(1, counted)


def sure_classes(
    logits: Float[Tensor, "b k h w"],
    area: UInt8[Tensor, "b h w"],
    confidence: float,
    by_class: bool = False,
) -> UInt8[Tensor, "b h w"]:
    """Return the most probable class of each pixel, ``IGNORE`` where it is not sure.

    Args:
        logits: of the teacher.
        area: ``IGNORE`` where there is no picture.
        confidence: the least probability of a class that is sure.
        by_class: whether that is multiplied, for each class, by the mean probability of its pixels
            over that of the surest class.

    >>> logits = torch.tensor([[[[9.0, 0.1]], [[0.0, 0.0]]]])
    >>> sure_classes(logits, torch.zeros(1, 1, 2, dtype=torch.uint8), 0.9)
    tensor([[[  0, 255]]], dtype=torch.uint8)
    """
    probability, found = logits.float().softmax(1).max(1)
    least: float | Tensor = confidence
    if by_class:
        own = ((found == k) & (area != IGNORE) for k in range(logits.shape[1]))
        means = torch.stack([(probability * o).sum() / o.sum().clamp_min(1) for o in own])
        least = (confidence * means / means.max().clamp_min(1e-12))[found]
    unsure = (probability < least) | (area == IGNORE)
    return found.to(torch.uint8).masked_fill_(unsure, IGNORE)


def sure_cross_entropy(
    logits: Float[Tensor, "b k h w"], found: UInt8[Tensor, "b h w"], balance: float = 0.0
) -> Float[Tensor, ""]:
    """Return the sum of the cross-entropy over sure pixels, divided by the number of all pixels.

    Args:
        logits: of the network.
        found: classes of sure pixels, ``IGNORE`` elsewhere.
        balance: a pixel of a class with ``n`` sure pixels weighs ``n ** -balance``, scaled so that
            sure pixels weigh 1 on average.

    >>> found = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    >>> round(sure_cross_entropy(torch.zeros(1, 2, 1, 2), found).item(), 4)  # half of ln 2
    0.3466
    """
    target = found.long()
    weights = class_weights(target, logits.shape[1], balance) if balance else None
    total = F.cross_entropy(logits.float(), target, weights, ignore_index=IGNORE, reduction="sum")
    return total / target.numel()


def class_weights(
    target: Int64[Tensor, "b h w"], classes: int, balance: float
) -> Float[Tensor, "k"]:
    """Return ``n ** -balance`` for classes with ``n`` sure pixels, so that pixels have a mean of 1.

    >>> target = torch.tensor([[[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255]]])
    >>> class_weights(target, 3, 1.0)  # nine pixels weigh as much as one
    tensor([0.5556, 5.0000, 0.0000])
    """
    counts = torch.bincount(target[target != IGNORE], minlength=classes).float()
    weights = torch.where(counts > 0, counts.clamp_min(1) ** -balance, 0.0)
    return weights * (counts.sum() / (counts * weights).sum().clamp_min(1e-12))


@contextlib.contextmanager
def dropped_channels(
    model: nn.Module, share: float, first: int, seed: int, step: int
) -> Iterator[None]:
    """Drop channels of the coarsest features of some pictures of a batch, as dropout does.

    Args:
        model: a network with ``deepest``.
        share: the probability of each channel; with 0 nothing is drawn.
        first: the pictures before this one keep all channels.
        seed: seed of the run.
        step: the step, of which the choice is a function.
    """
    if not share:
        yield
        return
    rng = generator(seed, "dropped channels", step)

    def drop(_: nn.Module, __: tuple[Tensor, ...], features: Tensor) -> Tensor:
        kept = rng.random((len(features) - first, features.shape[1])) >= share
        factors = torch.from_numpy(kept.astype(np.float32) / (1 - share)).to(features.device)
        changed = features[first:] * factors[:, :, None, None].to(features.dtype)
        return torch.cat([features[:first], changed])

    handle = cast("UNet | EncoderUNet", model).deepest.register_forward_hook(drop)
    try:
        yield
    finally:
        handle.remove()


def _format(image: Tensor) -> torch.memory_format:
    last = image.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
