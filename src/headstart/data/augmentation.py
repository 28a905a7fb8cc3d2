"""The settings of augmentation, without torch, so that they can be checked quickly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training frames; the default changes nothing.

    Attributes:
        flip_horizontal, flip_vertical: whether to flip with probability 0.5.
        rotation: maximal angle in degrees; angles are uniform in ``[-rotation, rotation]``.
        scale: maximal zoom factor, at least 1; factors are log-uniform in ``[1 / scale, scale]``.
        border: fill outside the frame. ``"zeros"`` is black in the image and background in the
            mask, as in torchvision; ``"reflection"`` mirrors image and mask.
        brightness, contrast, saturation: factors uniform in ``[1 - x, 1 + x]``; x in ``[0, 1)``.
    """

    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotation: float = 0.0
    scale: float = 1.0
    border: Literal["zeros", "reflection"] = "zeros"
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation is {self.rotation} degrees, expected 0 to 180")
        if not 1 <= self.scale < math.inf:
            raise ValueError(f"scale is {self.scale}, expected a finite number of at least 1")
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected in [0, 1)")

    @property
    def moves(self) -> bool:
        """Whether pixels change position."""
        return bool(self.flip_horizontal or self.flip_vertical or self.rotation or self.scale != 1)

    @property
    def recolours(self) -> bool:
        """Whether pixels change colour."""
        return bool(self.brightness or self.contrast or self.saturation)


@dataclass(frozen=True)
class StrongChanges:
    """Changes to pictures whose labels a teacher gives; pixels stay where they are.

    Attributes:
        brightness, contrast, saturation: as of an [`Augmentation`][].
        grey: the probability that a picture is turned grey.
        cutmix: the probability that a rectangle of another picture is pasted.
    """

    brightness: float = 0.5
    contrast: float = 0.5
    saturation: float = 0.5
    grey: float = 0.2
    cutmix: float = 0.5

    def __post_init__(self) -> None:
        for name in ("grey", "cutmix"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected in [0, 1]")
        self.colours  # noqa: B018 - checks them

    @property
    def colours(self) -> Augmentation:
        """The changes of colours."""
        return Augmentation(
            brightness=self.brightness, contrast=self.contrast, saturation=self.saturation
        )
