"""The EXIF orientation of a picture, where its mask has the size of the picture as stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import IGNORE, LabelMap
from headstart.data.pictures.frame import ColourLayer, Frame, Layer, Polygon, Shapes
from headstart.data.pictures.masks import is_turned_too, read_labelled
from headstart.data.pictures.opening import turned
from headstart.errors import DataError

RNG = np.random.default_rng(0)
STORED = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 2, (20, 30), dtype=np.uint8)
MAP = LabelMap(("ground", "tool"), (0, 255))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    Image.fromarray(LABELS * np.uint8(255)).save(tmp_path / "mask.png")
    return Frame("a", tmp_path / "picture.png", tmp_path / "mask.png")


def layers_of(mask: Path) -> dict[str, Frame]:
    colours = (((0, 0, 0), 0), ((255, 255, 255), 255))
    return {
        "file": Frame("a", mask.with_name("picture.png"), mask),
        "levels": Frame(
            "a", mask.with_name("picture.png"), (Layer(mask, ((0, 0), (255, 255)), "it"),)
        ),
        "colours": Frame("a", mask.with_name("picture.png"), (ColourLayer(mask, colours, "it"),)),
    }


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["file", "levels", "colours"])
def test_the_mask_is_turned_like_its_picture(
    frame: Frame, tmp_path: Path, orientation: int, kind: str
) -> None:
    frame = layers_of(tmp_path / "mask.png")[kind]
    Image.fromarray(STORED).save(frame.image, exif=exif(orientation))
    image, labels = read_labelled(frame, MAP, tmp_path)
    assert np.array_equal(image, turned(STORED, orientation))
    assert np.array_equal(labels, turned(LABELS, orientation))
    assert is_turned_too(frame, tmp_path)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_where_the_size_does_not_tell_the_mask_stays(
    frame: Frame, tmp_path: Path, orientation: int
) -> None:
    Image.fromarray(STORED).save(frame.image, exif=exif(orientation))
    _, labels = read_labelled(frame, MAP, tmp_path)
    assert np.array_equal(labels, LABELS)
    assert not is_turned_too(frame, tmp_path)


def test_a_square_picture_and_an_upright_mask_stay_as_they_are(
    frame: Frame, tmp_path: Path
) -> None:
    assert frame.mask is not None
    Image.fromarray(STORED[:, :20]).save(frame.image, exif=exif(6))
    Image.fromarray(LABELS[:, :20] * np.uint8(255)).save(tmp_path / "mask.png")
    _, labels = read_labelled(frame, MAP, tmp_path)
    assert np.array_equal(labels, LABELS[:, :20])
    assert not is_turned_too(frame, tmp_path)
    Image.fromarray(STORED).save(frame.image, exif=exif(6))
    Image.fromarray(LABELS.T * np.uint8(255)).save(tmp_path / "mask.png")
    _, labels = read_labelled(frame, MAP, tmp_path)
    assert np.array_equal(labels, LABELS.T)
    assert not is_turned_too(frame, tmp_path)


def test_a_mask_with_an_orientation_of_its_own_is_not_turned_twice(
    frame: Frame, tmp_path: Path
) -> None:
    Image.fromarray(STORED).save(frame.image, exif=exif(6))
    Image.fromarray(LABELS * np.uint8(255)).save(tmp_path / "mask.png", exif=exif(6))
    _, labels = read_labelled(frame, MAP, tmp_path)
    assert np.array_equal(labels, turned(LABELS, 6))
    assert not is_turned_too(frame, tmp_path)


def test_a_lying_mask_of_an_upright_picture_has_the_wrong_size(
    frame: Frame, tmp_path: Path
) -> None:
    Image.fromarray(STORED.swapaxes(0, 1)).save(frame.image)
    with pytest.raises(DataError) as caught:
        read_labelled(frame, MAP, tmp_path)
    assert caught.value.findings[0].code == "size-differs"


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_blurred_region_ends_where_half_of_it_is_bright(tmp_path: Path, ending: str) -> None:
    """In a JPEG, or where an edge is soft, hardly a pixel near it is black."""
    rows, columns = np.ogrid[:256, :256]
    distance = np.sqrt((rows - 128.0) ** 2 + (columns - 128.0) ** 2)
    soft = np.clip(100.5 - distance, 0, 1) if ending == "png" else distance < 100
    Image.fromarray((255 * soft).astype(np.uint8)).save(tmp_path / f"valid.{ending}", quality=75)
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((256, 256), np.uint8)).save(tmp_path / "mask.png")
    frame = Frame("a", tmp_path / "a.png", tmp_path / "mask.png")
    _, labels = read_labelled(replace(frame, valid=tmp_path / f"valid.{ending}"), MAP, tmp_path)
    wrong = (labels != IGNORE) != (distance < 100)
    assert not wrong[np.abs(distance - 100) > 2].any()


def test_the_region_that_counts_is_turned_too(frame: Frame, tmp_path: Path) -> None:
    valid = np.zeros((20, 30), np.uint8)
    valid[:, :15] = 255
    Image.fromarray(valid).save(tmp_path / "valid.png")
    Image.fromarray(STORED).save(frame.image, exif=exif(8))
    _, labels = read_labelled(replace(frame, valid=tmp_path / "valid.png"), MAP, tmp_path)
    assert np.array_equal(labels == IGNORE, turned(valid, 8) == 0)


def test_shapes_that_were_drawn_on_the_stored_picture(frame: Frame, tmp_path: Path) -> None:
    Image.fromarray(STORED).save(frame.image, exif=exif(6))
    corner = Polygon(255, (((0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0)),))
    for size, shows in (((20, 30), turned), ((30, 20), lambda mask, _: mask)):
        shapes = Shapes(tmp_path / "a.json", (corner,), size)
        expected = np.zeros(size, np.uint8)
        expected[:2, :4] = 1
        turned_too = replace(frame, mask=(shapes,))
        _, labels = read_labelled(turned_too, MAP, tmp_path)
        assert np.array_equal(labels, shows(expected, 6))
        assert is_turned_too(turned_too, tmp_path) == (size == (20, 30))


def test_masks_of_a_broken_picture_may_differ_in_size(frame: Frame, tmp_path: Path) -> None:
    for name, shape in (("other", (10, 30)), ("valid", (20, 10))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}.png")
    paths = (tmp_path / "mask.png", tmp_path / "other.png")
    layers = tuple(Layer(path, ((0, 0), (255, 255)), "it") for path in paths)
    frame = replace(frame, mask=layers, valid=tmp_path / "valid.png")
    frame.image.write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        read_labelled(frame, MAP, tmp_path)
    assert [finding.files for finding in caught.value.findings] == [("picture.png",)]
