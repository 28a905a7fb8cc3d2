"""Folders of tools whose files are not read: the message names the tool, and COCO as the way on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.data.layouts.recognise import open_dataset
from headstart.data.task import task_of
from tests.data.layouts.annotations.annotated import faults, save

REGION = {"shape_attributes": {"name": "polygon", "all_points_x": [1, 5], "all_points_y": [1, 2]},
          "region_attributes": {"name": "tool"}}  # fmt: skip
VIA_ENTRY = {"filename": "0.png", "size": 9, "regions": [REGION], "file_attributes": {}}
VIA_CSV = (
    "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    'region_attributes\n0.png,9,"{}",1,0,"{""name"":""polygon""}","{}"\n'
)
SUPERVISELY = {"description": "", "tags": [], "size": {"height": 8, "width": 8},
               "objects": [{"id": 1, "classId": 2, "geometryType": "polygon",
                            "classTitle": "tool", "points": {}}]}  # fmt: skip
DARWIN = {"version": "2.0",
          "schema_ref": "https://example.org/darwin_json/2.0/schema.json",
          "item": {"name": "0.png", "slots": []}, "annotations": []}  # fmt: skip
COCO = {"images": [{"id": k, "file_name": f"{k}.png"} for k in range(4)],
        "annotations": [{"id": k, "image_id": k, "category_id": 1,
                         "segmentation": [[1, 1, 6, 1, 6, 6, 1, 6]]} for k in range(4)],
        "categories": [{"id": 1, "name": "tool"}]}  # fmt: skip
UNKNOWN = {"frame": "0.png", "polygons": [{"kind": "tool", "xy": [[1, 2], [3, 4], [5, 1]]}]}


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("via_project.json", {"_via_settings": {}, "_via_img_metadata": {"0.png9": VIA_ENTRY}},
         "VIA"),
        ("train/via_region_data.json", {"0.png9": VIA_ENTRY}, "VIA"),
        ("via_export_csv.csv", VIA_CSV, "VIA"),
        ("ann/0.png.json", SUPERVISELY, "Supervisely"),
        ("annotations/0.json", DARWIN, "Darwin"),
    ],
)  # fmt: skip
def test_the_tool_is_named(tmp_path: Path, name: str, content: Any, tool: str) -> None:
    for k in range(4):
        for split in ("train", "val"):
            save(tmp_path / split / f"{k}.png", np.full((8, 8, 3), 60 * k, np.uint8))
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert task_of(tmp_path) == "segmentation"
    error = faults(tmp_path)["layout"]
    assert tool in error.message and "COCO" in error.hint
    assert name in error.message or error.files == (name,)


def project(root: Path, folder: str, count: int = 4) -> None:
    for k in range(count):
        save(root / folder / f"{k}.png", np.full((8, 8, 3), 60 * k, np.uint8))


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def darwin(root: Path) -> None:
    """Write a dataset as V7's own tool unpacks it."""
    project(root, "images")
    for k in range(4):
        write(root / f"releases/latest/annotations/{k}.json", DARWIN)
    write(root / "lists/latest/classes_polygon.txt", "tool")


def test_an_export_of_v7_is_no_folder_of_classes(tmp_path: Path) -> None:
    darwin(tmp_path)
    assert task_of(tmp_path) == "segmentation"
    error = faults(tmp_path)["layout"]
    assert "Darwin" in error.message
    assert error.files == ("releases/latest/annotations/0.json",)
    # what the hint says works
    assert f"into {tmp_path};" in error.hint
    write(tmp_path / "output.json", COCO)
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "coco"
    assert sum(map(len, dataset.splits.values())) == 4


@pytest.mark.parametrize("above", ["", "export"])
def test_a_project_of_supervisely_is_named_from_any_folder(tmp_path: Path, above: str) -> None:
    root = tmp_path / above / "my_project"
    for name in ("ds0", "ds1"):
        project(root, f"{name}/img")
        for k in range(4):
            write(root / name / f"ann/{k}.png.json", SUPERVISELY)
    write(root / "meta.json", {"classes": [{"title": "tool", "shape": "polygon"}], "tags": []})
    for folder in (tmp_path, root, root / "ds0"):
        error = faults(folder)["layout"]
        assert "Supervisely" in error.message and "COCO" in error.hint
        assert str(folder) in error.hint


@pytest.mark.parametrize(
    "place", ["releases/latest/annotations", "releases/coco", "q/r", "q/r/s/t"]
)
def test_a_file_of_coco_too_deep_is_named(tmp_path: Path, place: str) -> None:
    darwin(tmp_path)
    file = tmp_path / place / "output.json"
    write(file, COCO)
    assert task_of(tmp_path) == "segmentation"
    error = faults(tmp_path)["layout"]
    assert error.files == (f"{place}/output.json",)
    assert "COCO" in error.message and f"into {tmp_path};" in error.hint
    (tmp_path / "dataset.toml").write_text('layout = "coco"\n')
    assert faults(tmp_path)["layout"] == error
    file.rename(tmp_path / "output.json")
    assert open_dataset(tmp_path).layout == "coco"


def test_a_dataset_in_the_folder_goes_before_what_lies_deep(tmp_path: Path) -> None:
    project(tmp_path / "set", "task_1/images")
    write(tmp_path / "set/task_1/annotations/instances_default.json", COCO)
    assert f"did you mean {tmp_path / 'set'}?" in faults(tmp_path)["layout"].hint


def test_folders_of_classes_with_splits_may_have_annotations_deep_beside_them(
    tmp_path: Path,
) -> None:
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            project(tmp_path, f"{split}/{name}")
    write(tmp_path / "more/of/them/0.json", DARWIN)
    assert task_of(tmp_path) == "classification"


def test_an_unknown_format_is_said_to_be_one(tmp_path: Path) -> None:
    for k in range(4):
        save(tmp_path / f"{k}.png", np.full((8, 8, 3), 60 * k, np.uint8))
        (tmp_path / f"{k}.json").write_text(json.dumps(UNKNOWN))
    error = faults(tmp_path)["layout"]
    assert "none of the known annotation formats (0.json)" in error.message
    assert "export them as COCO" in error.hint
