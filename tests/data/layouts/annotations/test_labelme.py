"""labelme's files beside their pictures; each arrangement equals a plain copy."""

from __future__ import annotations

import base64
import io
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from headstart.data.label_map import IGNORE
from headstart.data.layouts.annotations import annotation_shapes, labelme
from headstart.data.layouts.annotations.annotation_shapes import ShapePlace, ShapeReader
from headstart.data.layouts.annotations.labelme import _mask
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.shapes import draw
from tests.data.layouts.annotations.annotated import (
    HEIGHT,
    WIDTH,
    Scene,
    assert_same,
    faults,
    inside,
    labels_by_name,
    mask_of,
    notes,
    plain_copy,
    recognised_by,
    save,
    scenes,
    without_empty,
    write_json,
)


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def shape(label: str, points: Any, kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "description": "",
            "shape_type": kind, "flags": {}, "mask": None, **more}  # fmt: skip


def outline(label: str, ring: list) -> dict[str, Any]:
    return shape(label, [list(point) for point in ring])


def bitmap(label: str, ring: list) -> dict[str, Any]:
    """The pixels of an outline, as labelme's mask in the box around them."""
    mask = inside(ring)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = map(int, (rows[0], rows[-1], columns[0], columns[-1]))
    part = mask[top : bottom + 1, left : right + 1]
    return shape(label, [[left, top], [right, bottom]], "mask", mask=png(part))


def content(scene: Scene, picture: str, write: Any = outline, **more: Any) -> dict[str, Any]:
    return {"version": "5.5.0", "flags": {}, "shapes": [write(*each) for each in scene.objects],
            "imagePath": picture, "imageData": None, "imageHeight": HEIGHT,
            "imageWidth": WIDTH, **more}  # fmt: skip


def beside(root: Path, made: dict, write: Any = outline) -> None:
    for split, members in made.items():
        for scene in members:
            save(root / split / f"{scene.stem}.png", scene.pixels)
            text = content(scene, f"{scene.stem}.png", write)
            write_json(root / split / f"{scene.stem}.json", text)


def folders(root: Path, made: dict) -> None:
    """Paths of Windows to another folder; the picture is inside the file, and comes first."""
    for split, members in made.items():
        for scene in members:
            path = save(root / "images" / split / f"{scene.stem}.png", scene.pixels)
            data = base64.b64encode(path.read_bytes()).decode() * 20
            text = content(scene, f"..\\..\\images\\{split}\\{scene.stem}.png", imageData=data)
            ordered = dict(sorted(text.items()))
            write_json(root / "annotations" / split / f"{scene.stem}.json", ordered)


def masks(root: Path, made: dict) -> None:
    beside(root, made, bitmap)


@pytest.mark.parametrize("write", [beside, folders, masks])
def test_an_arrangement_equals_the_plain_copy(tmp_path: Path, write: Any) -> None:
    made = scenes()
    write(tmp_path / "labelme", made)
    assert recognised_by(tmp_path / "labelme")[0] == "labelme"
    read = open_dataset(tmp_path / "labelme")
    assert_same(read, plain_copy(tmp_path / "plain", made))
    assert len(notes(read)["picture-without-annotations"].files) == 3
    assert any("10 pictures with 28 annotations" in sentence for sentence in read.reading)


def test_pictures_without_a_file_are_unlabelled_but_for_those_of_the_test_split(
    tmp_path: Path,
) -> None:
    made = scenes()
    beside(tmp_path / "labelme", made)
    for path in (tmp_path / "labelme").glob("*/*1.json"):  # those of the empty scenes
        path.unlink()
    read = open_dataset(tmp_path / "labelme")
    # Two validation pictures, of which one has no objects, are one.
    assert_same(read, plain_copy(tmp_path / "plain", without_empty(made)))
    unlabelled = {split: [f.name for f in frames] for split, frames in read.unlabelled.items()}
    assert unlabelled == {"train": ["train1"], "validation": ["validation1"]}
    assert any("1 test pictures" in sentence for sentence in read.reading)


def test_a_flat_folder_is_split_and_drawings_of_the_tool_are_no_pictures(tmp_path: Path) -> None:
    for members in scenes().values():
        beside(tmp_path, {".": members})
    save(tmp_path / "train0_json" / "label_viz.png", np.zeros((4, 4, 3), np.uint8))
    dataset = open_dataset(tmp_path)
    assert sum(map(len, dataset.splits.values())) == 10
    assert not dataset.unlabelled and "split-by-tool" in notes(dataset)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("middle", ["", "visit.1/left"])
