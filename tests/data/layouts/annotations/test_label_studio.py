"""Label Studio's JSON and brush PNGs; each arrangement equals a plain copy."""

from __future__ import annotations

import json
import math
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headstart.data.layouts.annotations.label_studio_runs import decode_brush, sections
from headstart.data.layouts.recognise import open_dataset
from tests.data.layouts.annotations.annotated import (
    HEIGHT,
    WIDTH,
    Scene,
    Scenes,
    assert_same,
    faults,
    inside,
    labels_by_name,
    notes,
    plain_copy,
    recognised_by,
    save,
    scenes,
    write_json,
)

# From the tests of Label Studio's converter, with its own encoder.
PACKED = [0, 0, 0, 18, 57, 27, 252, 96, 32, 1, 0, 6, 0, 40, 0, 192, 3, 128, 17, 56, 32]
VALUES = [1, 1, 1, 1, 2, 3, 5, 6, 7, 8, 4, 4, 4, 4, 4, 4, 4, 4]


def unpacked(data: list[int]) -> list[int]:
    values: list[int] = []
    for start, stop, section in sections(bytes(data)):
        assert start == len(values)
        values += section * (stop - start) if len(section) == 1 else section
    return values


def test_the_vector_of_label_studio_is_read() -> None:
    assert unpacked(PACKED) == VALUES


def pack(values: list[int], literal: bool = False) -> list[int]:
    """Pack values as the format's description says; single values in sections of their own, or
    in sections of differing values."""
    sizes = (3, 4, 8, 16)
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    if literal:
        for start in range(0, len(values), 11):
            part = values[start : start + 11]
            bits += "0" + "01" + f"{len(part) - 1:04b}" + "".join(f"{v:08b}" for v in part)
    else:
        for value, run in groupby(values):
            length = len(list(run))
            while length:
                now = min(length, 1 << 16)
                which = next(k for k, size in enumerate(sizes) if now <= 1 << size)
                bits += f"1{which:02b}{now - 1:0{sizes[which]}b}{value:08b}"
                length -= now
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


@given(st.lists(st.integers(0, 255), max_size=300), st.booleans())
def test_values_come_back(values: list[int], literal: bool) -> None:
    assert unpacked(pack(values, literal)) == values


@given(arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))), st.booleans())
def test_a_brush_mask_comes_back(mask: np.ndarray, literal: bool) -> None:
    pixels = np.full((*mask.shape, 4), 77, np.uint8)
    pixels[..., 3] = mask * 255
    counts = decode_brush(bytes(pack(pixels.ravel().tolist(), literal)), *mask.shape)
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    assert np.array_equal(flat.reshape(mask.shape), mask)


