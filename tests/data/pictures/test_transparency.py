"""Alpha: opaque, nearly opaque and transparent pictures; masks whose background is transparent."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.pictures.reading import nearly_opaque, read_colours, read_image, read_mask
from headstart.errors import DataError

SIZE = (50, 60)  # 3,000 pixels: a thousandth is three of them
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
FEW = RNG.integers(0, 3, SIZE, dtype=np.uint8)


def holed(samples: np.ndarray, pixels: int, alpha: int) -> Image.Image:
    image = Image.fromarray(samples)
    opacity = np.full(SIZE, 255, np.uint8)
    opacity.ravel()[:pixels] = alpha
    image.putalpha(Image.fromarray(opacity))
    return image


@pytest.mark.parametrize("alpha", [0, 100, 254])
@pytest.mark.parametrize("samples", [RGB, RGB[..., 0]], ids=["RGB", "grey"])
def test_less_than_a_thousandth_is_laid_on_black(
    tmp_path: Path, samples: np.ndarray, alpha: int
) -> None:
    path = tmp_path / "a.png"
    for pixels in (0, 1, 2, 3):
        holed(samples, pixels, alpha).save(path)
        if pixels == 3:
            with pytest.raises(DataError) as caught:
                read_image(path, tmp_path)
            assert caught.value.findings[0].code == "transparent-picture"
            continue
        expected = (samples if samples.ndim == 3 else np.stack([samples] * 3, 2)).copy()
        exact = expected.reshape(-1, 3)[:pixels] * (alpha / 255)
        image = read_image(path, tmp_path)
        assert np.array_equal(image.reshape(-1, 3)[pixels:], expected.reshape(-1, 3)[pixels:])
        assert np.abs(image.reshape(-1, 3)[:pixels] - exact).max(initial=0) <= 1
        findings = nearly_opaque(path, tmp_path)
        assert [(f.code, f.severity, f.files) for f in findings] == (
            [("nearly-opaque", "info", ("a.png",))] if pixels else []
        )


def test_a_mask_must_be_opaque_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    grey = np.stack([FEW] * 3, 2)
    holed(grey, 0, 0).save(path)
    assert np.array_equal(read_mask(path, tmp_path), FEW)
    holed(grey, 1, 254).save(path)
    for read in (read_mask, read_colours):
        with pytest.raises(DataError) as caught:
            read(path, tmp_path)
        assert caught.value.findings[0].code == "transparent-picture"


@pytest.mark.parametrize("form", ["PNG", "GIF"])
@pytest.mark.parametrize("transparency", [None, 0, 2])
def test_the_transparency_of_a_palette_is_no_matter_for_a_mask(
    tmp_path: Path, form: str, transparency: int | None
) -> None:
    image = Image.frombytes("P", SIZE[::-1], FEW.tobytes())
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    options = {} if transparency is None else {"transparency": transparency}
    buffer = io.BytesIO()
    image.save(buffer, form, optimize=False, **options)
    path = tmp_path / "a"
    path.write_bytes(buffer.getvalue())
    assert np.array_equal(read_mask(path, tmp_path), FEW)
    colours = np.array([0, 0xFF0000, 0x0000FF])[FEW]
    assert np.array_equal(read_colours(path, tmp_path), colours)
    if transparency is not None:
        with pytest.raises(DataError) as caught:
            read_image(path, tmp_path)
        assert caught.value.findings[0].code == "transparent-picture"
        assert nearly_opaque(path, tmp_path) == []
