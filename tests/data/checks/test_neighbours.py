"""Videos and volumes that random splits tear apart are warned about; random order is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.checks.neighbours import order_of
from headstart.data.checks.segmentation import check_dataset


def video(seed: int, frames: int) -> np.ndarray:
    """Thumbnails of smooth pictures that change a little from frame to frame."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:40] / 6
    speed, phase = rng.uniform(0.05, 0.2, (2, 3)), rng.uniform(0, 6, 3)
    time = np.arange(frames)[:, None, None, None]
    zoom = 1 + 0.01 * time  # without it, a video of two waves can repeat itself
    waves = np.sin(zoom * y[..., None] + speed[0] * time + phase) * np.cos(
        zoom * x[..., None] + speed[1] * time * np.sqrt(2)
    )
    noise = rng.normal(0, 2, waves.shape)
    return (128 + 100 * waves + noise).clip(0, 255).astype(np.uint8)


@given(st.integers(0, 10**6), st.integers(30, 150), st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_videos_are_in_order_and_shuffled_ones_are_not(seed: int, frames: int, parts: int) -> None:
    several = np.concatenate([video(seed + k, frames) for k in range(parts)])
    order = order_of(several)
    assert order.in_order and order.asked == min(500, len(several))
    shuffled = order_of(several[np.random.default_rng(seed).permutation(len(several))])
    assert not shuffled.in_order
    assert abs(shuffled.near - shuffled.chance) <= 5 * shuffled.deviation


@given(st.integers(0, 10**6), st.integers(0, 200))
@settings(deadline=None, max_examples=20)
def test_unrelated_and_equal_pictures_have_no_order(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    assert not order_of(rng.integers(0, 256, (count, 32, 40, 3), dtype=np.uint8)).in_order
    assert not order_of(np.full((count, 32, 40, 3), seed % 256, np.uint8)).in_order


def test_of_many_pictures_some_are_compared_with_all() -> None:
    order = order_of(video(1, 1300))
    assert order.in_order and order.asked == 500
    assert order.chance == pytest.approx(500 * 4 / 1299, rel=0.01)


def write(root: Path, frames: np.ndarray, names: list[str], folder: str = "") -> Path:
    for image, name in zip(frames, names, strict=True):
        for kind in ("images", "masks"):
            (root / folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / folder / "images" / f"{name}.png")
        mask = (image[..., 0] > 128).astype(np.uint8) * 255
        mask[0, :2] = 0, 255
        Image.fromarray(mask).save(root / folder / "masks" / f"{name}.png")
    (root / "mapping.json").write_text(json.dumps({"ground": 0, "wave": 255}))
    return root


def warned(root: Path):
    return next(
        (f for f in check_dataset(root).findings if f.code == "neighbouring-pictures"), None
    )


NUMBERED = [str(k) for k in range(60)]


def test_drawn_splits_tear_a_video_apart(tmp_path: Path) -> None:
    finding = warned(write(tmp_path / "data", video(0, 60), NUMBERED))
    assert finding.severity == "warning" and "groups.csv" in finding.hint
    assert "of 60 have their most similar picture" in finding.message
    assert all(file.startswith("images/") for file in finding.files)
    assert len(finding.files) > 9  # of 18 held out


def test_blocks_in_groups_csv_end_the_warning(tmp_path: Path) -> None:
    root = write(tmp_path / "data", video(0, 60), NUMBERED)
    lines = [f"{name},block{int(name) // 6}" for name in NUMBERED]
    (root / "groups.csv").write_text("\n".join(["stem,group", *lines]))
    assert warned(root) is None


def test_random_order_and_names_without_numbers(tmp_path: Path) -> None:
    frames = video(0, 60)
    shuffled = frames[np.random.default_rng(0).permutation(60)]
    assert warned(write(tmp_path / "shuffled", shuffled, NUMBERED)) is None
    letters = [chr(97 + k // 26) + chr(97 + k % 26) for k in range(60)]
    assert warned(write(tmp_path / "letters", frames, letters)) is None


def split(root: Path, splits: dict[str, list[int]], renumber: bool = False) -> Path:
    frames = video(0, 60)
    for name, places in splits.items():
        numbers = range(len(places)) if renumber else places
        write(root, frames[places], [str(k) for k in numbers], name)
    return root


def test_given_splits_warn_where_neighbours_are_in_different_ones(tmp_path: Path) -> None:
    interleaved = {
        "train": [k for k in range(60) if k % 4 < 2],
        "validation": list(range(2, 60, 4)),
        "test": list(range(3, 60, 4)),
    }
    finding = warned(split(tmp_path / "interleaved", interleaved))
    assert finding is not None and "in one split" in finding.hint
    assert "29 of 30 validation and test pictures" in finding.message
    assert set(finding.files) == {
        f"{name}/images/{k}.png" for name in ("validation", "test") for k in interleaved[name]
    } - {"test/images/59.png"}  # lies next to 58, which validates
    blocks = {"train": [*range(40)], "validation": [*range(40, 50)], "test": [*range(50, 60)]}
    assert warned(split(tmp_path / "blocks", blocks)) is None
    # Each split has numbers of its own, which do not say what lies next to what.
    assert warned(split(tmp_path / "renumbered", interleaved, renumber=True)) is None


def test_a_validation_split_that_headstart_drew(tmp_path: Path) -> None:
    """The test split is a block of its own; validation comes from among the training frames."""
    root = split(tmp_path / "data", {"train": [*range(40)], "test": [*range(40, 60)]})
    for part in ("train", "test"):  # another layout, which draws validation
        (root / part / "images").rename(root / part / "frames")
    finding = warned(root)
    assert "of 6 validation pictures lie next to" in finding.message
    assert all(file.startswith("train/frames/") for file in finding.files)


def test_drawn_scenes_do_not_warn(drawn: Path) -> None:
    assert warned(drawn) is None


def test_unreadable_frames_do_not_matter(tmp_path: Path) -> None:
    root = write(tmp_path / "data", video(0, 60), NUMBERED)
    for k in (3, 30, 31):
        (root / "images" / f"{k}.png").write_bytes(b"")
    assert "of 57 have" in warned(root).message
