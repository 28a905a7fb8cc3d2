"""Rules of other pictures: where a picture has none of its own, and a page only for several."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.pictures.frame import Frame, read_by, read_frame
from headstart.data.pictures.in_flight import pixels_in_bytes
from headstart.data.pictures.reading import decode_image, fitting_bytes
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 4096, (8, 9), dtype=np.uint16)
PAGES = [RNG.integers(0, 256, size, dtype=np.uint8) for size in ((8, 9), (5, 6))]


def tiff(*pages: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    first, *others = map(Image.fromarray, pages)
    first.save(buffer, "TIFF", save_all=True, append_images=others)
    return buffer.getvalue()


def test_lines_for_messages_are_no_rule() -> None:
    rules = ReadingRules((0, 9), lines=('layout = "plain"',))
    assert rules == ReadingRules((0, 9)) and repr(rules) == repr(ReadingRules((0, 9)))
    assert repr(NO_RULES) == "ReadingRules(value_range=None, page=None)"  # runs have its hash


def test_own_rules_come_first() -> None:
    own, other = ReadingRules((0, 9), lines=()), ReadingRules("percentile", 2, ("a",))
    assert own.or_else(other) == ReadingRules((0, 9), 2) and own.or_else(other).lines == ()
    assert NO_RULES.or_else(other).lines == ("a",)


def test_frames_are_read_by_other_rules_where_they_have_none(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(DEEP))
    bare, own = Frame("a", tmp_path / "a.tif"), ReadingRules((0, 8190))
    frames = (bare, Frame("b", tmp_path / "a.tif", rules=own))
    assert read_by(frames, tmp_path, NO_RULES) == frames
    one, two = read_by(frames, tmp_path, ReadingRules((0, 4095)))
    expected = np.rint(DEEP / 4095 * 255)
    assert np.abs(read_frame(one, tmp_path)[..., 0] - expected).max() <= 1
    assert two.rules == own
    with pytest.raises(DataError, match="picture-depth"):
        read_frame(bare, tmp_path)


@pytest.mark.parametrize("page", [0, 1])
def test_a_page_is_for_files_that_have_several(page: int, tmp_path: Path) -> None:
    rules = ReadingRules(page=page)
    contents = {"several": tiff(*PAGES), "single": tiff(PAGES[0])}
    for name, content in contents.items():
        path, expected = tmp_path / f"{name}.tif", PAGES[page if name == "several" else 0]
        path.write_bytes(content)
        (frame,) = read_by((Frame(name, path),), tmp_path, rules)
        assert np.array_equal(read_frame(frame, tmp_path)[..., 0], expected)
        of_bytes = fitting_bytes(content, "a", rules)
        assert np.array_equal(decode_image(content, "a", rules=of_bytes)[..., 0], expected)
        assert pixels_in_bytes(content, rules) == expected.size
    assert pixels_in_bytes(contents["several"]) == 0  # which page is not known


def test_a_file_that_cannot_be_read_is_refused_as_ever(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    (frame,) = read_by((Frame("a", tmp_path / "a.tif"),), tmp_path, ReadingRules(page=1))
    with pytest.raises(DataError, match="damaged-picture"):
        read_frame(frame, tmp_path)
