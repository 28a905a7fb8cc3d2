"""Lines that a smaller picture would make thin are named; others are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.segmentation import check_dataset
from headstart.data.checks.thin_objects import Hidden, hidden_objects
from headstart.data.layouts.recognise import open_dataset


def write(root: Path, side: int, wide: int, count: int = 3, square: bool = True) -> Path:
    """Pictures of ``side`` pixels with lines of that width, and a square."""
    for kind in ("images", "masks"):
        (root / kind / "train").mkdir(parents=True)
    for k in range(count):
        mask = np.zeros((side, side), np.uint8)
        mask[:, k * 20 + 30 : k * 20 + 30 + wide] = 100
        mask[-100:-60, -100:-60] = 200 if square else 0
        picture = np.random.default_rng(k).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(picture).save(root / "images" / "train" / f"{k}.png", compress_level=1)
        Image.fromarray(mask).save(root / "masks" / "train" / f"{k}.png", compress_level=1)
    (root / "mapping.json").write_text('{"background": 0, "line": 100, "square": 200}')
    return root


@pytest.mark.parametrize(
    ("side", "wide", "named"), [(640, 4, True), (640, 12, False), (300, 4, False), (640, 2, False)]
)
def test_lines_that_become_thin_are_named(
    tmp_path: Path, side: int, wide: int, named: bool
) -> None:
    """Not lines that stay wide, that are not made smaller, or that are thin as they are."""
    findings = check_dataset(write(tmp_path / "data", side, wide)).findings
    found = [f for f in findings if f.code == "thin-objects"]
    assert bool(found) == named
    if named:
        assert "100% of the pixels of line (0% at the pictures' own size)" in found[0].message
        assert "square" not in found[0].message and "--tile trains" in (found[0].hint or "")


def described(root: Path, **blobs: tuple[int, int]) -> Hidden:
    """Masks of 640 pixels, each with a block of a class: its side, and how many masks show it."""
    names = {"background": 0, **{name: 50 * k for k, name in enumerate(blobs, 1)}}
    for kind in ("images", "masks"):
        (root / kind / "train").mkdir(parents=True)
    for i in range(6):
        mask = np.zeros((640, 640), np.uint8)
        for k, (side, count) in enumerate(blobs.values(), 1):
            if i < count:
                mask[100 * k : 100 * k + side, 50 : 50 + side] = 50 * k
        Image.fromarray(mask).save(root / "masks" / "train" / f"{i}.png", compress_level=1)
        picture = np.random.default_rng(i).integers(0, 255, (640, 640, 3), np.uint8)
        Image.fromarray(picture).save(root / "images" / "train" / f"{i}.png", compress_level=1)
    (root / "mapping.json").write_text(json.dumps(names))
    return hidden_objects(open_dataset(root))


@pytest.mark.parametrize(
    ("blobs", "named", "most"),
    [
        ({"speck": (4, 6)}, ("speck",), True),  # one of two classes; nothing of it is left
        ({"speck": (4, 2), "block": (90, 6)}, (), False),  # which hardly any mask shows
        ({"speck": (4, 6), "block": (90, 6)}, ("speck",), False),  # one of three classes
        ({"speck": (4, 6), "dot": (8, 6), "block": (90, 6)}, ("speck", "dot"), True),
    ],
)
def test_half_of_the_classes_decide(
    tmp_path: Path, blobs: dict[str, tuple[int, int]], named: tuple[str, ...], most: bool
) -> None:
    classes = described(tmp_path / "data", **blobs)((64, 64))
    if not named:
        assert classes is None
        return
    assert classes is not None and classes.most == most
    assert len(classes.named) == len(named)
    for said, name in zip(classes.named, named, strict=True):
        assert f"100% of the pixels of {name}" in said


def test_the_shape_of_a_picture_is_kept(tmp_path: Path) -> None:
    """Lines of ten pixels in a picture three times as wide as high, as it is padded."""
    for kind in ("images", "masks"):
        (tmp_path / kind / "train").mkdir(parents=True)
    mask = np.zeros((320, 960), np.uint8)
    mask[100:110] = 255
    for i in range(3):
        Image.fromarray(mask).save(tmp_path / "masks" / "train" / f"{i}.png", compress_level=1)
        picture = np.random.default_rng(i).integers(0, 255, (320, 960, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / "train" / f"{i}.png", compress_level=1)
    (tmp_path / "mapping.json").write_text('{"background": 0, "line": 255}')
    hidden = hidden_objects(open_dataset(tmp_path))
    assert hidden((160, 160)) is not None, "they are less than two pixels wide there"
    assert hidden((320, 960)) is None
