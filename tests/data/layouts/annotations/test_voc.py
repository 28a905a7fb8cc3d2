"""Pascal VOC's folders: the same pixels as a plain copy, however masks are stored; faults."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import IGNORE
from headstart.data.layouts.label_files import voc_colour
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.data.task import task_of
from headstart.errors import DataError
from tests.data.layouts.plain_copy import (
    NAMES,
    Scenes,
    assert_same,
    faults,
    indices_of,
    plain_copy,
    save,
    save_picture,
    scenes,
)

COLOURS = [(0, 0, 0), (250, 50, 83), (51, 221, 255)]
LABELMAP = "# label:color_rgb:parts:actions\n" + "".join(
    f"{name}:{','.join(map(str, colour))}::\n" for name, colour in zip(NAMES, COLOURS, strict=True)
)
PALETTE = [channel for k in range(256) for channel in voc_colour(k)]
Write = Callable[[Path, np.ndarray], None]


def rgb(path: Path, indices: np.ndarray) -> None:
    colours = np.array([*COLOURS, *[(224, 224, 192)] * 253], np.uint8)
    save(path, colours[indices])


def palette(path: Path, indices: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(indices).convert("P")
    chosen = [*np.ravel(COLOURS).tolist(), *PALETTE[9:]]
    picture.putpalette(chosen)
    picture.save(path)


def voc_palette(path: Path, indices: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(PALETTE)
    picture.save(path)


def levels(path: Path, indices: np.ndarray) -> None:
    save(path, indices)


def levels_on_nothing(path: Path, indices: np.ndarray) -> None:
    """Where nobody painted, pixels are transparent."""
    save(path, np.stack([indices, (indices > 0) * np.uint8(255)], axis=-1))


def voc(
    root: Path, drawn: Scenes, write: Write = rgb, labelmap: str | None = LABELMAP, void: int = -1
) -> Path:
    """Write frames; pixels of the class ``void`` get the index 255."""
    names = {"validation": "val", "": "default"}
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    for split, frames in drawn.items():
        for name, boxes in frames.items():
            save_picture(root / f"JPEGImages/{name}.png", name)
            indices = indices_of(boxes)
            indices[indices == void] = 255
            write(root / f"SegmentationClass/{name}.png", indices)
        listed = "".join(f"{name}\n" for name in frames)
        (root / f"ImageSets/Segmentation/{names.get(split, split)}.txt").write_text(listed)
    if labelmap is not None:
        (root / "labelmap.txt").write_text(labelmap)
    return root


ALL = scenes(train=5, validation=2, test=2)


@pytest.mark.parametrize("write", [rgb, palette, levels, levels_on_nothing])
def test_it_equals_the_plain_copy(tmp_path: Path, write: Write) -> None:
    ours = open_dataset(voc(tmp_path / "voc", ALL, write))
    assert ours.layout == "voc"
    assert task_of(tmp_path / "voc") == "segmentation"
    assert ours.findings == ()
    assert_same(ours, plain_copy(tmp_path / "plain", ALL))


@pytest.mark.parametrize("write", [rgb, palette, levels])
def test_void_counts_nowhere(tmp_path: Path, write: Write) -> None:
    labelmap = LABELMAP[: LABELMAP.index("vessel")]
    ours = open_dataset(voc(tmp_path / "voc", ALL, write, labelmap, void=2))
    assert_same(ours, plain_copy(tmp_path / "plain", ALL, {2: 7}, NAMES[:2]))


@pytest.mark.parametrize("write", [voc_palette, levels])
def test_without_a_labelmap_the_classes_are_the_challenges(tmp_path: Path, write: Write) -> None:
    train: dict = {"a": [(1, 2, 2, 8, 8)], "b": []}
    drawn = {"train": train, "validation": {"c": [(15, 1, 1, 9, 9)]}}
    dataset = open_dataset(voc(tmp_path, drawn, write, None, 1))
    assert len(dataset.label_map.names) == 21
    assert dataset.label_map.names[15] == "person"
    assert {finding.code for finding in dataset.findings} == {"empty-split"}  # test: a warning
    frame, _ = dataset.splits["train"]
    _, labels = read_labelled(frame, dataset.label_map, tmp_path)
    assert np.unique(labels).tolist() == [0, IGNORE]
    (frame,) = dataset.splits["validation"]
    _, labels = read_labelled(frame, dataset.label_map, tmp_path)
    assert np.unique(labels).tolist() == [0, 15]


def test_the_palette_is_that_of_the_challenge() -> None:
    # from the palette of the masks that the challenge ships
    assert [voc_colour(k) for k in (0, 1, 2, 3, 8, 20, 255)] == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [64, 0, 0], [0, 64, 128],
        [224, 224, 192],
    ]  # fmt: skip


@pytest.mark.parametrize("with_list", [True, False])
def test_without_splits_it_equals_the_plain_copy(tmp_path: Path, with_list: bool) -> None:
    drawn = scenes(none=12)
    root = voc(tmp_path / "voc", drawn)
    if not with_list:
        shutil.rmtree(root / "ImageSets")
    assert_same(open_dataset(root), plain_copy(tmp_path / "plain", drawn))


def test_trainval_alone_is_split_into_all_three(tmp_path: Path) -> None:
    root = voc(tmp_path, scenes(trainval=10))
    dataset = open_dataset(root)
    assert {s: len(frames) for s, frames in dataset.splits.items()} == {
        "train": 7, "validation": 2, "test": 1
    }  # fmt: skip
    (root / "ImageSets/Segmentation/train.txt").write_text("trainval0\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("trainval1\n")
    dataset = open_dataset(root)
    assert {s: len(frames) for s, frames in dataset.splits.items()} == {
        "train": 1, "validation": 1
    }  # fmt: skip
    assert any("trainval.txt" in sentence for sentence in dataset.reading)
    (finding,) = (f for f in dataset.findings if f.code == "passed-over")
    assert len(finding.files) == 8


def test_what_else_lies_there_is_named(tmp_path: Path) -> None:
    root = voc(tmp_path, ALL)
    save_picture(root / "JPEGImages/free.png", "free")
    rgb(root / "SegmentationObject/train0.png", indices_of([]))
    dataset = open_dataset(root)
    assert [frame.name for frame in dataset.unlabelled["train"]] == ["free"]
    assert any("SegmentationObject" in sentence for sentence in dataset.reading)


def test_pictures_in_subfolders(tmp_path: Path) -> None:
    drawn = scenes(none=6)
    root = voc(tmp_path, drawn)
    for folder in ("JPEGImages", "SegmentationClass"):
        for patient in ("p1", "p2", "p3"):
            shutil.copytree(root / folder, root / "copy" / folder / patient)
        shutil.rmtree(root / folder)
        shutil.move(root / "copy" / folder, root / folder)
    listed = "".join(f"{p}/{name}\n" for p in ("p1", "p2", "p3") for name in drawn[""])
    (root / "ImageSets/Segmentation/default.txt").write_text(listed)
    dataset = open_dataset(root)
    read = {frame.name: frame for frames in dataset.splits.values() for frame in frames}
    assert len(read) == 18
    assert read["p2-f3"].image == root / "JPEGImages/p2/f3.png"
    assert {frame.group for frame in read.values()} == {"p1", "p2", "p3"}
    assert all(len({f.group for f in frames}) == 1 for frames in dataset.splits.values())


def test_a_list_that_names_missing_pictures_says_so(tmp_path: Path) -> None:
    root = voc(tmp_path, scenes(none=6))
    with (root / "ImageSets/Segmentation/default.txt").open("a") as file:
        file.write("missing\n")
    assert "a list names" in faults(root)["annotated-picture-missing"].message


def test_secret_test_masks_are_a_warning(tmp_path: Path) -> None:
    root = voc(tmp_path, ALL)
    for name in ALL["test"]:
        (root / f"SegmentationClass/{name}.png").unlink()
    dataset = open_dataset(root)
    assert {f.code: f.severity for f in dataset.findings} == {
        "image-without-mask": "warning", "empty-split": "warning"
    }  # fmt: skip
    assert "train" not in dataset.unlabelled


def unlink(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def written(name: str, content: bytes) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / name).write_bytes(content)

    return write


TRAIN = "ImageSets/Segmentation/train.txt"


@pytest.mark.parametrize(
    ("harm", "code", "fact"),
    [
        (unlink("JPEGImages/train1.png"), "annotated-picture-missing", "JPEGImages/train1"),
        (unlink("SegmentationClass/train1.png"), "image-without-mask", "JPEGImages/train1.png"),
        (written(TRAIN, b"nope\ntrain0\n"), "annotated-picture-missing", "JPEGImages/nope"),
        (written(TRAIN, b"../../nope\n"), "annotated-picture-missing", "../../nope"),
        (written(TRAIN, b"train0\ntrain1\ntest0\n"), "picture-twice", "JPEGImages/test0"),
        (written(TRAIN, b""), "empty-split", "train"),
        (written(TRAIN, b"\xff\xfe\x00"), "bad-annotations", TRAIN),
        (written("labelmap.txt", b"car:1,2\n"), "label-map", "line 1"),
        (written("labelmap.txt", b"a:1,2,3::\nb:1,2,3::\n"), "label-map", "several classes"),
        (written("JPEGImages/train1.jpg", b""), "same-stem", "JPEGImages/train1.jpg"),
    ],
)
def test_faults(tmp_path: Path, harm: Callable[[Path], None], code: str, fact: str) -> None:
    root = voc(tmp_path, ALL)
    harm(root)
    found = faults(root)
    assert set(found) == {code}
    assert fact in str(found[code])


def test_all_missing_pictures_are_named(tmp_path: Path) -> None:
    root = voc(tmp_path, ALL)
    (root / TRAIN).write_text("".join(f"gone{k}\n" for k in range(50)))
    assert len(faults(root)["annotated-picture-missing"].files) == 50


@pytest.mark.parametrize(("write", "code"), [(rgb, "unknown-colour"), (levels, "unknown-grey")])
def test_unknown_colours_and_levels(tmp_path: Path, write: Write, code: str) -> None:
    root = voc(tmp_path, ALL, write)
    rgb_of_another_class = np.full((24, 32, 3), 77, np.uint8)
    pixels = rgb_of_another_class if write is rgb else rgb_of_another_class[..., 0]
    save(root / "SegmentationClass/train0.png", pixels)
    dataset = open_dataset(root)
    with pytest.raises(DataError) as caught:
        read_labelled(dataset.splits["train"][0], dataset.label_map, root)
    assert [f.code for f in caught.value.findings] == [code]