def test_files_in_folders_of_patients_and_days(tmp_path: Path, parallel: bool, middle: str) -> None:
    made = [scene for members in scenes().values() for scene in members]
    for k, scene in enumerate(made):
        folder = Path(f"patient{k // 3}", middle, f"day{k % 2}")
        pictures, files = ("images", "annotations") if parallel else ("", "")
        save(tmp_path / pictures / folder / f"{k}.png", scene.pixels)
        write_json(tmp_path / files / folder / f"{k}.json", content(scene, f"{k}.png"))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "labelme"
    read = {name: pair for split in dataset.splits for name, pair in
            labels_by_name(dataset, split).items()}  # fmt: skip
    for k, scene in enumerate(made):
        assert np.array_equal(read[str(k)][1], mask_of(scene))
    groups = {f.name: f.group for frames in dataset.splits.values() for f in frames}
    assert groups == {str(k): f"patient{k // 3}" for k in range(len(made))}


def test_the_search_for_files_opens_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(40):
        for day in range(3):
            write_json(tmp_path / f"patient{k}" / f"day{day}" / "facts.json", {"age": k})
            write_json(tmp_path / f"patient{k}" / f"day{day}" / "more.json", {"age": k})
    opened = []
    monkeypatch.setattr(labelme, "head", lambda path, root: opened.append(path) or "")
    assert not labelme.evidence(tmp_path)
    assert 10 < len(opened) < 100


def drawn(tmp_path: Path, *shapes: dict[str, Any]) -> np.ndarray:
    """Return the class indices of a picture with some shapes."""
    beside(tmp_path, scenes())
    text = content(scenes()["train"][0], "train0.png") | {"shapes": list(shapes)}
    write_json(tmp_path / "train" / "train0.json", text)
    return labels_by_name(open_dataset(tmp_path), "train")["train0"][1]


def test_a_circle_is_the_pixels_whose_centre_is_nearer_than_its_radius(tmp_path: Path) -> None:
    labels = drawn(tmp_path, shape("needle", [[20.3, 15.1], [27.3, 20.1]], "circle"))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(columns - 20.3, rows - 15.1)
    clear = np.abs(distance - math.hypot(7, 5)) > 0.05
    assert np.array_equal((labels == 2)[clear], (distance < math.hypot(7, 5))[clear])


def test_rectangles_by_two_and_by_four_corners(tmp_path: Path) -> None:
    labels = drawn(
        tmp_path,
        shape("needle", [[20, 15], [10, 5]], "rectangle"),
        shape("forceps", [[30, 5], [40, 5], [40, 9], [30, 9]], "rectangle"),
    )
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[5:15, 10:20] = 2
    expected[5:9, 30:40] = 1
    assert np.array_equal(labels, expected)


def test_ignored_pixels_and_background_cover_what_is_below(tmp_path: Path) -> None:
    labels = drawn(
        tmp_path,
        shape("scissors", [[0, 0], [WIDTH, HEIGHT]], "rectangle"),
        shape("__ignore__", [[0, 0], [10, 10]], "rectangle"),
        shape("_background_", [[5, 5], [20, 20]], "rectangle"),
    )
    assert labels[0, 0] == IGNORE and labels[6, 6] == 0 and labels[25, 25] == 3
    assert open_dataset(tmp_path).label_map.names == (
        "background", "forceps", "needle", "scissors",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points"])
def test_lines_and_points_are_left_out_with_a_warning(tmp_path: Path, kind: str) -> None:
    labels = drawn(tmp_path, shape("thread", [[1, 1], [9, 9]], kind))
    dataset = open_dataset(tmp_path)
    assert not labels.any() and "thread" not in dataset.label_map.names
    finding = notes(dataset)["annotation-without-area"]
    assert finding.severity == "warning" and finding.files == ("train/train0.json",)


def test_flags_are_mentioned(tmp_path: Path) -> None:
    beside(tmp_path, scenes())
    text = content(scenes()["train"][0], "train0.png", flags={"blurred": True, "dark": False})
    write_json(tmp_path / "train" / "train0.json", text)
    assert any("flags of 1 pictures" in sentence for sentence in open_dataset(tmp_path).reading)


def test_spaces_around_a_label_do_not_matter_and_are_mentioned(tmp_path: Path) -> None:
    labels = drawn(tmp_path, shape("forceps ", [[0, 0], [9, 9]], "rectangle"))
    assert labels[3, 3] == 1
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("background", "forceps", "needle", "scissors")
    assert any("'forceps '" in sentence for sentence in dataset.reading)


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.integers(-3, 9))
def test_a_mask_comes_back(mask: np.ndarray, offset: int) -> None:
    search = FrameSearch(Path(), "")
    place = ShapePlace(Path("a.json"), "shape 1", None)
    height, width = mask.shape
    corners = (offset, 2, offset + height - 1, 2 + width - 1)
    read = _mask(ShapeReader(search), png(mask), corners, 1, place)
    assert (read is None) == (not mask.any())
    above = np.zeros((33, 30), bool)  # three more rows, above the picture
    above[3 + offset : 3 + offset + height, 2 : 2 + width] = mask
    if read is not None:
        assert np.array_equal(draw([read], {1: 1}, 30, 30) == 1, above[3:])


