"""Masks of colours with soft edges or JPEG: recognised, refused once, read where asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from headstart.data.checks.segmentation import check_dataset
from headstart.data.decoded_frames import digest
from headstart.data.layouts.dataset import Dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures import mask_colours
from headstart.data.pictures.mask_colours import (
    are_mixtures,
    flat_colours,
    has_soft_edges,
    nearest,
    plain_colours,
)
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError

COUNT, SIDE = 6, 64
CLASSES = {"background": "#000000", "tool": "#ff0000", "tissue": "#00ff00"}
PATTERNS = 'pictures = "images/{name}.png"\nmasks = "masks/{name}.*"\n'
TABLE = '[classes]\nbackground = "#000000"\ntool = "#ff0000"\ntissue = "#00ff00"\n'
KNOWN = [0x000000, 0xFF0000, 0x00FF00]


def drawn(k: int, scale: int = 1) -> Image.Image:
    """A tool and a tissue; ``scale`` times as large, and scaled down again, has soft edges."""
    picture = Image.new("RGB", (SIDE * scale, SIDE * scale))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([v * scale for v in (4 + k, 4, 34 + k, 29)], fill="#ff0000")
    draw.polygon([(a * scale, b * scale) for a, b in ((30, 40), (60, 33), (45, 60 - k))],
                 fill="#00ff00")  # fmt: skip
    return picture.resize((SIDE, SIDE), Image.Resampling.BOX)


def codes(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture).astype(np.int64)
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


def dataset(root: Path, scale: int = 1, suffix: str = ".png") -> Path:
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for k in range(COUNT):
        noise = np.random.default_rng(k).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"images/{k}.png")
        drawn(k, scale).save(root / f"masks/{k}{suffix}")
    return root


def assert_nearly(data: Dataset, root: Path, share: float) -> None:
    """The classes are those of the sharp drawing but for a share of the pixels at borders."""
    for frame in (frame for part in data.splits.values() for frame in part):
        _, read = read_labelled(frame, data.label_map, root)
        sharp = nearest(codes(drawn(int(frame.name))).ravel(), KNOWN).reshape(read.shape)
        assert (read != sharp).mean() <= share


@pytest.mark.parametrize(
    ("scale", "suffix", "code"), [(4, ".png", "soft-colours"), (1, ".jpg", "lossy-mask")]
)
def test_one_finding_says_what_it_is_and_its_line_reads_the_masks(
    tmp_path: Path, scale: int, suffix: str, code: str
) -> None:
    root = dataset(tmp_path / "data", scale, suffix)
    (root / "mapping.json").write_text(json.dumps(CLASSES))
    errors = [f for f in check_dataset(root).findings if f.severity == "error"]
    assert [error.code for error in errors] == [code]
    assert len(errors[0].files) == COUNT and "#" not in errors[0].message
    assert "`nearest = true`" in errors[0].hint and "--describe" in errors[0].hint
    (root / "dataset.toml").write_text("nearest = true\n" + PATTERNS)
    data = open_dataset(root)  # the classes are those of mapping.json
    assert any("nearest" in sentence for sentence in data.reading)
    assert_nearly(data, root, 0.03)
    assert not [f for f in check_dataset(root).findings if f.severity == "error"]


@pytest.mark.parametrize(("scale", "suffix"), [(4, ".png"), (1, ".jpg")])
def test_without_a_mapping_flat_areas_say_which_colours_are_classes(
    tmp_path: Path, scale: int, suffix: str
) -> None:
    root = dataset(tmp_path / "data", scale, suffix)
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    (finding,) = caught.value.findings
    assert finding.code in ("many-colours", "lossy-mask") and "3 colours" in finding.message
    text = finding.hint[finding.hint.index("{") : finding.hint.index("}") + 1]
    (root / "mapping.json").write_text(text)
    (root / "dataset.toml").write_text("nearest = true\n" + PATTERNS)
    data = open_dataset(root)
    reds = [colour[0] > 200 for colour in data.label_map.colours]
    assert len(reds) == 3 and sum(reds) == 1


def test_nearest_is_part_of_the_hashes(tmp_path: Path) -> None:
    root = dataset(tmp_path)
    seen = []
    for first in ("", "nearest = true\n"):
        (root / "dataset.toml").write_text(first + PATTERNS + TABLE)
        data = open_dataset(root)
        seen.append((data.description, digest(data.splits["train"], root)))
        assert_nearly(data, root, 0)
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]


@pytest.mark.parametrize(
    "text",
    [
        "nearest = true\n" + PATTERNS + "[classes]\nbackground = 0\ntool = 1\n",
        "nearest = true\nthreshold = 128\n" + PATTERNS,
        'nearest = true\nlayout = "plain"\n',
        "nearest = true\n" + PATTERNS,  # the mapping has levels
        PATTERNS + '[classes]\nbackground = 0\ntool = "#ff0000"\n',
        "ignore = 255\n" + PATTERNS + TABLE,
        "ignore = 255\n" + PATTERNS,  # the mapping does not say so
    ],
)
def test_settings_that_contradict_each_other_are_errors(tmp_path: Path, text: str) -> None:
    root = dataset(tmp_path)
    (root / "mapping.json").write_text('{"background": 0, "tool": 255}')
    (root / "dataset.toml").write_text(text)
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    assert {finding.code for finding in caught.value.findings} <= {"bad-setting", "label-map"}


def test_ignored_colours_are_chosen_too(tmp_path: Path) -> None:
    root = dataset(tmp_path, suffix=".jpg")
    table = TABLE.replace('tissue = "#00ff00"\n', "")
    (root / "dataset.toml").write_text('nearest = true\nignore = "#00ff00"\n' + PATTERNS + table)
    data = open_dataset(root)
    _, read = read_labelled(data.splits["train"][0], data.label_map, root)
    assert set(np.unique(read)) == {0, 1, 255}


def test_mixtures_lie_between_two_colours_as_stored_or_as_light() -> None:
    mixed = [0x800000, 0x7F8000, 0xBBBB00]  # the last: red and green as light
    others = [0x0000FF, 0x808080, 0xFF00FF]
    assert are_mixtures(np.array(mixed + others), KNOWN).tolist() == [True] * 3 + [False] * 3


def test_an_undeclared_class_has_no_soft_edges() -> None:
    soft = codes(drawn(0, scale=4))
    assert has_soft_edges(soft, KNOWN)
    assert not has_soft_edges(soft, KNOWN[:2])  # green is a class that the mapping lacks
    block = codes(drawn(0))
    block[2:20, 40:60] = 0x800000  # between black and red, but no border
    assert not has_soft_edges(block, KNOWN)


def test_many_colours_are_compared_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def counted(values: np.ndarray, known: Sequence[int]) -> np.ndarray:
        compared.append(len(values))
        return are_mixtures(values, known)

    monkeypatch.setattr(mask_colours, "are_mixtures", counted)
    noise = np.random.default_rng(0).integers(0, 1 << 24, (100, 100))
    assert not has_soft_edges(noise, KNOWN)
    assert 0 < max(compared) <= 2000
    monkeypatch.setattr(mask_colours, "_COMPARED", 20)
    soft = codes(drawn(0, scale=4))
    assert has_soft_edges(soft, KNOWN) and not has_soft_edges(soft, KNOWN[:2])


def test_flat_areas_have_the_colours_of_classes() -> None:
    assert sorted(plain_colours(flat_colours(codes(drawn(0, scale=4))), 32)) == sorted(KNOWN)


def test_of_two_colours_at_the_same_distance_the_first_is_nearest() -> None:
    assert nearest(np.array([0x010000]), [0x020000, 0]).tolist() == [0]
    assert nearest(np.array([0x010000]), [0, 0x020000]).tolist() == [0]
