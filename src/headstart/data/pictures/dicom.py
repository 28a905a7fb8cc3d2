"""DICOM files with one frame, through pydicom: grey levels by the window in the file, or colours.

| In the file | Read as |
|---|---|
| several frames | refused |
| a window (centre and width), or several | the first window, from 0 at its lower end to 255 |
| no window | the full range of the stored bits |
| a declared range of values | this range of the values after the file's rescaling, not the window |
| MONOCHROME1 | inverted, so that it looks as on a viewer |
| RGB or YBR, 8 bits | the colours |
| palettes, other colour spaces | refused |
| no compression, RLE, JPEG, JPEG 2000 | read |
| other compression | refused |
"""

from __future__ import annotations

import io
import warnings
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Num, UInt8
from PIL import ImageFile, Jpeg2KImagePlugin, JpegImagePlugin

from headstart.data.pictures.reading_rules import ReadingRules
from headstart.data.pictures.refusals import (
    damaged,
    needs_extra,
    require_size,
    several_pages,
    too_deep,
    unknown_compression,
    without_range,
)
from headstart.data.pictures.value_range import ValueRange, limits, to_eight_bits
from headstart.errors import DataError, MissingExtraError
from headstart.system.packages import require

_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_RLE = "1.2.840.10008.1.2.5"
_CODED = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_MAX_RLE = 1 << 24  # bytes
_GREY, _COLOURS = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422")
_TRANSFORMED = (*_COLOURS, "YBR_ICT", "YBR_RCT")


def is_dicom(head: bytes) -> bool:
    """Whether a file begins as a DICOM file does: ``DICM`` after 128 bytes."""
    return head[128:132] == b"DICM"


def dicom_size(file: BinaryIO | io.BytesIO, name: str, max_pixels: int) -> tuple[int, int]:
    """Return height and width from the header.

    Raises:
        DataError: the header shows that the picture cannot be read.
    """
    dataset = _opened(file, name, max_pixels)
    return int(dataset.Rows), int(dataset.Columns)


