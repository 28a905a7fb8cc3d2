"""Pictures and masks with an alpha channel, or with transparent colours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Num
from PIL import Image

from headstart.data.pictures.refusals import picture_error
from headstart.errors import DataError

NEARLY_OPAQUE = 0.001
"""A picture is read if less than this share of its pixels is not fully opaque."""


def transparent_share(content: Image.Image | Num[np.ndarray, "h w *c"]) -> float:
    """Return the share of pixels that are not fully opaque."""
    if isinstance(content, Image.Image):
        if not content.has_transparency_data:
            return 0.0
        alpha = np.asarray(content.convert("RGBA").getchannel("A"))
        return float((alpha < 255).mean())
    if content.ndim == 2 or content.shape[2] not in (2, 4):
        return 0.0
    return float((content[..., -1] < _opaque(content)).mean())


def on_black(picture: Image.Image, name: str) -> Image.Image:
    """Return a picture without alpha; a nearly opaque one is laid on black.

    Raises:
        DataError: more than a thousandth of its pixels are not opaque.
    """
    share = transparent_share(picture)
    if share >= NEARLY_OPAQUE:
        raise _transparent(name)
    if not picture.has_transparency_data:
        return picture
    rgba = picture.convert("RGBA")
    if share:
        rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return rgba.convert("RGB")


def samples_on_black(samples: Num[np.ndarray, "h w *c"], name: str) -> Num[np.ndarray, "h w *c2"]:
    """Return samples of more than 8 bits without alpha, as [`on_black`][] does."""
    share = transparent_share(samples)
    if share >= NEARLY_OPAQUE:
        raise _transparent(name)
    if samples.ndim == 2 or samples.shape[2] == 3:
        return samples
    colours = samples[..., :-1]
    if share:
        alpha = samples[..., -1:]
        scaled = colours * (alpha.astype(np.float64) / _opaque(samples))
        colours = np.where(alpha < _opaque(samples), scaled.astype(samples.dtype), colours)
    return colours[..., 0] if colours.shape[2] == 1 else colours


def painted(picture: Image.Image, name: str) -> tuple[Image.Image, Bool[np.ndarray, "h w"] | None]:
    """Return a mask without its alpha, and which pixels nobody painted; None if none is known.

    GIMP and Photoshop write a mask that was painted on an empty layer so: pixels are opaque where
    there is paint, and fully transparent elsewhere. The transparency of a colour in a palette is
    ignored: annotation tools make the background of their masks transparent, and the index is the
    label all the same.

    Raises:
        DataError: a pixel is neither opaque nor fully transparent.
    """
    if picture.mode == "P":
        return _without_note(picture), None
    if not picture.has_transparency_data:
        return picture, None
    rgba = picture.convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    if partly := float(((alpha > 0) & (alpha < 255)).mean()):
        what = f"{partly:.2%} of the pixels are neither opaque nor fully transparent"
        raise transparent_mask(name, f"the mask is partly transparent: {what}")
    return rgba.convert("RGB"), None if alpha.all() else alpha == 0


def on_black_level(picture: Image.Image) -> Image.Image:
    """Return a mask laid on black, so that a pixel counts as dark where nobody painted.

    What was painted is white if all of it is black: otherwise it would vanish.
    """
    if picture.mode == "P" or not picture.has_transparency_data:
        return picture
    rgba = picture.convert("RGBA")
    pixels = np.asarray(rgba)
    painted_pixels = pixels[pixels[..., 3] > 0][:, :3]
    if painted_pixels.size < pixels[..., :3].size and not painted_pixels.any():
        return Image.fromarray(pixels[..., 3])
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")


def transparent_mask(name: str, message: str) -> DataError:
    """Return the error of a mask whose transparent pixels cannot be read as background."""
    return picture_error(
        name,
        "transparent-mask",
        message,
        "lay the mask on the colour of its background: in GIMP, make it the background colour, "
        "choose Image > Flatten Image, and export the mask again as PNG",
    )


def _without_note(picture: Image.Image) -> Image.Image:
    """Return a picture without its note of which colour is transparent."""
    plain = picture.copy()
    plain.info = {key: value for key, value in picture.info.items() if key != "transparency"}
    return plain


def _opaque(samples: Num[np.ndarray, "h w *c"]) -> int:
    return int(np.iinfo(samples.dtype).max)


def _transparent(name: str) -> DataError:
    return picture_error(
        name,
        "transparent-picture",
        "the picture is partly transparent, and its background is unknown",
        "save the picture without transparency, on the background it should have",
    )
