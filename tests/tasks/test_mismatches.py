"""Settings that do not fit the labelled frames are told before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.config.recipes import RECIPES
from headstart.data.decoded_frames import Decoded
from headstart.data.framing import Framing
from headstart.data.pictures.duplicates import joined
from headstart.errors import Finding
from headstart.tasks.mismatches import fitting_recipe
from headstart.training.checkpoint import load_weights
from headstart.training.listener import Silent
from headstart.verbs.train import train


class Hears(Silent):
    """Remembers findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def finding(self, finding: Finding) -> None:
        self.findings.append(finding)


def dataset(root: Path, sides: tuple[int, int]) -> Path:
    """Write frames of 64 x 64 that each show squares of these sides, one for each class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("validation", 2), ("test", 2)):
        for k in range(count):
            mask = np.zeros((64, 64), np.uint8)
            for place, side in enumerate(sides):
                mask[1 : 1 + side, 1 + 32 * place : 1 + 32 * place + side] = 100 * (place + 1)
            noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
            for kind, pixels in (("images", noise), ("masks", mask)):
                path = root / split / kind / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


def told(data: Path, out: Path, size: str, **recipe: Any) -> list[Finding]:
    hears = Hears()
    settings = RECIPES["default"].with_epochs(1).model_copy(update=recipe)
    train(data, out=out, size=size, width=2, threads=1, device="cpu", recipe=settings,
          listener=hears)  # fmt: skip
    return [finding for finding in hears.findings if finding.code in ("min-area", "batch-of-one")]


def test_min_area_is_lowered_to_the_objects_in_the_training_masks(tmp_path: Path) -> None:
    data = dataset(tmp_path / "d", (4, 30))  # 16 of 4,096 pixels
    (finding,) = told(data, tmp_path / "r", "64x64", min_area=0.01)
    assert (finding.code, finding.severity) == ("min-area", "info")
    assert "from 0.01 to 0.0039" in finding.message and "class_1 in 3 of 3" in finding.message
    _, facts, _ = load_weights(tmp_path / "r" / "weights.safetensors")
    assert facts["min_area"] == 0.0039
    assert "< 0.0039" in (tmp_path / "r" / "README.md").read_text()
    assert told(data, tmp_path / "r2", "64x64", min_area=0.003) == []


@pytest.mark.parametrize("framing", ["squeeze", "tile"])
@given(
    areas=st.lists(st.integers(0, 64), min_size=1, max_size=60),
    min_area=st.sampled_from([0.0, 0.1, 0.5]),
)
@settings(max_examples=40)
def test_at_most_one_object_in_twenty_is_smaller(
    framing: Framing, areas: list[int], min_area: float
) -> None:
    masks = np.zeros((len(areas), 8, 8), np.uint8)
    for mask, area in zip(masks, areas, strict=True):
        mask.ravel()[:area] = 1
    images, prints = np.zeros((len(areas), 3, 8, 8), np.uint8), joined(())
    named, sizes = tuple(map(str, range(len(areas)))), ((8, 8),) * len(areas)
    of_masks = (None, tuple(masks)) if framing == "tile" else (masks, ())
    present = np.ones((len(areas), 2), bool)
    budget = Decoded(named, images, of_masks[0], present, of_masks[1], sizes, "", prints)
    recipe = RECIPES["default"].model_copy(update={"min_area": min_area})
    fitting, findings = fitting_recipe(budget, recipe, ("background", "thing"))
    shown = np.array([area / 64 for area in areas if area])
    lost = (shown < fitting.min_area).sum()
    assert lost <= 0.05 * len(shown) and fitting.min_area <= min_area
    assert bool(findings) == ((shown < min_area).sum() > 0.05 * len(shown))
    assert fitting.min_area == min_area or findings


@pytest.mark.parametrize(
    ("batch", "size", "expected"),
    [(1, "8x8", 1), (2, "8x8", 1), (3, "8x8", 0), (1, "16x16", 0)],
)
def test_a_batch_of_one_that_is_doubled_is_told(
    tmp_path: Path, batch: int, size: str, expected: int
) -> None:
    findings = told(dataset(tmp_path / "d", (30, 30)), tmp_path / "r", size, batch=batch)
    assert [finding.code for finding in findings] == ["batch-of-one"] * expected
