"""DICOM files as pydicom writes them: windows, rescaling, colours, and what is refused."""

from __future__ import annotations

import io
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from headstart.data.pictures.reading import decode_image, picture_header, read_image, read_mask
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError

RNG = np.random.default_rng(0)
CT = RNG.integers(0, 4096, (24, 32), dtype=np.uint16)
GREY = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
RGB = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)


def written(samples: np.ndarray, syntax: str = ExplicitVRLittleEndian, **fields: Any) -> bytes:
    bits = 8 * samples.dtype.itemsize
    picture = Dataset()
    picture.file_meta = FileMetaDataset()
    compress = syntax == RLELossless and "PixelData" not in fields
    uncompressed = ExplicitVRLittleEndian if compress else syntax
    picture.file_meta.TransferSyntaxUID = uncompressed
    picture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    picture.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    picture.SOPClassUID, picture.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    picture.Rows, picture.Columns = samples.shape[:2]
    picture.SamplesPerPixel = 3 if samples.ndim == 3 else 1
    picture.PhotometricInterpretation = "RGB" if samples.ndim == 3 else "MONOCHROME2"
    if samples.ndim == 3:
        picture.PlanarConfiguration = 0
    picture.BitsAllocated, picture.BitsStored, picture.HighBit = bits, bits, bits - 1
    picture.PixelRepresentation = int(samples.dtype.kind == "i")
    if samples.dtype == np.uint16:
        picture.BitsStored, picture.HighBit = 12, 11
    big = syntax == ExplicitVRBigEndian
    data = samples.astype(samples.dtype.newbyteorder(">")) if big else samples
    picture.PixelData = data.tobytes()
    picture["PixelData"].VR = "OW" if bits > 8 else "OB"
    for name, value in fields.items():
        setattr(picture, name, value)
    if compress:
        picture.compress(RLELossless)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, picture, enforce_file_format=True)
    return buffer.getvalue()


def in_range(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    levels = np.rint(np.clip((samples.astype(float) - low) / (high - low), 0, 1) * 255)
    return np.stack([levels.astype(np.uint8)] * 3, 2)


def jpeg(samples: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", quality=100, subsampling=0)
    return encapsulated(buffer.getvalue(), samples, JPEGBaseline8Bit, **options)


def jpeg_2000(samples: np.ndarray, **options: Any) -> bytes:
    content = imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, codecformat="j2k")
    return encapsulated(content, samples, JPEG2000Lossless, **options)


def encapsulated(content: bytes, samples: np.ndarray, syntax: str, **options: Any) -> bytes:
    options = {"PixelData": encapsulate([content])} | options
    return written(samples, syntax, **options)


HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1024}
WINDOW = {"WindowCenter": 40, "WindowWidth": 400}
SIGNED = (CT.astype(np.int32) - 1024).astype(np.int16)
SIGMOID = 1 / (1 + np.exp(-4 * (CT.astype(float) - 2000) / 1500))

