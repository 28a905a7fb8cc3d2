"""TIFF files as tifffile and Pillow write them: read to the samples written, or refused by code."""

from __future__ import annotations

import io
import struct
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.data.pictures.opening import turned
from headstart.data.pictures.reading import decode_image, picture_header, read_image, read_mask
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 64), dtype=np.uint8)
GREY_16 = RNG.integers(0, 4096, (40, 64), dtype=np.uint16)
RGB = RNG.integers(0, 256, (40, 64, 3), dtype=np.uint8)
RGB_16 = RNG.integers(0, 4096, (40, 64, 3), dtype=np.uint16)
LABELS = (GREY % 3).astype(np.uint8)
RANGE = ReadingRules(value_range=(0, 4095))


def written(samples: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    rgb = 3 in (samples.shape[-1], samples.shape[0]) and samples.ndim == 3
    options.setdefault("photometric", "rgb" if rgb else "minisblack")
    if options.get("planarconfig") == "separate":
        samples = np.moveaxis(samples, -1, 0)
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def in_range(samples: np.ndarray, low: int = 0, high: int = 4095) -> np.ndarray:
    levels = np.rint(np.clip((samples.astype(float) - low) / (high - low), 0, 1) * 255)
    return levels.astype(np.uint8)


def three(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey] * 3, 2)


STORED = [
    {"compression": compression, "bigtiff": big, "tile": tile, "planarconfig": planar}
    for compression in (None, "lzw", "zlib", "zstd", "packbits", "jpeg2000")
    for big, tile in ((False, None), (True, (16, 16)), (False, (32, 16)))
    for planar in ("contig", "separate")
]


