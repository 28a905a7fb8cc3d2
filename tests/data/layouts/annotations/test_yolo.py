"""YOLO's text files in the folders of several tools; each equals a plain copy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from tests.data.layouts.annotations.annotated import (
    HEIGHT,
    NAMES,
    WIDTH,
    Scene,
    assert_same,
    clipped,
    faults,
    labels_by_name,
    notes,
    numbers,
    plain_copy,
    recognised_by,
    save,
    scenes,
    without,
)

SHORT = {"train": "train", "validation": "val", "test": "test"}
LIST = "path: /content/datasets/tools\ntrain: images/train\nval: images/val\ntest: images/test\n"
NAMES_LIST = f"nc: 3\nnames: [{', '.join(NAMES)}]\n"
NAMES_TABLE = "names:\n" + "".join(f"  {k}: {name}\n" for k, name in enumerate(NAMES))


def text_of(scene: Scene) -> str:
    return "".join(
        " ".join(map(str, (NAMES.index(label), *numbers(ring, WIDTH, HEIGHT)))) + "\n"
        for label, ring in scene.objects
    )


def write_scenes(root: Path, made: dict, images: str, labels: str) -> Path:
    """Pictures and labels; an empty scene has no text file."""
    for split, members in made.items():
        for scene in members:
            save(root / images.format(SHORT[split]) / f"{scene.stem}.png", scene.pixels)
            path = root / labels.format(SHORT[split]) / f"{scene.stem}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            if scene.objects:
                path.write_text(text_of(scene))
    return root


def ultralytics(root: Path, made: dict) -> None:
    write_scenes(root, made, "images/{}", "labels/{}")
    (root / "data.yaml").write_text(LIST + NAMES_TABLE)


def roboflow(root: Path, made: dict) -> None:
    write_scenes(root, made, "{}/images", "{}/labels")
    text = "train: ../train/images\nval: ../val/images\ntest: ../test/images\n\n"
    (root / "data.yaml").write_text(text + NAMES_LIST + "roboflow:\n  license: CC BY 4.0\n")


def only_names(root: Path, made: dict) -> None:
    write_scenes(root, made, "images/{}", "labels/{}")
    (root / "tools.yml").write_text(NAMES_LIST)


def list_files(root: Path, made: dict) -> None:
    write_scenes(root, made, "images", "labels")
    for split, members in made.items():
        lines = (f"./images/{scene.stem}.png" for scene in members)
        (root / f"{SHORT[split]}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\ntest: test.txt\n" + NAMES_LIST)


def classes_txt(root: Path, made: dict) -> None:
    write_scenes(root, made, "images/{}", "labels/{}")
    (root / "classes.txt").write_text("\n".join(NAMES))


ARRANGEMENTS = [ultralytics, roboflow, only_names, list_files, classes_txt]


@pytest.mark.parametrize("write", ARRANGEMENTS)
def test_an_arrangement_equals_the_plain_copy(tmp_path: Path, write: Any) -> None:
    made = clipped(scenes())
    write(tmp_path / "yolo", made)
    assert recognised_by(tmp_path / "yolo")[0] == "yolo"
    read = open_dataset(tmp_path / "yolo")
    assert_same(read, plain_copy(tmp_path / "plain", made))
    assert len(notes(read)["picture-without-annotations"].files) == 3
    assert any("10 pictures with 28 annotations" in sentence for sentence in read.reading)


def test_a_picture_that_lies_on_its_side_is_labelled_as_it_is_shown(tmp_path: Path) -> None:
    made = clipped(scenes())
    ultralytics(tmp_path, made)
    pixels = np.rot90(made["train"][0].pixels, 1)  # a viewer turns it back by EXIF
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "images" / "train" / "train0.png"
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif)
    image, labels = labels_by_name(open_dataset(tmp_path), "train")["train0"]
    assert labels.shape == (HEIGHT, WIDTH) and np.array_equal(image, made["train"][0].pixels)


def test_no_splits_and_no_validation(tmp_path: Path) -> None:
    ultralytics(tmp_path / "drawn", without(clipped(scenes()), "validation"))
    (tmp_path / "drawn" / "data.yaml").write_text("train: images/train\nval: images/train\n"
                                                  "test: images/test\n" + NAMES_LIST)  # fmt: skip
    drawn = open_dataset(tmp_path / "drawn")
    assert {s: len(f) for s, f in drawn.splits.items()} == {"train": 4, "test": 3, "validation": 1}
    assert any("another split" in sentence for sentence in drawn.reading)
    write_scenes(tmp_path / "flat", clipped(scenes()), "images", "labels")
    (tmp_path / "flat" / "classes.txt").write_text("\n".join(NAMES))
    flat = open_dataset(tmp_path / "flat")
    assert sum(map(len, flat.splits.values())) == 10 and "split-by-tool" in notes(flat)


@pytest.mark.parametrize("value", ["images", "train.txt"])
def test_a_picture_in_two_splits_is_an_error(tmp_path: Path, value: str) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "train.txt").write_text("images/train/train0.png\nimages/val/validation0.png\n")
    text = f"train: {value}\nval: images/val\n"
    (tmp_path / "data.yaml").write_text(text + NAMES_LIST)
    found = faults(tmp_path)
    assert found.keys() == {"picture-twice"}
    assert found["picture-twice"].files[0] == "images/val/validation0.png"
    assert "train and validation" in found["picture-twice"].message


def test_a_class_called_no_keeps_its_name(tmp_path: Path) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "data.yaml").write_text(LIST + "names: [no, on, 3]\n")
    assert open_dataset(tmp_path).label_map.names == ("background", "no", "on", "3")


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        ("0 0.5 0.5 0.2 0.2", "boxes-not-masks", "line 1"),
        ("0 0.1 0.1", "bad-annotations", "1 points"),
        ("0", "bad-annotations", "0 points"),
        ("0 0.1 0.1 0.5 0.5 0.9 0.1 0.3", "bad-annotations", "turns"),
        ("3 0.1 0.1 0.5 0.5 0.9 0.1", "undeclared-class", "class 3"),
        ("-1 0.1 0.1 0.5 0.5 0.9 0.1", "undeclared-class", "class -1"),
        ("0.5 0.1 0.1 0.5 0.5 0.9 0.1", "undeclared-class", "class 0.5"),
        ("nan 0.1 0.1 0.5 0.5 0.9 0.1", "undeclared-class", "nan"),
        ("inf 0.1 0.1 0.5 0.5 0.9 0.1", "undeclared-class", "inf"),
        ("tool 0.1 0.1 0.5 0.5 0.9 0.1", "bad-annotations", "not a number"),
        ("0 nan 0.1 0.5 0.5 0.9 0.1", "bad-annotations", "shares"),
        ("0 1e300 0.1 0.5 0.5 0.9 0.1", "bad-annotations", "shares"),
        ("0 10 10 50 50 90 10", "bad-annotations", "shares"),
        ("\x00\xff", "bad-annotations", "not a number"),
    ],
)
def test_faulty_lines_are_named(tmp_path: Path, line: str, code: str, word: str) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "labels" / "train" / "train0.txt").write_bytes(line.encode("latin1"))
    found = faults(tmp_path)
    assert found.keys() == {code}
    assert word in found[code].message
    assert found[code].files == ("labels/train/train0.txt",)


def test_a_polygon_without_area_is_left_out(tmp_path: Path) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "labels" / "train" / "train0.txt").write_text("0 .1 .1 .2 .2 .3 .3")
    assert "annotation-without-area" in notes(open_dataset(tmp_path))


def test_labels_without_a_picture_and_damaged_pictures(tmp_path: Path) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "images" / "train" / "train0.png").unlink()
    (tmp_path / "images" / "train" / "train2.png").write_bytes(b"<html>")
    found = faults(tmp_path)
    assert found["annotated-picture-missing"].files == ("labels/train/train0.txt",)
    assert found["not-a-picture"].files == ("images/train/train2.png",)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join([f'*{chr(97 + k)}'] * 9)}]\n" for k in range(20)
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("names: [a\ntrain: images/train\n", "YAML"),
        ("names: 3\ntrain: images/train\n", "names"),
        ("names: [[a], b]\ntrain: images/train\n", "names"),
        ("names: {1: a, 2: b}\ntrain: images/train\n", "0, 1, 2"),
        ("names: []\ntrain: images/train\n", "no classes"),
        ("names: [a, a]\ntrain: images/train\n", "called a"),
        ("names: [a]\ntrain: images/train\nx: " + "[" * 100_000, "nested"),
        ("names: [a]\ntrain: images/train\nx: " + "{a: " * 50_000, "nested"),
        ("names: &a [*a]\ntrain: images/train\n", "recursive"),
        (BOMB + "names: *u\ntrain: images/train\n", "names"),
        ("names: [a]\ntrain: images/train\n" + "- x\n", "YAML"),
        ("names: !!python/object/apply:os.getcwd\ntrain: images/train\n", "names"),
        ("names: [a]\ntrain: images/train\n\x00", "YAML"),
    ],
)
def test_bad_yaml_is_named_in_time(tmp_path: Path, text: str, word: str) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "data.yaml").write_text(text)
    started = time.monotonic()
    found = faults(tmp_path)
    assert time.monotonic() - started < 10
    assert word in found["bad-annotations"].message
    assert found["bad-annotations"].files == ("data.yaml",)


def test_a_huge_yaml_is_refused(tmp_path: Path) -> None:
    ultralytics(tmp_path, clipped(scenes()))
    (tmp_path / "data.yaml").write_text(LIST + NAMES_LIST + "# \n" * 100_000)
    assert faults(tmp_path).keys() == {"file-too-large"}


@pytest.mark.parametrize(
    "path", ["../../outside/images/train", "/etc", "nowhere", "x" * 5000, "a\\0b"]
)
def test_paths_never_leave_the_folder(tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside" / "images" / "train"
    save(outside / "secret.png", np.zeros((4, 4, 3), np.uint8))
    ultralytics(tmp_path / "yolo", clipped(scenes()))
    text = f'train: "{path}"\nval: images/val\ntest: images/test\n'
    (tmp_path / "yolo" / "data.yaml").write_text(text + NAMES_LIST)
    if path.endswith("images/train"):  # its end exists in the dataset
        dataset = open_dataset(tmp_path / "yolo")
        assert all(f.image.is_relative_to(tmp_path / "yolo") for f in dataset.splits["train"])
    else:
        assert faults(tmp_path / "yolo")["annotated-picture-missing"].files == ("data.yaml",)


def test_a_linked_folder_is_not_followed(tmp_path: Path) -> None:
    outside = save(tmp_path / "outside" / "secret.png", np.zeros((4, 4, 3), np.uint8)).parent
    ultralytics(tmp_path / "yolo", clipped(scenes()))
    (tmp_path / "yolo" / "link").symlink_to(outside)
    (tmp_path / "yolo" / "data.yaml").write_text("train: link\nval: images/val\n" + NAMES_LIST)
    assert "annotated-picture-missing" in faults(tmp_path / "yolo")


def test_other_folders_are_not_taken_for_yolo(tmp_path: Path) -> None:
    plain_copy(tmp_path / "plain", clipped(scenes()))
    (tmp_path / "plain" / "data.yaml").write_text(LIST + NAMES_LIST)
    assert recognised_by(tmp_path / "plain") == ["plain"]
    save(tmp_path / "pictures" / "a.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "pictures" / "environment.yml").write_text("name: x\ndependencies: [numpy]\n")
    (tmp_path / "pictures" / "classes.txt").write_text("a\nb\n")
    assert recognised_by(tmp_path / "pictures") == []
