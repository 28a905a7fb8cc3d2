"""Decode image and mask files safely: return an array or raise an error that names the file.

The content of a file decides its format, not its extension. Only five formats have a decoder, and
the size in the header is checked before any pixel is decoded.

| Input | as an image | as a mask (grey levels) |
|---|---|---|
| PNG, BMP, TIFF | read | read |
| JPEG, WEBP, TIFF with JPEG or WEBP inside | read | refused: lossy compression changes labels |
| anything else (HTML, SVG, PDF, GIF, ...) | refused | refused |
| more than 64 million pixels, or zero | refused | refused |
| truncated, or a wrong checksum | refused | refused |
| animated, or several pages | refused | refused |
| JPEG with previews (MPO from a phone) | the main photograph | refused |
| EXIF orientation | applied, as a viewer shows it | applied too |
| grey, at most 8 bits | three equal channels | as displayed: 1 bit gives 0 and 255 |
| palette | the colours | coloured palette: the index is the level; grey palette: refused \
unless each index equals its grey |
| RGB | read | read if the channels are equal; else refused (colour-coded) |
| alpha, fully opaque | dropped | dropped |
| alpha, partly transparent | refused | refused |
| CMYK | ``R = (255 - C)(255 - K) / 255``, without colour profile | refused |
| 16-bit or 32-bit integers | refused | read if no level exceeds 255 |
| floating point, LAB, other modes | refused | refused |

JPEG has no checksum, so a flipped byte cannot always be detected.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import (
    BmpImagePlugin,
    ExifTags,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from headstart.data.files import open_regular, shown
from headstart.errors import DataError, Finding

_File = BinaryIO | io.BytesIO

MAX_PIXELS = 64_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

# Pillow's Image.open controls its warning about large headers by a process-wide switch, and follows
# the previews in a JPEG. Its decoder classes do neither.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_OTHERS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG file"),
    (b"%pdf", "a PDF document"),
    (b"%!ps", "a PostScript document"),
    (b"gif8", "a GIF"),
    (b"pk\x03\x04", "a zip archive"),
    (b"id3", "an audio file (MP3)"),
    (b"flac", "an audio file (FLAC)"),
    (b"#extm3u", "a playlist"),
)
_LOSSY_IN_TIFF = {"jpeg", "tiff_jpeg", "webp"}
_READABLE = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_LYING = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
_FORMATS = "expected PNG, JPEG, WEBP, BMP or TIFF"


def read_image(path: Path, root: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image as a viewer shows it, by the rules in the table of this module.

    Args:
        path: the file.
        root: the dataset folder; links that leave it are refused.

    Raises:
        DataError: the file cannot be read by these rules; names the file relative to ``root``.
    """
    with open_regular(path, root) as file:
        picture, _, _ = _decode(file, shown(path, root))
        return _image_pixels(picture, shown(path, root))


