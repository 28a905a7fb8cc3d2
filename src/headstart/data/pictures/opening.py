"""Open an untrusted picture: check its header, then decode it.

The rules are the table of [`headstart.data.pictures.reading`][].
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from jaxtyping import Num
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from headstart.data.pictures.dicom import dicom_size, read_dicom
from headstart.data.pictures.formats import container_of
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.data.pictures.refusals import (
    MAX_PIXELS,
    damaged,
    needs_extra,
    no_such_page,
    require_size,
    several_pages,
    without_range,
)
from headstart.data.pictures.tiff import read_directory, read_tiff, refuse_absurd_directory
from headstart.errors import DataError, MissingExtraError
from headstart.system.packages import require

_File = BinaryIO | io.BytesIO

# Pillow's Image.open controls its warning about large headers by a process-wide switch, and follows
# the previews in a JPEG. Its decoder classes do neither.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_LOSSY_IN_TIFF = {"jpeg", "tiff_jpeg", "webp"}
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}  # which Pillow converts to nothing else

# Pillow keeps a picture in blocks of 16 MB, which the C library does not give back to the system:
# each thread would keep those of the largest picture it ever decoded. One large block is given back
# at once. A small picture still takes only what it needs.
_LARGEST = 1 << 29  # bytes, more than any picture that is read
Image.core.set_block_size(_LARGEST)  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Stored:
    """A decoded picture, upright.

    Attributes:
        content: a picture of Pillow; or integers of more than 8 bits, ``(h, w)`` or ``(h, w, c)``
            with 2 to 4 channels, of which the second or fourth is alpha.
        container: the format, such as ``"PNG"``.
        lossy: whether the compression may have changed levels.
    """

    content: Image.Image | Num[np.ndarray, "h w ..."]
    container: str
    lossy: bool


@dataclass(frozen=True)
class Header:
    """What the header of a picture says.

    Attributes:
        height, width: stored size.
        orientation: EXIF orientation, 1 (as stored) to 8.
        may_be_transparent: whether there is an alpha channel, or a transparent colour.
    """

    height: int
    width: int
    orientation: int
    may_be_transparent: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width once the orientation is applied."""
        size = (self.height, self.width)
        return size[::-1] if self.orientation > 4 else size


def decode(
    file: _File,
    name: str,
    rules: ReadingRules = NO_RULES,
    max_pixels: int = MAX_PIXELS,
) -> Stored:
    """Decode a picture.

    Args:
        file: the opened file, at its start.
        name: name of the file in findings.
        rules: declared range of values, and page.
        max_pixels: larger pictures are refused before any pixel is decoded.

    Raises:
        DataError: the file cannot be read.
    """
    container = container_of(file, name)
    if container == "DICOM":
        content = Image.fromarray(read_dicom(file, name, rules, max_pixels))
        return Stored(content, container, lossy=True)
    try:
        picture = _open(file, name, container, rules.page, max_pixels)
        if _is_narrowed(picture):
            if rules.value_range is None:
                raise without_range(name, f"16-bit {picture.mode}", rules)
            return _sixteen_bits(file, name, container, picture, rules.page, max_pixels)
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
    except DataError:
        raise
    except Exception as error:  # decoders raise nearly everything on nearly random bytes
        if container == "TIFF":
            return _tiff(file, name, rules.page, max_pixels, error)
        raise damaged(name, error) from error
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        samples = _native(np.array(picture))
        if picture.mode == "I" and (_tag(picture, 258, 0), _tag(picture, 339, 1)) == (32, 1):
            samples = samples.view(np.uint32)  # which Pillow reads as signed
        white_is_zero = _tag(picture, 262, 1) == 0 and samples.dtype == np.uint16
        if rules.value_range is not None and white_is_zero:
            samples = np.uint16(65_535) - samples  # 0 is white, which Pillow leaves to us
        return Stored(samples, container, lossy=False)
    if picture.mode in _PREMULTIPLIED:
        content = picture.convert(_PREMULTIPLIED[picture.mode])
        return Stored(content, container, lossy=False)
    lossy = container in ("JPEG", "WEBP") or picture.info.get("compression") in _LOSSY_IN_TIFF
    return Stored(picture, container, lossy)


