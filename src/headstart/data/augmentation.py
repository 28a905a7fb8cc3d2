"""What augmentation may do: a value, without torch, so that settings are checked at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a frame; the default does nothing.

    Attributes:
        flip_horizontal, flip_vertical: mirrored with probability one half.
        rotation: rotated by an angle uniform in ``[-rotation, rotation]`` degrees.
        scale: enlarged by a factor log-uniform in ``[1 / scale, scale]``; at least 1.
        border: what lies outside the frame. ``"zeros"`` is black and background (as torchvision's
            rotation has it), ``"reflection"`` mirrors image and mask alike.
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
            raise ValueError(f"scale is {self.scale}, expected at least 1, and finite")
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected in [0, 1)")

    @property
    def moves(self) -> bool:
        """Whether pixels change place."""
        return bool(self.flip_horizontal or self.flip_vertical or self.rotation or self.scale != 1)

    @property
    def recolours(self) -> bool:
        """Whether values change in place."""
        return bool(self.brightness or self.contrast or self.saturation)
