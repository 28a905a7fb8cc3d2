"""Several networks as one: the mean of their probabilities."""

from __future__ import annotations

import torch
from torch import nn

from headstart.models.averaged import Averaged


def test_its_softmax_is_the_mean_probability() -> None:
    torch.manual_seed(0)
    networks = [nn.Conv2d(3, 4, 1) for _ in range(3)]
    with torch.no_grad():
        networks[0].weight *= 50  # confident: far apart in logits
    x = torch.rand(2, 3, 5, 6)
    with torch.no_grad():
        expected = torch.stack([network(x).softmax(1) for network in networks]).mean(0)
        torch.testing.assert_close(Averaged(networks)(x).softmax(1), expected)


def test_of_equal_networks_it_is_one_of_them() -> None:
    torch.manual_seed(1)
    network = nn.Linear(3, 4)
    x = torch.rand(5, 3)
    with torch.no_grad():
        torch.testing.assert_close(Averaged([network] * 4)(x).softmax(1), network(x).softmax(1))
