"""Depthwise convolutions in float32 where the rest of a network multiplies in bfloat16."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn


def keep_in_float32(network: nn.Module) -> None:
    """Let the depthwise convolutions of a network run in float32 under a CPU's autocast.

    Their backward pass in bfloat16 is three times as slow as in float32 on a CPU, so that a step of
    EfficientNet-Lite0 under a decoder takes 1.2 times as long (benchmarks/encoders.py). On a GPU,
    and without autocast, nothing changes.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = functools.partial(_in_float32, module.forward)  # type: ignore[method-assign]


def _in_float32(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return forward(x)
    with torch.autocast("cpu", enabled=False):
        return forward(x.float())
