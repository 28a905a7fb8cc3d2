"""What the grey levels of a mask are: labels, soft edges, two clusters of a lossy format."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import LabelMap
from headstart.data.pictures.frame import Frame, Layer
from headstart.data.pictures.mask_levels import describe_levels, in_two_clusters
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading import read_mask
from headstart.errors import DataError, Finding

MAP = LabelMap(("ground", "tool"), (0, 255))


def disc(soft: bool) -> np.ndarray:
    """A disc of 255 on 0; its edge is one to two pixels wide if soft."""
    y, x = np.mgrid[:256, :256] - 128.0
    inside = 90 - np.hypot(y, x)
    edge = np.clip((inside + 0.75) / 1.5, 0, 1) if soft else inside > 0
    return np.rint(255 * edge).astype(np.uint8)


def histogram(levels: np.ndarray) -> np.ndarray:
    return np.bincount(levels.ravel(), minlength=256)


def refused(path: Path) -> Finding:
    with pytest.raises(DataError) as caught:
        read_mask(path, path.parent)
    (finding,) = caught.value.findings
    return finding


def test_describe_levels() -> None:
    rng = np.random.default_rng(0)
    city = rng.choice([*range(34), 255], (64, 64)).astype(np.uint8)  # labels and an ignored level
    assert describe_levels(histogram(city)) == "many levels"
    assert describe_levels(histogram(disc(soft=False))) == "labels"
    assert describe_levels(histogram(disc(soft=True))) == "soft edges"
    assert describe_levels(histogram(rng.integers(0, 256, (64, 64)))) == "many levels"
    assert describe_levels(histogram(rng.integers(0, 32, (64, 64)))) == "labels"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({0: 60, 255: 40}, True),
        ({0: 60, 255: 38, 128: 2}, True),
        ({0: 60, 255: 37, 128: 3}, False),
        ({32: 50, 223: 50}, True),
        ({33: 50, 223: 50}, False),
        ({0: 100}, False),
        ({255: 100}, False),
    ],
)
def test_two_clusters(counts: dict[int, int], expected: bool) -> None:
    levels = np.zeros(256, dtype=np.int64)
    levels[list(counts)] = list(counts.values())
    assert in_two_clusters(levels) is expected


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
def test_lossy_mask_of_two_levels_names_the_threshold_that_reads_it(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / "a"
    options = {"compression": "jpeg"} if form == "TIFF" else {"quality": 90}
    Image.fromarray(disc(soft=False)).save(path, form, **options)
    finding = refused(path)
    assert finding.code == "lossy-mask"
    assert "`threshold = 128`" in finding.hint
    picture = tmp_path / "p.png"
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(picture)
    layer = Layer(path, ((0, 0), (255, 255)), "it", threshold=128)
    _, labels = read_labelled(Frame("a", picture, (layer,)), MAP, tmp_path)
    assert np.array_equal(labels, disc(soft=False) > 0)


def test_lossy_mask_of_several_levels_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(disc(soft=False) // 2).save(path)
    finding = refused(path)
    assert finding.code == "lossy-mask"
    assert "threshold" not in finding.hint


def test_soft_edges_are_named_where_their_levels_are_unknown(tmp_path: Path) -> None:
    picture, mask = tmp_path / "p.png", tmp_path / "m.png"
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(picture)
    Image.fromarray(disc(soft=True)).save(mask)
    with pytest.raises(DataError) as caught:
        read_labelled(Frame("a", picture, mask), MAP, tmp_path)
    (finding,) = caught.value.findings
    assert (finding.code, finding.files) == ("soft-mask", ("m.png",))
    assert "`threshold = 128`" in finding.hint
    assert np.array_equal(read_mask(mask, tmp_path), disc(soft=True))
    every = LabelMap(tuple(f"c{k}" for k in range(250)), tuple(range(250)))
    content = disc(soft=True) % 250
    buffer = io.BytesIO()
    Image.fromarray(content).save(buffer, "PNG")
    mask.write_bytes(buffer.getvalue())
    _, labels = read_labelled(Frame("a", picture, mask), every, tmp_path)
    assert np.array_equal(labels, content)  # levels that the map knows are labels, soft or not
