"""Settings that do not fit the labelled frames are told before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.config.recipes import RECIPES
from headstart.errors import DataError, Finding
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


def test_a_class_below_min_area_is_named(tmp_path: Path) -> None:
    (finding,) = told(dataset(tmp_path / "d", (4, 30)), tmp_path / "r", "64x64", min_area=0.01)
    assert finding.code == "min-area" and finding.severity == "warning"
    assert finding.message.endswith("more of class_1")


def test_min_area_that_removes_every_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"min-area.*class_1, class_2"):
        told(dataset(tmp_path / "d", (4, 5)), tmp_path / "r", "64x64", min_area=0.01)
    assert not (tmp_path / "r" / "weights.safetensors").exists()
    assert told(dataset(tmp_path / "d", (4, 5)), tmp_path / "r2", "64x64", min_area=0.003) == []


@pytest.mark.parametrize(
    ("batch", "size", "expected"),
    [(1, "8x8", 1), (2, "8x8", 1), (3, "8x8", 0), (1, "16x16", 0)],
)
def test_a_batch_of_one_that_is_doubled_is_told(
    tmp_path: Path, batch: int, size: str, expected: int
) -> None:
    findings = told(dataset(tmp_path / "d", (30, 30)), tmp_path / "r", size, batch=batch)
    assert [finding.code for finding in findings] == ["batch-of-one"] * expected