def region(kind: str, label: str | None, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    labels = {f"{kind}labels": [label]} if label is not None else {}
    return {"id": "r1", "type": f"{kind}labels", "from_name": "tag", "to_name": "image",
            "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0,
            "value": value | labels, **more}  # fmt: skip


def polygon(label: str, ring: list) -> dict[str, Any]:
    return region("polygon", label, {"points": [[x / WIDTH * 100, y / HEIGHT * 100]
                                                for x, y in ring], "closed": True})  # fmt: skip


def brush(label: str, ring: list) -> dict[str, Any]:
    values = np.repeat(inside(ring).ravel() * 255, 4).tolist()
    return region("brush", label, {"format": "rle", "rle": pack(values)})


def task(number: int, picture: str, regions: list, **more: Any) -> dict[str, Any]:
    cancelled = {"id": 1, "was_cancelled": True, "result": [polygon("wrong", [(0, 0)] * 3)]}
    complete = {"id": 100 + number, "completed_by": 1, "was_cancelled": False, "result": regions}
    return {"id": number, "annotations": [cancelled, complete], "predictions": [],
            "data": {"text": "x", "image": picture}, **more}  # fmt: skip


def export(root: Path, made: Scenes, write: Any = polygon, name: str = "images/{}/{}") -> None:
    tasks = []
    for split, members in made.items():
        for scene in members:
            path = root / (name.format(split, scene.stem) + ".png")
            save(path, scene.pixels)
            url = f"/data/local-files/?d={path.relative_to(root)}"
            regions = [write(*each) for each in scene.objects]
            tasks.append(task(len(tasks), url, regions))
    write_json(root / "project-1-at-2024-05-01.json", tasks)


def brush_export(root: Path, made: Scenes) -> None:
    export(root, made, brush)


def png_export(root: Path, made: Scenes) -> None:
    """The strokes as PNG files, the regions without their run lengths as in the old exports."""
    export(root, made, lambda label, ring: region("brush", label, {"format": "rle", "rle": []}))
    number = 0
    for members in made.values():
        for scene in members:
            for k, (label, ring) in enumerate(scene.objects):
                name = f"task-{number}-annotation-{100 + number}-by-1-tag-{label}-{k}.png"
                save(root / name, (inside(ring) * 255).astype(np.uint8))
            number += 1


@pytest.mark.parametrize("write", [export, brush_export, png_export])
def test_an_arrangement_equals_the_plain_copy(tmp_path: Path, write: Any) -> None:
    made = scenes()
    write(tmp_path / "studio", made)
    assert recognised_by(tmp_path / "studio")[0] == "label-studio"
    read = open_dataset(tmp_path / "studio")
    assert_same(read, plain_copy(tmp_path / "plain", made))
    assert any("10 pictures with 28 annotations" in sentence for sentence in read.reading)
    assert len(notes(read)["picture-without-annotations"].files) == 3
    assert any("PNG" in sentence for sentence in read.reading) == (write is png_export)


@pytest.mark.parametrize(
    "url",
    [
        "/data/upload/3/1a2b3c4d-x%20y.png",
        "https://storage.example/bucket/x%20y.png?X-Amz-Signature=1",
        "s3://bucket/deep/er/x y.png",
        "/data/local-files/?d=pictures/x%20y.png",
        "pictures\\x y.png",
        "C:\\pictures\\x y.png",
    ],
)
def test_a_picture_is_found_by_the_end_of_its_url(tmp_path: Path, url: str) -> None:
    made = scenes()
    export(tmp_path, made)
    path = tmp_path / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    tasks[0]["data"]["image"] = url
    write_json(path, tasks)
    (tmp_path / "images" / "train" / "train0.png").rename(tmp_path / "images" / "train" / "x y.png")
    names = {frame.name for frame in open_dataset(tmp_path).splits["train"]}
    assert "x y" in names and "train0" not in names


def test_pictures_without_annotations_are_unlabelled(tmp_path: Path) -> None:
    """Those without a task, and those whose annotations were all cancelled."""
    made = scenes()
    export(tmp_path, made)
    save(tmp_path / "images" / "train" / "new.png", np.zeros((4, 4, 3), np.uint8))
    path = tmp_path / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    for entry in tasks:
        entry["annotations"] = [a for a in entry["annotations"] if a["id"] == 1 or a["result"]]
    write_json(path, tasks)
    dataset = open_dataset(tmp_path)
    unlabelled = {split: [f.name for f in frames] for split, frames in dataset.unlabelled.items()}
    assert unlabelled == {"train": ["new", "train1"], "validation": ["validation1"]}


def test_without_splits_the_tool_makes_them(tmp_path: Path) -> None:
    export(tmp_path, scenes(), name="images/{1}")
    dataset = open_dataset(tmp_path)
    assert sum(map(len, dataset.splits.values())) == 10 and "split-by-tool" in notes(dataset)


def drawn(tmp_path: Path, *regions: dict[str, Any]) -> np.ndarray:
    export(tmp_path, scenes())
    path = tmp_path / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    tasks[0] = task(0, tasks[0]["data"]["image"], list(regions))
    write_json(path, tasks)
    return labels_by_name(open_dataset(tmp_path), "train")["train0"][1]


def test_boxes_and_ellipses_also_turned(tmp_path: Path) -> None:
    labels = drawn(
        tmp_path,
        region("rectangle", "forceps", {"x": 25, "y": 25, "width": 25, "height": 50}),
        region("ellipse", "needle", {"x": 75, "y": 50, "radiusX": 12.5, "radiusY": 12.5,
                                     "rotation": 90}),
        region("rectangle", "scissors", {"x": 10, "y": 0, "width": 12.5, "height": 12.5,
                                         "rotation": 90}),
    )  # fmt: skip
    assert (labels[8:24, 16:32] == 1).all() and (labels == 1).sum() == 16 * 16
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot((columns - 48) / 4, (rows - 16) / 8)  # radii 8 and 4, turned
    clear = np.abs(distance - 1) > 0.02
    assert np.array_equal((labels == 2)[clear], (distance < 1)[clear])
    turned_box = labels == 3  # 8 x 4 around its upper left corner (6.4, 0): 4 wide, to the left
    assert np.array_equal(np.flatnonzero(turned_box.any(1)), np.arange(8))
    assert np.array_equal(np.flatnonzero(turned_box.any(0)), np.arange(2, 6))
    assert math.isclose(turned_box.sum(), 32)


def test_a_region_whose_label_is_a_result_of_its_own(tmp_path: Path) -> None:
    points = [[0, 0], [50, 0], [50, 50], [0, 50]]
    alone = region("polygon", None, {"points": points}) | {"type": "polygon"}
    label = region("", "needle", {"points": points}) | {"type": "labels"}
    choice = {"id": "c", "type": "choices", "value": {"choices": ["good"]}}
    text = region("textarea", None, {"x": 1, "y": 1, "width": 9, "height": 9, "text": ["a"]})
    labels = drawn(tmp_path, alone, label, choice, text)
    assert (labels[:16, :32] == 2).all() and (labels > 0).sum() == 512


def test_points_are_left_out_with_a_warning(tmp_path: Path) -> None:
    point = region("keypoint", "tip", {"x": 1, "y": 2, "width": 0.5})
    drawn(tmp_path, point, polygon("needle", [(1, 1), (9, 1), (9, 9)]))
    dataset = open_dataset(tmp_path)
    assert "tip" not in dataset.label_map.names
    assert notes(dataset)["annotation-without-area"].severity == "warning"


GOOD = {"points": [[1, 1], [9, 1], [9, 9]]}


def rle(data: object) -> dict[str, Any]:
    return region("brush", "needle", {"format": "rle", "rle": data})


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (region("polygon", "needle", {"points": [[1, 1], [9, 1]]}), "2 points"),
        (region("polygon", "needle", {"points": [[1, 1], [9, 1], [9]]}), "pair"),
        (region("polygon", "needle", {"points": 3}), "not a list"),
        (region("polygon", "needle", {"points": [[1, 1], [9, 1], [9, float("nan")]]}), "nan"),
        (region("polygon", "needle", {"points": [[1, 1], [9, 1], [9, 10**400]]}), "100"),
        (region("polygon", None, GOOD, id="alone"), "no label"),
        (region("polygon", "needle", GOOD, original_width=None), "original size"),
        (region("polygon", "needle", GOOD, original_width=10**9), "original size"),
        (region("polygon", "needle", GOOD, image_rotation=90), "rotated"),
        (region("rectangle", "needle", {"x": 1, "y": 1, "width": "a", "height": 3}), "numbers"),
        (region("ellipse", "needle", {"x": 1, "y": 1, "radiusX": 3}), "numbers"),
        (rle([]), "too early"),
        (rle("abc"), "too early"),
        (rle([1, 2, 300]), "bytes"),
        (rle([1, "a"]), "bytes"),
        (rle([-1]), "bytes"),
        (rle([255] * 40), "more than a picture has"),
        (rle(pack([0] * 4)), "expected 64 x 32"),
        (rle(pack([0] * HEIGHT * WIDTH * 4)[:-3]), "too early"),
        (rle([0, 0, 0, 2, 57, 27, 252, 203, 252]), "more than the 2 values"),
        (region("bitmask", "needle", {"imageDataURL": "data:,"}), "not read: bitmasklabels"),
        (region("vector", "needle", {"vertices": [{"x": 1, "y": 1}]}), "not read: vectorlabels"),
        (region("polygon", "needle", GOOD, to_name="right"), "several pictures"),
        (region("polygon", "needle", GOOD, item_index=1), "several pictures"),
    ],
)  # fmt: skip
def test_faulty_regions_are_named(tmp_path: Path, broken: dict, word: str) -> None:
    export(tmp_path, scenes())
    path = tmp_path / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    tasks[0]["annotations"][1]["result"].append(broken)
    write_json(path, tasks)
    started = time.monotonic()
    found = faults(tmp_path)
    assert found.keys() == {"bad-annotations"} and time.monotonic() - started < 5
    assert word in found["bad-annotations"].message
    assert "task 0" in found["bad-annotations"].message


