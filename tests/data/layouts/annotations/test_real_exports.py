"""Exports that real packages wrote are read to the pixels they were made from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from tests.data.layouts.annotations.annotated import faults
from tests.data.layouts.annotations.make_real_exports import COUNT, EXPORTS, NAMES, truth

SAME = [
    ("datumaro/coco-polygons", "coco"),
    ("datumaro/coco-runs", "coco"),
    ("datumaro/cvat", "cvat"),
    ("datumaro/cvat-splits", "cvat"),
    ("datumaro/voc", "voc"),
    ("label-studio-sdk/coco", "coco"),
    ("label-studio-sdk/json-and-png", "label-studio"),
    ("label-studio-sdk/json-brush", "label-studio"),
    ("label-studio-sdk/json-polygon", "label-studio"),
    ("label-studio-sdk/yolo", "yolo"),
    ("labelme/masks", "labelme"),
    ("labelme/polygons", "labelme"),
]
# OpenCV traces outlines through the centres of the outermost pixels.
TRACED = [
    ("label-studio-sdk/brush-to-coco", "coco"),
    ("supervision/coco", "coco"),
    ("supervision/labelme", "labelme"),
    ("supervision/yolo", "yolo"),
]


def masks_of(folder: str, layout: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return by picture the true levels, and the ones that were read as levels of the truth."""
    dataset = open_dataset(EXPORTS / folder)
    assert dataset.layout == layout
    assert dataset.label_map.names == ("background", *NAMES)
    read = {}
    for frames in dataset.splits.values():
        for frame in frames:
            name = frame.image.name[-len("frame0.png") :]
            mask = read_labelled(frame, dataset.label_map, dataset.root)[1]
            read[name] = (np.asarray(Image.open(EXPORTS / "truth" / name)), mask)
    assert len(read) == COUNT
    return read


@pytest.mark.parametrize(("folder", "layout"), SAME)
def test_an_export_has_the_pixels_it_was_made_from(folder: str, layout: str) -> None:
    for name, (true, read) in masks_of(folder, layout).items():
        assert np.array_equal(true, read), name


@pytest.mark.parametrize(("folder", "layout"), TRACED)
def test_traced_outlines_are_a_pixel_off_at_most(folder: str, layout: str) -> None:
    for name, (true, read) in masks_of(folder, layout).items():
        for k in range(1, len(NAMES) + 1):
            inner = binary_erosion(true == k, np.ones((3, 3)))
            outer = binary_dilation(true == k, np.ones((3, 3)))
            assert inner.any() and (inner <= (read == k)).all() and ((read == k) <= outer).all(), (
                name, k,
            )  # fmt: skip


def test_the_subsets_of_several_files_are_the_splits() -> None:
    dataset = open_dataset(EXPORTS / "datumaro" / "cvat-splits")
    assert {split: [f.name for f in frames] for split, frames in dataset.splits.items()} == {
        "train": ["frame0"], "validation": ["frame1"], "test": ["frame2"],
    }  # fmt: skip
    files = {f.name: f.mask[0].path.name for frames in dataset.splits.values() for f in frames}
    assert files == {"frame0": "train.xml", "frame1": "val.xml", "frame2": "test.xml"}


def test_every_export_is_tested_and_the_truth_is_what_the_script_draws(tmp_path: Path) -> None:
    folders = {f"{path.parent.name}/{path.name}" for path in EXPORTS.glob("*/*") if path.is_dir()}
    assert folders == {folder for folder, _ in (*SAME, *TRACED)}
    truth(tmp_path)
    for path in tmp_path.iterdir():
        kept = Image.open(EXPORTS / "truth" / path.name)
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(kept))


def test_a_labelmap_has_a_colour_in_all_lines_or_in_none(tmp_path: Path) -> None:
    shutil.copytree(EXPORTS / "datumaro" / "voc", tmp_path / "voc")
    assert open_dataset(tmp_path / "voc").label_map.colours[1] == (128, 0, 0)
    path = tmp_path / "voc" / "labelmap.txt"
    path.write_text(path.read_text().replace("tool::", "tool:1,2,3:"))
    assert faults(tmp_path / "voc")["label-map"].files == ("labelmap.txt",)
