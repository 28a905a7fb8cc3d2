"""A few files show the format of a folder; reading the format lists all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headstart.data.layouts.annotations import json_heads
from headstart.data.layouts.recognise import open_dataset
from tests.data.layouts.annotations import test_cvat
from tests.data.layouts.annotations.annotated import (
    HEIGHT,
    WIDTH,
    faults,
    notes,
    save,
    write_json,
)

MANY = 14  # more files, and more folders, than are looked at to recognise a format


def coco_files(root: Path, k: int, picture: str) -> None:
    image = {"id": 1, "file_name": picture, "height": HEIGHT, "width": WIDTH}
    outline = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    content = {"images": [image], "annotations": [outline]}
    content["categories"] = [{"id": 1, "name": "tool"}]
    write_json(root / f"annotations/{k:02}.json", content)


def label_studio_files(root: Path, k: int, picture: str) -> None:
    value = {"points": [[1, 1], [50, 1], [50, 50]], "polygonlabels": ["tool"]}
    region = {"original_width": WIDTH, "original_height": HEIGHT, "value": value}
    annotation = {"id": k, "result": [region]}
    task = {"id": k, "data": {"image": f"/data/{picture}"}, "annotations": [annotation]}
    write_json(root / f"{k:02}.json", [task])


def cvat_text(picture: str) -> str:
    shape = test_cvat.polygon("1,1;9,1;9,9")
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return test_cvat.xml(f'<image id="0" name="{picture}" {size}>{shape}</image>')


def cvat_files(root: Path, k: int, picture: str) -> None:
    (root / f"{k:02}.xml").write_text(cvat_text(picture))


def cvat_tasks(root: Path, k: int, picture: str) -> None:
    (root / f"task_{k:02}").mkdir()
    (root / "images" / picture).rename(root / f"task_{k:02}" / picture)
    (root / f"task_{k:02}" / "annotations.xml").write_text(cvat_text(picture))


@pytest.mark.parametrize("write", [coco_files, label_studio_files, cvat_files, cvat_tasks])
def test_every_file_is_read_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, int, str], None]
) -> None:
    monkeypatch.setattr(json_heads, "_FOLDERS", MANY - 2)
    rng = np.random.default_rng(0)
    for k in range(MANY):
        save(tmp_path / f"images/{k}.png", rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype("u1"))
        write(tmp_path, k, f"{k}.png")
    (tmp_path / "images").mkdir(exist_ok=True)
    dataset = open_dataset(tmp_path)
    assert sum(map(len, dataset.splits.values())) == MANY and not dataset.unlabelled
    assert "passed-over" not in notes(dataset)
    assert any(f"{MANY - 4} more" in sentence for sentence in dataset.reading)


def test_a_dataset_among_a_million_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "images/0.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    coco_files(tmp_path, 0, "0.png")
    monkeypatch.setattr(json_heads, "_MOST_NAMES", 3)
    assert "more than 3" in faults(tmp_path)["too-many-folders"].message