@pytest.mark.parametrize(
    "text",
    ['[{"id": 1, "annotations": [{"result": [', '[{"annotations": [], "data": {}}, 3]',
     '[{"annotations": [{"result": 3}], "data": {"image": "a.png"}}]',
     '[{"annotations": [{"result": [3]}], "data": {"image": "a.png"}}]',
     '[{"annotations": [{"result": [' + "[" * 100_000],
)  # fmt: skip
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    export(tmp_path, scenes())
    (tmp_path / "project-1-at-2024-05-01.json").write_text(text)
    found = faults(tmp_path)["bad-annotations"]
    assert "project-1-at-2024-05-01.json" in found.files


@pytest.mark.parametrize("url", ["../../secret.png", "/etc/passwd", "http://[", "", "x" * 5000])
def test_a_missing_picture_is_named_and_nothing_outside_is_read(tmp_path: Path, url: str) -> None:
    save(tmp_path / "secret.png", np.zeros((4, 4, 3), np.uint8))
    root = tmp_path / "studio"
    export(root, scenes())
    path = root / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    tasks[0]["data"] = {"image": url}
    write_json(path, tasks)
    assert faults(root).keys() == {"annotated-picture-missing"}


def test_a_picture_of_two_tasks_is_an_error(tmp_path: Path) -> None:
    export(tmp_path, scenes())
    path = tmp_path / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    write_json(path, [*tasks, tasks[0]])
    assert "train0.png" in faults(tmp_path)["bad-annotations"].message


