"""The size to train at: shapes of pictures, orientation, what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data.pictures.frame import Crop, Frame
from headstart.data.training_size import ANY_SIZE, fitting_size, longest_side, size_for, tile_size

SIDES = st.tuples(st.integers(16, 5000), st.integers(16, 5000))


@given(sizes=st.lists(SIDES, min_size=1, max_size=20), longest=st.sampled_from([320, 512]))
def test_sides_are_multiples_within_the_limit(sizes: list[tuple[int, int]], longest: int) -> None:
    height, width = fitting_size(sizes, longest)
    multiple = 8 if max(height, width) <= 128 else 32
    assert height % multiple == width % multiple == 0
    assert min(height, width) >= 8 and max(height, width) <= longest


@given(size=SIDES)
def test_the_shape_is_kept_within_rounding(size: tuple[int, int]) -> None:
    height, width = fitting_size([size], 512)
    wanted = size[1] / size[0]
    assert (width - 16) / (height + 16) <= wanted or min(height, width) == 32
    assert wanted <= (width + 16) / max(1, height - 16) or min(height, width) == 32


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ([(256, 320)], (256, 320)),  # hw6
        ([(584, 565)], (320, 320)),  # drive
        ([(512, 512)], (320, 320)),  # membrane
        ([(480, 640), (480, 640), (4000, 3000)], (256, 320)),  # the median shape
        ([(40, 40)], (40, 40)),  # nothing is enlarged
    ],
)
def test_the_datasets_at_hand(sizes: list[tuple[int, int]], size: tuple[int, int]) -> None:
    assert fitting_size(sizes, longest_side("cpu")) == size


def test_headers_are_read_upright_cropped_and_without_those_that_are_broken(tmp_path: Path) -> None:
    turned = Image.new("RGB", (320, 160))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    frames = [Frame(name, tmp_path / name) for name in ("turned.jpg", "broken.png")]
    assert size_for(frames, tmp_path, 320) == (320, 160)
    assert size_for(frames[1:], tmp_path, 320) is None
    cropped = Frame("c", tmp_path / "absent.png", crop=Crop((1080, 1920), 28, 320, 1024, 1280))
    assert size_for([cropped], tmp_path, 320) == (256, 320)


@pytest.mark.parametrize(
    ("own", "device", "expected"),
    [((1000, 3000), "cpu", 128), ((400, 4000), "cuda", 256), ((100, 4000), "cpu", 96)],
)
def test_tiles_are_as_large_as_the_pictures_themselves_allow(
    own: tuple[int, int], device: str, expected: int
) -> None:
    assert tile_size(fitting_size([own], ANY_SIZE), device) == (expected, expected)
