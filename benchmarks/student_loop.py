"""The training loop as it is usually handed in; `throughput.py` compares ``fit`` with it.

Each picture is opened, resized, augmented and one-hot encoded when it is requested. The Dice loss
is a Python loop over classes, Adam has its defaults, and the loss is read back at every step. The
loop is meant to be correct, not slow: image and mask move together, labels are never interpolated,
and the network is the same. On a GPU it computes in float32, the default.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from headstart.data.augmentation import Augmentation
from headstart.data.pictures.frame import Frame


class Frames(Dataset[tuple[Tensor, Tensor]]):
    """Pictures ``(3, H, W)`` in [0, 1] and one-hot masks ``(K, H, W)``, read one by one."""

    def __init__(
        self,
        frames: Sequence[Frame],
        greys: Sequence[int],
        size: tuple[int, int],
        augmentation: Augmentation,
    ) -> None:
        self.frames = frames
        self.greys = greys
        self.size = size
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "k h w"]]:
        frame = self.frames[index]
        assert frame.mask is not None
        height, width = self.size
        image = Image.open(frame.image).convert("RGB")
        mask = Image.open(frame.mask).convert("L")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        mask = mask.resize((width, height), Image.Resampling.NEAREST)
        if self.augmentation.flip_horizontal and random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            mask = mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.augmentation.flip_vertical and random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            mask = mask.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        if self.augmentation.rotation:
            angle = random.uniform(-self.augmentation.rotation, self.augmentation.rotation)
            image = image.rotate(angle, Image.Resampling.BILINEAR)
            mask = mask.rotate(angle, Image.Resampling.NEAREST, fillcolor=self.greys[0])
        pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
        grey = np.asarray(mask)
        one_hot = np.stack([grey == level for level in self.greys]).astype(np.float32)
        return torch.from_numpy(pixels), torch.from_numpy(one_hot)


def dice_loss(
    probs: Float[Tensor, "b k h w"], one_hot: Float[Tensor, "b k h w"], smooth: float = 1e-6
) -> Float[Tensor, ""]:
    """1 minus the mean over all classes of Dice summed over the batch."""
    classes = probs.shape[1]
    total = torch.zeros((), device=probs.device)
    for k in range(classes):
        p, t = probs[:, k], one_hot[:, k]
        total = total + (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)
    return 1 - total / classes


def train_epoch(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> float:
    """One pass over the loader, for a ``model`` that ends in a softmax; the batches' mean loss."""
    model.train()
    running = 0.0
    for image, one_hot in loader:
        image, one_hot = image.to(device), one_hot.to(device)
        optimizer.zero_grad()
        loss = dice_loss(model(image), one_hot)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        running += loss.item()
    return running / len(loader)
