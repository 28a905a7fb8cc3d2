"""The VGG Image Annotator: its COCO export is read, its project files are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.data.layouts.recognise import open_dataset
from tests.data.layouts.annotations.annotated import (
    assert_same,
    faults,
    numbers,
    plain_copy,
    save,
    scenes,
    write_json,
)
from tests.data.layouts.annotations.test_coco import official


def test_the_flat_polygons_of_via_are_read(tmp_path: Path) -> None:
    """The VGG Image Annotator also writes the ids of pictures as text in its annotations."""
    made = scenes()
    official(tmp_path / "coco", made, lambda ring, index: numbers(ring))
    for path in (tmp_path / "coco" / "annotations").glob("instances*"):
        text = json.loads(path.read_text())
        for annotation in text["annotations"]:
            annotation["image_id"] = str(annotation["image_id"])
        write_json(path, text)
    assert_same(open_dataset(tmp_path / "coco"), plain_copy(tmp_path / "plain", made))


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_project_of_via_is_refused_with_the_way_on(tmp_path: Path, wrapped: bool) -> None:
    region = {"shape_attributes": {"name": "polygon", "all_points_x": [1, 5, 5],
                                   "all_points_y": [1, 1, 5]}, "region_attributes": {}}  # fmt: skip
    files = {}
    for scene in scenes()["train"]:
        save(tmp_path / f"{scene.stem}.png", scene.pixels)
        name = f"{scene.stem}.png"
        files[f"{name}123"] = {"filename": name, "size": 123, "regions": [region]}
    whole = {"_via_settings": {"ui": {}}, "_via_img_metadata": files, "_via_attributes": {}}
    write_json(tmp_path / "via.json", whole if wrapped else files)
    finding = faults(tmp_path)["layout"]
    assert finding.files == ("via.json",)
    assert "VIA" in finding.message and "COCO" in finding.hint
