"""Features brought to zero mean and unit deviation, before a new last layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Standardise(nn.Module):
    """``(x - mean) / std`` of features, ``(B, C)``, with statistics that are set, not learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(channels))
        self.std = nn.Buffer(torch.ones(channels))

    def forward(self, features: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        """Of a channel that never varies the mean is subtracted, no more."""
        return (features - self.mean) / self.std

    def set(self, features: Float[Tensor, "n c"]) -> None:
        """Takes over the statistics of these features."""
        std = features.std(0, correction=0)
        self.mean.copy_(features.mean(0))
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))
