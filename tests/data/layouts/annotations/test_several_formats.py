"""A folder that fits several annotation formats is an error; what belongs together is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from tests.data.layouts.annotations import test_coco, test_cvat, test_labelme, test_yolo
from tests.data.layouts.annotations.annotated import (
    assert_same,
    clipped,
    faults,
    mask_of,
    plain_copy,
    save,
    scenes,
    write_json,
)

Write = Callable[[Path], object]

MADE = clipped(scenes())


def coco(root: Path) -> None:
    test_coco.kind_below_split(root, MADE)


def labelme(root: Path) -> None:
    for split, members in MADE.items():
        test_labelme.beside(root, {f"{split}/images": members})


def yolo(root: Path) -> None:
    for split, members in MADE.items():
        for scene in members:
            save(root / split / "images" / f"{scene.stem}.png", scene.pixels)
            path = root / split / "labels" / f"{scene.stem}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(test_yolo.text_of(scene))
    (root / "data.yaml").write_text(test_yolo.NAMES_LIST)


def cvat(root: Path) -> None:
    names = [f"{split}/images/{scene.stem}.png" for split in MADE for scene in MADE[split]]
    shape = test_cvat.polygon("1,1;9,1;9,9")
    images = "".join(test_cvat.image(name, shape) for name in names)
    (root / "annotations.xml").write_text(test_cvat.xml(images))


@pytest.mark.parametrize(
    ("writers", "evidence"),
    [
        ((coco, labelme), {"coco": "test/annotations.json", "labelme": "test/images/test0.json"}),
        ((coco, yolo), {"coco": "test/annotations.json", "yolo": "data.yaml"}),
        ((coco, cvat), {"coco": "test/annotations.json", "cvat": "annotations.xml"}),
        ((yolo, labelme), {"yolo": "data.yaml", "labelme": "test/images/test0.json"}),
        ((coco, yolo, cvat), {"coco": "test/annotations.json", "yolo": "data.yaml",
                              "cvat": "annotations.xml"}),
    ],
)  # fmt: skip
def test_two_formats_are_an_error_that_a_line_in_dataset_toml_settles(
    tmp_path: Path, writers: tuple[Write, ...], evidence: dict[str, str]
) -> None:
    for write in writers:
        write(tmp_path)
    finding = faults(tmp_path)["two-readings"]
    assert finding.files == tuple(evidence.values())
    for name, file in evidence.items():
        assert f"{name} ({file})" in finding.message
        line = f'layout = "{name}"'
        assert line in finding.hint
        (tmp_path / "dataset.toml").write_text(line + "\n")
        chosen = open_dataset(tmp_path)
        assert chosen.layout == name
        assert sum(map(len, chosen.splits.values())) == 10
        (tmp_path / "dataset.toml").unlink()


def test_a_folder_with_a_dataset_that_fits_two_formats_names_it(tmp_path: Path) -> None:
    coco(tmp_path / "download" / "tools")
    yolo(tmp_path / "download" / "tools")
    finding = faults(tmp_path / "download")["layout"]
    assert str(tmp_path / "download" / "tools") in finding.hint


def test_boxes_beside_vocs_masks_and_notes_beside_yolos_labels_are_no_second_format(
    tmp_path: Path,
) -> None:
    voc = tmp_path / "voc"
    for scene in MADE["train"]:
        save(voc / "JPEGImages" / f"{scene.stem}.png", scene.pixels)
        save(voc / "SegmentationClass" / f"{scene.stem}.png", mask_of(scene))
        save(voc / "SegmentationObject" / f"{scene.stem}.png", mask_of(scene))
        boxes = voc / "Annotations" / f"{scene.stem}.xml"
        boxes.parent.mkdir(exist_ok=True)
        boxes.write_text("<annotation><object><bndbox/></object></annotation>")
    assert open_dataset(voc).layout == "voc"
    yolo = tmp_path / "yolo"
    test_yolo.classes_txt(yolo, MADE)
    categories = [{"id": 0, "name": "forceps"}]
    write_json(yolo / "notes.json", {"categories": categories, "info": {"year": 2024}})
    assert_same(open_dataset(yolo), plain_copy(tmp_path / "plain", MADE))


def test_classes_txt_beside_masks_in_labels_names_their_classes(tmp_path: Path) -> None:
    for scene in MADE["train"]:
        save(tmp_path / "images" / f"{scene.stem}.png", scene.pixels)
        save(tmp_path / "labels" / f"{scene.stem}.png", mask_of(scene))
    (tmp_path / "classes.txt").write_text("background\nforceps\nneedle\nscissors\n")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "paired"
    assert dataset.label_map.names == ("background", "forceps", "needle", "scissors")
    with pytest.raises(DataError):  # no masks, no outlines
        for path in (tmp_path / "labels").iterdir():
            path.unlink()
        open_dataset(tmp_path)


def test_brush_strokes_of_label_studio_belong_to_its_json(tmp_path: Path) -> None:
    tasks = []
    for number, scene in enumerate(scenes()["train"]):
        save(tmp_path / "images" / f"{scene.stem}.png", scene.pixels)
        strokes = np.where(mask_of(scene) > 0, 255, 0).astype(np.uint8)
        save(tmp_path / f"task-{number}-annotation-1-by-1-tag-Tool-0.png", strokes)
        annotation = {"id": 1, "result": []}
        image = f"/data/upload/1/{scene.stem}.png"
        tasks.append({"id": number, "annotations": [annotation], "data": {"image": image}})
    write_json(tmp_path / "project-1.json", tasks)
    assert open_dataset(tmp_path).layout == "label-studio"
