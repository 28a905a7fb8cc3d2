"""Folders of classes: what is taken for one, how it is split, and what is said of its faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.class_dataset import LabelledSplit
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.dataset import SPLITS
from headstart.data.task import task_of
from headstart.errors import DataError, Finding
from tests.data.pictures_of_classes import folders, four_files, picture, save

MANY = {"cat": 23, "dog": 31, "newt": 9}


def faults(root: Path) -> dict[str, Finding]:
    with pytest.raises(DataError) as caught:
        open_classes(root)
    assert caught.value.exit_status == 65
    found = {finding.code: finding for finding in caught.value.findings}
    assert len(found) == len(caught.value.findings), "one finding per kind"
    assert all(finding.message and finding.hint for finding in found.values())
    return found


def counts(pictures: LabelledSplit, classes: int) -> list[int]:
    return np.bincount(pictures.labels, minlength=classes).tolist()


def test_splits_as_given(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"a10": 3, "a2": 4}, validation={"a2": 1}, test={"a2": 2})
    dataset = open_classes(root)
    assert (dataset.root, dataset.layout, dataset.names) == (root, "classes", ("a2", "a10"))
    assert list(dataset.splits) == list(SPLITS)
    train = dataset.splits["train"]
    assert train.names == ("a2/0.png", "a2/1.png", "a2/2.png", "a2/3.png",
                           "a10/0.png", "a10/1.png", "a10/2.png")  # fmt: skip
    assert train.labels.tolist() == [0] * 4 + [1] * 3 and train.pixels is None
    assert train.frames[4].image == root / "train" / "a10" / "0.png"
    assert dataset.splits["validation"].names == ("a2/0.png",)
    assert [(f.code, f.severity) for f in dataset.findings] == [("class-absent", "warning")]
    assert "a10" in dataset.findings[0].message


def test_a_tenth_of_each_class_validates(tmp_path: Path) -> None:
    root = folders(tmp_path / "one", train=MANY, test=dict.fromkeys(MANY, 2))
    dataset = open_classes(root)
    train, validation = dataset.splits["train"], dataset.splits["validation"]
    assert counts(validation, 3) == [2, 3, 1]  # at least one
    assert counts(train, 3) == [21, 28, 8]
    assert not set(train.names) & set(validation.names)
    assert counts(dataset.splits["test"], 3) == [2, 2, 2]
    assert not dataset.findings
    again = open_classes(folders(tmp_path / "two", train=MANY, test=dict.fromkeys(MANY, 2)))
    for split in SPLITS:
        assert again.splits[split].names == dataset.splits[split].names
        assert again.splits[split].labels.tolist() == dataset.splits[split].labels.tolist()


def test_which_are_set_aside_does_not_change_between_versions(tmp_path: Path) -> None:
    """Scores of one version would say nothing about another's."""
    dataset = open_classes(folders(tmp_path, train={"a": 20, "b": 10}))
    assert dataset.splits["validation"].names == ("a/8.png", "a/18.png", "b/8.png")


def test_those_set_aside_are_no_block(tmp_path: Path) -> None:
    """Pictures that follow each other are often of one source."""
    dataset = open_classes(folders(tmp_path, train={"a": 60, "b": 60}))
    for k in range(2):
        mine = dataset.splits["validation"]
        numbers = [int(n[2:-4]) for n, label in zip(mine.names, mine.labels, strict=True)
                   if label == k]  # fmt: skip
        assert len(numbers) == 6 and np.ptp(numbers) > 6


def test_a_folder_without_splits_is_split(tmp_path: Path) -> None:
    dataset = open_classes(folders(tmp_path, whole={"cat": 30, "dog": 3}))
    splits = dataset.splits
    assert [counts(splits[name], 2) for name in SPLITS] == [[24, 1], [3, 1], [3, 1]]
    names = [name for split in splits.values() for name in split.names]
    assert len(set(names)) == len(names) == 33
    told = {finding.code: finding for finding in dataset.findings}["split-by-tool"]
    assert told.severity == "info" and "25 train, 4 validation, 4 test" in told.message


def test_a_subset_keeps_files_and_labels_together(tmp_path: Path) -> None:
    train = open_classes(folders(tmp_path, train={"a": 4, "b": 4})).splits["train"]
    part = train.subset(np.array([4, 0]))
    assert part.names == (train.names[4], train.names[0])
    assert part.labels.tolist() == [1, 0]
    assert part.frames == (train.frames[4], train.frames[0]) and part.pixels is None


# What is taken for classes


def test_a_segmentation_is_not_taken_for_classes(tmp_path: Path) -> None:
    plain = write_dataset(tmp_path / "plain", train=3, validation=1, test=1, unlabelled=1,
                          height=16, width=16)  # fmt: skip
    assert task_of(plain) == "segmentation"
    for k in range(2):
        for kind in ("input", "mask"):
            save(picture(k), tmp_path / "hw/segmentation/train" / str(k) / f"{k}_{kind}.png")
    assert task_of(tmp_path / "hw") == "segmentation"
    for inside in ("segmentation", "segmentation/train"):  # frames beside their masks
        assert task_of(tmp_path / "hw" / inside) == "segmentation"


