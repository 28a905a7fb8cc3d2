"""The drawn instruments, which differ in their tips, shafts and sheen.

An instrument consists of bars (rounded or flat ends, tapered, bent, with a window) in local axes.
The signed distance to a bar gives it an edge one pixel wide. Lengths are in frame heights, colours
in 0..1. The outlines resemble surgical tools, but no particular product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

Field = Float32[np.ndarray, "h w"]
Picture = Float32[np.ndarray, "h w 3"]
_TISSUE_GLOW = np.array([0.09, 0.025, 0.02])  # reflection of tissue on the sides of a shaft


@dataclass(frozen=True)
class Scene:
    """The canvas of a scene.

    Attributes:
        x: horizontal position of each pixel in frame heights, increasing rightwards.
        y: vertical position of each pixel in frame heights, increasing downwards.
        colour: RGB in 0..1, changed in place.
        labels: class indices, changed in place.
    """

    x: Field
    y: Field
    colour: Picture
    labels: UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class Surface:
    """A material.

    Attributes:
        colour: RGB where the surface faces the camera, 0..1.
        sheen: strength of the bright line along the bar.
        sheen_at: position of the line across the bar, -1..1.
        sheen_width: width of the line, in half-widths of the bar.
        bands: strength of the dark rings around the bar.
        pitch: distance between rings, in half-widths of the shaft.
        grain: strength of the brushed streaks along the bar.
    """

    colour: tuple[float, float, float]
    sheen: float
    sheen_at: float = -0.3
    sheen_width: float = 0.3
    bands: float = 0.0
    pitch: float = 1.0
    grain: float = 0.06


STEEL = Surface((0.66, 0.66, 0.68), sheen=0.45)
GOLD = Surface((0.78, 0.60, 0.26), sheen=0.40)
DARK = Surface((0.05, 0.04, 0.04), sheen=0.0, grain=0.0)
CARBON = Surface((0.27, 0.25, 0.24), sheen=0.10, sheen_width=0.6, grain=0.16)
RINGED = Surface((0.60, 0.57, 0.54), sheen=0.15, sheen_width=0.5, bands=0.5, pitch=1.5)
LACQUER = Surface((0.09, 0.10, 0.14), sheen=0.75, sheen_at=-0.35, sheen_width=0.14, grain=0.0)
BLADE = Surface((0.50, 0.55, 0.64), sheen=0.50, sheen_at=0.2, sheen_width=0.35)
CHROME = Surface((0.74, 0.73, 0.72), sheen=0.60, sheen_at=0.25, sheen_width=0.22, grain=0.12)


@dataclass(frozen=True)
class Pose:
    """Local axes of a part: its origin and its direction in radians."""

    x: float
    y: float
    angle: float

    def ahead(self, u: float, turn: float = 0.0) -> Pose:
        """Return the pose moved forward by ``u``, then turned by ``turn``.

        >>> Pose(1.0, 2.0, 0.0).ahead(3.0, turn=0.5)
        Pose(x=4.0, y=2.0, angle=0.5)
        """
        x, y = self.x + u * math.cos(self.angle), self.y + u * math.sin(self.angle)
        return Pose(x, y, self.angle + turn)


@dataclass(frozen=True)
class Brush:
    """Paints the parts of one instrument into a scene.

    Attributes:
        scene: the scene to paint on.
        rng: random generator.
        index: class index of the instrument.
        size: half-width of the shaft at its tip; the unit of all lengths in its methods.
        tone: brightness of the instrument.
    """

    scene: Scene
    rng: np.random.Generator
    index: int
    size: float
    tone: float

    def bar(
        self,
        pose: Pose,
        surface: Surface,
        span: tuple[float, float],
        radii: tuple[float, float],
        *,
        bend: float = 0.0,
        flat: bool = False,
        window: tuple[float, float, float] | None = None,
    ) -> None:
        """Paint a bar along the axis of the pose.

        Args:
            pose: local axes of the bar.
            surface: material of the bar.
            span: start and end along the axis, in shaft half-widths.
            radii: half-width of the bar at its start and end, in shaft half-widths.
            bend: curvature; the centre line is ``v = bend * u**2``.
            flat: whether the ends are flat rather than rounded.
            window: transparent opening (start, end, half-width); the mask covers it.
        """
        box = self._box(pose, span, max(radii), bend)
        dx, dy = self.scene.x[box] - np.float32(pose.x), self.scene.y[box] - np.float32(pose.y)
        cos, sin = math.cos(pose.angle) / self.size, math.sin(pose.angle) / self.size
        u = dx * np.float32(cos) + dy * np.float32(sin)
        v = dy * np.float32(cos) - dx * np.float32(sin)
        start, end = span
        inside = np.clip(u, start, end)
        if bend:
            v = v - np.float32(bend) * inside**2
        slope = (radii[1] - radii[0]) / (end - start)
        radius = np.maximum(radii[0] + (inside - start) * np.float32(slope), np.float32(1e-3))
        if flat:
            gap = np.maximum(np.abs(v) - radius, np.maximum(start - u, u - end))
        else:
            gap = np.hypot(v, u - inside) - radius
        pixels = np.float32(self.size * self.scene.x.shape[0])
        cover = 0.5 - gap * pixels
        self.scene.labels[box][cover >= 0.5] = self.index
        if window is not None:
            hole = np.hypot(v, u - np.clip(u, window[0], window[1])) - np.float32(window[2])
            cover = np.minimum(cover, 0.5 + hole * pixels)
        self._fill(self.scene.colour[box], cover, u, v / radius, surface)

    def _box(
        self, pose: Pose, span: tuple[float, float], radius: float, bend: float
    ) -> tuple[slice, slice]:
        """Return the rows and columns that a bar can touch; only they are computed."""
        height, width = self.scene.labels.shape
        sag = bend * max(span[0] ** 2, span[1] ** 2)
        corners = np.array(
            [
                complex(u, v)
                for u in (span[0] - radius, span[1] + radius)
                for v in (min(sag, 0) - radius, max(sag, 0) + radius)
            ]
        )
        turned = corners * self.size * complex(math.cos(pose.angle), math.sin(pose.angle))
        x, y = (turned.real + pose.x) * height, (turned.imag + pose.y) * height
        left, right = np.clip((x.min() - 1, x.max() + 2), 0, width).astype(int).tolist()
        top, bottom = np.clip((y.min() - 1, y.max() + 2), 0, height).astype(int).tolist()
        return slice(top, bottom), slice(left, right)

    def _fill(
        self, picture: Picture, cover: Field, along: Field, across: Field, surface: Surface
    ) -> None:
        """Paint each pixel with opacity ``cover``; skip pixels where it is negative."""
        streaks = 1 + surface.grain * self.rng.normal(0, 1, 16)
        near = cover > 0
        u, n = along[near], np.clip(across[near], -1, 1)
        light = 0.25 + 0.75 * np.sqrt(1 - n**2)
        light = light * np.interp(n, np.linspace(-1, 1, 16), streaks)
        if surface.bands:
            light *= 1 - surface.bands * (np.sin(2 * np.pi / surface.pitch * u) > 0)
        line = surface.sheen * np.exp(-(((n - surface.sheen_at) / surface.sheen_width) ** 2))
        colour = self.tone * (light[:, None] * np.asarray(surface.colour) + line[:, None])
        colour += (n**2)[:, None] * _TISSUE_GLOW
        share = np.minimum(cover[near], 1)[:, None]
        below = picture[near]
        picture[near] = below + share * (colour - below)

    def shadow(self, pose: Pose, length: float) -> None:
        """Paint a soft shadow, slightly offset from the instrument."""
        dx = self.scene.x - np.float32(pose.x + 0.02)
        dy = self.scene.y - np.float32(pose.y + 0.05)
        cos, sin = np.float32(math.cos(pose.angle)), np.float32(math.sin(pose.angle))
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        gap = np.hypot(v, np.maximum(u - np.float32(length * self.size), 0)) - self.size
        dark = np.clip(0.65 - gap * np.float32(1 / 0.12), 0, 1)
        self.scene.colour[...] *= (1 - 0.5 * dark * dark * (3 - 2 * dark))[..., None]


def _shaft(brush: Brush, pose: Pose, surface: Surface, bend: float = 0.0) -> None:
    """Paint a shaft that starts outside the frame and narrows slightly towards its tip."""
    near = 1 + float(brush.rng.uniform(0.0, 0.6))
    height, width = brush.scene.labels.shape
    reach = (1 + width / height) / brush.size  # beyond any border
    brush.bar(pose, surface, (-reach, 0.0), (near, 1.0), bend=bend, flat=True)


def _forceps(brush: Brush, pose: Pose) -> None:
    """Paint forceps: a dull dark shaft, a steel wrist, two long jaws with windows."""
    _shaft(brush, pose, CARBON)
    brush.bar(pose, STEEL, (-0.5, 0.3), (1.04, 1.04), flat=True)
    brush.bar(pose, STEEL, (0.3, 2.0), (0.85, 0.55))
    wrist = pose.ahead(1.9 * brush.size, float(brush.rng.uniform(-0.5, 0.5)))
    opening = float(brush.rng.uniform(0.1, 0.5))
    for side in (-1, 1):
        jaw = wrist.ahead(0.0, side * opening)
        brush.bar(jaw, STEEL, (0.2, 4.6), (0.44, 0.38), window=(1.2, 4.1, 0.18))


def _needle_driver(brush: Brush, pose: Pose) -> None:
    """Paint a needle driver: a ringed grey shaft, short tapering gold jaws, nearly closed."""
    _shaft(brush, pose, RINGED)
    brush.bar(pose, STEEL, (-0.4, 0.4), (1.08, 1.08), flat=True)
    wrist = pose.ahead(0.5 * brush.size, float(brush.rng.uniform(-0.35, 0.35)))
    brush.bar(wrist, STEEL, (0.2, 1.2), (0.85, 0.75))
    opening = float(brush.rng.uniform(0.0, 0.12))
    for side in (-1, 1):
        jaw = wrist.ahead(0.0, side * (0.10 + opening))
        brush.bar(jaw, GOLD, (1.0, 3.2), (0.50, 0.24))
    brush.bar(wrist, DARK, (1.3, 3.2), (0.07, 0.07))


def _scissors(brush: Brush, pose: Pose) -> None:
    """Paint scissors: a glossy black shaft, two bent pointed blades that cross at a pivot."""
    _shaft(brush, pose, LACQUER)
    brush.bar(pose, LACQUER, (0.0, 0.9), (0.95, 0.6))
    wrist = pose.ahead(1.7 * brush.size, float(brush.rng.uniform(-0.4, 0.4)))
    opening = float(brush.rng.uniform(0.2, 0.55))
    curve = float(brush.rng.choice([-1, 1]) * brush.rng.uniform(0.02, 0.05))
    for side in (-1, 1):
        blade = wrist.ahead(0.0, side * opening)
        brush.bar(blade, BLADE, (-1.2, 0.0), (0.28, 0.55))
        brush.bar(blade, BLADE, (0.0, 4.8), (0.55, 0.04), bend=curve)
    brush.bar(wrist, DARK, (-0.01, 0.01), (0.2, 0.2))


def _suction_tube(brush: Brush, pose: Pose) -> None:
    """Paint a suction tube: thin, polished and curved, with side holes and an open end."""
    bend = float(brush.rng.choice([-1, 1]) * brush.rng.uniform(0.004, 0.012))
    _shaft(brush, pose, CHROME, bend=bend)
    brush.bar(pose, CHROME, (-0.1, 0.8), (1.0, 1.0))
    brush.bar(pose, CHROME, (-6.0, -5.2), (1.35, 1.35), flat=True, bend=bend)
    for u in (-3.6, -2.3, -1.0):
        brush.bar(pose, DARK, (u, u + 0.3), (0.26, 0.26), bend=bend)
    brush.bar(pose, DARK, (0.9, 1.1), (0.5, 0.5))


@dataclass(frozen=True)
class Kind:
    """A kind of drawn instrument.

    Attributes:
        name: class name; it says that the instrument is drawn.
        girth: smallest and largest half-width of the shaft, in frame heights.
        length: length of the tip beyond the shaft, in half-widths.
        draw: function that paints the instrument.
    """

    name: str
    girth: tuple[float, float]
    length: float
    draw: Callable[[Brush, Pose], None]


KINDS = (
    Kind("Drawn_Forceps", (0.056, 0.090), 5.5, _forceps),
    Kind("Drawn_Needle_Driver", (0.060, 0.098), 3.5, _needle_driver),
    Kind("Drawn_Scissors", (0.050, 0.084), 5.5, _scissors),
    Kind("Drawn_Suction_Tube", (0.035, 0.052), 1.5, _suction_tube),
)


def place(scene: Scene, rng: np.random.Generator, kind: int, focus: tuple[float, float]) -> None:
    """Draw one instrument that enters from the border and points to somewhere near ``focus``.

    Args:
        scene: the scene, changed in place.
        rng: random generator; its state advances.
        kind: index into ``KINDS``; the class index is ``kind + 1``.
        focus: position ``(x, y)`` of the surgical work, in frame heights.
    """
    aspect = scene.x.shape[1] / scene.x.shape[0]
    tip_x = float(np.clip(focus[0] + rng.normal(0, 0.20) * aspect, 0.15 * aspect, 0.85 * aspect))
    tip_y = float(np.clip(focus[1] + rng.normal(0, 0.17), 0.15, 0.85))
    along = float(rng.uniform(0.05, 0.95))
    side = int(rng.choice(4, p=(0.34, 0.34, 0.22, 0.10)))
    left, right, bottom, top = (0, along), (aspect, along), (along * aspect, 1), (along * aspect, 0)
    entry_x, entry_y = (left, right, bottom, top)[side]
    angle = math.atan2(tip_y - entry_y, tip_x - entry_x)
    least, most = KINDS[kind].girth
    brush = Brush(
        scene, rng, kind + 1, float(rng.uniform(least, most)), float(rng.uniform(0.8, 1.1))
    )
    pose = Pose(tip_x, tip_y, angle).ahead(-0.6 * KINDS[kind].length * brush.size)
    brush.shadow(pose, KINDS[kind].length)
    KINDS[kind].draw(brush, pose)