def test_older_layouts_are_not_taken_for_label_studio(tmp_path: Path) -> None:
    plain_copy(tmp_path, scenes())
    write_json(tmp_path / "project.json", [task(1, "a.png", [])])
    assert recognised_by(tmp_path) == ["plain"]


def test_hyphens_in_the_names_of_controls_and_labels_of_brush_files(tmp_path: Path) -> None:
    made = scenes()
    png_export(tmp_path, made)
    for path in tmp_path.glob("task-*.png"):
        path.rename(path.with_name(path.name.replace("-tag-", "-tag-2-left-")))
    path = tmp_path / "project-1-at-2024-05-01.json"
    tasks = json.loads(path.read_text())
    for entry in tasks:
        results = entry["annotations"][1]["result"]
        for k, result in enumerate(results):
            result["from_name"] = "tag-2" if k else "tag"
            result["value"]["brushlabels"] = [f"left-{result['value']['brushlabels'][0]}"]
    write_json(path, tasks)
    names = open_dataset(tmp_path).label_map.names
    assert names == ("background", "left-forceps", "left-needle", "left-scissors")


def test_scenes_have_objects_of_each_class() -> None:
    assert {label for s in scenes()["train"] for label, _ in s.objects} == {
        "forceps", "needle", "scissors",
    }  # fmt: skip
    assert isinstance(scenes()["train"][0], Scene)
