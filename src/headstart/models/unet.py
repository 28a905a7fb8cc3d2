"""A simplified U-Net (after Ronneberger, Fischer and Brox 2015)."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 4
MULTIPLE = 2 ** (LEVELS - 1)


def stage(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions, each with batch norm and leaky ReLU 0.1.

    The convolutions have no bias, because batch norm would subtract it again.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )


class UNet(nn.Module):
    """A U-Net of four levels with ``width * (1, 2, 4, 8)`` channels and a 1x1 head.

    The encoder has two 3x3 convolutions a level and 2x2 max pooling between levels. The decoder
    upsamples by transposed 4x4 convolutions of stride 2 (no bias, then ReLU), concatenates the skip
    and applies two 3x3 convolutions. The head returns logits; loss and prediction take the softmax.

    Pictures may have any size: the network pads them at the right and bottom to a multiple of 8 by
    repeating the border, and crops the logits.

    The buffers ``mean`` and ``std`` (0 and 1 in a new network) standardise the picture, so the
    input is always a picture in ``[0, 1]``.

    Args:
        num_classes: channels of the head, at least 1.
        width: channels of the first level, at least 1. A network of width 32 with six classes has
            2.44 million weights.
        in_channels: channels of the picture, at least 1.

    Raises:
        ValueError: an argument is below 1.

    Source: the assignment; https://arxiv.org/abs/1505.04597.

    >>> net = UNet(num_classes=6, width=32)
    >>> sum(p.numel() for p in net.parameters())
    2443046
    >>> net(torch.zeros(1, 3, 50, 70)).shape
    torch.Size([1, 6, 50, 70])
    """

    def __init__(self, num_classes: int, width: int = 32, in_channels: int = 3) -> None:
        super().__init__()
        for name, value in [
            ("num_classes", num_classes),
            ("width", width),
            ("in_channels", in_channels),
        ]:
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        self.mean, self.std = (
            nn.Buffer(torch.zeros(in_channels, 1, 1)),
            nn.Buffer(torch.ones(in_channels, 1, 1)),
        )
        widths = [width * 2**level for level in range(LEVELS)]
        self.encoder = nn.ModuleList(
            stage(i, o) for i, o in zip([in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1, bias=False)
            for w in reversed(widths[:-1])
        )
        self.decoder = nn.ModuleList(stage(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, num_classes, 1)

    @property
    def deepest(self) -> nn.Module:
        """The module that returns the coarsest features."""
        return self.encoder[-1]

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Return the logits of each class at each pixel; ``image`` is in ``[0, 1]``."""
        height, width = image.shape[-2:]
        pad_h, pad_w = -height % MULTIPLE, -width % MULTIPLE
        x = (image - self.mean) / self.std
        if pad_h or pad_w:
            x = F.pad(x, (0, pad_w, 0, pad_h), mode="replicate")
        skips: list[Tensor] = []
        for level, stage in enumerate(self.encoder):
            x = stage(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for up, stage, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            x = stage(torch.cat([F.relu(up(x)), skip], dim=1))
        return cast("Tensor", self.head(x))[..., :height, :width]
