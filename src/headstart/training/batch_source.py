"""Sources of batches and losses for [`fit`][headstart.training.fit.fit].

`fit` is independent of pictures, labels and losses: at each step it calls a [`BatchSource`][] for
the loss. A loss that needs a teacher (the averaged weights) or a second batch is another
implementation of ``step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]
Stop = Callable[[], bool]
Scores = dict[str, float]


@runtime_checkable
class BatchSource(Protocol):
    """Batches, losses and validation scores of one training."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the training pictures, by index."""

    @property
    def weights(self) -> tuple[float, ...] | None:
        """Relative frequency at which each picture is drawn; None if uniform."""

    def step(
        self, model: nn.Module, averaged: nn.Module, indices: Int64[np.ndarray, "b"], step: int
    ) -> Float[Tensor, ""]:
        """Return the loss of one batch, with its autograd graph.

        Randomness must be a function of ``step``, so that a resumed training repeats it.

        Args:
            model: the network in training.
            averaged: the network with the moving average of the weights, in evaluation mode;
                ``model`` itself if the recipe has no average.
            indices: indices of the batch's pictures.
            step: number of optimizer steps before this one.
        """

    def validate(self, model: nn.Module, stop: Stop) -> Scores | None:
        """Return ``loss`` and the scores on the validation split.

        Args:
            model: the network to validate.
            stop: called before each batch; when it returns true, validation ends with None.
        """


@dataclass(frozen=True)
class Batches:
    """The usual source: one forward pass and one loss per batch.

    Attributes:
        names: see [`BatchSource`][].
        weights: see [`BatchSource`][].
        batch: function from indices and step to augmented input and target on the device.
        loss: function from output and target to a scalar.
        validation: see [`BatchSource.validate`][].
        half: whether the forward pass multiplies in bfloat16.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...] | None
    batch: Callable[[Int64[np.ndarray, "b"], int], Batch]
    loss: Callable[[Tensor, Tensor], Tensor]
    validation: Callable[[nn.Module, Stop], Scores | None]
    half: bool = False

    def step(
        self, model: nn.Module, _averaged: nn.Module, indices: Int64[np.ndarray, "b"], step: int
    ) -> Float[Tensor, ""]:
        """See [`BatchSource`][]."""
        image, target = self.batch(indices, step)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.half):
            output = model(image)
        return self.loss(output, target)

    def validate(self, model: nn.Module, stop: Stop) -> Scores | None:
        """See [`BatchSource`][]."""
        return self.validation(model, stop)


def at_least_two(indices: Int64[np.ndarray, "b"]) -> Int64[np.ndarray, "b2"]:
    """Repeat a single index, and return two or more unchanged.

    Batch norm cannot train on a single value per channel. The mean loss stays the same.

    >>> at_least_two(np.array([7])), at_least_two(np.array([7, 8]))
    (array([7, 7]), array([7, 8]))
    """
    return np.repeat(indices, 2) if len(indices) == 1 else indices
