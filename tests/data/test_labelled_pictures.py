"""Labelled pictures as arrays: at which size they are kept, and what their digest tells apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.framing import resize_image
from headstart.data.labelled_pictures import Labelled, digest_of, read_labelled_pictures
from headstart.data.layouts.class_layouts import open_classes
from headstart.errors import DataError
from tests.data.pictures_of_classes import folders, four_files, labels, picture, save

TWO = {"train": {"a": 4, "b": 3}, "test": {"a": 1, "b": 1}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Seven pictures to learn, 8 high and 10 wide."""
    return folders(tmp_path / "data", **TWO)


def read(root: Path, size: tuple[int, int] = (16, 16), split: str = "test") -> Labelled:
    return read_labelled_pictures(open_classes(root), split, size, root.parent / "cache")


def test_small_pictures_of_one_size_are_kept_at_it(root: Path) -> None:
    train = read(root, split="train")
    assert train.images.shape == (5, 3, 8, 10)
    its = open_classes(root).splits["train"]
    assert train.names == its.names and train.labels.tolist() == its.labels.tolist()
    for image, frame in zip(train.images, its.frames, strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(frame.image)))


@pytest.mark.parametrize("size", [(8, 9), (7, 10), (4, 4)])
def test_larger_ones_are_brought_to_the_size(root: Path, size: tuple[int, int]) -> None:
    test = read(root, size)
    assert test.images.shape == (2, 3, *size)
    whole = np.asarray(Image.open(root / "test" / "a" / "0.png"))
    assert np.array_equal(test.images[0].transpose(1, 2, 0), resize_image(whole, size))


def test_ones_of_several_sizes_are_brought_to_the_size(root: Path) -> None:
    save(picture(0, 9, 10), root / "test" / "a" / "0.png")
    assert read(root).images.shape == (2, 3, 16, 16)
    assert read(root, (8, 10), "train").images.shape == (5, 3, 8, 10), "each split for itself"


def test_a_picture_that_its_camera_held_upright_is_not_squeezed(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(picture(0, 10, 8), root / "test" / "a" / "0.png", exif=exif)  # shown 8 high, 10 wide
    assert read(root).images.shape == (2, 3, 8, 10)
    for name in "ab":
        save(picture(0, 8, 10), root / "test" / name / "0.png", exif=exif)
    assert read(root).images.shape == (2, 3, 10, 8)


def test_grey_pictures_of_idx_files_stay_grey(tmp_path: Path) -> None:
    dataset = open_classes(four_files(tmp_path / "data"))
    for size in ((32, 32), (2, 2)):  # the network brings them to its own
        train = read_labelled_pictures(dataset, "train", size, tmp_path / "cache")
        assert train.images.shape == (36, 1, 6, 5)
        assert np.array_equal(train.images[:, 0], dataset.splits["train"].pixels)
    assert not (tmp_path / "cache").exists()


def test_a_subset_is_of_the_same_whole(root: Path) -> None:
    train = read(root, split="train")
    part = train.subset([3, 1])
    assert part.names == (train.names[3], train.names[1])
    assert np.array_equal(part.images, train.images[[3, 1]])
    assert part.labels.tolist() == train.labels[[3, 1]].tolist()
    assert part.digest == train.digest
    assert train.subset(range(5)) is train
    assert train.subset([0]).images.shape == (1, 3, 8, 10)


def test_the_digest_is_of_pictures_labels_and_names(root: Path, tmp_path: Path) -> None:
    first = digest_of(open_classes(root), "train")
    assert first == read(root, split="train").digest
    assert first == digest_of(open_classes(folders(tmp_path / "moved", **TWO)), "train")
    assert first != digest_of(open_classes(root), "validation")
    seen = {first}
    (root / "train" / "a").rename(root / "train" / "b ")  # same pictures, another class's name
    (root / "test" / "a").rename(root / "test" / "b ")
    seen.add(digest_of(open_classes(root), "train"))
    other = folders(tmp_path / "other", **TWO)
    (other / "train/a/3.png").rename(other / "train/b/3.png")
    seen.add(digest_of(open_classes(other), "train"))
    save(picture(99), tmp_path / "moved/train/a/0.png")
    save(picture(98), tmp_path / "moved/train/a/1.png")
    seen.add(digest_of(open_classes(tmp_path / "moved"), "train"))
    assert len(seen) == 4


def test_idx_digests_depend_on_pixels_and_labels(tmp_path: Path) -> None:
    dataset = open_classes(four_files(tmp_path / "a"))
    first = digest_of(dataset, "train")
    assert first == read_labelled_pictures(dataset, "train", (8, 8), tmp_path).digest
    assert first == digest_of(open_classes(four_files(tmp_path / "b", zipped=True)), "train")
    changed = four_files(tmp_path / "c", test_labels=labels([1, 0, 2, 3, 0, 1, 2, 3]))
    assert digest_of(open_classes(changed), "train") == first
    assert digest_of(open_classes(changed), "test") != digest_of(dataset, "test")
    assert digest_of(dataset, "validation") != first


def test_no_split_no_digest(root: Path) -> None:
    for path in sorted((root / "test").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "test").rmdir()
    assert digest_of(open_classes(root), "test") == ""


def test_every_bad_picture_is_named(root: Path) -> None:
    (root / "test/a/0.png").write_text("<html>not found</html>")
    whole = (root / "test/b/0.png").read_bytes()
    (root / "test/b/0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError) as caught:
        read(root)
    assert {f.code: f.files for f in caught.value.findings} == {
        "not-a-picture": ("test/a/0.png",),
        "damaged-picture": ("test/b/0.png",),
    }


@pytest.mark.parametrize("stranger", ["pipe", "link", "bomb"])
def test_a_stranger_among_the_pictures_does_not_hang(root: Path, stranger: str) -> None:
    path = root / "test/a/0.png"
    path.unlink()
    if stranger == "pipe":
        os.mkfifo(path)
    elif stranger == "link":
        path.symlink_to(save(picture(0), root.parent / "elsewhere.png"))
    else:
        Image.new("1", (16_000, 16_000)).save(path)  # Pillow warns, which is an error here
    with pytest.raises(DataError) as caught:
        read(root)
    assert caught.value.findings[0].files == ("test/a/0.png",)