def read_dicom(
    file: BinaryIO | io.BytesIO, name: str, rules: ReadingRules, max_pixels: int
) -> UInt8[np.ndarray, "h w *c"]:
    """Return the picture by the table of this module, ``(h, w)`` or ``(h, w, 3)``.

    Args:
        file: the opened file.
        name: name of the file in findings.
        rules: their range of values replaces the window in the file.
        max_pixels: larger pictures are refused before any pixel is decoded.

    Raises:
        DataError: the picture cannot be read.
    """
    dataset = _opened(file, name, max_pixels)
    try:
        from pydicom.pixels.processing import apply_modality_lut
        from pydicom.pixels.utils import pixel_array

        _require_expected_size(dataset, name)
        samples = pixel_array(dataset)
        expected = (int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
        if samples.shape != (expected if expected[2] == 3 else expected[:2]):
            raise damaged(name, f"its pixels have the shape {samples.shape}")
        if dataset.SamplesPerPixel == 3:
            if samples.dtype == np.uint8:
                return samples
            if rules.value_range is None:
                raise without_range(name, f"of {dataset.BitsAllocated} bits per channel", rules)
            return to_eight_bits(samples, *limits(samples, rules.value_range))
        values = apply_modality_lut(samples, dataset)
        levels = _shown(values, dataset, rules.value_range)
    except DataError:
        raise
    except Exception as error:  # decoders raise nearly everything on nearly random bytes
        raise damaged(name, error) from error
    return 255 - levels if dataset.PhotometricInterpretation == "MONOCHROME1" else levels


def _require_expected_size(dataset: Any, name: str) -> None:
    """Refuse compressed pixels that may become much more than the header says.

    Raises:
        DataError: ``damaged-picture`` or ``unknown-compression``.
        Exception: whatever pydicom and Pillow raise.
    """
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax in _PLAIN:
        return
    from pydicom.encaps import get_frame

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if syntax == _RLE:  # each byte may become 64
        raw = rows * columns * int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8
        if len(frame) > 2 * raw + 65_536:
            raise damaged(name, f"{len(frame):,} bytes of RLE for {raw:,} bytes of pixels")
        if len(frame) > _MAX_RLE:
            raise unknown_compression(name, f"RLE, to more than {_MAX_RLE:,} bytes")
        return
    decoder: type[ImageFile.ImageFile] = JpegImagePlugin.JpegImageFile
    if not frame.startswith(b"\xff\xd8"):
        decoder = Jpeg2KImagePlugin.Jpeg2KImageFile
    if (size := decoder(io.BytesIO(frame)).size) != (columns, rows):
        raise damaged(name, f"{size[0]} x {size[1]} pixels instead of {columns} x {rows}")


def _shown(
    values: Num[np.ndarray, "h w"], dataset: Any, value_range: ValueRange | None
) -> UInt8[np.ndarray, "h w"]:
    """Map rescaled values to 0 .. 255, by a range, a window or the stored bits."""
    if value_range is not None:
        return to_eight_bits(values, *limits(values, value_range))
    if dataset.get("WindowCenter") is None or dataset.get("WindowWidth") is None:
        return to_eight_bits(values, *_stored_range(dataset))
    centre, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
    function = dataset.get("VOILUTFunction", "LINEAR")
    if function == "SIGMOID":  # DICOM PS3.3, C.11.2.1.3.1
        exponent = np.clip(-4 * (values - centre) / width, -700, 700)
        return to_eight_bits(1 / (1 + np.exp(exponent)), 0, 1)
    if function == "LINEAR_EXACT":
        return to_eight_bits(values, centre - width / 2, centre + width / 2)
    # LINEAR, DICOM PS3.3, C.11.2.1.2.1: a width of 1 is a threshold
    return to_eight_bits(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _stored_range(dataset: Any) -> tuple[float, float]:
    """Return the lowest and the highest value of the stored bits, rescaled as the pixels are."""
    from pydicom.pixels.processing import apply_modality_lut

    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation) == 1
    ends = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    kind = np.int64 if "ModalityLUTSequence" not in dataset else np.int32
    rescaled = apply_modality_lut(np.array(ends, dtype=kind), dataset)
    return float(rescaled.min()), float(rescaled.max())


def _first(value: Any) -> float:
    return float(value if isinstance(value, int | float | str) else value[0])


def _opened(file: BinaryIO | io.BytesIO, name: str, max_pixels: int) -> Any:
    """Return the parsed file, its pixels not yet decoded, if its header can be accepted."""
    try:
        require("dicom")
    except MissingExtraError as error:
        missing = error.findings[0].message
        raise needs_extra(name, "dicom", f"the file is a DICOM picture, and {missing}") from error
    # pydicom warns about odd values in words for programmers; what matters is refused below.
    warnings.filterwarnings("ignore", module="pydicom")
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    try:
        file.seek(132)
        about = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
        syntax = str(about.get("TransferSyntaxUID", ""))
        # Checked before the whole is read: a deflated file may be a decompression bomb.
        if syntax not in (*_PLAIN, _RLE, *_CODED):
            raise unknown_compression(name, f"DICOM's method {syntax or 'of no name'}")
        file.seek(0)
        dataset = dcmread(file)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        frames = int(dataset.get("NumberOfFrames") or 1)
        channels, colours = int(dataset.SamplesPerPixel), str(dataset.PhotometricInterpretation)
        bits = int(dataset.BitsAllocated)
    except DataError:
        raise
    except Exception as error:  # the same
        raise damaged(name, error) from error
    require_size(name, columns, rows, max_pixels)
    if frames != 1:
        raise several_pages(name)
    grey, in_colour = channels == 1 and colours in _GREY, channels == 3 and colours in _TRANSFORMED
    if not (grey or in_colour):
        raise too_deep(name, f"in DICOM's colour space {colours} with {channels} channels")
    if bits not in (8, 16, 32):
        raise too_deep(name, f"of {bits} bits per channel")
    if "PixelData" not in dataset:
        raise damaged(name, "the file holds no pixels as integers")
    return dataset
