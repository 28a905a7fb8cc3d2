"""Alpha: opaque, nearly opaque and transparent pictures; masks whose background is transparent."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.segmentation import check_dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.masks import read_labelled
from headstart.data.pictures.reading import (
    TRANSPARENT,
    nearly_opaque,
    read_colours,
    read_image,
    read_mask,
)
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


def test_transparent_pixels_of_a_mask_are_background_and_no_alpha_is_half(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    grey = np.stack([FEW] * 3, 2)
    holed(grey, 0, 0).save(path)
    assert np.array_equal(read_mask(path, tmp_path), FEW)
    holed(grey, 2, 0).save(path)
    expected = FEW.copy()
    expected.reshape(-1)[:2] = 7
    assert np.array_equal(read_mask(path, tmp_path, background=7), expected)
    assert (read_colours(path, tmp_path).reshape(-1)[:2] == TRANSPARENT).all()
    with pytest.raises(DataError) as caught:
        read_mask(path, tmp_path)  # what is its background?
    assert caught.value.findings[0].code == "transparent-mask"
    holed(grey, 1, 254).save(path)
    for read in (read_mask, read_colours):
        with pytest.raises(DataError) as caught:
            read(path, tmp_path)
        (finding,) = caught.value.findings
        assert finding.code == "transparent-mask" and "Flatten Image" in finding.hint


def layer(root: Path, colours: list[tuple[int, int, int]], hidden: tuple[int, int, int]) -> None:
    """Masks as GIMP exports an object that was painted on a transparent layer."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for k in range(6):
        noise = np.random.default_rng(k).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"images/{k}.png")
        rgba = np.zeros((24, 32, 4), np.uint8)
        rgba[..., :3] = hidden
        for n, colour in enumerate(colours):
            rgba[3 + k : 12 + k, 10 * n : 10 * n + 8] = (*colour, 255)
        Image.fromarray(rgba).save(root / f"masks/{k}.png")


def truth(classes: int, k: int) -> np.ndarray:
    mask = np.zeros((24, 32), np.uint8)
    for n in range(classes):
        mask[3 + k : 12 + k, 10 * n : 10 * n + 8] = n + 1
    return mask


WHITE, RED, GREEN = (255, 255, 255), (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize("hidden", [(0, 0, 0), WHITE, RED])
@pytest.mark.parametrize(
    ("colours", "mapping"),
    [
        ([WHITE], None),
        ([WHITE], '{"background": 0, "tool": 255}'),
        ([(0, 0, 0)], '{"background": 255, "tool": 0}'),
        ([RED, GREEN], '{"background": "#000000", "tool": "#ff0000", "tissue": "#00ff00"}'),
    ],
)
def test_masks_painted_on_a_transparent_layer(
    tmp_path: Path, colours: list, mapping: str | None, hidden: tuple[int, int, int]
) -> None:
    layer(tmp_path, colours, hidden)
    if mapping:
        (tmp_path / "mapping.json").write_text(mapping)
    data = open_dataset(tmp_path)
    for frame in (frame for part in data.splits.values() for frame in part):
        _, read = read_labelled(frame, data.label_map, tmp_path)
        assert np.array_equal(read, truth(len(colours), int(frame.name)))
    said = [f for f in check_dataset(tmp_path).findings if f.code == "background-transparent"]
    assert len(said) == 1 and len(said[0].files) == 6


@pytest.mark.parametrize("colours", [[(0, 0, 0)], [(0, 0, 0), WHITE]])
def test_black_paint_on_a_transparent_layer_needs_a_mapping(tmp_path: Path, colours: list) -> None:
    layer(tmp_path, colours, WHITE)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert [finding.code for finding in caught.value.findings] == ["transparent-mask"]


def test_transparent_colours_are_proposed_as_the_background(tmp_path: Path) -> None:
    layer(tmp_path, [RED, GREEN], (0, 0, 0))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    (finding,) = caught.value.findings
    (tmp_path / "mapping.json").write_text(finding.hint[finding.hint.index("{") :])
    data = open_dataset(tmp_path)
    frame = data.splits["train"][0]
    _, read = read_labelled(frame, data.label_map, tmp_path)
    assert np.array_equal(read > 0, truth(2, int(frame.name)) > 0)


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
