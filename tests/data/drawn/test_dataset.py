from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.drawn import dataset as synthetic
from headstart.data.drawn.dataset import GREYS, write_dataset
from headstart.data.drawn.instruments import KINDS, Pose, Scene, place
from headstart.data.drawn.scenes import draw_scene
from headstart.errors import DataError, DiskError

SMALL = {"train": 2, "validation": 1, "test": 2, "unlabelled": 2, "height": 32, "width": 40}


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def blank(height: int = 48, width: int = 60) -> Scene:
    y, x = ((np.mgrid[:height, :width] + 0.5) / height).astype(np.float32)
    return Scene(
        x, y, np.full((height, width, 3), 0.5, np.float32), np.zeros((height, width), np.uint8)
    )


@pytest.fixture(scope="module")
def many() -> list[tuple[np.ndarray, np.ndarray]]:
    return [draw_scene(np.random.default_rng(i), 32, 40) for i in range(150)]


@given(st.integers(0, 2**32), st.integers(16, 70), st.integers(16, 70))
@settings(max_examples=20)
def test_a_scene_has_the_shape_asked_for_and_known_classes(seed, height, width):
    image, mask = draw_scene(np.random.default_rng(seed), height, width)
    again = draw_scene(np.random.default_rng(seed), height, width)
    assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((height, width), np.uint8)
    assert mask.max() <= len(KINDS)
    assert (image == again[0]).all() and (mask == again[1]).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_scene_at_twice_the_size_is_the_same_scene(seed):
    small, small_mask = draw_scene(np.random.default_rng(seed), 64, 80)
    large, large_mask = draw_scene(np.random.default_rng(seed), 128, 160)
    halved = np.asarray(Image.fromarray(large).reduce(2), float)
    assert np.abs(halved - small).mean() < 8
    assert (large_mask[::2, ::2] == small_mask).mean() > 0.96


def test_too_small_a_scene_is_refused():
    with pytest.raises(ValueError, match="at least 16 pixels"):
        draw_scene(np.random.default_rng(0), 15, 40)


def test_about_a_fifth_of_the_scenes_hold_no_instrument_and_all_kinds_occur(many):
    present = np.array([[(mask == k + 1).any() for k in range(len(KINDS))] for _, mask in many])
    assert 0.1 < (~present.any(1)).mean() < 0.3
    assert (present.mean(0) > 0.2).all()
    assert present.sum(1).max() == 3
    share = np.mean([(mask > 0).mean() for _, mask in many])
    assert 0.05 < share < 0.25


def test_instruments_come_in_over_the_border(many):
    for _, mask in many:
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        kinds = np.unique(mask[mask > 0])
        if len(kinds) == 1:  # with more, one may hide where another comes in
            assert kinds[0] in edge


def test_what_is_drawn_later_is_in_front():
    overlaps = 0
    for seed in range(10):
        both, alone = blank(), blank()
        place(both, np.random.default_rng(seed), 0, (0.6, 0.5))
        behind = both.labels.copy()
        place(both, np.random.default_rng(100 + seed), 1, (0.6, 0.5))
        place(alone, np.random.default_rng(100 + seed), 1, (0.6, 0.5))
        front = alone.labels == 2
        overlaps += int((behind[front] == 1).any())
        assert (both.labels == np.where(front, 2, behind)).all()
    assert overlaps >= 3


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_every_kind_differs_from_tissue_only_where_its_mask_or_shadow_is(kind):
    scene = blank(96, 120)
    place(scene, np.random.default_rng(kind), kind, (0.6, 0.5))
    inside = scene.labels == kind + 1
    assert inside.any()
    brightness = scene.colour.mean(2)
    assert brightness[~inside].max() < 0.75  # nothing shiny beyond an edge pixel
    assert brightness[inside].std() > 0.1  # sheen and marks


def test_a_pose_moves_along_its_own_direction():
    pose = Pose(0.0, 0.0, np.pi / 2).ahead(2.0, turn=-np.pi / 2)
    assert (pose.x, pose.y, pose.angle) == pytest.approx((0, 2, 0))


def test_grey_alone_does_not_tell_the_colour_of_tissue_but_tissue_is_warm(many):
    tissue = np.concatenate([image[mask == 0] for image, mask in many]).astype(float)
    red, green, blue = tissue.T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    assert ((red >= green) & (green >= blue - 12)).mean() > 0.9
    middle = np.abs(grey - 110) < 5
    assert (green - blue)[middle].std() > 10  # fat against serosa at one grey


