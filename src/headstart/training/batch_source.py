"""What [`fit`][headstart.training.fit.fit] trains on: a source of batches, and the loss on each.

`fit` knows nothing of pictures, labels or losses. It asks a [`BatchSource`][] for the loss of one
step. A loss that needs a teacher (the averaged weights) or a second batch is another
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

from headstart.training.placement import low_precision

Batch = tuple[Tensor, Tensor]
Stop = Callable[[], bool]
Scores = dict[str, float]


@runtime_checkable
class BatchSource(Protocol):
    """Batches of one training, and how the network is judged on them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the training pictures, in the order of their indices."""

    @property
    def weights(self) -> tuple[float, ...] | None:
        """How often each picture is drawn, in proportion; None: all alike."""

    def step(
        self, model: nn.Module, averaged: nn.Module, indices: Int64[np.ndarray, "b"], step: int
    ) -> Float[Tensor, ""]:
        """The loss of one batch, with its graph.

        Args:
            model: the network that trains.
            averaged: the moving average of its weights; ``model`` itself where there is none.
            indices: the pictures of the batch.
            step: optimizer steps done before; whatever is random is a function of it.
        """

    def validate(self, model: nn.Module, stop: Stop) -> Scores | None:
        """``{"loss": ..., score: ...}`` on the validation split.

        ``stop`` is asked between batches; the answer is None once it says so.
        """


@dataclass(frozen=True)
class Batches:
    """The usual source: one batch, one forward pass, one loss.

    Attributes:
        names: see [`BatchSource`][].
        weights: see there.
        batch: indices and step to input and target, augmented, on the device.
        loss: output and target to a scalar.
        validation: see [`BatchSource.validate`][].
    """

    names: tuple[str, ...]
    weights: tuple[float, ...] | None
    batch: Callable[[Int64[np.ndarray, "b"], int], Batch]
    loss: Callable[[Tensor, Tensor], Tensor]
    validation: Callable[[nn.Module, Stop], Scores | None]

    def step(
        self, model: nn.Module, _averaged: nn.Module, indices: Int64[np.ndarray, "b"], step: int
    ) -> Float[Tensor, ""]:
        """See [`BatchSource`][]; the forward pass is in bfloat16 where the hardware has it."""
        image, target = self.batch(indices, step)
        half = low_precision(image.device)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
            output = model(image)
        return self.loss(output, target)

    def validate(self, model: nn.Module, stop: Stop) -> Scores | None:
        """See [`BatchSource`][]."""
        return self.validation(model, stop)


def at_least_two(indices: Int64[np.ndarray, "b"]) -> Int64[np.ndarray, "b2"]:
    """A single picture twice: batch norm has no statistics of one value; its mean loss is the same.

    >>> at_least_two(np.array([7])), at_least_two(np.array([7, 8]))
    (array([7, 7]), array([7, 8]))
    """
    return np.repeat(indices, 2) if len(indices) == 1 else indices
