"""Small drawn datasets, and their copies in the layout ``plain``, to compare readers with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import IGNORE
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding

NAMES = ("background", "tool", "vessel")
HEIGHT, WIDTH = 24, 32
Box = tuple[int, int, int, int, int]
"""Class, left, top, right and bottom of a drawn rectangle."""
Scenes = dict[str, dict[str, list[Box]]]
"""The rectangles of each frame, in drawing order, by split and name."""


def scenes(**counts: int) -> Scenes:
    """Return frames with random rectangles; the frames of the split ``none`` are in no split."""
    rng = np.random.default_rng(sum(counts.values()))
    drawn: Scenes = {}
    for split, count in counts.items():
        split = "" if split == "none" else split
        for k in range(count):
            boxes = [
                (int(rng.integers(1, 3)), int(x), int(y), int(x + w), int(y + h))
                for x, y, w, h in rng.integers((0, 0, 2, 2), (20, 14, 12, 10), (4, 4))
            ]
            drawn.setdefault(split, {})[f"{split or 'f'}{k}"] = boxes
    return drawn


def indices_of(boxes: list[Box]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for k, left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = k
    return mask


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def sort_palettes(folder: Path, pattern: str = "*.png") -> None:
    """Give masks palettes in which the indices of black and red are swapped in every other one."""
    for k, path in enumerate(sorted(folder.glob(pattern))):
        with Image.open(path) as mask:
            levels = np.asarray(mask)
        order = np.array([1, 0, 2] if k % 2 else [0, 1, 2], np.uint8)
        picture = Image.fromarray(order[levels], mode="P")
        colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
        picture.putpalette(colours[order].ravel().tolist())
        picture.save(path)


def save_picture(path: Path, name: str) -> None:
    rng = np.random.default_rng([*name.encode()])
    save(path, rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))


def plain_copy(
    root: Path, drawn: Scenes, ignored: Mapping[int, int] | None = None, names: tuple = NAMES
) -> Dataset:
    """Write frames in the layout ``plain`` and open them; ``ignored`` marks classes as ignored."""
    levels: dict[str, object] = {name: k for k, name in enumerate(names)}
    root.mkdir(parents=True)
    for split, frames in drawn.items():
        for name, boxes in frames.items():
            save_picture(root / split / "images" / f"{name}.png", name)
            mask = indices_of(boxes)
            for k, level in (ignored or {}).items():
                mask[mask == k] = level
            save(root / split / "masks" / f"{name}.png", mask)
    if ignored:
        levels["ignore"] = [*ignored.values()]
    (root / "mapping.json").write_text(json.dumps(levels))
    return open_dataset(root)


def assert_same(ours: Dataset, plain: Dataset) -> None:
    """Check that two datasets have the same classes, splits, frames and pixels."""
    assert ours.label_map.names == plain.label_map.names
    assert {s: [f.name for f in frames] for s, frames in ours.splits.items()} == {
        s: [f.name for f in frames] for s, frames in plain.splits.items()
    }
    assert [*ours.splits] == [*plain.splits]
    seen = set()
    for split, frames in plain.splits.items():
        for frame, other in zip(ours.splits[split], frames, strict=True):
            picture, labels = read_labelled(frame, ours.label_map, ours.root)
            expected, expected_labels = read_labelled(other, plain.label_map, plain.root)
            assert np.array_equal(picture, expected), frame.name
            assert np.array_equal(labels, expected_labels), frame.name
            seen |= set(np.unique(labels).tolist())
    assert seen - {IGNORE} == set(range(len(plain.label_map.names))), "every class was compared"
    assert len(ours.reading) >= 3


def faults(root: Path) -> dict[str, Finding]:
    """Return the findings that opening a dataset raises, by code."""
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    assert all(finding.message and finding.hint for finding in caught.value.findings)
    return {finding.code: finding for finding in caught.value.findings}
