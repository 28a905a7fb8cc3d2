"""Folders of patients around annotated pictures are groups, which stay in one split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.layouts.recognise import layout_of, open_dataset


def test_labelme_files_in_folders_of_patients(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(20):
        folder = tmp_path / f"Patient {k % 5}"
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"slice_{k}.png")
        square = [[1, 1], [8, 1], [8, 8], [1, 8]]
        shape = {"label": "lesion", "points": square, "shape_type": "polygon", "flags": {}}
        content = {
            "version": "5.4.1", "flags": {}, "shapes": [shape], "imagePath": f"slice_{k}.png",
            "imageData": None, "imageHeight": 12, "imageWidth": 16,
        }  # fmt: skip
        (folder / f"slice_{k}.json").write_text(json.dumps(content))
    assert layout_of(tmp_path) == "labelme"
    dataset = open_dataset(tmp_path)
    groups = {split: {f.group for f in frames} for split, frames in dataset.splits.items()}
    assert set.union(*groups.values()) == {f"Patient {k}" for k in range(5)}
    assert sum(map(len, groups.values())) == 5, "no patient is in two splits"
    assert any("Groups: 5" in sentence for sentence in dataset.reading)