@pytest.mark.parametrize("pictures", ["img", "frames"])
def test_masks_under_a_wrong_name_beside_them_are_not_classes(
    tmp_path: Path, pictures: str
) -> None:
    folders(tmp_path, train={pictures: 2}, test={pictures: 1})
    folders(tmp_path / "flat", whole={pictures: 1})
    levels = np.random.default_rng(0).integers(0, 8, (16, 20), dtype=np.uint8).repeat(9, 0)
    some = [levels * 30, levels.repeat(9, 1) * 30]
    for k, mask in enumerate(some):
        save(mask, tmp_path / f"train/masks/{k}.png")
        save(mask, tmp_path / f"test/Mask/{k}.jpg", quality=75)
    save(picture(0)[levels[:8] % 8, levels[:8] % 8], tmp_path / "flat/masks/0.png")  # in colours
    assert task_of(tmp_path) == "segmentation"
    assert task_of(tmp_path / "flat") == "segmentation"


def test_masks_that_cannot_be_read_are_not_classes(tmp_path: Path) -> None:
    folders(tmp_path, train={"img": 2})
    for name in ("0.png", "1.npy"):
        (tmp_path / "train/masks").mkdir(exist_ok=True)
        (tmp_path / "train/masks" / name).write_bytes(b"\x93NUMPY")
    assert task_of(tmp_path) == "segmentation"


@pytest.mark.parametrize("name", ["mask", "Masks", "labels"])
def test_a_class_may_be_called_as_masks_are(tmp_path: Path, name: str) -> None:
    """Photographs are in it, each of many colours; one of them cannot be read."""
    root = folders(tmp_path / "a", train={name: 4, "no_mask": 3}, test={name: 1, "no_mask": 1})
    (root / "train" / name / "1.png").write_bytes(b"<html>")
    assert open_classes(root).names == tuple(sorted((name, "no_mask")))
    flat = folders(tmp_path / "b", whole={name: 4, "no_mask": 3})
    assert open_classes(flat).names == tuple(sorted((name, "no_mask")))


def test_what_holds_no_pictures_in_folders_is_not_classes(tmp_path: Path) -> None:
    assert task_of(tmp_path) == "segmentation"
    assert task_of(tmp_path / "nowhere") == "segmentation"
    save(picture(0), tmp_path / "a.png")
    assert task_of(tmp_path) == "segmentation"
    assert task_of(tmp_path / "a.png") == "segmentation"
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "cat" / ".hidden.png").touch()
    assert task_of(tmp_path) == "segmentation"
    save(picture(0), tmp_path / "train" / "dog" / "A.JPG")
    assert task_of(tmp_path) == "classification"


def test_fashion_mnist_is_a_word_unless_it_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fetched = four_files(tmp_path / "fetched")
    monkeypatch.setattr("headstart.data.layouts.idx.fetch_fashion_mnist", lambda: fetched)
    word = Path("fashion-mnist")
    assert task_of(word) == "classification"
    assert open_classes(word).root == fetched
    assert task_of(tmp_path / "fashion-mnist") == "segmentation"  # no word but a missing folder
    word.mkdir()
    assert task_of(word) == "segmentation"
    assert open_classes(four_files(word)).root == word


def test_idx_files_are_split_like_folders(tmp_path: Path) -> None:
    dataset = open_classes(four_files(tmp_path))
    assert dataset.layout == "idx" and dataset.names == ("0", "1", "2", "3")
    assert [counts(dataset.splits[s], 4) for s in SPLITS] == [[9] * 4, [1] * 4, [2] * 4]
    train, validation = dataset.splits["train"], dataset.splits["validation"]
    assert not set(train.names) & set(validation.names) and not train.frames
    assert train.pixels is not None and train.pixels.shape == (36, 6, 5)


# Faults


def test_every_fault_of_the_folders_at_once(tmp_path: Path) -> None:
    root = folders(
        tmp_path,
        train={"cat": 3, "dog": 1, "newt": 0, "owl": 2},
        test={"cat": 1, "Cat ": 1, "owl": 1},
    )
    (root / "train" / "cat" / "notes.txt").write_text("a cat")
    save(picture(0), root / "train" / "owl" / "young" / "0.png")
    found = faults(root)
    assert set(found) == {"too-few-pictures", "empty-class", "not-a-picture", "nested-folder",
                          "unknown-class"}  # fmt: skip
    assert found["too-few-pictures"].files == ("train/dog",)
    assert "at least 2" in found["too-few-pictures"].message
    assert found["empty-class"].files == ("train/newt",)
    assert found["not-a-picture"].files == ("train/cat/notes.txt",)
    assert found["nested-folder"].files == ("train/owl/young",)
    assert found["unknown-class"].files == ("test/Cat ",)
    assert "test" in found["unknown-class"].message