def test_the_layout_is_the_assignments(tmp_path):
    root = write_dataset(tmp_path / "drawn", **SMALL)
    files = contents(root)
    expected = {"README.md", "mapping.json"}
    for split, count in (("train", 2), ("validation", 1), ("test", 2)):
        for k in range(count):
            expected |= {f"segmentation/{split}/{k}/{k}_{x}" for x in ("input.jpg", "mask.png")}
    for split, count in (("train_cor", 4), ("validation_cor", 1)):
        for k in range(count):
            expected |= {f"colorization/{split}/{k}/{k}_{x}" for x in ("input.jpg", "gray.jpg")}
    assert set(files) == expected
    for name in expected:
        if name.startswith(("seg", "col")):
            with Image.open(root / name) as picture:
                assert picture.size == (40, 32)
                assert picture.mode == ("RGB" if "input" in name else "L")
    assert json.loads(files["mapping.json"]) == GREYS
    for name in expected:
        if name.endswith("mask.png"):
            with Image.open(root / name) as mask:
                assert set(np.unique(np.asarray(mask)).tolist()) <= set(GREYS.values())


def test_only_labelled_training_pictures_are_also_in_train_cor(tmp_path):
    files = contents(write_dataset(tmp_path / "drawn", **SMALL))
    coloured = {n: b for n, b in files.items() if n.endswith("_input.jpg")}
    for k in range(2):
        labelled = coloured.pop(f"segmentation/train/{k}/{k}_input.jpg")
        assert labelled == coloured[f"colorization/train_cor/{k}/{k}_input.jpg"]
    assert len(set(coloured.values())) == len(coloured)


def test_it_says_that_it_is_drawn(tmp_path):
    root = write_dataset(tmp_path / "drawn", **SMALL, seed=41)
    readme = (root / "README.md").read_text(encoding="utf-8")
    for words in ("drew every picture", "no patient, no camera", "seed 41", "2 train, 1 valid"):
        assert words in " ".join(readme.split())
    assert all(name.startswith("Drawn_") for name in GREYS)


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path):
    one = contents(write_dataset(tmp_path / "a", **SMALL))
    assert one == contents(write_dataset(tmp_path / "b", **SMALL))
    other = contents(write_dataset(tmp_path / "c", **SMALL, seed=1))
    name = "segmentation/train/0/0_input.jpg"
    assert one[name] != other[name]


def test_other_counts_leave_the_frames_as_they_were(tmp_path):
    one = contents(write_dataset(tmp_path / "a", **SMALL))
    more = contents(write_dataset(tmp_path / "b", **{**SMALL, "train": 3, "test": 1}))
    for name in one.keys() & more.keys():
        if name.startswith("segmentation"):
            assert one[name] == more[name]
    assert (
        one["colorization/train_cor/2/2_input.jpg"] == more["colorization/train_cor/3/3_input.jpg"]
    )


def test_an_empty_folder_is_taken_and_a_full_one_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert (write_dataset(tmp_path / "empty", **SMALL) / "mapping.json").is_file()
    before = contents(tmp_path)
    with pytest.raises(DataError, match="not empty"):
        write_dataset(tmp_path / "empty", **SMALL)
    with pytest.raises(DataError, match="is a file"):
        write_dataset(tmp_path / "empty" / "mapping.json", **SMALL)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("raised", "expected"), [(OSError(28, "No space left"), DiskError), (KeyboardInterrupt,) * 2]
)
def test_nothing_is_left_behind_when_it_fails(tmp_path, monkeypatch, raised, expected):
    drawn = iter(range(3))

    def draw(*arguments):
        if next(drawn) == 2:
            raise raised
        return draw_scene(*arguments)

    monkeypatch.setattr(synthetic, "draw_scene", draw)
    with pytest.raises(expected):
        write_dataset(tmp_path / "drawn", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_drawn_is_refused(tmp_path):
    for wrong in ({"train": -1}, {"width": 8}):
        with pytest.raises(ValueError, match="cannot draw"):
            write_dataset(tmp_path / "drawn", **{**SMALL, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_drawing_needs_no_torch():
    code = "import sys, headstart.data.drawn.dataset; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