READ = {
    "12 bits": (written(CT), None, in_range(CT, 0, 4095)),
    "8 bits": (written(GREY), None, in_range(GREY, 0, 255)),
    "16 bits, signed": (written(SIGNED), None, in_range(SIGNED, -32_768, 32_767)),
    "rescaled": (written(CT, **HOUNSFIELD), None, in_range(CT, 0, 4095)),
    "falling": (
        written(CT, RescaleSlope=-2, RescaleIntercept=0), None,
        in_range(-2.0 * CT, -8190, 0),
    ),
    "window": (
        written(CT, **HOUNSFIELD, **WINDOW), None, in_range(CT - 1024.0, 39.5 - 199.5, 239),
    ),
    "two windows": (
        written(CT, WindowCenter=[1000, 500], WindowWidth=[800, 100]), None,
        in_range(CT, 999.5 - 399.5, 999.5 + 399.5),
    ),
    "exact window": (
        written(CT, WindowCenter=1000, WindowWidth=800, VOILUTFunction="LINEAR_EXACT"), None,
        in_range(CT, 600, 1400),
    ),
    "sigmoid": (
        written(CT, WindowCenter=2000, WindowWidth=1500, VOILUTFunction="SIGMOID"), None,
        in_range(SIGMOID, 0, 1),
    ),
    "range before window": (
        written(CT, **HOUNSFIELD, **WINDOW), (-160, 240), in_range(CT - 1024.0, -160, 240),
    ),
    "percentile": (
        written(CT, **WINDOW), "percentile",
        in_range(CT, *np.percentile(CT, (0.5, 99.5), method="inverted_cdf")),
    ),
    "black is high": (
        written(CT, PhotometricInterpretation="MONOCHROME1"), None, 255 - in_range(CT, 0, 4095),
    ),
    "RGB": (written(RGB), None, RGB),
    "planar RGB": (
        written(RGB, PlanarConfiguration=1, PixelData=np.moveaxis(RGB, 2, 0).tobytes()), None, RGB,
    ),
    "implicit": (written(CT, ImplicitVRLittleEndian), None, in_range(CT, 0, 4095)),
    "big endian": (written(CT, ExplicitVRBigEndian), None, in_range(CT, 0, 4095)),
    "RLE": (written(CT, RLELossless), None, in_range(CT, 0, 4095)),
    "JPEG 2000": (jpeg_2000(GREY), None, in_range(GREY, 0, 255)),
    "JPEG 2000, 16 bits": (
        jpeg_2000(CT, BitsStored=16, HighBit=15), (0, 4095), in_range(CT, 0, 4095),
    ),
    "JPEG 2000 in colour": (
        jpeg_2000(RGB, PhotometricInterpretation="YBR_RCT"), None, RGB,
    ),
    "one frame": (written(GREY, NumberOfFrames=1), None, in_range(GREY, 0, 255)),
}  # fmt: skip

DEFLATED = written(GREY, DeflatedExplicitVRLittleEndian)
AT = DEFLATED.index(b"1.2.840.10008.1.2.1.99")

