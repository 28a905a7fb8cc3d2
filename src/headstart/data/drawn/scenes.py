"""Draw an endoscopic scene: wet tissue, and instruments that enter from the border.

All pixels are computed from random numbers, without any photograph. Lengths are in frame heights
and colours in 0..1 until the final rounding, so the same seed draws the same scene at any size.
Texture predicts colour (fat is lobed and yellow, muscle is folded and deep red, serosa is smooth
and pink, vessels are branching lines), so that a network can learn the colours from the grey
picture.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw

from headstart.data.drawn.instruments import KINDS, Scene, place

Field = Float32[np.ndarray, "h w"]
Picture = Float32[np.ndarray, "h w 3"]
Colour = tuple[float, float, float]

MIN_SIDE = 16
_TISSUES = (  # serosa, muscle, fat: colour of low places, then of high places
    (0.66, 0.30, 0.30), (0.90, 0.60, 0.57),
    (0.40, 0.09, 0.09), (0.79, 0.32, 0.28),
    (0.76, 0.42, 0.27), (0.94, 0.78, 0.53),
)  # fmt: skip
_COUNT_ODDS = (0.2, 0.36, 0.30, 0.14)  # probabilities of 0, 1, 2, 3 instruments


def draw_scene(
    rng: np.random.Generator, height: int, width: int
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Draw one scene and its mask.

    Instruments are drawn back to front, and the mask holds the visible parts only. The window in a
    jaw belongs to the jaw, as in EndoVis masks.

    Args:
        rng: random generator; its state advances.
        height: height of the picture in pixels, at least 16.
        width: width of the picture in pixels, at least 16.

    Returns:
        The RGB image ``(H, W, 3)`` and the mask ``(H, W)``: 0 is tissue, ``1 + i`` is ``KINDS[i]``.

    Raises:
        ValueError: a side is below 16 pixels.

    >>> image, mask = draw_scene(np.random.default_rng(0), 64, 80)
    >>> image.shape, mask.shape
    ((64, 80, 3), (64, 80))
    """
    if min(height, width) < MIN_SIDE:
        raise ValueError(
            f"a scene needs at least {MIN_SIDE} pixels per side, not {height} x {width}"
        )
    y = np.broadcast_to(((np.arange(height) + 0.5) / height)[:, None], (height, width))
    x = np.broadcast_to(((np.arange(width) + 0.5) / height)[None, :], (height, width))
    x, y = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32)
    aspect = width / height
    light = (float(rng.uniform(0.35, 0.65)) * aspect, float(rng.uniform(0.35, 0.6)))

    scene = Scene(x, y, _tissue(rng, x, y), np.zeros((height, width), np.uint8))
    count = int(rng.choice(len(_COUNT_ODDS), p=_COUNT_ODDS))
    focus = (float(rng.uniform(0.35, 0.65)) * aspect, float(rng.uniform(0.35, 0.65)))
    for kind in rng.permutation(len(KINDS))[:count]:
        place(scene, rng, int(kind), focus)

    far = ((x - light[0]) ** 2 + (y - light[1]) ** 2) / (0.25 + 0.25 * aspect**2)
    exposure = float(rng.uniform(0.92, 1.12))
    tint = 1 + rng.uniform(-0.025, 0.025, 3)
    gain = exposure * (1.08 - 0.75 * np.minimum(far, 1.1))
    picture = scene.colour * (gain[..., None] * tint).astype(np.float32)
    picture += rng.normal(0, 0.010, (height, width, 1)).astype(np.float32)
    # Compress highlights smoothly; clipping would turn them into flat discs.
    bright = picture > 0.8
    picture[bright] = 0.8 + 0.2 * np.tanh((picture[bright] - 0.8) / 0.2)
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8), scene.labels


# Tissue


def _noise(rng: np.random.Generator, x: Field, frequency: int) -> Field:
    """Return smooth noise in about -1..1 with ``frequency`` bumps per frame height."""
    height, width = x.shape
    across = frequency * width / height
    grid = rng.uniform(-1, 1, (frequency + 3, math.ceil(across) + 3)).astype(np.float32)
    box = (1.0, 1.0, 1.0 + across, 1.0 + frequency)
    fine = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(fine, np.float32)


def _clouds(rng: np.random.Generator, x: Field, frequency: int, octaves: int) -> Field:
    """Return noise of several octaves, each with twice the frequency and half the amplitude."""
    total = _noise(rng, x, frequency)
    for i in range(1, octaves):
        total = total + _noise(rng, x, frequency * 2**i) * np.float32(0.5**i)
    return total


