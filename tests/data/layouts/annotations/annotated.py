"""Scenes of polygons, written as pictures and as a plain copy, for the tests of formats."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import LAYOUTS, open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding

HEIGHT, WIDTH = 32, 64
NAMES = ("forceps", "needle", "scissors")
COUNTS = {"train": 5, "validation": 2, "test": 3}

Ring = list[tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    """A picture and its objects in drawing order, each a label and an outline."""

    stem: str
    pixels: np.ndarray
    objects: list[tuple[str, Ring]]


Scenes = dict[str, list[Scene]]


def scenes(seed: int = 0) -> Scenes:
    """Return scenes by split, with overlaps and parts outside the picture; one is empty."""
    rng = np.random.default_rng(seed)
    made: Scenes = {}
    for split, count in COUNTS.items():
        made[split] = []
        for k in range(count):
            objects = []
            for n in range(0 if k == 1 else 4):
                centre = rng.uniform((8, 4), (WIDTH - 8, HEIGHT - 4))
                corners = rng.uniform(4, 13, int(rng.integers(3, 9)))
                angles = np.linspace(0, math.tau, len(corners), endpoint=False)
                ring = [
                    (float(centre[0] + r * math.cos(a)), float(centre[1] + r * math.sin(a)))
                    for r, a in zip(corners, angles, strict=True)
                ]
                objects.append((NAMES[(n + k) % len(NAMES)], ring))
            pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
            made[split].append(Scene(f"{split}{k}", pixels, objects))
    return made


def inside(ring: Ring) -> np.ndarray:
    """Return the pixels whose centre has an odd number of edges to its left: the rule, slowly."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            x, y, odd = column + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
                if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                    odd = not odd
            mask[row, column] = odd
    return mask


def mask_of(scene: Scene) -> np.ndarray:
    """Return class indices; later objects cover earlier ones."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for label, ring in scene.objects:
        mask[inside(ring)] = 1 + NAMES.index(label)
    return mask


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def plain_copy(root: Path, made: Scenes) -> Dataset:
    """Write the scenes as pictures and masks, and return the dataset."""
    for split, members in made.items():
        for scene in members:
            save(root / split / "images" / f"{scene.stem}.png", scene.pixels)
            save(root / split / "masks" / f"{scene.stem}.png", mask_of(scene))
    write_json(root / "mapping.json", {"background": 0} | {n: i + 1 for i, n in enumerate(NAMES)})
    return open_dataset(root)


def without(made: Scenes, *splits: str) -> Scenes:
    """Return the scenes without some splits."""
    return {split: members for split, members in made.items() if split not in splits}


def without_empty(made: Scenes) -> Scenes:
    return {s: [scene for scene in members if scene.objects] for s, members in made.items()}


def clipped(made: Scenes) -> Scenes:
    """Return the scenes with outlines that end at the border, as YOLO's and percentages do."""
    return {
        split: [
            replace(
                scene,
                objects=[
                    (label, [(min(max(x, 0.0), WIDTH), min(max(y, 0.0), HEIGHT)) for x, y in ring])
                    for label, ring in scene.objects
                ],
            )
            for scene in members
        ]
        for split, members in made.items()
    }


def labels_by_name(dataset: Dataset, split: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    frames = dataset.splits[split]
    return {f.name: read_labelled(f, dataset.label_map, dataset.root) for f in frames}


def assert_same(read: Dataset, plain: Dataset) -> None:
    """Both have the same classes, splits, frames, pictures and class indices."""
    assert read.label_map.names == plain.label_map.names
    assert set(read.splits) == set(plain.splits)
    for split in plain.splits:
        ours, theirs = labels_by_name(read, split), labels_by_name(plain, split)
        assert list(ours) == list(theirs)
        for name in theirs:
            assert np.array_equal(ours[name][0], theirs[name][0]), name
            assert np.array_equal(ours[name][1], theirs[name][1]), name


def faults(root: Path) -> dict[str, Finding]:
    """Return the errors of a dataset by code; each has a message and a hint."""
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    for finding in caught.value.findings:
        assert finding.message and finding.hint and len(finding.message) < 2000, finding
    return {finding.code: finding for finding in caught.value.findings}


def notes(dataset: Dataset) -> dict[str, Finding]:
    return {finding.code: finding for finding in dataset.findings}


def recognised_by(root: Path) -> list[str]:
    """Return the layouts that take a folder for theirs, but for the last, which takes any pairs."""
    return [layout.name for layout in LAYOUTS[:-1] if layout.recognise(root)]


def numbers(ring: Ring, *scale: float) -> list[Any]:
    """Return x and y in turns, each divided by the scale of its axis."""
    flat = [value for point in ring for value in point]
    return [value / scale[k % 2] for k, value in enumerate(flat)] if scale else flat
