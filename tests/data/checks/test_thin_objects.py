"""Lines that a smaller picture would make thin are named; others are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.segmentation import check_dataset


def write(root: Path, side: int, wide: int, count: int = 3) -> Path:
    """Pictures of ``side`` pixels with lines of that width, and a square."""
    for kind in ("images", "masks"):
        (root / kind / "train").mkdir(parents=True)
    for k in range(count):
        mask = np.zeros((side, side), np.uint8)
        mask[:, k * 20 + 30 : k * 20 + 30 + wide] = 100
        mask[-100:-60, -100:-60] = 200
        picture = np.random.default_rng(k).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(picture).save(root / "images" / "train" / f"{k}.png")
        Image.fromarray(mask).save(root / "masks" / "train" / f"{k}.png")
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
        assert "square" not in found[0].message and "--size 320x320" in (found[0].hint or "")