def _step(field: Field, low: float, high: float) -> Field:
    """Return 0 below ``low``, 1 above ``high``, and a smooth transition between."""
    t = np.clip((field - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    smooth: Field = t * t * (3 - 2 * t)
    return smooth


def _lobes(rng: np.random.Generator, x: Field, y: Field, frequency: int) -> Field:
    """Return rounded cells, 1 at their centres and 0 in the creases between (Worley's F2 - F1)."""
    height, width = x.shape
    rows, columns = frequency + 4, math.ceil(frequency * width / height) + 4
    corners = np.mgrid[:rows, :columns].reshape(2, -1)
    nuclei_y, nuclei_x = (corners + rng.uniform(0.15, 0.85, corners.shape)).astype(np.float32)
    cx, cy = x * frequency + 1.5, y * frequency + 1.5
    here = np.clip(cy.astype(np.intp), 1, rows - 2) * columns
    here += np.clip(cx.astype(np.intp), 1, columns - 2)
    first = np.full(x.shape, 9, np.float32)
    second = first.copy()
    for step in (0, -columns, columns, -1, 1, -columns - 1, -columns + 1, columns - 1, columns + 1):
        neighbour = here + step
        gap = (nuclei_x.take(neighbour) - cx) ** 2 + (nuclei_y.take(neighbour) - cy) ** 2
        second = np.minimum(second, np.maximum(first, gap))
        first = np.minimum(first, gap)
    return _step(np.sqrt(second) - np.sqrt(first), -0.1, 0.8)


def _vessels(rng: np.random.Generator, x: Field, trees: int, thickness: float) -> Field:
    """Return branching curves: 1 on thick vessels, less on thin vessels, 0 elsewhere."""
    height, width = x.shape
    scale = max(256, 2 * height)
    sheet = Image.new("L", (round(scale * width / height), scale))
    pen = ImageDraw.Draw(sheet)
    for _ in range(trees):
        start = complex(rng.uniform(-0.1, 1.1) * width / height, rng.uniform(-0.1, 1.1))
        shoots = [(start, float(rng.uniform(0, 2 * np.pi)), thickness, 34)]
        while shoots:
            at, heading, thick, steps = shoots.pop()
            turns = heading + np.cumsum(rng.normal(0, 0.16, steps))
            path = at + 0.028 * np.cumsum(np.exp(1j * turns))  # complex numbers as points
            shade = round(255 * min(1, 0.4 + 40 * thick))
            corners = (path * scale).view(np.float64).tolist()
            pen.line(corners, fill=shade, width=max(1, round(thick * scale)))
            if steps > 15:
                for fork in rng.integers(2, steps, 3).tolist():
                    side = float(rng.choice((-1, 1)) * rng.uniform(0.4, 1.1))
                    shoots.append((path[fork], turns[fork] + side, thick * 0.6, steps * 2 // 3))
    small = sheet.resize((width, height), Image.Resampling.HAMMING)
    return np.asarray(small, np.float32) * np.float32(1 / 255)


def _tissue(rng: np.random.Generator, x: Field, y: Field) -> Picture:
    """Return wet tissue lit from near the camera: serosa with vessels, folded muscle, lobed fat."""
    height = x.shape[0]
    relief, fine = _clouds(rng, x, 2, 3), _clouds(rng, x, 12, 2)
    warp_x, warp_y = x + 0.09 * _noise(rng, x, 4), y + 0.09 * _noise(rng, x, 4)
    fat = _step(_clouds(rng, x, 2, 3) + rng.uniform(-0.5, 0.2), 0.05, 0.30)
    muscle = _step(_clouds(rng, x, 2, 3) + rng.uniform(-0.35, 0.35), 0.08, 0.26) * (1 - fat)
    lobes = _lobes(rng, warp_x, warp_y, int(rng.integers(7, 11)))
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(4.5, 7.5)
    along = warp_x * np.float32(np.cos(angle)) + warp_y * np.float32(np.sin(angle))
    folds = np.abs(np.sin((np.pi * pitch * along + 1.6 * relief).astype(np.float32)))
    arteries = (
        _vessels(rng, x, int(rng.integers(3, 6)), 0.016) * (1 - 0.8 * fat) * (1 - 0.6 * muscle)
    )
    veins = _vessels(rng, x, int(rng.integers(0, 3)), 0.022) * (1 - fat) * (1 - 0.8 * muscle)

    serosa, tone = 1 - fat - muscle, _step(relief + 0.4 * fine, -1.1, 1.1)
    bulge = 0.12 * relief + 0.04 * fat + 0.024 * fat * lobes + 0.035 * muscle * folds
    bulge += 0.008 * fine * (0.5 + 0.5 * serosa) + 0.006 * (arteries + veins)
    slope_y, slope_x = np.gradient(bulge.astype(np.float32), 1 / height)
    facing = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lit = facing * (1 - 0.30 * slope_x - 0.38 * slope_y)

    shares = (serosa * (1 - tone), serosa * tone, muscle * (1 - folds), muscle * folds,
              fat * (1 - lobes), fat * lobes)  # fmt: skip
    colour = np.stack(shares, axis=-1) @ np.asarray(_TISSUES, np.float32)
    _cover(colour, (0.36, 0.20, 0.29), 0.55 * veins)
    _cover(colour, (0.55, 0.06, 0.07), 0.85 * arteries)
    pit = _step(-relief, 0.8, 1.5)  # deep places are dark
    colour *= (np.clip(0.25 + 0.75 * lit, 0.15, 1.25) * (1 - 0.7 * pit))[..., None]
    glint = facing * (1 - 0.42 * slope_x - 0.50 * slope_y) / 1.19
    wet = _step(glint + 0.05 * fine, 0.965, 1.0) * _step(_noise(rng, x, 5), -0.1, 0.5) * (1 - pit)
    _cover(colour, (1.0, 0.96, 0.93), 0.9 * wet)
    return colour


def _cover(below: Picture, colour: Colour, share: Field) -> None:
    """Blend a colour over a picture in place, with opacity ``share``."""
    below += share[..., None] * (np.asarray(colour, np.float32) - below)