def read_header(
    file: _File, name: str, page: int | None = None, max_pixels: int = MAX_PIXELS
) -> Header:
    """Return size and orientation; reads only the header.

    Raises:
        DataError: as for [`decode`][], as far as the header shows the problem.
    """
    container = container_of(file, name)
    if container == "DICOM":
        return Header(*dicom_size(file, name, max_pixels), 1)
    try:
        picture = _open(file, name, container, page, max_pixels)
        orientation = _orientation(picture)
        # Pillow notes the transparent colour of a GIF only when it decodes it.
        alpha = picture.has_transparency_data or container == "GIF"
        # Pillow already swaps the size of a TIFF that lies on its side.
        height, width = _tag(picture, 257, picture.height), _tag(picture, 256, picture.width)
        return Header(height, width, orientation, alpha)
    except DataError:
        raise
    except Exception as error:  # the same
        if container != "TIFF":
            raise damaged(name, error) from error
    directory = read_directory(file, name, page)
    require_size(name, directory.width, directory.height, max_pixels)
    return Header(directory.height, directory.width, directory.orientation, directory.alpha)


def turned(pixels: Num[np.ndarray, "h w ..."], orientation: int) -> Num[np.ndarray, "h2 w2 *c"]:
    """Return pixels upright that are stored with an EXIF orientation.

    >>> turned(np.array([[1, 2, 3], [4, 5, 6]]), 6)
    array([[4, 1],
           [5, 2],
           [6, 3]])
    """
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels.swapaxes(0, 1) if orientation > 4 else pixels


def _open(
    file: _File, name: str, container: str, page: int | None, max_pixels: int
) -> ImageFile.ImageFile:
    """Return the opened but not yet decoded picture.

    Raises:
        DataError: its size or its pages are refused.
        Exception: whatever Pillow raises.
    """
    if container == "GIF":  # Pillow may allocate the screen of a GIF when it opens the file
        screen = file.read(10)
        width, height = (int.from_bytes(screen[at : at + 2], "little") for at in (6, 8))
        require_size(name, width, height, max_pixels)
    if container == "TIFF":
        refuse_absurd_directory(file, name, page or 0)
    file.seek(0)
    picture = _DECODERS[container](file)
    several = bool(getattr(picture, "is_animated", False))
    if several and (page is None or container != "TIFF"):
        require_size(name, *picture.size, max_pixels)
        raise several_pages(name)
    if page:
        if not several or not 0 < page <= 9_999:  # each page before it is looked up
            raise no_such_page(name, page)
        try:
            picture.seek(page)
        except EOFError:
            raise no_such_page(name, page) from None
    require_size(name, *picture.size, max_pixels)
    if _tag(picture, 32_997, 1) != 1:  # the slices of a volume in one page
        raise several_pages(name)
    return picture


def _orientation(picture: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation; 1 if there is none, or none that exists."""
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return int(orientation) if orientation in range(1, 9) else 1


def _is_narrowed(picture: ImageFile.ImageFile) -> bool:
    """Whether Pillow would silently drop the lower eight bits of each channel."""
    if picture.mode[0] in "IF":
        return False
    sixteen = any(";16" in str(tile.args) for tile in picture.tile)
    return sixteen or _tag(picture, 258, 8) > 8


def _tag(picture: ImageFile.ImageFile, tag: int, otherwise: int) -> int:
    """Return the first number of a tag of a TIFF; ``otherwise`` if there is none."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return otherwise
    value = picture.tag_v2.get(tag, otherwise)
    return int(value[0] if isinstance(value, tuple) else value)


def _sixteen_bits(
    file: _File,
    name: str,
    container: str,
    picture: ImageFile.ImageFile,
    page: int | None,
    max_pixels: int,
) -> Stored:
    """Return a picture in colour, or with alpha, of 16 bits a channel."""
    if container == "TIFF":
        return _tiff(file, name, page, max_pixels, "it has 16 bits a channel")
    orientation = _orientation(picture)
    try:
        require("tiff", "imagecodecs")
    except MissingExtraError as error:
        missing = error.findings[0].message
        why = f"Pillow reads only 8 of the 16 bits of this picture, and {missing}"
        raise needs_extra(name, "tiff", why) from error
    import imagecodecs

    picture.load()  # checks the checksums
    file.seek(0)
    samples = imagecodecs.png_decode(file.read())
    return Stored(turned(samples, orientation), container, lossy=False)


def _tiff(
    file: _File, name: str, page: int | None, max_pixels: int, reason: Exception | str
) -> Stored:
    """Return a picture that only tifffile can read."""
    why = str(reason) or type(reason).__name__
    samples, directory = read_tiff(file, name, page, max_pixels, why)
    samples = turned(samples, directory.orientation)
    lossy = directory.compression in (33005, 34712)  # JPEG 2000
    if samples.dtype == np.uint8:
        return Stored(Image.fromarray(np.ascontiguousarray(samples)), "TIFF", lossy)
    return Stored(_native(samples), "TIFF", lossy)


def _native(samples: Num[np.ndarray, "h w ..."]) -> Num[np.ndarray, "h w *c"]:
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)
