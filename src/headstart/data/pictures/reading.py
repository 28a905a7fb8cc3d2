"""Decode image and mask files safely: return an array or raise an error that names the file.

The content of a file decides its format, not its extension. Only seven formats have a decoder, and
the size in the header is checked before any pixel is decoded.

| Input | as an image | as a mask (grey levels) |
|---|---|---|
| PNG, BMP, TIFF, still GIF | read | read |
| JPEG, WEBP, TIFF with JPEG, JPEG 2000 or WEBP inside | read | refused: lossy compression changes \
labels; if nearly all levels lie near 0 and 255, the message names a threshold |
| TIFF that Pillow refuses: JPEG 2000, 16-bit RGB, ... | read with the extra ``tiff`` | read if \
not lossy |
| DICOM with one frame | read with the extra ``dicom``, see [`headstart.data.pictures.dicom`][] | \
refused: a window changes levels |
| anything else (HTML, SVG, PDF, ...) | refused | refused |
| one line of text that is a path | refused: a link that was not restored | refused |
| more than 64 million pixels, or zero | refused | refused |
| truncated, or a wrong checksum | refused | refused |
| animated | refused | refused |
| TIFF with several pages | refused, unless a page is declared | refused |
| JPEG with previews (MPO from a phone) | the main photograph | refused |
| EXIF orientation | applied, as a viewer shows it | applied too |
| grey, at most 8 bits | three equal channels | as displayed: 1 bit gives 0 and 255 |
| coloured palette | the colours | the index is the level; which colour is transparent is ignored |
| grey palette (every colour of it is a grey) | the colours | GIF: the greys it shows; else \
refused unless each index equals its grey |
| RGB | read | read if the channels are equal; else refused (colour-coded) |
| alpha, fully opaque | dropped | dropped |
| alpha, opaque or fully transparent at each pixel | laid on black if less than a thousandth is \
transparent, else refused | transparent pixels are background |
| alpha, anything between | the same | refused |
| CMYK | ``R = (255 - C)(255 - K) / 255``, without colour profile | refused |
| 16-bit or 32-bit integers | read with a declared range of values, else refused | read if grey \
and no level exceeds 255 |
| floating point, LAB, other modes, other numbers of channels | refused | refused |

A range of values applies only to pictures of more than 8 bits; see
[`headstart.data.pictures.value_range`][]. JPEG has no checksum, so a flipped byte cannot always be
detected.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from PIL import Image

from headstart.data.files import open_regular, shown
from headstart.data.pictures.mask_levels import (
    SOFT_EDGED,
    THRESHOLD_HINT,
    describe_levels,
    levels_of,
    lossy_mask,
    mode_in_words,
)
from headstart.data.pictures.opening import Header, Stored, decode, read_header
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules, fitting
from headstart.data.pictures.refusals import MAX_PIXELS, picture_error, too_deep, without_range
from headstart.data.pictures.transparency import (
    NEARLY_OPAQUE,
    on_black_level,
    painted,
    samples_on_black,
    transparent_mask,
    transparent_share,
)
from headstart.data.pictures.transparency import on_black as laid_on_black
from headstart.data.pictures.value_range import limits, to_eight_bits
from headstart.errors import Finding
from headstart.system.memory import give_back

TRANSPARENT = -1
"""In masks of colours as numbers, a pixel that nobody painted."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".dcm")

_READABLE = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def read_image(
    path: Path, root: Path, rules: ReadingRules = NO_RULES
) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image as a viewer shows it, by the rules in the table of this module.

    Args:
        path: the file.
        root: the dataset folder; links that leave it are refused.
        rules: declared range of values, and page.

    Raises:
        DataError: the file cannot be read by these rules; names the file relative to ``root``.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        image = _image_pixels(decode(file, name, rules), name, rules)
    give_back(image.shape[0] * image.shape[1])
    return image


