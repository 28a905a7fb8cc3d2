"""Masks in a folder become annotations of the files that a tool opens."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import LabelMap
from headstart.data.pictures.frame import Crop, Frame
from headstart.errors import DataError
from headstart.inference.annotation_writer import write_annotations

LABEL_MAP = LabelMap(("background", "tool"), (0, 32))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder of predictions: one mask with a tool of 2 x 3 pixels, 1 from the left and top."""
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 1:3] = 32
    folder = tmp_path / "out"
    (folder / "masks" / "p").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "masks" / "p" / "a.png")
    return folder


def test_a_cropped_frame_is_annotated_in_its_file(out: Path, tmp_path: Path) -> None:
    crop = Crop(full=(20, 30), top=5, left=7, height=6, width=8)
    frame = Frame("p/a", tmp_path / "in" / "p" / "a.png", crop=crop)
    written = write_annotations("cvat", [frame], tmp_path / "in", LABEL_MAP, out)
    assert written == (out / "annotations.xml",)
    (image,) = ElementTree.parse(written[0]).getroot().iter("image")
    assert [image.get(key) for key in ("name", "width", "height")] == ["p/a.png", "30", "20"]
    (mask,) = image
    assert [mask.get(key) for key in ("left", "top", "width", "height")] == ["8", "6", "2", "3"]


def test_a_link_to_the_folder_of_predictions(out: Path, tmp_path: Path) -> None:
    picture = tmp_path / "in" / "p" / "a.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(picture)
    (tmp_path / "far" / "away").mkdir(parents=True)
    link = tmp_path / "far" / "away" / "link"
    link.symlink_to(out, target_is_directory=True)
    frame = Frame("p/a", picture)
    write_annotations("labelme", [frame], tmp_path / "in", LABEL_MAP, link)
    file = out / "labelme" / "p" / "a.json"
    assert (file.parent / json.loads(file.read_text())["imagePath"]).resolve() == picture.resolve()


def test_a_mask_with_another_level(out: Path, tmp_path: Path) -> None:
    frame = Frame("p/a", tmp_path / "a.png")
    other = LabelMap(("background", "tool"), (0, 33))
    with pytest.raises(DataError) as caught:
        write_annotations("coco", [frame], tmp_path, other, out)
    (finding,) = caught.value.findings
    assert finding.code == "unknown-grey" and finding.files == ("masks/p/a.png",)
    assert "32" in finding.message and not (out / "annotations.json").exists()
