"""Headers and orientations; 16-bit PNG in colour; GIF and PNG cut short or changed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from headstart.data.pictures.opening import turned
from headstart.data.pictures.reading import decode_image, picture_header, read_image, read_mask
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError

RNG = np.random.default_rng(0)
RGB_16 = RNG.integers(0, 4096, (24, 32, 3), dtype=np.uint16)
GREY = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
RANGE = ReadingRules(value_range=(0, 4095))


def in_range(samples: np.ndarray) -> np.ndarray:
    return np.rint(samples.astype(float) / 4095 * 255).astype(np.uint8)


def encoded(samples: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_agrees_with_pillow(orientation: int) -> None:
    image = Image.fromarray(RGB_16.astype(np.uint8))
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(turned(RGB_16.astype(np.uint8), orientation), upright)


def test_16_bit_png_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    content = imagecodecs.png_encode(RGB_16)
    assert np.array_equal(decode_image(content, "a", rules=RANGE), in_range(RGB_16))
    opaque = np.dstack([RGB_16, np.full((24, 32), 65_535, np.uint16)])
    content_with_alpha = imagecodecs.png_encode(opaque)
    assert np.array_equal(decode_image(content_with_alpha, "a", rules=RANGE), in_range(RGB_16))
    opaque[0, 0, 3] = 0
    with pytest.raises(DataError) as caught:
        decode_image(imagecodecs.png_encode(opaque), "a", rules=RANGE)
    assert caught.value.findings[0].code == "transparent-picture"
    for end in range(0, len(content), 37):
        with pytest.raises(DataError):
            decode_image(content[:end], "a", rules=RANGE)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DataError) as caught:
        decode_image(content, "a", rules=RANGE)
    assert caught.value.findings[0].code == "missing-extra"
    assert "headstart[tiff]" in caught.value.findings[0].hint


def test_16_bit_grey_png_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    grey = RGB_16[..., 0]
    expected = np.stack([in_range(grey)] * 3, 2)
    assert np.array_equal(decode_image(encoded(grey, "PNG"), "a", rules=RANGE), expected)


def test_a_range_does_not_touch_8_bits() -> None:
    content = encoded(GREY, "PNG")
    for value_range in ((0, 4095), "percentile"):
        rules = ReadingRules(value_range=value_range)  # type: ignore[arg-type]
        assert np.array_equal(decode_image(content, "a", rules=rules), np.stack([GREY] * 3, 2))


def test_a_page_of_a_file_without_pages() -> None:
    content = encoded(GREY, "PNG")
    assert decode_image(content, "a", rules=ReadingRules(page=0)).shape == (24, 32, 3)
    for page in (1, -1):
        with pytest.raises(DataError) as caught:
            decode_image(content, "a", rules=ReadingRules(page=page))
        assert caught.value.findings[0].code == "no-such-page"


def test_an_orientation_that_does_not_exist_is_none(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 9
    path = tmp_path / "a.png"
    path.write_bytes(encoded(GREY, "PNG", exif=tags))
    assert picture_header(path, tmp_path).upright == read_image(path, tmp_path).shape[:2]
    assert picture_header(path, tmp_path).orientation == 1


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "BMP", "JPEG", "WEBP"])
def test_cut_short_at_every_37th_byte(tmp_path: Path, form: str) -> None:
    content = encoded(GREY, form)
    path = tmp_path / "a"
    path.write_bytes(content)
    assert picture_header(path, tmp_path).upright == (24, 32)
    for end in range(0, len(content), 37):
        path.write_bytes(content[:end])
        for read in (read_image, read_mask, picture_header):
            try:
                read(path, tmp_path)
            except DataError as error:
                assert error.findings[0].files == ("a",)


GIF = encoded(GREY, "GIF")


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(6, len(GIF) - 1), st.integers(0, 255)), min_size=1))
def test_changed_bytes_of_a_gif_are_read_or_refused_never_worse(
    changes: list[tuple[int, int]],
) -> None:
    content = bytearray(GIF)
    for position, byte in changes:
        content[position] = byte
    try:
        decode_image(bytes(content), "a.gif")
    except DataError as error:
        assert error.findings[0].files == ("a.gif",)
