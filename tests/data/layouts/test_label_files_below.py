"""Tasks of one tool, unpacked side by side, each with its own file of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError

RED, GREEN = (255, 0, 0), (0, 255, 0)
HEAD = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"


def write(root: Path, second: str) -> None:
    rng = np.random.default_rng(0)
    for task, classes in (("one", "tool:255,0,0::\ntip:0,255,0::\n"), ("two", second)):
        for folder in ("images", "masks"):
            (root / task / folder).mkdir(parents=True)
        (root / task / "labelmap.txt").write_text(HEAD + classes)
        for k in range(4):
            pixels = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / task / "images" / f"{task}{k}.png")
            mask = np.zeros((24, 32, 3), np.uint8)
            mask[2:9, 3:20], mask[12:20, 5:25] = RED, GREEN
            Image.fromarray(mask).save(root / task / "masks" / f"{task}{k}.png")
    (root / "dataset.toml").write_text(
        'pictures = "{task}/images/{name}.png"\nmasks = "{task}/masks/{name}.png"\n'
    )


def test_files_that_agree_name_the_classes(tmp_path: Path) -> None:
    write(tmp_path, "tool:255,0,0::\ntip:0,255,0::\n")
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("background", "tool", "tip")
    assert any("one/labelmap.txt" in sentence for sentence in dataset.reading)


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("tool:255,0,0::\ntip:0,255,0::\n", "tip:0,255,0::\ntool:255,0,0::\n", ("tool", "tip")),
        ("tool:255,0,0::\n", "tip:0,255,0::\ntool:255,0,0::\n", ("tool", "tip")),
        ("tip:0,255,0::\ntool:255,0,0::\n", "tool:255,0,0::\n", ("tip", "tool")),
    ],
)
def test_files_may_differ_in_their_order_and_lack_classes(
    tmp_path: Path, first: str, second: str, names: tuple[str, ...]
) -> None:
    write(tmp_path, second)
    (tmp_path / "one/labelmap.txt").write_text(HEAD + first)
    (tmp_path / "one/classes.txt").write_text("other\n")  # of one folder, one file is read
    dataset = open_dataset(tmp_path)
    assert dataset.label_map.names == ("background", *names)
    assert any("one/labelmap.txt, two/labelmap.txt" in each for each in dataset.reading)


def test_a_broken_file_below_matters_only_without_a_mapping(tmp_path: Path) -> None:
    write(tmp_path, "tool:red::\n")
    with pytest.raises(DataError, match="label-map"):
        open_dataset(tmp_path)
    (tmp_path / "mapping.json").write_text('{"bg": "#000000", "a": "#ff0000", "b": "#00ff00"}')
    assert open_dataset(tmp_path).label_map.names == ("bg", "a", "b")


@pytest.mark.parametrize("mapping", ["", '{"background": "#000000", "tool": "#ff0000"}'])
def test_files_that_disagree_are_refused(tmp_path: Path, mapping: str) -> None:
    write(tmp_path, "tip:255,0,0::\ntool:0,255,0::\n")
    if mapping:
        (tmp_path / "mapping.json").write_text(mapping)
    with pytest.raises(DataError, match="label-files-disagree") as caught:
        open_dataset(tmp_path)
    assert set(caught.value.findings[0].files) == {"one/labelmap.txt", "two/labelmap.txt"}