SQUARE = np.ones((4, 4), bool)
CORNERS = [[1, 1], [4, 4]]


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (shape("needle", [[1, 1], [5, 5]]), "2 points"),
        (shape("needle", [[1, 1], [5, 5], [5, 5, 5]]), "pair"),
        (shape("needle", [[1, 1], [5, 5], [float("nan"), 5]]), "nan"),
        (shape("needle", [[1, 1], [5, 5], [1e300, 5]]), "1e+300"),
        (shape("needle", None), "not a list"),
        (shape("needle", [[1, 1], [2, 2], [3, 4]], "blob"), "blob"),
        (shape("needle", [[1, 1]], "circle"), "two points"),
        (shape("needle", [[1, 1], ["a", 2]], "rectangle"), "two points"),
        (shape(" ", [[1, 1], [9e6, 9e6]], "circle"), "no label"),
        (shape("needle", CORNERS, "mask", mask=png(SQUARE[:2])), "4 x 2"),
        (shape("needle", CORNERS, "mask", mask=png(np.ones((400, 400), bool))), "expected at most"),
        (shape("needle", CORNERS, "mask", mask="%%%"), "base64"),
        (shape("needle", CORNERS, "mask", mask="AAAA"), "cannot be read"),
        (shape("needle", CORNERS, "mask", mask=None), "a mask has"),
        (shape("needle", [[4, 4], [1, 1]], "mask", mask=png(SQUARE)), "a mask has"),
        (shape("needle", [[0, 0], [9e6, 9e6]], "mask", mask=png(SQUARE)), "a mask has"),
        (outline("b\n", [(1, 1), (5, 1), (5, 5)]) | {"label": "b\nc"}, "class names"),
    ],
)  # fmt: skip
def test_faulty_shapes_are_named(tmp_path: Path, broken: dict, word: str) -> None:
    beside(tmp_path, scenes())
    path = tmp_path / "train" / "train0.json"
    write_json(path, json.loads(path.read_text()) | {"shapes": [broken]})
    started = time.monotonic()
    found = faults(tmp_path)
    assert found.keys() == {"bad-annotations"} and time.monotonic() - started < 5
    assert word in found["bad-annotations"].message


@pytest.mark.parametrize("text", ['{"shapes": [], "imagePath": ', '{"shapes": {"imagePath": 1}}',
                                  '{"shapes": [1], "imagePath": "a"}',
                                  '{"shapes": "imagePath"' + "[" * 100_000])  # fmt: skip
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    beside(tmp_path, scenes())
    (tmp_path / "train" / "train0.json").write_text(text)
    assert faults(tmp_path)["bad-annotations"].files == ("train/train0.json",)


@pytest.mark.parametrize(
    "path", ["../../secret.png", "/etc/passwd", "", None, "x\0.png", "y" * 999]
)
def test_a_missing_picture_is_named_and_nothing_outside_is_read(
    tmp_path: Path, path: str | None
) -> None:
    save(tmp_path / "secret.png", np.zeros((4, 4, 3), np.uint8))
    root = tmp_path / "labelme"
    beside(root, scenes())
    (root / "train" / "train0.png").unlink()
    write_json(
        root / "train" / "train0.json", content(scenes()["train"][0], "") | {"imagePath": path}
    )
    assert faults(root)["annotated-picture-missing"].files == ("train/train0.json",)


def test_a_picture_of_another_patient_is_no_substitute(tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        beside(tmp_path, {patient: scenes()["train"]})
    for path in tmp_path.glob("p2/*.json"):
        path.unlink()
    open_dataset(tmp_path)
    (tmp_path / "p1/train0.png").unlink()
    assert "train0.png" in faults(tmp_path)["annotated-picture-missing"].message


def test_a_picture_with_two_files_is_an_error(tmp_path: Path) -> None:
    beside(tmp_path, scenes())
    write_json(tmp_path / "train" / "copy.json", content(scenes()["train"][0], "train0.png"))
    finding = faults(tmp_path)["bad-annotations"]
    assert "copy.json" in finding.message and "train0.json" in finding.message


def test_pictures_outside_the_folders_of_splits_are_an_error(tmp_path: Path) -> None:
    made = scenes()
    beside(tmp_path, made)
    beside(tmp_path, {"more": [Scene("x", made["train"][0].pixels, made["train"][0].objects)]})
    assert faults(tmp_path)["frame-without-split"].files == ("more/x.png",)


def test_the_points_of_all_files_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation_shapes, "MAX_POINTS", 50)
    beside(tmp_path, scenes())
    assert faults(tmp_path).keys() == {"too-many-points"}


def test_the_pixels_of_all_masks_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation_shapes, "MAX_MASK_PIXELS", 1000)
    masks(tmp_path, scenes())
    assert "1,000 pixels" in faults(tmp_path)["too-many-points"].message


def test_older_layouts_are_not_taken_for_labelme(tmp_path: Path) -> None:
    made = scenes()
    plain_copy(tmp_path, made)
    write_json(tmp_path / "train" / "images" / "train0.json", content(made["train"][0], "a.png"))
    assert recognised_by(tmp_path) == ["plain"]