def test_a_single_class_is_nothing_to_learn(tmp_path: Path) -> None:
    found = faults(folders(tmp_path, train={"cat": 5}, test={"cat": 2}))
    assert set(found) == {"too-few-classes"}
    assert "cat" in found["too-few-classes"].message


def test_no_train_is_one_fault_not_three(tmp_path: Path) -> None:
    found = faults(folders(tmp_path, validation={"cat": 5, "dog": 1}, test={"cat": 2}))
    assert set(found) == {"empty-split"}
    assert "validation, test" in found["empty-split"].message


def test_a_class_must_have_a_picture_for_each_split(tmp_path: Path) -> None:
    found = faults(folders(tmp_path / "whole", whole={"cat": 9, "dog": 2}))
    assert found["too-few-pictures"].files == ("dog",)
    assert "at least 3" in found["too-few-pictures"].message
    ready = folders(tmp_path / "set", train={"a": 1, "b": 1}, validation={"a": 1}, test={"a": 1})
    assert counts(open_classes(ready).splits["train"], 2) == [1, 1]


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"a": 3, "b": 3}, test={"a": 1, "b": 1}, valid={"a": 1})
    (root / "train" / "readme.txt").write_text("pictures")
    (root / "train" / ".DS_Store").touch()
    (root / "train" / "a" / ".DS_Store").touch()
    told = {f.code: f for f in open_classes(root).findings}
    assert {(f.code, f.severity, f.files) for f in told.values()} == {
        ("passed-over", "warning", ("train/readme.txt",)),
        ("not-a-split", "warning", ("valid",)),
    }
    assert "validation" in told["not-a-split"].hint


def test_val_is_validation_unless_both_are_there(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"a": 1, "b": 2}, val={"a": 3, "b": 1}, test={"a": 1, "b": 1})
    dataset = open_classes(root)
    assert [counts(dataset.splits[name], 2) for name in SPLITS] == [[1, 2], [3, 1], [1, 1]]
    assert dataset.splits["validation"].frames[0].image == root / "val" / "a" / "0.png"
    assert not dataset.findings
    save(picture(0), root / "val" / "newt" / "0.png")
    assert faults(root)["unknown-class"].files == ("val/newt",)
    folders(root, validation={"a": 1})
    assert set(faults(root)["two-validation-splits"].files) == {"validation", "val"}


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_split_without_classes_is_as_good_as_none(tmp_path: Path, split: str) -> None:
    root = folders(tmp_path, train={"a": 10, "b": 10})
    (root / split).mkdir()
    dataset = open_classes(root)
    assert list(dataset.splits) == ["train", "validation"]
    (told,) = dataset.findings
    assert (told.code, told.severity, told.files) == ("empty-split", "warning", (split,))


def test_pictures_of_an_unknown_kind_are_named(tmp_path: Path) -> None:
    for name in ("a/0.heic", "b/0.heic"):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"ftypheic")
    assert task_of(tmp_path) == "classification"
    assert faults(tmp_path)["not-a-picture"].files == ("train/a/0.heic", "train/b/0.heic")


def test_a_name_that_no_folder_can_have() -> None:
    assert task_of(Path("n" * 300)) == "segmentation"


def test_neither_folders_nor_idx_files(tmp_path: Path) -> None:
    assert "train/<class>/<picture>" in faults(tmp_path)["layout"].hint
    (tmp_path / "mapping.json").write_text(json.dumps({"a": 0}))
    assert set(faults(tmp_path)) == {"layout"}


def test_folders_of_masks_are_never_classes(tmp_path: Path) -> None:
    for k in range(6):
        save(picture(k), tmp_path / f"train/scans/{k}.png")
        mask = np.zeros((20, 24), np.uint8)
        mask[k : k + 5, k : 12 + k] = 255
        save(mask, tmp_path / f"train/outlines/{chr(97 + 3 * k) * (k + 2)}.png")
    with pytest.raises(DataError, match="masks-as-classes") as refused:
        open_classes(tmp_path)
    assert "outlines" in refused.value.findings[0].message


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"train": 4}, "headstart drew validation"),
        ({"train": 4, "validation": 2}, ""),
        ({"": 10}, "headstart drew train, validation, test"),
    ],
)
def test_the_reading_says_which_splits_were_drawn(
    parts: dict[str, int], said: str, tmp_path: Path
) -> None:
    for part, count in parts.items():
        for name in ("a", "b"):
            for k in range(count):
                save(picture(k), tmp_path / part / name / f"{k}.png")
    reading = " ".join(open_classes(tmp_path).reading)
    assert said in reading and ("drew" in reading) == bool(said)