REFUSED = {
    "frames": (
        written(np.vstack([GREY, GREY]), Rows=24, NumberOfFrames=2), "several-pages", "pages",
    ),
    "palette": (
        written(GREY, PhotometricInterpretation="PALETTE COLOR"), "picture-depth", "PALETTE COLOR",
    ),
    "two channels": (written(GREY, SamplesPerPixel=2), "picture-depth", "2 channels"),
    "huge": (written(GREY, Rows=65_535, Columns=65_535), "picture-size", "65535"),
    "no rows": (written(GREY, Rows=0), "damaged-picture", ""),
    "too few pixels": (written(GREY, Rows=240), "damaged-picture", ""),
    "pixels of several frames": (written(CT, Columns=7), "damaged-picture", "shape"),
    "16-bit RGB": (written(RGB.astype(np.uint16)), "picture-depth", "16 bits"),
    "deflated": (DEFLATED, "unknown-compression", "1.2.840.10008.1.2.1.99"),
    "deflated bomb": (
        DEFLATED[:AT + 22] + zlib.compress(bytes(1 << 26), 9)[2:], "unknown-compression", "",
    ),
    "JPEG lossless": (
        written(GREY).replace(ExplicitVRLittleEndian.encode() + b"\0", b"1.2.840.10008.1.2.9\0"),
        "unknown-compression", "1.2.840.10008.1.2.9",
    ),
    "no width of the window": (
        written(GREY, WindowCenter=3, WindowWidth=0, VOILUTFunction="SIGMOID"),
        "damaged-picture", "",
    ),
    "RLE bomb": (
        encapsulated(bytes(1 << 20), GREY, RLELossless, PixelRepresentation=0),
        "damaged-picture", "RLE",
    ),
    "JPEG of another size": (jpeg(np.zeros((512, 512), np.uint8), Rows=24, Columns=32),
        "damaged-picture", "512 x 512",
    ),
    "JPEG 2000 of another size": (
        jpeg_2000(np.zeros((512, 512), np.uint8), Rows=24, Columns=32),
        "damaged-picture", "512 x 512",
    ),
    "magic only": (bytes(128) + b"DICM", "unknown-compression", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_read(tmp_path: Path, case: str) -> None:
    content, value_range, expected = READ[case]
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    image = read_image(path, tmp_path, ReadingRules(value_range=value_range))  # type: ignore[arg-type]
    assert np.array_equal(image, expected)
    assert picture_header(path, tmp_path).upright == (24, 32)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    content, code, named = REFUSED[case]
    start = time.perf_counter()
    with pytest.raises(DataError) as caught:
        decode_image(content, "a.dcm")
    assert time.perf_counter() - start < 2
    (finding,) = caught.value.findings
    assert (finding.code, finding.files) == (code, ("a.dcm",))
    assert named in finding.message
    assert finding.hint


@pytest.mark.parametrize("samples", [GREY, RGB])
def test_jpeg(samples: np.ndarray) -> None:
    fields = {} if samples.ndim == 2 else {"PhotometricInterpretation": "YBR_FULL"}
    image = decode_image(jpeg(samples, **fields), "a")
    expected = samples if samples.ndim == 3 else np.stack([samples] * 3, 2)
    assert np.abs(image.astype(int) - expected).max() <= 6


def test_a_range_reads_16_bit_colours() -> None:
    image = decode_image(
        written(RGB.astype(np.uint16)), "a", rules=ReadingRules(value_range=(0, 255))
    )
    assert np.array_equal(image, RGB)


def test_no_mask_and_no_picture_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(written(GREY))
    with pytest.raises(DataError) as caught:
        read_mask(path, tmp_path)
    assert caught.value.findings[0].code == "lossy-mask"
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for read in (read_image, read_mask, picture_header):
        with pytest.raises(DataError) as caught:
            read(path, tmp_path)
        (finding,) = caught.value.findings
        assert finding.code == "missing-extra"
        assert "headstart[dicom]" in finding.hint


def test_an_unreadable_compression_is_named() -> None:
    content = written(GREY)
    as_jpeg = content.replace(
        struct.pack("<H", 20) + ExplicitVRLittleEndian.encode() + b"\0",
        struct.pack("<H", 22) + JPEGLosslessSV1.encode(),
    )
    assert as_jpeg != content
    with pytest.raises(DataError) as caught:
        decode_image(as_jpeg, "a.dcm")
    assert JPEGLosslessSV1 in caught.value.findings[0].message


CUT = {
    "plain": written(CT, **HOUNSFIELD, **WINDOW),
    "RLE": written(CT, RLELossless),
    "RGB": written(RGB),
    "JPEG": jpeg(GREY),
    "JPEG 2000": jpeg_2000(CT, BitsStored=16, HighBit=15),
}


@pytest.mark.parametrize("case", CUT)
def test_cut_short_at_every_37th_byte(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(CUT[case])
    whole = read_image(path, tmp_path)
    for end in range(0, len(CUT[case]), 37):
        path.write_bytes(CUT[case][:end])
        for read in (read_image, picture_header):
            try:
                answer = read(path, tmp_path)
            except DataError as error:
                assert error.findings[0].files == ("a.dcm",)
            else:  # only the end of the sequence is missing, not its pixels
                assert read is picture_header or np.array_equal(answer, whole)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(CUT)),
    st.lists(st.tuples(st.integers(128, 900), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_changed_bytes_are_read_or_refused_never_worse(
    case: str, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(CUT[case])
    for position, byte in changes:
        content[position] = byte
    for rules in (ReadingRules(), ReadingRules(value_range="percentile")):
        try:
            decode_image(bytes(content), "a.dcm", rules=rules)
        except DataError as error:
            assert error.findings[0].files == ("a.dcm",)
