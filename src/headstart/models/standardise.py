"""Standardisation of features before a new last layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Standardise(nn.Module):
    """``(x - mean) / std`` of features ``(B, C)``; the statistics are set, not learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(channels))
        self.std = nn.Buffer(torch.ones(channels))

    def forward(self, features: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        """Return standardised features; a constant channel only loses its mean."""
        return (features - self.mean) / self.std

    def set(self, features: Float[Tensor, "n c"]) -> None:
        """Set mean and deviation to those of ``features``."""
        std = features.std(0, correction=0)
        self.mean.copy_(features.mean(0))
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))
