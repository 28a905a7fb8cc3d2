"""Annotation files alone: one error that says so, and names a picture that they mention."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.layouts.annotations import test_coco, test_cvat, test_labelme, test_yolo
from tests.data.layouts.annotations.annotated import clipped, faults, scenes, write_json

MADE = clipped(scenes())


def coco(root: Path) -> None:
    test_coco.official(root, MADE)


def labelme(root: Path) -> None:
    test_labelme.folders(root, MADE)


def yolo(root: Path) -> None:
    test_yolo.ultralytics(root, MADE)


def cvat(root: Path) -> None:
    shape = test_cvat.polygon("1,1;9,1;9,9")
    images = "".join(test_cvat.image(f"{s.stem}.png", shape) for s in MADE["test"])
    (root / "annotations.xml").write_text(test_cvat.xml(images))


def label_studio(root: Path) -> None:
    annotation = {"id": 1, "result": []}
    write_json(
        root / "project.json",
        [
            {"id": k, "annotations": [annotation], "data": {"image": f"/data/1/{scene.stem}.png"}}
            for k, scene in enumerate(MADE["test"])
        ],
    )


@pytest.mark.parametrize("write", [coco, labelme, yolo, cvat, label_studio])
def test_one_error_names_a_picture(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    found = faults(tmp_path)
    assert found.keys() == {"export-without-pictures"}
    finding = found["export-without-pictures"]
    assert "test0." in finding.message and len(finding.files) == 1


def test_classes_alone_mention_no_picture(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(test_yolo.LIST + test_yolo.NAMES_LIST)
    finding = faults(tmp_path)["export-without-pictures"]
    assert "neither pictures nor labels" in finding.message
    assert finding.files == ("data.yaml",)
