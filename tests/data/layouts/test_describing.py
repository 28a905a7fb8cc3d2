"""A reading written as ``dataset.toml`` reads the same dataset, by patterns where they can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.describing import description_text
from headstart.data.layouts.description import Description, read_description
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from tests.data.layouts import plain_copy
from tests.data.layouts.annotations import annotated
from tests.data.layouts.annotations import test_coco as coco
from tests.data.layouts.annotations import test_nnunet as nnunet
from tests.data.layouts.annotations import test_roboflow_masks as roboflow
from tests.data.layouts.test_people import (
    CASES,
    COUNT,
    GROUP,
    SHORT,
    SPLIT,
    labels,
    levels,
    nested,
    pairs,
    picture,
    save,
)


def described(data: Path, file: Path) -> tuple[Description, Dataset]:
    """Describe a dataset in a file, and read the file."""
    file.write_text(description_text(open_dataset(data), data, file))
    return read_description(file), open_dataset(file)


def assert_same(one: Dataset, other: Dataset) -> None:
    """Assert that two datasets hold the same frames, in the same order."""
    assert one.splits == other.splits
    assert one.unlabelled == other.unlabelled
    assert one.label_map == other.label_map


@pytest.mark.parametrize("name", CASES)
def test_every_arrangement_is_described_by_patterns(name: str, tmp_path: Path) -> None:
    write, _ = CASES[name]
    write(tmp_path / "data")
    first = open_dataset(tmp_path / "data")
    description, second = described(tmp_path / "data", tmp_path / "my.toml")
    assert_same(second, replace(first, root=second.root))
    assert description.pictures is not None and not description.frames
    assert len((tmp_path / "my.toml").read_text().splitlines()) < 30


PATTERNS = {
    "a folder for each picture, files called alike": (
        "{name}/image.png", "{name}/mask.png",
        lambda root: pairs(root, "case{k}/image.png", "case{k}/mask.png"),
    ),
    "splits as ends of names": (
        "images{split}/{name}.png", "labels{split}/{name}.png",
        lambda root: pairs(root, "images{s}/{k}.png", "labels{s}/{k}.png",
                           {"train": "Tr", "validation": "Va", "test": "Ts"}),
    ),
    "a folder for each picture": (
        "{name}/image/{name}.png", "{name}/mask/{name}.png",
        lambda root: pairs(root, "case{k}/image/case{k}.png", "case{k}/mask/case{k}.png"),
    ),
    "stems that patients share": (
        "{group}/us/{name}.png", "{group}/seg/{name}.png",
        lambda root: [
            (save(root / f"{GROUP[k]}/us/{k // 4}.png", picture(k)),
             save(root / f"{GROUP[k]}/seg/{k // 4}.png", levels(k)))
            for k in range(COUNT)
        ],
    ),
    "affixes by split": (
        "{split}/i/{name}_*.png", "{split}/m/{name}_gt.png",
        lambda root: pairs(root, "{s}/i/{k}_{s}.png", "{s}/m/{k}_gt.png", SHORT),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_as_a_person_writes_them(name: str, tmp_path: Path) -> None:
    pictures, masks, write = PATTERNS[name]
    write(tmp_path)
    first = open_dataset(tmp_path)
    description, second = described(tmp_path, tmp_path / "dataset.toml")
    assert (description.pictures, description.masks) == (pictures, masks)
    assert_same(second, first)
    assert description.root == "."


@pytest.mark.parametrize(
    ("file", "root"),
    [
        ("data/dataset.toml", "."),
        ("my.toml", "data"),
        ("other/my.toml", None),  # elsewhere: absolute
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_the_root_is_relative_to_a_folder_above(
    file: str, root: str | None, again: bool, tmp_path: Path
) -> None:
    pairs(tmp_path / "data", "a/{k}.png", "b/{k}.png")
    (tmp_path / "other").mkdir()
    data = tmp_path / "data"
    if again:
        text = description_text(open_dataset(data), data, tmp_path / "first.toml")
        data = tmp_path / "first.toml"
        data.write_text(text)
    description, second = described(data, tmp_path / file)
    assert description.root == (root or str(tmp_path / "data"))
    assert second.root == tmp_path / "data"


def test_frames_one_by_one_where_no_pattern_says_it(tmp_path: Path) -> None:
    for k in range(COUNT):
        folder = tmp_path / GROUP[k] / ("late" if k % 3 else "")
        save(folder / f"us/{k}.png", picture(k))
        save(folder / f"seg/{k}.png", levels(k))
    first = open_dataset(tmp_path)
    description, second = described(tmp_path, tmp_path / "dataset.toml")
    assert len(description.frames) == sum(map(len, first.splits.values()))
    assert_same(second, first)


def test_pictures_without_masks_in_several_folders(tmp_path: Path) -> None:
    pairs(tmp_path, "pics/{k}.png", "truth/{k}.png")
    for k in (20, 21):
        save(tmp_path / f"more/{k}.png", picture(k))
        save(tmp_path / f"other/deep/{k}.png", picture(k))
    first = open_dataset(tmp_path)
    description, second = described(tmp_path, tmp_path / "dataset.toml")
    assert description.unlabelled == ("more/{name}.png", "other/deep/{name}.png")
    assert_same(second, first)


def test_the_course_s_layout_has_pictures_for_validating_a_pretext(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for k in range(COUNT):
        folder = root / f"segmentation/{SPLIT[k]}/{k}"
        save(folder / f"{k}_input.jpg", picture(k))
        save(folder / f"{k}_mask.png", labels(k))
        part = "train" if k < 9 else "validation"
        save(root / f"colorization/{part}_cor/{k}/{k}_input.jpg", picture(k + 50))
    (root / "mapping.json").write_text('{"a": 0, "b": 1, "c": 2}')
    description, second = described(root, tmp_path / "my.toml")
    assert description.unlabelled == "colorization/{split}_cor/{name}/{name}_input.jpg"
    assert {part: len(frames) for part, frames in second.unlabelled.items()} == {
        "train": 9, "validation": 3,
    }  # fmt: skip
    assert_same(second, replace(open_dataset(root), root=second.root))


ANNOTATED = {
    "coco": lambda root: coco.official(root, annotated.scenes()),
    "nnunet": lambda root: nnunet.nnunet(root, plain_copy.scenes(train=8, test=3)),
    "roboflow-masks": lambda root: roboflow.roboflow(
        root, plain_copy.scenes(train=6, validation=2, test=2)
    ),
}


@pytest.mark.parametrize("layout", ANNOTATED)
def test_annotations_are_described_by_their_layout_or_by_patterns(
    layout: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    ANNOTATED[layout](tmp_path / "data")
    first = open_dataset(tmp_path / "data")
    assert first.layout == layout
    description, second = described(tmp_path / "data", tmp_path / "my.toml")
    assert_same(second, replace(first, root=second.root))
    assert (description.layout or "described") == second.layout
    assert not description.frames
    comment = (tmp_path / "my.toml").read_text().partition("\n\n")[0]
    assert ("only root, range and page are read" in comment) == (description.layout is not None)


def test_a_layout_that_the_folder_has_not(tmp_path: Path) -> None:
    pairs(tmp_path, "a/{k}.png", "b/{k}.png")
    (tmp_path / "dataset.toml").write_text('layout = "coco"\n')
    with pytest.raises(DataError, match="not arranged so"):
        open_dataset(tmp_path)


def test_a_class_inside_another_needs_its_layout(tmp_path: Path) -> None:
    """A description draws the classes in the order of their numbers."""
    nested(tmp_path / "data")
    first = open_dataset(tmp_path / "data")
    description, second = described(tmp_path / "data", tmp_path / "my.toml")
    assert description.layout == first.layout
    assert_same(second, first)


def test_a_description_is_described_as_it_is(tmp_path: Path) -> None:
    pairs(tmp_path / "data", "a/{k}.png", "b/{k}.png")
    text = 'pictures = "a/{name}.png"\nmasks = "b/{name}.png"\nthreshold = 50\n'
    (tmp_path / "data/dataset.toml").write_text(text)
    first = open_dataset(tmp_path / "data")
    description, second = described(tmp_path / "data", tmp_path / "my.toml")
    assert description.threshold == 50
    assert_same(second, first)
    assert second.description == first.description


def test_what_the_file_says_on_top(tmp_path: Path) -> None:
    CASES["a field of view beside"][0](tmp_path)
    text = description_text(open_dataset(tmp_path), tmp_path, tmp_path / "dataset.toml")
    comment = text[: text.index("\npictures")]
    assert all(line.startswith("#") for line in comment.splitlines() if line)
    for words in ("headstart check --describe", "own-data.md", "Left out", '# valid = "fov/'):
        assert words in comment
    pasted = text.replace('# valid = "', 'valid = "')
    (tmp_path / "dataset.toml").write_text(pasted)
    assert open_dataset(tmp_path).ignore is not None
