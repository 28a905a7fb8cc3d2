from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import DataError
from headstart.tasks.interface import DatasetSize
from headstart.tasks.lookup import LABELLED, TASKS, find_task, task_named
from tests.data.pictures_of_classes import folders, four_files


def sizes(data: Path) -> DatasetSize:
    task, _ = find_task(data)
    return task.sizes(task.open(data))


def test_every_task_is_found_by_its_own_name() -> None:
    assert set(LABELLED) < set(TASKS) and all(task_named(n).name == n for n in TASKS)


def test_segmentation(drawn: Path) -> None:
    assert find_task(drawn)[0].name == "segmentation"
    counted = {"train": 12, "validation": 4, "test": 5}
    assert sizes(drawn) == DatasetSize(5, counted)


def test_classification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folders(tmp_path / "folders", train={"a": 11, "b": 20}, test={"a": 2, "b": 1})
    assert find_task(root)[0].name == "classification"
    assert sizes(root) == DatasetSize(2, {"train": 28, "validation": 3, "test": 3})
    files = four_files(tmp_path / "files")
    assert find_task(files)[0].name == "classification"
    assert sizes(files) == DatasetSize(4, {"train": 36, "validation": 4, "test": 8})
    monkeypatch.chdir(tmp_path)
    assert find_task(Path("fashion-mnist"))[0].name == "classification"


def test_a_class_called_mask(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"mask": 3, "no_mask": 3}, test={"mask": 1, "no_mask": 1})
    assert find_task(root)[0].name == "classification"


def test_a_split_that_is_not_there_has_none(tmp_path: Path) -> None:
    root = folders(tmp_path, train={"a": 2, "b": 2})
    assert sizes(root).pictures == {"train": 2, "validation": 2, "test": 0}


def test_what_is_neither_is_told_as_a_segmentation(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        assert find_task(root)[0].name == "segmentation"
        with pytest.raises(DataError):
            find_task(root)[1]()
