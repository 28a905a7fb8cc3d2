"""Pictures without colour, as microscopes make them, are recognised; a little colour is colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.colourless import colourless
from headstart.data.pictures.frame import Frame


def frames(root: Path, kind: str, ending: str = "png") -> list[Frame]:
    rng = np.random.default_rng(0)
    made = []
    for k in range(20):
        pixels = rng.integers(0, 256, (16, 24), np.uint8)[..., None].repeat(3, -1)
        if kind == "coloured" and k % 4 == 1:
            pixels[3, 4] = (200, 40, 40)
        picture = Image.fromarray(pixels)
        path = root / f"{k}.{ending}"
        (picture.convert("L") if kind == "one channel" else picture).save(path)
        made.append(Frame(str(k), path))
    return made


@pytest.mark.parametrize("kind", ["one channel", "three equal channels"])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_grey(tmp_path: Path, kind: str, ending: str) -> None:
    assert colourless(frames(tmp_path, kind, ending), tmp_path)


def test_a_coloured_pixel_is_colour(tmp_path: Path) -> None:
    some = frames(tmp_path, "coloured")
    assert not colourless(some[1::4], tmp_path)
    assert not colourless(some[1:2], tmp_path)


def test_nothing_that_can_be_read_is_not_called_grey(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    assert not colourless([Frame("0", tmp_path / "0.png")], tmp_path)
    assert not colourless([], tmp_path)