def decode_image(
    content: bytes, name: str, max_pixels: int = MAX_PIXELS, rules: ReadingRules = NO_RULES
) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the bytes of an image file by the same rules as [`read_image`][].

    Args:
        content: the bytes of the file.
        name: name of the file in findings.
        max_pixels: larger pictures are refused before any pixel is decoded.
        rules: declared range of values, and page.

    Raises:
        DataError: the bytes cannot be read by these rules.
    """
    stored = decode(io.BytesIO(content), name, rules, max_pixels)
    return _image_pixels(stored, name, rules)


def fitting_bytes(content: bytes, name: str, rules: ReadingRules) -> ReadingRules:
    """Return the rules of other pictures as they fit the bytes of one; see [`fitting`][]."""
    return fitting(rules, lambda each: read_header(io.BytesIO(content), name, each.page))


def read_mask(path: Path, root: Path, background: int | None = None) -> UInt8[np.ndarray, "h w"]:
    """Return the grey levels of a mask, by the rules in the table of this module.

    Args:
        path: the file.
        root: the dataset folder; links that leave it are refused.
        background: the level of fully transparent pixels; None: masks that have any are refused.

    Raises:
        DataError: the file cannot be read by these rules; names the file relative to ``root``.
    """
    levels, unpainted = read_painted(path, root)
    if unpainted is None:
        return levels
    if background is None:
        raise transparent_mask(
            shown(path, root), f"{unpainted.mean():.0%} of the mask is transparent"
        )
    levels[unpainted] = background
    return levels


def read_painted(
    path: Path, root: Path
) -> tuple[UInt8[np.ndarray, "h w"], Bool[np.ndarray, "h w"] | None]:
    """Return the grey levels of a mask, and which pixels are transparent; None if none is.

    Raises:
        DataError: as for [`read_mask`][].
    """
    return levels_of(_stored_mask(path, root), shown(path, root))


def colour_codes(image: UInt8[np.ndarray, "h w 3"]) -> Int64[np.ndarray, "h w"]:
    """Return colours as numbers, ``red << 16 | green << 8 | blue``.

    >>> [hex(code) for code in colour_codes(np.array([[[255, 128, 1]]], np.uint8)).flat]
    ['0xff8001']
    """
    red, green, blue = np.moveaxis(image, -1, 0).astype(np.int64)
    codes: Int64[np.ndarray, "h w"] = red << 16 | green << 8 | blue
    return codes


def read_colours(
    path: Path, root: Path, lossy_too: bool = False, background: int = TRANSPARENT
) -> Int64[np.ndarray, "h w"]:
    """Return the colours of a mask as numbers, ``red << 16 | green << 8 | blue``.

    Args:
        path: the file.
        root: the dataset folder; links that leave it are refused.
        background: the number for fully transparent pixels.
        lossy_too: whether to read lossy files, whose colours are only nearly those of the labels.

    Raises:
        DataError: as for [`read_mask`][], except that colours are accepted.
    """
    name = shown(path, root)
    stored = _stored_mask(path, root, lossy_too)
    picture = _eight_bit_picture(stored, name)
    picture, unpainted = painted(picture, name)
    codes = colour_codes(np.array(picture.convert("RGB")))
    if unpainted is not None:
        codes[unpainted] = background
    return codes


def read_luma(
    path: Path, root: Path, on_black: bool = True, hard: bool = False
) -> UInt8[np.ndarray, "h w"]:
    """Return the brightness of a mask; accepts coloured and lossy files, unlike [`read_mask`][].

    ``(19595 R + 38470 G + 7471 B + 32768) >> 16``, the level itself for grey.

    Args:
        path: the file.
        root: the dataset folder; links that leave it are refused.
        on_black: whether transparent pixels are laid on black; else alpha is ignored.
        hard: whether lossy formats and soft edges are refused, as where everything that is not
            black is one class: a threshold must say where it begins.

    Raises:
        DataError: as for [`read_image`][], except that transparency is accepted.
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        stored = decode(file, name)
    if hard and stored.lossy:
        raise lossy_mask(stored, name)
    picture = _eight_bit_picture(stored, name)
    picture = on_black_level(picture) if on_black else picture
    luma = np.array(picture.convert("RGB").convert("L"))
    if hard and describe_levels(np.bincount(luma.ravel(), minlength=256)) == "soft edges":
        raise picture_error(name, "soft-mask", SOFT_EDGED, THRESHOLD_HINT)
    return luma


