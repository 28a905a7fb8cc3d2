"""Pictures of 16 bits: recognised as those of 8 bits are, and the lines to paste read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.segmentation import check_dataset, report_on
from headstart.data.layouts.dataset import Dataset, FaultyDatasetError
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError, Finding
from tests.data.layouts.test_people import COUNT, GROUP, SPLIT, labels, levels, picture

ARRANGED = {
    "in folders": ("img/{k}.png", "truth/{k}.png"),
    "side by side": ("img{kk}.tif", "Mask of img{kk}.tif"),
    "in splits": ("{s}/img/{k}.tif", "{s}/label/{k}.png"),
    "by patient": ("{g}/{k}.tif", "{g}/{k}_mask.tif"),
    "plain": ("images/{k}.png", "masks/{k}.png"),
}


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write(root: Path, arrangement: str, mask: Callable[[int], np.ndarray] = levels) -> list[Path]:
    """Write 16-bit pictures and their masks; return the masks."""
    image, of_mask = ARRANGED[arrangement]
    masks = []
    for k in range(COUNT):
        named = {"k": k, "kk": f"{k:03}", "s": SPLIT[k], "g": GROUP[k]}
        save(root / image.format(**named), picture(k)[..., 0].astype(np.uint16) * 16)
        masks.append(root / of_mask.format(**named))
        save(masks[-1], mask(k))
    return masks


def unread(dataset: Dataset) -> Finding:
    findings = [f for f in report_on(dataset).findings if f.code == "picture-depth"]
    assert len(findings) == 1
    return findings[0]


def pasted(root: Path, *hints: str) -> Dataset:
    """The dataset once the lines of hints are in its ``dataset.toml``, but for the last choice."""
    lines = [line for hint in hints for line in re.findall("`([^`]*)`", hint.split(";")[-2])]
    (root / "dataset.toml").write_text("\n".join(dict.fromkeys(lines)))
    return open_dataset(root)


def without_rules(dataset: Dataset) -> dict[str, list[object]]:
    return {s: [replace(f, rules=NO_RULES) for f in part] for s, part in dataset.splits.items()}


@pytest.mark.parametrize("arrangement", ARRANGED)
def test_they_are_recognised_and_the_lines_read_them(arrangement: str, tmp_path: Path) -> None:
    write(tmp_path, arrangement)
    first = open_dataset(tmp_path)
    assert sum(map(len, first.splits.values())) == COUNT
    finding = unread(first)
    assert "16-bit grey" in finding.message and len(finding.files) == COUNT
    second = pasted(tmp_path, finding.hint)
    assert without_rules(second) == without_rules(first)
    assert (second.layout, second.label_map) == (first.layout, first.label_map)
    assert check_dataset(tmp_path).ok
    for frame in second.splits["train"]:
        its = picture(int(frame.name.removeprefix("img")))[..., 0]
        shown = read_frame(frame, tmp_path)[..., 0].astype(int)
        assert np.abs(shown - its).max() <= 4  # its percentiles are near 0 and 255


@pytest.mark.parametrize("arrangement", ["in folders", "side by side", "in splits", "by patient"])
def test_pictures_without_a_mask_need_patterns(arrangement: str, tmp_path: Path) -> None:
    write(tmp_path, arrangement)[4].unlink()
    with pytest.raises(FaultyDatasetError) as caught:
        open_dataset(tmp_path)
    (missing,) = caught.value.findings
    depth = unread(caught.value.dataset)
    assert missing.code == "image-without-mask"
    dataset = pasted(tmp_path, missing.hint + ";", depth.hint)
    assert dataset.layout == "described"
    assert sum(map(len, dataset.splits.values())) == COUNT
    assert check_dataset(tmp_path).ok
    groups = {f.name: f.group for part in dataset.splits.values() for f in part}
    if arrangement == "by patient":
        assert [groups[str(k)] for k in range(COUNT)] == GROUP


def test_pictures_in_a_folder_without_masks_are_read_too(tmp_path: Path) -> None:
    write(tmp_path, "in folders")[4].unlink()
    for k in (20, 21):
        save(tmp_path / f"more/x{k}.png", picture(k)[..., 0].astype(np.uint16) * 16)
    with pytest.raises(FaultyDatasetError) as caught:
        open_dataset(tmp_path)
    depth = unread(caught.value.dataset)
    dataset = pasted(tmp_path, caught.value.findings[0].hint + ";", depth.hint)
    assert [frame.name for frame in dataset.unlabelled["train"]] == ["x20", "x21"]


def test_masks_of_16_bits_are_masks(tmp_path: Path) -> None:
    write(tmp_path, "in folders", lambda k: labels(k).astype(np.uint16))
    assert open_dataset(tmp_path).label_map.greys == (0, 1, 2)


def test_a_file_that_declares_no_range_needs_one_line(tmp_path: Path) -> None:
    write(tmp_path, "in folders")
    for text in ('layout = "paired"', 'pictures = "img/{name}.png"\nmasks = "truth/{name}.png"'):
        (tmp_path / "dataset.toml").write_text(text)
        hint = unread(open_dataset(tmp_path)).hint
        assert "layout" not in hint and "pictures = " not in hint
        (tmp_path / "dataset.toml").write_text('range = "percentile"\n' + text)
        dataset = open_dataset(tmp_path)
        rules = {frame.rules for part in dataset.splits.values() for frame in part}
        assert rules == {ReadingRules("percentile")} and check_dataset(tmp_path).ok


def test_a_layout_takes_a_page(tmp_path: Path) -> None:
    write(tmp_path, "plain")
    (tmp_path / "dataset.toml").write_text('layout = "plain"\npage = 0\nrange = [0, 4095]\n')
    rules = {f.rules for part in open_dataset(tmp_path).splits.values() for f in part}
    assert rules == {ReadingRules((0, 4095), 0)}
    save(tmp_path / "images/more.png", picture(0))  # a fault elsewhere changes no rule
    with pytest.raises(FaultyDatasetError) as caught:
        open_dataset(tmp_path)
    faulty = caught.value.dataset
    assert {f.rules for part in faulty.splits.values() for f in part} == rules


@pytest.mark.parametrize("arrangement", ["in folders", "side by side"])
def test_pictures_that_no_line_reads_are_named(arrangement: str, tmp_path: Path) -> None:
    write(tmp_path, arrangement)
    image = ARRANGED[arrangement][0]
    for k in range(COUNT):
        path = tmp_path / image.format(k=k, kk=f"{k:03}")
        path.unlink()
        save(path.with_suffix(".tif"), picture(k)[..., 0].astype(np.float32))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    layout, depth = caught.value.findings
    assert (layout.code, depth.code) == ("layout", "picture-depth")
    assert "floating point" in depth.message