@pytest.mark.parametrize("options", STORED, ids=str)
def test_every_way_of_storing(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    grey = options | {"planarconfig": None}
    for samples, expected, more in (
        (GREY, three(GREY), grey),
        (RGB, RGB, options),
        (GREY_16, three(in_range(GREY_16)), grey),
        (RGB_16, in_range(RGB_16), options),
    ):
        path.write_bytes(written(samples, **more))
        assert np.array_equal(read_image(path, tmp_path, RANGE), expected), samples.dtype
        header = picture_header(path, tmp_path)
        assert (header.height, header.width, header.orientation) == (40, 64, 1)


JP2 = {"compression": "jpeg2000"}  # Pillow reads none of these
ALPHA = np.dstack([RGB, np.full((40, 64), 255, np.uint8)])
HOLE = ALPHA.copy()
HOLE[:2, :2, 3] = 0
SPECK = ALPHA.copy()
SPECK[0, 0] = (200, 100, 50, 127)
SPECK_16 = np.dstack([RGB_16, np.full((40, 64), 65_535, np.uint16)])
SPECK_16[0, 0, 3] = 0
BLACK_SPECK = RGB_16.copy()
BLACK_SPECK[0, 0] = 0
RGBA = {"photometric": "rgb", "extrasamples": ["unassalpha"]}

READ = {
    "white is zero": (written(255 - GREY, photometric="miniswhite", **JP2), three(GREY)),
    "white is zero, 16 bits": (
        written(65_535 - GREY_16, photometric="miniswhite"), three(in_range(GREY_16)),
    ),
    "32 bits": (written(GREY_16.astype(np.uint32)), three(in_range(GREY_16))),
    "signed": (written(GREY_16.astype(np.int16)), three(in_range(GREY_16))),
    "big endian": (written(RGB_16, byteorder=">"), in_range(RGB_16)),
    "opaque": (written(ALPHA, **RGBA, **JP2), RGB),
    "no alpha, but a fourth": (
        written(HOLE, photometric="rgb", extrasamples=["unspecified"], **JP2), RGB,
    ),
    "16 bits, one pixel transparent": (written(SPECK_16, **RGBA), in_range(BLACK_SPECK)),
    "predictor": (written(RGB_16, compression="lzw", predictor=True), in_range(RGB_16)),
    "orientation": (
        written(RGB_16, extratags=[(274, "H", 1, 6, True)]), in_range(turned(RGB_16, 6)),
    ),
}  # fmt: skip

LARGE_32 = np.linspace(0, 2**32 - 1, 40 * 64).astype(np.uint32).reshape(40, 64)
WHITE_ALPHA = np.stack([65535 - GREY_16, np.full_like(GREY_16, 65535)], 2)


def test_32_bits_without_a_sign(tmp_path: Path) -> None:
    """Pillow reads them as if half of them were negative."""
    (tmp_path / "a.tif").write_bytes(written(LARGE_32))
    rules = ReadingRules(value_range=(0, 2**32 - 1))
    expected = in_range(LARGE_32, 0, 2**32 - 1)
    assert np.array_equal(read_image(tmp_path / "a.tif", tmp_path, rules), three(expected))


def test_alpha_is_not_inverted_where_0_is_white(tmp_path: Path) -> None:
    content = written(WHITE_ALPHA, photometric="miniswhite", extrasamples=["unassalpha"])
    (tmp_path / "a.tif").write_bytes(content)
    assert np.array_equal(read_image(tmp_path / "a.tif", tmp_path, RANGE), three(in_range(GREY_16)))


@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha"])
def test_opaque_alpha_of_grey(tmp_path: Path, extra: str) -> None:
    samples = np.stack([GREY, np.full_like(GREY, 255)], 2)
    (tmp_path / "a.tif").write_bytes(written(samples, extrasamples=[extra]))
    assert np.array_equal(read_image(tmp_path / "a.tif", tmp_path), three(GREY))


REFUSED = {
    "three grey channels": (
        written(RGB, photometric="minisblack", planarconfig="contig"), "picture-channels",
        "3 grey channels",
    ),
    "float": (written(GREY.astype(np.float32)), "picture-depth", "floating point"),
    "float, compressed": (
        written(GREY.astype(np.float32), compression="zstd"), "picture-depth", "floating point",
    ),
    "seven channels": (
        written(np.zeros((40, 64, 7), np.uint8), planarconfig="contig"), "picture-channels", "7",
    ),
    "two channels": (
        written(np.zeros((40, 64, 2), np.uint16), planarconfig="contig"), "picture-channels", "2",
    ),
    "transparent": (written(HOLE, **RGBA, **JP2), "transparent-picture", "transparent"),
    "64 bits": (written(GREY.astype(np.uint64)), "picture-depth", "64"),
    "another compression": (
        written(GREY_16, compression="lerc"), "unknown-compression", "34887",
    ),
    "pages": (written(np.stack([GREY, GREY]), photometric="minisblack"), "several-pages", "pages"),
    "pages for tifffile": (
        written(np.stack([GREY, GREY]), photometric="minisblack", **JP2), "several-pages", "pages",
    ),
    "volume": (
        written(np.zeros((16, 32, 32), np.uint16), volumetric=True, tile=(16, 16, 16)),
        "several-pages", "pages",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_kinds_of_samples(tmp_path: Path, case: str) -> None:
    content, expected = READ[case]
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert np.array_equal(read_image(path, tmp_path, RANGE), expected)
    header = picture_header(path, tmp_path)
    assert header.upright == expected.shape[:2]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    content, code, named = REFUSED[case]
    with pytest.raises(DataError) as caught:
        decode_image(content, "a.tif", rules=RANGE)
    (finding,) = caught.value.findings
    assert (finding.code, finding.files) == (code, ("a.tif",))
    assert named in finding.message
    assert finding.hint


HINTS = {  # lines of a dataset.toml, and words of the hint
    None: ["convert the picture to 8 bits", "only the dataset.toml of a dataset"],
    (): ['in dataset.toml, above its tables: `range = "percentile"`', "`range = [0, 4095]`"],
    ('layout = "coco"',): ["new file dataset.toml", '`layout = "coco"`, `range = "percentile"`'],
}


@pytest.mark.parametrize("lines", HINTS)
def test_without_a_range_16_bits_are_refused_with_a_way_on(lines: tuple[str, ...] | None) -> None:
    for samples in (GREY_16, RGB_16):
        for options in ({}, JP2):
            with pytest.raises(DataError) as caught:
                decode_image(written(samples, **options), "a.tif", rules=ReadingRules(lines=lines))
            (finding,) = caught.value.findings
            assert finding.code == "picture-depth"
            assert [word for word in HINTS[lines] if word not in finding.hint] == []


def test_percentiles_are_of_all_channels(tmp_path: Path) -> None:
    image = decode_image(written(RGB_16), "a", rules=ReadingRules(value_range="percentile"))
    low, high = np.percentile(RGB_16, (0.5, 99.5), method="inverted_cdf").tolist()
    assert np.array_equal(image, in_range(RGB_16, low, high))


@pytest.mark.parametrize("compression", [None, "jpeg2000"])
def test_a_declared_page(compression: str | None) -> None:
    pages = np.stack([GREY, 255 - GREY, GREY[::-1]])
    content = written(pages, photometric="minisblack", compression=compression)
    for page in range(3):
        image = decode_image(content, "a", rules=ReadingRules(page=page))
        assert np.array_equal(image, three(pages[page]))
    for page in (3, 10_000, 10**9, -1):
        with pytest.raises(DataError) as caught:
            decode_image(content, "a", rules=ReadingRules(page=page))
        assert caught.value.findings[0].code == "no-such-page"
    one = written(GREY, compression=compression)
    assert np.array_equal(decode_image(one, "a", rules=ReadingRules(page=0)), three(GREY))
    with pytest.raises(DataError) as caught:
        decode_image(one, "a", rules=ReadingRules(page=1))
    assert caught.value.findings[0].code == "no-such-page"


def test_masks(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for options in ({"bigtiff": True, "tile": (16, 16), "compression": "zstd"}, {}):
        for kind in (np.uint8, np.uint16, np.int32):
            path.write_bytes(written(LABELS.astype(kind), **options))
            assert np.array_equal(read_mask(path, tmp_path), LABELS)
    path.write_bytes(written(LABELS, **JP2))
    with pytest.raises(DataError) as caught:
        read_mask(path, tmp_path)
    assert caught.value.findings[0].code == "lossy-mask"


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    for content in (written(RGB_16), written(GREY, **JP2)):
        with pytest.raises(DataError) as caught:
            decode_image(content, "a.tif", rules=RANGE)
        (finding,) = caught.value.findings
        assert finding.code == "missing-extra"
        assert "headstart[tiff]" in finding.hint
    with pytest.raises(DataError) as caught:  # no extra would read this
        decode_image(written(GREY, **JP2)[:-50], "a.tif", rules=RANGE)
    assert caught.value.findings[0].code == "damaged-picture"
    assert np.array_equal(
        decode_image(written(GREY_16), "a", rules=RANGE), three(in_range(GREY_16))
    )


CUT = {
    "16-bit RGB": written(RGB_16, compression="lzw", tile=(16, 16)),
    "16-bit grey": written(GREY_16),
    "JPEG 2000": written(RGB, **JP2),
    "BigTIFF": written(RGB_16, bigtiff=True, compression="zstd"),
    "pages": written(np.stack([GREY_16] * 3), photometric="minisblack", **JP2),
}


@pytest.mark.parametrize("case", CUT)
@pytest.mark.parametrize("rules", [NO_RULES, ReadingRules((0, 4095), page=1)], ids=["-", "rules"])
def test_cut_short_anywhere(case: str, rules: ReadingRules, tmp_path: Path) -> None:
    content = CUT[case]
    path = tmp_path / "a.tif"
    # Closer where headers and directories are, at both ends, than in the pixels between them.
    ends = {
        *range(0, 300, 23),
        *range(300, len(content), 131),
        *range(len(content) - 1, 0, -61)[:9],
    }
    for end in sorted(ends):
        path.write_bytes(content[:end])
        for read in (
            lambda: read_image(path, tmp_path, rules),
            lambda: read_mask(path, tmp_path),
            lambda: picture_header(path, tmp_path, rules),
        ):
            try:
                read()
            except DataError as error:
                assert error.findings[0].files == ("a.tif",)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(CUT)),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_changed_bytes_are_read_or_refused_never_worse(
    case: str, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(CUT[case])
    for position, byte in changes:
        content[-1 - position if position % 2 else position] = byte
    for rules in (RANGE, ReadingRules((0, 4095), page=0)):
        try:
            decode_image(bytes(content), "a.tif", rules=rules)
        except DataError as error:
            assert error.findings[0].files == ("a.tif",)


def set_tag(content: bytes, tag: int, kind: str, value: int, count: int = 1) -> bytes:
    """Replace a tag of the first directory of a small little-endian TIFF."""
    (at,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, at)
    changed = bytearray(content)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            number = {"H": 3, "I": 4}[kind]
            struct.pack_into("<HHI" + kind, changed, entry, tag, number, count, value)
            return bytes(changed)
    raise ValueError(tag)


def bombs() -> dict[str, tuple[bytes, str]]:
    plain, pages = written(RGB_16), written(np.stack([GREY_16] * 3), photometric="minisblack")
    jp2 = written(GREY, **JP2)
    codestream = bytearray(jp2)
    at = jp2.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">2I", codestream, at + 8, 60_000, 60_000)
    return {
        "huge": (set_tag(set_tag(plain, 256, "I", 2**31), 257, "I", 2**31), "picture-size"),
        "huge pages": (set_tag(set_tag(pages, 256, "I", 2**31), 257, "I", 2**31), "picture-size"),
        "huge for tifffile": (set_tag(jp2, 257, "I", 2**32 - 1), "picture-size"),
        "tall": (set_tag(jp2, 257, "I", 900_000), "damaged-picture"),
        "no height": (set_tag(jp2, 257, "I", 0), "damaged-picture"),
        "a codestream larger than its tile": (bytes(codestream), "damaged-picture"),
        "a million strips": (set_tag(jp2, 273, "I", 8, count=2**31), "damaged-picture"),
        "a million channels": (set_tag(jp2, 277, "I", 2**31), "picture-channels"),
    }


@pytest.mark.parametrize("case", bombs())
def test_absurd_headers_are_refused_at_once_and_in_little_memory(case: str) -> None:
    content, code = bombs()[case]
    decode_image(written(GREY, **JP2), "warm")
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(DataError) as caught:
        decode_image(content, "a.tif", rules=ReadingRules((0, 4095), page=0))
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.findings[0].code == code
    assert seconds < 2
    assert peak < 32 << 20


def test_directories_in_a_circle() -> None:
    content = bytearray(written(GREY, **JP2))
    (at,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, at)
    struct.pack_into("<I", content, at + 2 + 12 * entries, at)
    assert np.array_equal(decode_image(bytes(content), "a.tif"), three(GREY))
    with pytest.raises(DataError) as caught:
        decode_image(bytes(content), "a.tif", rules=ReadingRules(page=9_999))
    assert caught.value.findings[0].code == "no-such-page"
