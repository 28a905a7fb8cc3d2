"""Augment a batch of images and masks with a shared sampling grid.

The parameters of each frame are drawn on the CPU from a NumPy generator, so they do not depend on
the device; images and masks are transformed on their device. Masks are sampled by nearest
neighbour, which creates no new labels.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from headstart.data.augmentation import Augmentation
from headstart.system.devices import moved


def draw_affine(
    augmentation: Augmentation, rng: np.random.Generator, count: int, height: int, width: int
) -> Float[Tensor, "b 2 3"]:
    """Draw random affine maps from output to input, in the coordinates of ``F.affine_grid``.

    With ``S = diag(width / 2, height / 2)`` the map is ``S^-1 diag(fx, fy) R(angle) / scale S``, a
    rotation in pixels even for frames that are not square. The frame is flipped first, then rotated
    counter-clockwise. Each frame always uses four random numbers, so switching one augmentation off
    does not change the others.
    """
    u = rng.random((count, 4))
    fx = np.where(augmentation.flip_horizontal & (u[:, 0] < 0.5), -1.0, 1.0)
    fy = np.where(augmentation.flip_vertical & (u[:, 1] < 0.5), -1.0, 1.0)
    angle = math.radians(augmentation.rotation) * (2 * u[:, 2] - 1)
    zoom = np.exp(-math.log(augmentation.scale) * (2 * u[:, 3] - 1))
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    theta = np.zeros((count, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = fx * cos, -fx * sin * (height / width)
    theta[:, 1, 0], theta[:, 1, 1] = fy * sin * (width / height), fy * cos
    return torch.from_numpy(theta)


def draw_colour(
    augmentation: Augmentation, rng: np.random.Generator, count: int
) -> Float[Tensor, "b 3"]:
    """Draw random factors of brightness, contrast and saturation for each frame, ``(B, 3)``."""
    spread = np.array([augmentation.brightness, augmentation.contrast, augmentation.saturation])
    factors = 1 + spread * (2 * rng.random((count, 3)) - 1)
    return torch.from_numpy(factors.astype(np.float32))


def warp(
    image: Float[Tensor, "b c h w"],
    mask: UInt8[Tensor, "b h w"] | None,
    theta: Float[Tensor, "b 2 3"],
    border: Literal["zeros", "reflection"],
    size: tuple[int, int] | None = None,
) -> tuple[Float[Tensor, "b c h2 w2"], UInt8[Tensor, "b h2 w2"] | None]:
    """Sample images (bilinear) and masks (nearest, if given) at the same positions.

    The result has the height and width ``size``, by default those of the images; ``theta`` maps
    its coordinates to those of the images.
    """
    grid = F.affine_grid(theta, [*image.shape[:2], *(size or image.shape[2:])], align_corners=False)
    moved = F.grid_sample(image, grid, "bilinear", border, align_corners=False)
    if mask is None:
        return moved, None
    labels = F.grid_sample(
        mask[:, None].to(image.dtype), grid, "nearest", border, align_corners=False
    )
    return moved, labels[:, 0].to(torch.uint8)


def flip(
    image: Float[Tensor, "b c h w"],
    mask: UInt8[Tensor, "b h w"] | None,
    theta: Float[Tensor, "b 2 3"],
) -> tuple[Float[Tensor, "b c h w"], UInt8[Tensor, "b h w"] | None]:
    """Apply maps that only flip; exact, while [`warp`][] would introduce rounding errors."""
    for axis, row in ((-1, 0), (-2, 1)):
        mirrored = theta[:, row, row, None, None] < 0
        image = torch.where(mirrored[..., None], image.flip(axis), image)
        mask = None if mask is None else torch.where(mirrored, mask.flip(axis), mask)
    return image, mask


_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow


def to_grey(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Return the grey image: the channel weights of Pillow, without its rounding."""
    # new_tensor would block the host until the device is ready
    luma = moved(torch.tensor(_LUMA).to(image.dtype), image.device)
    return (image * luma[:, None, None]).sum(1, keepdim=True)


def recolour(
    image: Float[Tensor, "b 3 h w"], factors: Float[Tensor, "b 3"]
) -> Float[Tensor, "b 3 h w"]:
    """Adjust brightness, then contrast, then saturation.

    Each blends ``factor * image + (1 - factor) * anchor``, as torchvision's v2 transforms do. The
    anchor is black for brightness, the mean grey of the frame for contrast, and the grey image for
    saturation. ``image`` is in ``[0, 1]``; the result is clipped to ``[0, 1]`` once, at the end.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    image = image * brightness
    image = torch.lerp(to_grey(image).mean((2, 3), keepdim=True), image, contrast)
    return torch.lerp(to_grey(image), image, saturation).clamp_(0, 1)


def surroundings(augmentation: Augmentation, size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of the window that [`augment`][] needs for a crop of ``size``.

    It holds the crop however it is rotated and scaled, and has the same centre.

    >>> surroundings(Augmentation(flip_vertical=True), (128, 96))
    (128, 96)
    >>> surroundings(Augmentation(rotation=90.0), (128, 96))
    (162, 162)
    >>> surroundings(Augmentation(scale=2.0), (8, 8))
    (18, 18)
    """
    if not augmentation.rotation and augmentation.scale == 1:
        return size

    def side(along: int, across: int) -> int:
        angle = min(math.radians(augmentation.rotation), math.atan2(across, along))
        longest = along * math.cos(angle) + across * math.sin(angle)
        margin = math.ceil((augmentation.scale * longest - along) / 2) + 1  # bilinear: one more
        return along + 2 * margin

    return side(*size), side(size[1], size[0])


def augment(
    image: Float[Tensor, "b 3 h w"],
    mask: UInt8[Tensor, "b h w"],
    augmentation: Augmentation,
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
) -> tuple[Float[Tensor, "b 3 h2 w2"], UInt8[Tensor, "b h2 w2"]]:
    """Augment one batch; the parameters depend only on the state of ``rng``, not on the device.

    Args:
        image: values in ``[0, 1]``.
        mask: class indices.
        augmentation: settings of the augmentation.
        rng: generator of the random parameters.
        size: height and width of a crop around the centre of ``image``, whose own height and width
            are its [`surroundings`][]; None: the result is as large as ``image``.
    """
    image, moved = _augment(image, mask, augmentation, rng, size)
    assert moved is not None
    return image, moved


def augment_image(
    image: Float[Tensor, "b 3 h w"],
    augmentation: Augmentation,
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
) -> Float[Tensor, "b 3 h2 w2"]:
    """Augment images without masks; equal ``rng`` states transform them as [`augment`][] does."""
    return _augment(image, None, augmentation, rng, size)[0]


def _augment(
    image: Tensor,
    mask: Tensor | None,
    augmentation: Augmentation,
    rng: np.random.Generator,
    size: tuple[int, int] | None,
) -> tuple[Tensor, Tensor | None]:
    count, (height, width) = len(image), size or (image.shape[2], image.shape[3])
    theta = draw_affine(augmentation, rng, count, height, width)
    factors = draw_colour(augmentation, rng, count)
    if augmentation.moves:
        if augmentation.rotation or augmentation.scale != 1:
            if size is not None:
                theta = theta * torch.tensor([[width / image.shape[3]], [height / image.shape[2]]])
            theta = moved(theta, image.device)
            image, mask = warp(image, mask, theta, augmentation.border, size)
        else:
            theta = moved(theta, image.device)
            image, mask = flip(image, mask, theta)
    if augmentation.recolours:
        image = recolour(image, moved(factors, image.device))
    return image, mask
