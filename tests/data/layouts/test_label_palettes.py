"""Masks with palettes, as GIMP, Photoshop and Paint write them: read by colour, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError, Finding

COUNT, SIZE = 8, (24, 32)
BLACK, RED, GREEN, BLUE = (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)
LEVELS = {"background": 0, "tool": 1, "tissue": 2}
COLOURS = {"background": "#000000", "tool": "#ff0000", "tissue": "#00ff00"}


def labels(k: int) -> np.ndarray:
    """Class indices: a tool, a tissue or both, in turn."""
    mask = np.zeros(SIZE, np.uint8)
    if k % 3 != 1:
        mask[2 : 10 + k, 3:12] = 1
    if k % 3 != 2:
        mask[4:12, 16 : 20 + k] = 2
    return mask


def fixed(colours: list[tuple[int, int, int]]) -> Callable[[int], Image.Image]:
    """One palette for all masks, as Pascal VOC has."""

    def mask(k: int) -> Image.Image:
        picture = Image.fromarray(labels(k), mode="P")
        picture.putpalette([v for colour in colours for v in colour])
        return picture

    return mask


def by_use(k: int) -> Image.Image:
    """As GIMP's Image > Mode > Indexed: only the colours in use, the most frequent first."""
    present, counts = np.unique(labels(k), return_counts=True)
    order = present[np.argsort(-counts, kind="stable")]
    index = np.zeros(256, np.uint8)
    index[order] = range(len(order))
    picture = Image.fromarray(index[labels(k)], mode="P")
    picture.putpalette(np.array([BLACK, RED, GREEN], np.uint8)[order].ravel().tolist())
    return picture


def padded(k: int) -> Image.Image:
    """One palette, but with leftovers that differ at indices that no pixel has."""
    picture = fixed([BLACK, RED, GREEN])(k)
    picture.putpalette([*BLACK, *RED, *GREEN, k, 7, 7])
    return picture


def dataset(root: Path, mask: Callable[[int], Image.Image], suffix: str = ".png") -> Path:
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for k in range(COUNT):
        noise = np.random.default_rng(k).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"images/{k}.png")
        mask(k).save(root / f"masks/{k}{suffix}")
    return root


def classes(root: Path, values: dict[str, object]) -> None:
    (root / "mapping.json").write_text(json.dumps(values))


def refusal(root: Path) -> Finding:
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    (finding,) = caught.value.findings
    return finding


def assert_read(root: Path) -> None:
    data = open_dataset(root)
    for frames in data.splits.values():
        for frame in frames:
            _, read = read_labelled(frame, data.label_map, root)
            assert np.array_equal(read, labels(int(frame.name)))


@pytest.mark.parametrize(
    ("mask", "values"),
    [
        (fixed([BLACK, RED, GREEN]), None),
        (fixed([BLACK, RED, GREEN]), LEVELS),
        (fixed([BLUE, RED, GREEN]), LEVELS),  # the user has said what the indices mean
        (fixed([BLACK, RED, GREEN]), COLOURS),
        (by_use, COLOURS),
        (padded, LEVELS),
        (padded, None),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_palettes_that_mean_one_thing_are_read(
    tmp_path: Path,
    mask: Callable[[int], Image.Image],
    values: dict[str, object] | None,
    suffix: str,
) -> None:
    dataset(tmp_path, mask, suffix)
    if values:
        classes(tmp_path, values)
    assert_read(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif", ".tif"])
@pytest.mark.parametrize("values", [None, LEVELS])
def test_sorted_palettes_are_refused_with_the_mapping_that_reads_them(
    tmp_path: Path, values: dict[str, object] | None, suffix: str
) -> None:
    dataset(tmp_path, by_use, suffix)
    if values:
        classes(tmp_path, values)
    finding = refusal(tmp_path)
    assert finding.code == ("palettes-disagree" if values else "no-label-map")
    assert re.search(r"index 1 is #\w{6} in masks/\d\.\w+ and #\w{6} in masks/", finding.message)
    (tmp_path / "mapping.json").write_text(finding.hint[finding.hint.index("{") :])
    data = open_dataset(tmp_path)
    assert set(data.label_map.colours) == {BLACK, RED, GREEN}
    assert set(LEVELS) & set(data.label_map.names) <= {
        "background"
    }  # nobody guesses which is which


def test_without_a_mapping_a_palette_that_begins_with_a_colour_needs_one(tmp_path: Path) -> None:
    dataset(tmp_path, fixed([RED, BLACK, GREEN]))  # the background is red
    finding = refusal(tmp_path)
    assert finding.code == "no-label-map"
    assert finding.message.index("#ff0000") < finding.message.index("#000000")
    (tmp_path / "mapping.json").write_text(finding.hint[finding.hint.index("{") :])
    assert_read(tmp_path)


def test_palettes_beside_plain_colours_are_colours(tmp_path: Path) -> None:
    def mixed(k: int) -> Image.Image:
        picture = fixed([BLACK, RED, GREEN])(k)
        return picture.convert("RGB") if k % 2 else picture

    finding = refusal(dataset(tmp_path, mixed))
    (tmp_path / "mapping.json").write_text(finding.hint[finding.hint.index("{") :])
    data = open_dataset(tmp_path)
    assert set(data.label_map.colours) == {BLACK, RED, GREEN}


def test_the_correction_of_a_dataset_toml_is_its_own_table(tmp_path: Path) -> None:
    dataset(tmp_path, by_use)
    text = 'pictures = "images/{name}.png"\nmasks = "masks/{name}.png"\n'
    (tmp_path / "dataset.toml").write_text(
        text + "[classes]\nbackground = 0\ntool = 1\ntissue = 2\n"
    )
    finding = refusal(tmp_path)
    assert finding.code == "palettes-disagree"
    line = finding.hint[finding.hint.index("classes = {") :]
    (tmp_path / "dataset.toml").write_text(text + line)
    assert set(open_dataset(tmp_path).label_map.colours) == {BLACK, RED, GREEN}


def test_a_colour_that_the_palette_has_twice_is_no_disagreement(tmp_path: Path) -> None:
    def twice(k: int) -> Image.Image:
        picture = fixed([BLACK, RED, BLACK])(k)
        picture.putpalette([*BLACK, *RED, *BLACK, k, 7, 7])  # no pixel has the last index
        return picture

    dataset(tmp_path, twice)
    (tmp_path / "mapping.json").write_text(json.dumps(LEVELS))
    assert open_dataset(tmp_path).label_map.greys == (0, 1, 2)
