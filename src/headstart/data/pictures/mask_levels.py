"""From a decoded mask to the grey levels that are its labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, Integer, UInt8
from PIL import Image

from headstart.data.pictures.mask_colours import NEAREST_HINT
from headstart.data.pictures.opening import Stored
from headstart.data.pictures.refusals import picture_error, too_deep, too_many_channels
from headstart.data.pictures.transparency import painted
from headstart.errors import DataError

SOFT_EDGED = "the mask has soft edges: many levels, nearly all near 0 or 255"
THRESHOLD_HINT = (
    "export the mask again as PNG without smoothing; or read it by a threshold, with the line "
    "`threshold = 128` at the top of dataset.toml (`headstart check DATA --describe "
    "DATA/dataset.toml` writes that file)"
)
"""What to do with a mask of two levels that smoothing or compression has blurred."""

LOSSY_HINT = (
    f"{NEAREST_HINT}. Its classes must be colours; a grey level is one, too: 128 is #808080"
)
"""What to do with any other mask in a lossy format."""

_LABELS = 32  # more levels than this are hardly labels
_NEAR = 32  # grey levels from 0 or 255 that count as an end
_IN_CLUSTERS = 0.98


def in_two_clusters(histogram: Integer[np.ndarray, "256"]) -> bool:
    """Whether nearly all pixels of a mask lie near 0 or near 255, and some near each.

    Args:
        histogram: number of pixels by grey level.

    >>> in_two_clusters(np.bincount([0, 0, 3, 250, 255], minlength=256))
    True
    >>> in_two_clusters(np.bincount([0, 1, 2], minlength=256))
    False
    """
    low, high = int(histogram[: _NEAR + 1].sum()), int(histogram[255 - _NEAR :].sum())
    return low > 0 and high > 0 and low + high >= _IN_CLUSTERS * int(histogram.sum())


def describe_levels(
    histogram: Integer[np.ndarray, "256"],
) -> Literal["labels", "soft edges", "many levels"]:
    """Say what the grey levels of a mask are.

    ``"labels"`` are at most 32 levels. More than 32 are ``"soft edges"`` if they lie in two
    clusters, near 0 and near 255, with several levels between them; else ``"many levels"``.

    Args:
        histogram: number of pixels by grey level, of one mask or of all.
    """
    if np.count_nonzero(histogram) <= _LABELS:
        return "labels"
    # Label numbers below 33 and an ignored 255 are two clusters too, with nothing between them.
    between = np.count_nonzero(histogram[_NEAR + 1 : 255 - _NEAR])
    soft = between >= _LABELS // 4 and in_two_clusters(histogram)
    return "soft edges" if soft else "many levels"


def lossy_mask(stored: Stored, name: str) -> DataError:
    """Return the error of a mask in a lossy format; two clusters can be read by a threshold."""
    content = stored.content
    if isinstance(content, Image.Image):
        if content.mode in ("F", "LAB"):
            return too_deep(name, mode_in_words(content.mode))
        brightness = np.asarray(content.convert("RGB").convert("L"))
    else:
        brightness = np.clip(content.reshape(-1), 0, 255).astype(np.uint8)
    histogram: Int64[np.ndarray, "256"] = np.bincount(brightness.ravel(), minlength=256)
    return picture_error(
        name,
        "lossy-mask",
        f"the mask is saved as {stored.container}, which changes label values; converting the file "
        "does not restore them",
        THRESHOLD_HINT if in_two_clusters(histogram) else LOSSY_HINT,
    )


def levels_of(
    stored: Stored, name: str
) -> tuple[UInt8[np.ndarray, "h w"], Bool[np.ndarray, "h w"] | None]:
    """Return the grey levels of a mask by the table of [`headstart.data.pictures.reading`][].

    Returns:
        The levels, 0 where the mask is transparent; and where that is, None if nowhere.

    Raises:
        DataError: the mask is coloured, partly transparent, or too deep.
    """
    content = stored.content
    if not isinstance(content, Image.Image):
        return _eight_bits(content, name), None
    if content.mode == "P" or stored.container == "GIF":
        return _palette_levels(content, stored.container, name), None
    if content.mode in ("1", "L") and not content.has_transparency_data:
        return np.array(content.convert("L")), None
    if content.mode not in ("1", "L", "LA", "RGB", "RGBA", "RGBX"):
        raise too_deep(name, mode_in_words(content.mode))
    picture, unpainted = painted(content, name)
    pixels = np.array(picture.convert("RGB"))
    if unpainted is not None:
        pixels[unpainted] = 0
    if (pixels != pixels[..., :1]).any():
        raise picture_error(
            name,
            "coloured-mask",
            "the mask is coloured; expected grey levels",
            'name the classes\' colours, such as "#ff0000", in mapping.json in place of grey '
            "levels; or give each pixel the grey level of its class, and save 8-bit grey",
        )
    return np.ascontiguousarray(pixels[..., 0]), unpainted


def mode_in_words(mode: str) -> str:
    """Describe a mode of Pillow."""
    words = {"F": "floating point", "LAB": "in LAB colours", "CMYK": "CMYK"}
    return words.get(mode, f"of mode {mode}")


def _eight_bits(levels: Integer[np.ndarray, "h w *c"], name: str) -> UInt8[np.ndarray, "h w"]:
    if levels.ndim != 2:
        raise too_many_channels(name, levels.shape[2])
    if levels.min() < 0 or levels.max() > 255:
        raise picture_error(
            name,
            "mask-depth",
            f"the mask has levels from {levels.min()} to {levels.max()}, expected 0 to 255",
            "save the labels as 8-bit grey levels",
        )
    return levels.astype(np.uint8)


def _palette_levels(picture: Image.Image, container: str, name: str) -> UInt8[np.ndarray, "h w"]:
    """Return the indices of a coloured palette, the greys of a grey one.

    A GIF has always a palette, so its greys are the levels; in other formats either could be meant.
    """
    indices = np.array(picture)
    if picture.mode != "P":  # Pillow shows a GIF whose indices are its greys as plain grey
        return indices
    palette = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    if not (palette == palette[:, :1]).all():
        return indices
    used = np.unique(indices)
    greys = np.zeros(256, dtype=np.uint8)  # a viewer shows an index behind the palette as black
    greys[: len(palette)] = palette[:256, 0]
    shown_as = palette[used[used < len(palette)], 0]
    if container == "GIF":
        return np.take(greys, indices)
    if not np.array_equal(shown_as, used):
        raise picture_error(
            name,
            "ambiguous-mask",
            f"the palette of the mask shows indices {used[:5].tolist()} as grey levels "
            f"{shown_as[:5].tolist()}; either could be the label",
            "save the mask as plain 8-bit grey without a palette (in GIMP: Image > Mode > "
            'Grayscale, then export), or name the classes\' colours, such as "#ffffff", in '
            "mapping.json in place of levels",
        )
    return indices
