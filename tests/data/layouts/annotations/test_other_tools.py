"""Folders of tools whose files are not read: the message names the tool, and COCO as the way on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


def test_an_unknown_format_is_said_to_be_one(tmp_path: Path) -> None:
    for k in range(4):
        save(tmp_path / f"{k}.png", np.full((8, 8, 3), 60 * k, np.uint8))
        (tmp_path / f"{k}.json").write_text(json.dumps(UNKNOWN))
    error = faults(tmp_path)["layout"]
    assert "none of the known annotation formats (0.json)" in error.message
    assert "export them as COCO" in error.hint
