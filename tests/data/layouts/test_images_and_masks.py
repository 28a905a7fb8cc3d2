"""Pictures in images/ and masks in masks/, whatever the splits are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.recognise import open_dataset


@pytest.mark.parametrize("name", ["validation", "val", "valid", "dev"])
@pytest.mark.parametrize("mapping", [True, False])
def test_the_validation_split_may_have_any_usual_name(
    tmp_path: Path, name: str, mapping: bool
) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", name, "test"):
        for kind in ("images", "masks"):
            (tmp_path / split / kind).mkdir(parents=True)
        for k in range(4):
            pixels = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / "images" / f"{split}{k}.png")
            mask = np.zeros((24, 32), np.uint8)
            mask[2:9, 3 + k : 20] = 255
            Image.fromarray(mask).save(tmp_path / split / "masks" / f"{split}{k}.png")
    if mapping:
        (tmp_path / "mapping.json").write_text('{"background": 0, "tool": 255}')
    dataset = open_dataset(tmp_path)
    counts = {split: len(frames) for split, frames in dataset.splits.items()}
    assert counts == {"train": 4, "validation": 4, "test": 4}
    assert dataset.label_map.greys == (0, 255)
