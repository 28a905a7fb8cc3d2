"""Draws datasets of labelled pictures, as folders of classes and as idx files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.layouts.idx import FILES


def picture(seed: int, height: int = 8, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(array: np.ndarray, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def folders(root: Path, **splits: dict[str, int]) -> Path:
    """So many pictures by class, of each split; ``whole`` is a folder without splits."""
    seed = 0
    for split, classes in splits.items():
        for name, count in classes.items():
            folder = (root if split == "whole" else root / split) / name
            folder.mkdir(parents=True)
            for k in range(count):
                save(picture(seed), folder / f"{k}.png")
                seed += 1
    return root


def idx(magic: int, array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def images(count: int, seed: int = 0, height: int = 6, width: int = 5) -> bytes:
    shape = (count, height, width)
    return idx(2051, np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def labels(values: list[int] | np.ndarray) -> bytes:
    return idx(2049, np.array(values, dtype=np.uint8))


def four_files(root: Path, zipped: bool = False, **contents: bytes) -> Path:
    """Forty pictures to learn and eight to test of four classes, or what is given in its place."""
    made = {
        "train_images": images(40),
        "train_labels": labels(np.arange(40) % 4),
        "test_images": images(8, seed=1),
        "test_labels": labels(np.arange(8) % 4),
        **contents,
    }
    root.mkdir(parents=True, exist_ok=True)
    for split, (pictures, its_labels) in FILES.items():
        for name, what in ((pictures, "images"), (its_labels, "labels")):
            content = made[f"{split}_{what}"]
            path = root / (f"{name}.gz" if zipped else name)
            path.write_bytes(gzip.compress(content) if zipped else content)
    return root