def decode_image(
    content: bytes, name: str, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the bytes of an image file by the same rules as [`read_image`][].

    Args:
        content: the bytes of the file.
        name: name of the file in findings.
        max_pixels: larger pictures are refused before any pixel is decoded.

    Raises:
        DataError: the bytes cannot be read by these rules.
    """
    picture, _, _ = _decode(io.BytesIO(content), name, max_pixels)
    return _image_pixels(picture, name)


def read_mask(path: Path, root: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the grey levels of a mask, by the rules in the table of this module.

    Args:
        path: the file.
        root: the dataset folder; links that leave it are refused.

    Raises:
        DataError: the file cannot be read by these rules; names the file relative to ``root``.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        picture, container, compression = _decode(file, name)
    if container in ("JPEG", "WEBP") or compression in _LOSSY_IN_TIFF:
        raise _lossy(picture, container, name)
    return _mask_levels(picture, name)


def _lossy(picture: Image.Image, container: str, name: str) -> DataError:
    levels = len(np.unique(np.asarray(picture.convert("L"))))
    return _refusal(
        name,
        "lossy-mask",
        f"the mask is saved as {container}, which changes label values "
        f"({levels} different grey levels found)",
        "export the mask as PNG from the annotation tool; converting this file "
        "cannot restore the labels",
    )


def read_colours(path: Path, root: Path) -> Int64[np.ndarray, "h w"]:
    """Return the colours of a mask as numbers, ``red << 16 | green << 8 | blue``.

    Raises:
        DataError: as for [`read_mask`][], except that colours are accepted.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        picture, container, compression = _decode(file, name)
    if container in ("JPEG", "WEBP") or compression in _LOSSY_IN_TIFF:
        raise _lossy(picture, container, name)
    pixels = _image_pixels(picture, name).astype(np.int64)
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


def read_luma(path: Path, root: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the brightness of a mask; accepts coloured and lossy files, unlike [`read_mask`][].

    ``(19595 R + 38470 G + 7471 B + 32768) >> 16``, the level itself for grey; ignores alpha.

    Raises:
        DataError: as for [`read_image`][], except that transparency is accepted.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        picture, _, _ = _decode(file, name)
    if picture.mode not in _READABLE:
        raise _depth(name, _mode_in_words(picture.mode))
    return np.array(picture.convert("RGB").convert("L"))


def read_size(path: Path, root: Path) -> tuple[int, int]:
    """Return height and width of a picture as a viewer shows it; reads only the header.

    Raises:
        DataError: as for [`read_image`][], as far as the header shows the problem.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        picture, _ = _open(file, name)
        width, height = picture.size
        try:
            lies = picture.getexif().get(ExifTags.Base.Orientation, 1) in _LYING
        except Exception as error:
            raise _damaged(name, error) from error
    return (width, height) if lies else (height, width)


def exif_orientation(path: Path, root: Path) -> int:
    """Return the EXIF orientation, 1 (as stored) to 8; reads only the header.

    Raises:
        DataError: as for [`read_image`][], as far as the header shows the problem.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        picture, _ = _open(file, name)
        try:
            return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
        except Exception as error:
            raise _damaged(name, error) from error


def _refusal(name: str, code: str, message: str, hint: str) -> DataError:
    return DataError(Finding(code, "error", message, hint, (name,)))


def _damaged(name: str, error: Exception) -> DataError:
    return _refusal(
        name,
        "damaged-picture",
        f"the picture is damaged or cut short: {error or type(error).__name__}",
        "copy or download the file again from its source",
    )


def _open(file: _File, name: str, max_pixels: int = MAX_PIXELS) -> tuple[ImageFile.ImageFile, str]:
    """Return the opened but not yet decoded picture, and its format."""
    head = file.read(512)
    if not head:
        raise _refusal(
            name, "empty-file", "the file is empty (0 bytes)", "copy the file again or remove it"
        )
    container = next((format_ for magic, format_ in _MAGIC if head.startswith(magic)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        container = "WEBP"
    if container is None:
        raise _refusal(
            name,
            "not-a-picture",
            f"the file is {resemblance(head)}; {_FORMATS}",
            "replace the file with a picture, or remove it",
        )
    file.seek(0)
    try:
        picture = _DECODERS[container](file)
    except Exception as error:  # decoders raise nearly everything on nearly random bytes
        raise _damaged(name, error) from error
    width, height = picture.size
    if width * height > max_pixels:
        raise _refusal(
            name,
            "picture-size",
            f"the header claims {width} x {height} pixels, expected at most {max_pixels:,} in all",
            "crop or scale the picture; if its true size is smaller, the file is damaged",
        )
    if getattr(picture, "is_animated", False):
        raise _refusal(
            name,
            "several-pages",
            "the file holds several pictures (animation or pages); expected one",
            "save each picture as a separate file",
        )
    return picture, container


def resemblance(head: bytes) -> str:
    """Describe the type of a file, judged by its first bytes."""
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return f"a {container} picture"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, description in _OTHERS:
        if start.startswith(magic):
            return description
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "text"
    return "of no known format"


def _decode(
    file: _File, name: str, max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, str, object]:
    """Return the decoded upright picture, its format, and the compression of a TIFF."""
    picture, container = _open(file, name, max_pixels)
    sixteen = any(";16" in str(tile.args) for tile in picture.tile)
    if sixteen and not picture.mode.startswith("I"):
        # Pillow would silently drop the lower eight bits of each channel.
        raise _depth(name, f"16-bit {picture.mode}")
    try:
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception as error:
        raise _damaged(name, error) from error
    return picture, container, picture.info.get("compression")


def _depth(name: str, depth: str) -> DataError:
    return _refusal(
        name,
        "picture-depth",
        f"the picture is {depth}; expected 8 bits per channel",
        "convert the picture to 8 bits, with the range of values that you need",
    )


def _without_alpha(picture: Image.Image, name: str) -> Image.Image:
    """Return the picture as grey or RGB; refuse it unless its alpha is fully opaque."""
    if not picture.has_transparency_data:
        return picture
    rgba = picture.convert("RGBA")
    lowest, _ = rgba.getchannel("A").getextrema()
    if lowest != 255:
        raise _refusal(
            name,
            "transparent-picture",
            "the picture is partly transparent, and its background is unknown",
            "save the picture without transparency, on the background it should have",
        )
    return rgba.convert("RGB")


def _image_pixels(picture: Image.Image, name: str) -> UInt8[np.ndarray, "h w 3"]:
    if picture.mode not in _READABLE:
        raise _depth(name, _mode_in_words(picture.mode))
    return np.array(_without_alpha(picture, name).convert("RGB"))


def _mode_in_words(mode: str) -> str:
    words = {"F": "floating point", "I": "32-bit grey", "LAB": "in LAB colours", "CMYK": "CMYK"}
    return "16-bit grey" if mode.startswith("I;16") else words.get(mode, f"of mode {mode}")


def _mask_levels(picture: Image.Image, name: str) -> UInt8[np.ndarray, "h w"]:
    if picture.mode == "P":
        return _palette_levels(picture, name)
    if picture.mode in ("1", "L") and not picture.has_transparency_data:
        return np.array(picture.convert("L"))
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        levels = np.array(picture)
        if levels.min() < 0 or levels.max() > 255:
            raise _refusal(
                name,
                "mask-depth",
                f"the mask has levels from {levels.min()} to {levels.max()}, expected 0 to 255",
                "save the labels as 8-bit grey levels",
            )
        return levels.astype(np.uint8)
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "RGBX"):
        raise _depth(name, _mode_in_words(picture.mode))
    pixels = np.array(_without_alpha(picture, name).convert("RGB"))
    if (pixels != pixels[..., :1]).any():
        raise _refusal(
            name,
            "coloured-mask",
            "the mask is coloured; expected grey levels",
            "replace each colour with its class's grey level in mapping.json; save as 8-bit grey",
        )
    return np.ascontiguousarray(pixels[..., 0])


def _palette_levels(picture: Image.Image, name: str) -> UInt8[np.ndarray, "h w"]:
    """Return the indices; refuse a grey palette whose greys differ from the indices."""
    _without_alpha(picture, name)
    indices = np.array(picture)
    palette = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    grey = bool((palette == palette[:, :1]).all())
    used = np.unique(indices)
    shown_as = palette[used[used < len(palette)], 0]
    if grey and not np.array_equal(shown_as, used):
        raise _refusal(
            name,
            "ambiguous-mask",
            f"the palette of the mask shows indices {used[:5].tolist()} as grey levels "
            f"{shown_as[:5].tolist()}; either could be the label",
            "save the mask as plain 8-bit grey without a palette",
        )
    return indices
