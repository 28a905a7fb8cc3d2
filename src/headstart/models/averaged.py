"""Several networks as one, which predicts their mean probability."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Averaged(nn.Module):
    """The mean probability of several networks with the same classes.

    Its output is ``log(mean over the networks of softmax(logits))``, so its softmax is that mean.

    Args:
        networks: map a batch to logits with classes in dimension 1.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b k ..."]:
        """Return the logarithm of the mean probability of each class."""
        logs = torch.stack([network(x).float().log_softmax(1) for network in self.networks])
        return logs.logsumexp(0) - math.log(len(self.networks))
