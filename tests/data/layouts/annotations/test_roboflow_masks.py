"""Roboflow's masks: the same pixels as a plain copy; what is not taken for them; faults."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.data.layouts.recognise import layout_of, open_dataset
from headstart.data.task import task_of
from tests.data.layouts.plain_copy import (
    Scenes,
    assert_same,
    faults,
    indices_of,
    plain_copy,
    save,
    save_picture,
    scenes,
    sort_palettes,
)

CLASSES = "Pixel Value, Class\n0, background\n1, tool\n2, vessel\n"


def roboflow(root: Path, drawn: Scenes, classes: str = CLASSES) -> Path:
    for split, frames in drawn.items():
        folder = root / {"validation": "valid"}.get(split, split)
        for name, boxes in frames.items():
            save_picture(folder / f"{name}.png", name)
            save(folder / f"{name}_mask.png", indices_of(boxes))
        (folder / "_classes.csv").write_text(classes)
    (root / "README.roboflow.txt").write_text("exported")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return roboflow(tmp_path / "tools.v1i", scenes(train=6, validation=2, test=2))


def test_it_equals_the_plain_copy(tmp_path: Path, root: Path) -> None:
    ours = open_dataset(root)
    assert ours.layout == "roboflow-masks"
    assert task_of(root) == "segmentation"
    assert ours.findings == ()
    assert_same(ours, plain_copy(tmp_path / "plain", scenes(train=6, validation=2, test=2)))


def test_a_folder_without_splits_equals_the_plain_copy(tmp_path: Path) -> None:
    drawn = scenes(none=12)
    ours = open_dataset(roboflow(tmp_path / "roboflow", drawn))
    assert_same(ours, plain_copy(tmp_path / "plain", drawn))


def test_without_validation_it_is_drawn_by_group(root: Path) -> None:
    shutil.rmtree(root / "valid")
    lines = ["stem,group", *(f"train/train{k},p{k // 3}" for k in range(6))]
    lines += [f"test/test{k},q" for k in range(2)]
    (root / "groups.csv").write_text("\n".join(lines))
    dataset = open_dataset(root)
    assert {s: len(frames) for s, frames in dataset.splits.items()} == {
        "train": 3, "validation": 3, "test": 2
    }  # fmt: skip
    assert len({frame.group for frame in dataset.splits["validation"]}) == 1


def test_one_training_frame_leaves_none_for_validation(tmp_path: Path) -> None:
    assert set(faults(roboflow(tmp_path, scenes(train=1, test=1)))) == {"too-few-frames"}


def test_an_export_of_whole_picture_classes_is_another_format(tmp_path: Path) -> None:
    save_picture(tmp_path / "train/a.png", "a")
    (tmp_path / "train/_classes.csv").write_text("filename, cat, dog\na.png, 1, 0\n")
    assert layout_of(tmp_path) is None


def unlink(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def classes(content: bytes) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for path in root.glob("*/_classes.csv"):
            path.write_bytes(content)

    return write


def other_classes(root: Path) -> None:
    (root / "test/_classes.csv").write_text(CLASSES.replace("vessel", "vein"))


def two_splits(root: Path) -> None:
    shutil.copytree(root / "valid", root / "val")


def two_endings(root: Path) -> None:
    shutil.copy(root / "train/train1.png", root / "train/train1.jpg")


@pytest.mark.parametrize(
    ("harm", "code", "fact"),
    [
        (unlink("train/train1.png"), "mask-without-image", "train/train1_mask.png"),
        (unlink("train/train1_mask.png"), "image-without-mask", "train/train1.png"),
        (two_endings, "same-stem", "train/train1.jpg"),
        (two_splits, "two-validation-splits", "valid"),
        (other_classes, "label-map", "test/_classes.csv"),
        (classes(b"Pixel Value, Class\n"), "label-map", "0 classes"),
        (classes(b"Pixel Value, Class\n0, a\n300, b\n"), "label-map", "line 3"),
        (classes(b"Pixel Value, Class\n0, a\n1\n"), "label-map", "line 3"),
        (classes(b"Pixel Value, Class\n0, a\n0, b\n"), "label-map", "several classes: 0"),
        (classes(b"Pixel Value, Class\n0, a\n1, \xff\n"), "label-map", "UTF-8"),
        (classes(b"Pixel Value, Class\n0, " + b"a" * 10**6), "label-map", "CSV"),
        (classes(b"Pixel Value, Class\n0, " + b"a\n" * 10**6), "file-too-large", "_classes.csv"),
    ],
)
def test_faults(root: Path, harm: Callable[[Path], None], code: str, fact: str) -> None:
    harm(root)
    found = faults(root)
    assert set(found) == {code}
    assert fact in str(found[code])


def test_palettes_that_a_program_has_sorted_are_refused(root: Path) -> None:
    sort_palettes(root / "train", "*_mask.png")
    assert "grey levels that the export names" in faults(root)["palettes-disagree"].hint
