"""Several predictions as one, their mean probability: of networks, or of a mirrored picture too."""

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


class Mirrored(nn.Module):
    """The mean probability of a picture and of its mirror image (left and right swapped).

    Where the output has a place for each pixel, that of the mirror image is mirrored back. Its
    softmax is the mean, as of [`Averaged`][].

    Args:
        network: maps a batch ``(B, C, H, W)`` to logits with classes in dimension 1.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k ..."]:
        """Return the logarithm of the mean probability of each class."""
        as_it_is, mirrored = (
            self.network(image).float().log_softmax(1) for image in (x, x.flip(-1))
        )
        if mirrored.ndim == 4:
            mirrored = mirrored.flip(-1)
        return torch.stack([as_it_is, mirrored]).logsumexp(0) - math.log(2)
