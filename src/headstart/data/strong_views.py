"""Strong changes to pictures whose labels a teacher gives: colours, grey, pasted rectangles.

Pixels stay where they are, so that a teacher's answer on the unchanged pictures is the label of the
changed ones; what is pasted takes its labels with it. Parameters come from a NumPy generator, as in
[`headstart.data.transforms`][].
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from headstart.data.augmentation import StrongChanges
from headstart.data.transforms import draw_colour, recolour, to_grey

_AREA, _ASPECT = (0.02, 0.4), 0.3  # of a pasted rectangle, as in CutMix for segmentation


def strong_view(
    image: Float[Tensor, "b 3 h w"],
    target: UInt8[Tensor, "b h w"],
    changes: StrongChanges,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, "b 3 h w"], UInt8[Tensor, "b h w"]]:
    """Return strongly changed pictures, and their targets.

    Each picture is recoloured, turned grey with the probability ``changes.grey``, and gets a
    rectangle of the next picture, with its target, with the probability ``changes.cutmix``. The
    same random numbers are used whatever the probabilities are.

    Args:
        image: values in ``[0, 1]``.
        target: class indices.
        changes: how strong the changes are.
        rng: generator of the random parameters.

    Source: rectangles, https://arxiv.org/abs/1906.01916; the changes together,
    https://arxiv.org/abs/2208.09910.
    """
    count, height, width = target.shape
    factors = draw_colour(changes.colours, rng, count)
    turns_grey = torch.from_numpy(rng.random(count) < changes.grey)
    pasted = torch.from_numpy(rectangles(rng, count, height, width, changes.cutmix))
    image = recolour(image, factors.to(image.device, non_blocking=True))
    turns_grey = turns_grey[:, None, None, None].to(image.device, non_blocking=True)
    image = torch.where(turns_grey, to_grey(image), image)
    pasted = pasted.to(image.device, non_blocking=True)
    image = torch.where(pasted[:, None], image.roll(1, 0), image)
    return image, torch.where(pasted, target.roll(1, 0), target)


def rectangles(
    rng: np.random.Generator, count: int, height: int, width: int, share: float
) -> Bool[np.ndarray, "b h w"]:
    """Draw where each of ``count`` pictures is pasted over: nowhere, or in one rectangle.

    A rectangle covers 2 to 40 % of a picture, and is up to 3.3 times as long as wide.

    Args:
        rng: generator; always five random numbers for each picture.
        count: number of pictures.
        height: of the pictures, in pixels.
        width: of the pictures.
        share: the probability of a rectangle.
    """
    numbers = rng.random((count, 5))
    inside = np.zeros((count, height, width), dtype=bool)
    for place, (chance, area, aspect, y, x) in zip(inside, numbers, strict=True):
        if chance >= share:
            continue
        covered = (_AREA[0] + area * (_AREA[1] - _AREA[0])) * height * width
        ratio = math.exp((2 * aspect - 1) * -math.log(_ASPECT))
        rows = min(height, max(1, round(math.sqrt(covered * ratio))))
        columns = min(width, max(1, round(math.sqrt(covered / ratio))))
        top, left = int(y * (height - rows + 1)), int(x * (width - columns + 1))
        place[top : top + rows, left : left + columns] = True
    return inside
