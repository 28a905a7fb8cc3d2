"""Probabilities as files: calibrated, at the picture's own size, in agreement with the mask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.data.framing import Framing
from headstart.data.layouts.picture_folder import find_pictures
from headstart.errors import UsageError
from headstart.inference.class_maps import resized
from headstart.inference.masks import predict
from headstart.inference.opening import open_segmenter
from headstart.inference.probability_files import folders_of
from headstart.inference.segmenter import brought, probability_rows
from headstart.scores.calibration import calibrated

SIZES = {"a.png": (30, 50), "left/b.png": (61, 33), "left/c.png": (16, 24)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("in") / "photos", np.random.default_rng(0)
    (folder / "left").mkdir(parents=True)
    for name, (height, width) in SIZES.items():
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(folder / name)
    return folder


def own(run: Path, picture: Path) -> np.ndarray:
    """The calibrated probabilities of a picture, by NumPy in one piece."""
    segmenter = open_segmenter(run, "cpu")
    with Image.open(picture) as image:
        pixels = np.asarray(image)
    picture = brought(segmenter, pixels).transpose(2, 0, 1)
    (probs,) = segmenter.probabilities(np.stack([picture]))
    return calibrated(resized(probs, pixels.shape[:2]), 3.0, axis=0)


def test_16_bit_pngs_add_up_to_1_and_agree_with_the_mask(
    sharp: Path, photos: Path, tmp_path: Path
) -> None:
    result = headstart.predict(sharp, photos, out=tmp_path / "P", probabilities="png", device="cpu")
    assert result.probabilities == tmp_path / "P/probabilities"
    names = open_segmenter(sharp, "cpu").names
    told = json.loads((tmp_path / "P/probabilities/classes-png.json").read_text())
    assert list(told["classes"].values()) == list(names) and told["temperature"] == 3.0
    label_map, seen = open_segmenter(sharp, "cpu").label_map, set()
    for name in SIZES:
        pngs = [tmp_path / "P/probabilities" / folder / name for folder in told["classes"]]
        values = []
        for path in pngs:
            with Image.open(path) as picture:
                assert picture.mode == "I;16"
                values.append(np.asarray(picture).astype(np.int64))
        probs = np.stack(values)
        assert np.abs(probs / 65535 - own(sharp, photos / name)).max() < 1 / 65535
        assert np.abs(probs.sum(0) - 65535).max() <= 0.5 * len(names)
        with Image.open(tmp_path / "P/masks" / name) as mask:
            classes = label_map.to_indices(np.asarray(mask))
        assert np.array_equal(np.take_along_axis(probs, classes[None], 0)[0], probs.max(0))
        seen |= set(np.unique(classes).tolist())
    assert len(seen) > 1, "one class everywhere would prove nothing"


def test_npz_holds_all_classes_with_their_names(sharp: Path, photos: Path, tmp_path: Path) -> None:
    headstart.predict(sharp, photos, out=tmp_path / "P", probabilities="npz", device="cpu")
    for name in SIZES:
        with np.load((tmp_path / "P/probabilities" / name).with_suffix(".npz")) as stored:
            assert stored["probabilities"].dtype == np.float16
            expected = own(sharp, photos / name)
            assert np.abs(stored["probabilities"] - expected).max() < 1e-3
            assert tuple(stored["classes"]) == open_segmenter(sharp, "cpu").names


def test_masks_and_overlays_are_the_same_bytes_with_and_without(
    sharp: Path, photos: Path, tmp_path: Path
) -> None:
    headstart.predict(sharp, photos, out=tmp_path / "without", device="cpu")
    for form in ("png", "npz"):
        headstart.predict(sharp, photos, out=tmp_path / "P", probabilities=form, device="cpu")
    for path in (tmp_path / "without").rglob("*.png"):
        there = tmp_path / "P" / path.relative_to(tmp_path / "without")
        assert there.read_bytes() == path.read_bytes()
    files = {p: p.read_bytes() for p in (tmp_path / "P").rglob("*.*") if p.is_file()}
    headstart.predict(sharp, photos, out=tmp_path / "P", probabilities="npz", device="cpu")
    assert files == {p: p.read_bytes() for p in (tmp_path / "P").rglob("*.*") if p.is_file()}


def test_of_a_split_too(sharp: Path, drawn: Path, tmp_path: Path) -> None:
    result = headstart.predict(
        sharp, drawn, split="test", out=tmp_path / "P", probabilities="npz", device="cpu"
    )
    assert len(list((tmp_path / "P/probabilities").rglob("*.npz"))) == result.pictures == 5


def test_classes_of_any_name_have_folders_of_their_own() -> None:
    names = ("a b", "a_b", "../../etc", "Größe 針", "x" * 300)
    folders = folders_of(names, "png")
    assert len(set(folders)) == 5
    for folder in folders:
        assert len(Path(folder).parts) == 2 and ".." not in folder and len(folder) < 100


def test_a_clip_or_a_classifier_has_no_probabilities_in_pictures(
    sharp: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match=r"format-of-pictures.*--probabilities png"):
        headstart.predict(
            sharp, tmp_path / "clip.mp4", out=tmp_path / "P", probabilities="png", device="cpu"
        )
    assert not (tmp_path / "P").exists()


@pytest.mark.parametrize(("framing", "size"), [("pad", (16, 24)), ("tile", (16, 16))])
def test_whatever_the_framing_probabilities_agree_with_masks(
    framing: Framing, size: tuple[int, int], sharp: Path, photos: Path, tmp_path: Path
) -> None:
    segmenter = replace(open_segmenter(sharp, "cpu"), framing=framing, size=size)
    frames = find_pictures(photos).frames
    predict(segmenter, frames, photos, tmp_path / "P", probabilities="npz")
    for name in SIZES:
        with np.load((tmp_path / "P/probabilities" / name).with_suffix(".npz")) as stored:
            probs = stored["probabilities"].astype(np.float32)
        with Image.open(tmp_path / "P/masks" / name) as mask:
            classes = segmenter.label_map.to_indices(np.asarray(mask))
        assert np.abs(probs.sum(0) - 1).max() < 5e-3
        chosen = np.take_along_axis(probs, classes[None], 0)[0]
        assert (chosen >= probs.max(0) - 1e-3).mean() > 0.999  # ties of float16
        assert len(np.unique(classes)) > 1


@pytest.mark.parametrize("at_once", [1, 300, 1 << 20])
def test_some_rows_at_a_time_give_the_whole(
    at_once: int, sharp: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.inference.segmenter.AT_ONCE", at_once)
    segmenter, name = open_segmenter(sharp, "cpu"), "left/b.png"
    with Image.open(photos / name) as image:
        given = brought(segmenter, np.asarray(image))
    rows = list(probability_rows(segmenter, given, SIZES[name]))
    assert [r.start for r, _ in rows[1:]] == [r.stop for r, _ in rows[:-1]]
    whole = calibrated(np.concatenate([p for _, p in rows], axis=1), 3.0, axis=0)
    assert np.allclose(whole, own(sharp, photos / name), atol=1e-6)