def read_region(path: Path, root: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the mask of a region: 0 outside of it.

    Outside is what is black; in a file whose edges are soft, or blurred by lossy compression, what
    is darker than half the range.

    Raises:
        DataError: as for [`read_luma`][].
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        stored = decode(file, name)
    picture = on_black_level(_eight_bit_picture(stored, name))
    luma = np.array(picture.convert("RGB").convert("L"))
    soft = describe_levels(np.bincount(luma.ravel(), minlength=256)) == "soft edges"
    return np.where(luma < 128, np.uint8(0), luma) if stored.lossy or soft else luma


def picture_header(path: Path, root: Path, rules: ReadingRules = NO_RULES) -> Header:
    """Return stored size and EXIF orientation; reads only the header.

    Raises:
        DataError: as for [`read_image`][], as far as the header shows the problem.
    """
    with open_regular(path, root) as file:
        return read_header(file, shown(path, root), rules.page)


def nearly_opaque(path: Path, root: Path, rules: ReadingRules = NO_RULES) -> list[Finding]:
    """Return an info if a picture that can be read is not opaque everywhere.

    Decodes the picture only if it has an alpha channel or transparent colours.

    Raises:
        DataError: as for [`read_image`][].
    """
    name = shown(path, root)
    with open_regular(path, root) as file:
        if not read_header(file, name, rules.page).may_be_transparent:
            return []
        file.seek(0)
        share = transparent_share(decode(file, name, rules).content)
    if not 0 < share < NEARLY_OPAQUE:
        return []
    message = f"{share:.3%} of the pixels are not opaque; they are read as on black"
    hint = "save the picture without an alpha channel if that is not its background"
    return [Finding("nearly-opaque", "info", message, hint, (name,))]


def is_partly_painted(path: Path, root: Path) -> bool:
    """Whether a mask has an alpha channel and transparent pixels; decodes it only then."""
    name = shown(path, root)
    with open_regular(path, root) as file:
        if not read_header(file, name).may_be_transparent:
            return False
        file.seek(0)
        content = decode(file, name).content
    is_palette = not isinstance(content, Image.Image) or content.mode == "P"
    return not is_palette and transparent_share(content) > 0


def _stored_mask(path: Path, root: Path, lossy_too: bool = False) -> Stored:
    """Decode a mask; refuse lossy formats unless they are asked for."""
    name = shown(path, root)
    with open_regular(path, root) as file:
        stored = decode(file, name)
    if stored.container == "DICOM":
        raise picture_error(
            name,
            "lossy-mask",
            "the mask is saved as DICOM, whose levels a window changes",
            "export the mask as PNG from the annotation tool",
        )
    if stored.lossy and not lossy_too:
        raise lossy_mask(stored, name)
    return stored


def _image_pixels(stored: Stored, name: str, rules: ReadingRules) -> UInt8[np.ndarray, "h w 3"]:
    content = stored.content
    if not isinstance(content, Image.Image) and rules.value_range is not None:
        samples = samples_on_black(content, name)
        levels = to_eight_bits(samples, *limits(samples, rules.value_range))
        return np.repeat(levels[..., None], 3, axis=2) if levels.ndim == 2 else levels
    picture = laid_on_black(_eight_bit_picture(stored, name, rules), name)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _eight_bit_picture(stored: Stored, name: str, rules: ReadingRules | None = None) -> Image.Image:
    """Return the picture, if it has at most 8 bits a channel; a mask has no rules."""
    content = stored.content
    if not isinstance(content, Image.Image):
        colours = "grey" if content.ndim == 2 or content.shape[2] == 2 else "RGB"
        depth = f"{8 * content.dtype.itemsize}-bit {colours}"
        raise too_deep(name, depth) if rules is None else without_range(name, depth, rules)
    if content.mode not in _READABLE:
        raise too_deep(name, mode_in_words(content.mode))
    return content
