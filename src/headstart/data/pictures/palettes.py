"""The palettes of masks, without decoding their pixels where the header says it all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from headstart.data.files import open_regular, shown
from headstart.data.label_map import Colour
from headstart.data.pictures.opening import decode
from headstart.errors import DataError

_PNG = b"\x89PNG\r\n\x1a\n"
_WITH_PALETTE = 3  # the colour type in the header of a PNG
_OTHERS = (b"GIF8", b"BM", b"II", b"MM")  # GIF, BMP and TIFF
_HEADER = 26  # bytes of a PNG up to its colour type


def read_palette(path: Path, root: Path) -> tuple[Colour, ...]:
    """Return the colours of a mask's palette, by index; empty if it has none.

    A file that cannot be read has none either; whoever decodes it says what is wrong with it.

    Args:
        path: the file.
        root: the dataset's folder, which links must not leave.
    """
    try:
        with open_regular(path, root) as file:
            header = file.read(_HEADER)
            if not header.startswith(_PNG):
                may_have_one = header.startswith(_OTHERS)
            elif len(header) < _HEADER or header[-1] != _WITH_PALETTE:
                return ()
            else:
                file.seek(0)
                palette = PngImagePlugin.PngImageFile(file).palette
                return () if palette is None else _colours(list(palette.palette))
    except (DataError, OSError, SyntaxError, ValueError):
        return ()
    content = _decoded(path, root) if may_have_one else None
    return () if content is None else _colours(content.getpalette("RGB"))


def colours_in_use(path: Path, root: Path) -> dict[int, Colour]:
    """Return the colours that a mask shows by their index in its palette; empty if it has none."""
    content = _decoded(path, root)
    if content is None:
        return {}
    palette = _colours(content.getpalette("RGB"))
    used = np.unique(np.asarray(content)).tolist()
    return {index: palette[index] for index in used if index < len(palette)}


def _decoded(path: Path, root: Path) -> Image.Image | None:
    try:
        with open_regular(path, root) as file:
            content = decode(file, shown(path, root)).content
    except DataError:
        return None
    return content if isinstance(content, Image.Image) and content.mode == "P" else None


def _colours(values: list[int] | None) -> tuple[Colour, ...]:
    numbers = iter(values or ())
    return tuple(zip(numbers, numbers, numbers, strict=False))
