"""Features of the frozen part of a network: computed once and cached by content."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from headstart.data.augmentation import Augmentation
from headstart.data.cache import cached, open_array, write_array
from headstart.data.transforms import augment_image
from headstart.models.classifiers import MEAN, STD, Channels, prepare
from headstart.models.tuning import FrozenPart
from headstart.training.placement import to_input

_VERSION = 2  # cache format; raise it when preparation or storage changes
_BATCH = 64
IMAGENET = (MEAN, STD)


def prepared(
    images: UInt8[Tensor, "b c h w"],
    size: tuple[int, int],
    device: torch.device,
    augmentation: Augmentation | None = None,
    rng: np.random.Generator | None = None,
    expected: tuple[Channels, Channels] = IMAGENET,
) -> Float[Tensor, "b 3 h2 w2"]:
    """Return a batch as input of a classifier: augmented first, then resized to ``size``.

    ``expected`` are mean and deviation, see [`headstart.models.classifiers.normalisation`][].
    """
    batch = to_input(images, device)
    if augmentation is not None and rng is not None:
        batch = augment_image(batch.expand(-1, 3, -1, -1), augmentation, rng)
    return prepare(batch, size, expected)


@torch.no_grad()
def compute(
    frozen: nn.Module,
    images: UInt8[Tensor, "n c h w"],
    size: tuple[int, int],
    device: torch.device,
    half: bool = False,
    expected: tuple[Channels, Channels] = IMAGENET,
) -> Iterator[Float[Tensor, "b f"]]:
    """Yield the features of the pictures batch by batch, on the CPU; ``half``: in bfloat16."""
    frozen.eval()
    for start in range(0, len(images), _BATCH):
        batch = prepared(images[start : start + _BATCH], size, device, expected=expected)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            features = frozen(batch)
        yield features.float().cpu()


def cached_features(
    frozen: FrozenPart,
    images: UInt8[np.ndarray, "n c h w"],
    content: str,
    size: tuple[int, int],
    device: torch.device,
    cache: Path,
    half: bool = False,
    expected: tuple[Channels, Channels] = IMAGENET,
) -> Float[Tensor, "n f"]:
    """Return the features of all pictures; computed once, then read from ``cache``.

    The cache key is a hash of pictures, weights and transform, so stale features are never read.

    Args:
        frozen: the part of the network before the trained layers.
        images: all pictures, ``(N, C, H, W)``.
        content: hash of the pictures, in order.
        size: input height and width of the network.
        device: device to compute on.
        cache: a folder inside the output folder.
        half: whether to multiply in bfloat16.
        expected: mean and deviation of the network's input.

    Raises:
        DiskError: the cache cannot be written.
    """
    made_from = [_VERSION, content, size, device.type, half, hash_of(frozen)]
    if expected != IMAGENET:  # older caches had no other
        made_from.append(expected)

    def make(folder: Path) -> None:
        batches = compute(frozen, torch.from_numpy(images), size, device, half, expected)
        first = next(batches)
        parts = (batch.numpy().tobytes() for batch in itertools.chain([first], batches))
        write_array(folder / "features.npy", "<f4", (len(images), first.shape[1]), parts)

    return torch.from_numpy(open_array(cached(cache, made_from, make) / "features.npy"))


def hash_of(frozen: FrozenPart) -> str:
    """Return the SHA-256 of the operations, their settings, and all weights and buffers by name."""
    total = hashlib.sha256(f"{frozen.graph_module.code}\n{frozen}".encode())
    for name, tensor in sorted(frozen.state_dict().items()):
        total.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return total.hexdigest()
