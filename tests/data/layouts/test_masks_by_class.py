"""Folders of masks, one for each class: what is bright in them is the class, if that is clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError


def write(root: Path, how: str) -> None:
    """Six pictures with a tool above and a tip below, each 20 x 40 pixels."""
    rng = np.random.default_rng(0)
    for name in ("images", "tip", "tool"):
        (root / name).mkdir(parents=True)
    for k in range(6):
        pixels = rng.integers(0, 255, (64, 80, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{k}.png")
        for name, top in (("tool", 5), ("tip", 35)):
            mask = np.zeros((64, 80), np.uint8)
            mask[top : top + 20, 10 + k : 50 + k] = 255
            layer = np.zeros((64, 80, 4), np.uint8)
            layer[..., 3] = mask
            if how == "white on transparent":
                layer[..., :3] = 255
            elif how == "ramp":  # as a brush with soft edges leaves it
                mask[top, 10 + k : 50 + k] = np.arange(40) * 4 + 50
            image = Image.fromarray(layer if "transparent" in how else mask)
            image.save(root / name / f"{k}.{'jpg' if how == 'jpeg' else 'png'}", quality=80)


@pytest.mark.parametrize("how", ["white on black", "white on transparent", "black on transparent"])
def test_what_was_painted_is_the_class(tmp_path: Path, how: str) -> None:
    write(tmp_path, how)
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("background", "tip", "tool")
    _, labels = read_labelled(dataset.splits["train"][0], dataset.label_map, tmp_path)
    assert np.bincount(labels.ravel()).tolist() == [64 * 80 - 1600, 800, 800]


@pytest.mark.parametrize(("how", "code"), [("jpeg", "lossy-mask"), ("ramp", "soft-mask")])
def test_without_hard_edges_a_threshold_is_needed(tmp_path: Path, how: str, code: str) -> None:
    write(tmp_path, how)
    dataset = open_dataset(tmp_path)
    with pytest.raises(DataError, match="threshold = 128") as caught:
        read_labelled(dataset.splits["train"][0], dataset.label_map, tmp_path)
    assert {finding.code for finding in caught.value.findings} == {code}
