from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.question import Sizes, sizes_of, task_of
from headstart.errors import DataError
from tests.data.pictures_of_classes import folders, four_files


def test_segmentation(drawn: Path) -> None:
    assert task_of(drawn) == "segmentation"
    counted = {"train": 12, "validation": 4, "test": 5}
    assert sizes_of(drawn, "segmentation") == Sizes(5, counted)


def test_classification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folders(tmp_path / "folders", train={"a": 11, "b": 20}, test={"a": 2, "b": 1})
    assert task_of(root) == "classification"
    assert sizes_of(root, "classification") == Sizes(2, {"train": 28, "validation": 3, "test": 3})
    files = four_files(tmp_path / "files")
    assert task_of(files) == "classification"
    assert sizes_of(files, "classification") == Sizes(4, {"train": 36, "validation": 4, "test": 8})
    monkeypatch.chdir(tmp_path)
    assert task_of(Path("fashion-mnist")) == "classification"


def test_a_class_called_mask(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"mask": 3, "no_mask": 3}, test={"mask": 1, "no_mask": 1})
    assert task_of(root) == "classification"


def test_a_split_that_is_not_there_has_none(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"a": 2, "b": 2})
    assert sizes_of(root, "classification").pictures == {"train": 2, "validation": 2, "test": 0}


def test_what_is_neither_is_told_as_a_segmentation(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        assert task_of(root) == "segmentation"
        with pytest.raises(DataError):
            sizes_of(root, task_of(root))
