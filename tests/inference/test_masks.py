"""Masks at the picture's own size, and nothing lost on the way."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, UsageError
from headstart.inference.masks import predict
from headstart.inference.opening import open_segmenter


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, (height, width) in {"a.png": (30, 50), "b.jpg": (61, 33), "c.png": (16, 24)}.items():
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(folder / name)
    return folder


def test_masks_have_the_pictures_own_size(trained: Path, pictures: Path, tmp_path: Path) -> None:
    segmenter = open_segmenter(trained, "cpu")
    frames = find_pictures(pictures).frames
    predict(segmenter, frames, pictures, tmp_path / "out")
    for frame in frames:
        with (
            Image.open(frame.image) as image,
            Image.open(tmp_path / "out/masks" / f"{frame.name}.png") as mask,
        ):
            assert mask.size == image.size and mask.mode == "L"
            assert set(np.unique(np.asarray(mask))) <= set(segmenter.label_map.greys)


def test_the_same_again_writes_the_same(trained: Path, pictures: Path, tmp_path: Path) -> None:
    segmenter, out = open_segmenter(trained, "cpu"), tmp_path / "out"
    predict(segmenter, find_pictures(pictures).frames, pictures, out)
    first = {p: p.read_bytes() for p in out.rglob("*.png")}
    predict(segmenter, find_pictures(pictures).frames, pictures, out)
    assert first == {p: p.read_bytes() for p in out.rglob("*.png")} and len(first) == 6


def test_a_bad_picture_is_named_and_the_others_are_done(
    trained: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "bad.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"bad\.png"):
        predict(
            open_segmenter(trained, "cpu"),
            find_pictures(pictures).frames,
            pictures,
            tmp_path / "out",
        )
    assert len(list((tmp_path / "out/masks").iterdir())) == 3


def test_a_single_picture_is_found(pictures: Path) -> None:
    assert [f.name for f in find_pictures(pictures / "a.png").frames] == ["a"]


def test_pictures_that_would_share_a_mask(pictures: Path) -> None:
    (pictures / "a.jpg").write_bytes((pictures / "b.jpg").read_bytes())
    with pytest.raises(DataError) as caught:
        find_pictures(pictures)
    files = " ".join(file for finding in caught.value.findings for file in finding.files)
    assert "a.jpg" in files and "a.png" in files


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_nothing_to_predict(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=re.escape(str(tmp_path / name))) as caught:
        find_pictures(tmp_path / name)
    assert caught.value.findings[0].code == "no-pictures"


def test_another_runs_predictions_are_not_overwritten(
    trained: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "made-of.txt").write_text("weights 0\npictures 0\n")
    (out / "masks").mkdir()
    (out / "theirs.tmp-999999999").touch()
    before = sorted(out.rglob("*"))
    with pytest.raises(UsageError, match=re.escape(str(out))) as caught:
        predict(open_segmenter(trained, "cpu"), find_pictures(pictures).frames, pictures, out)
    assert caught.value.findings[0].code == "not-empty"
    assert sorted(out.rglob("*")) == before


def test_what_a_killed_process_left_is_swept(trained: Path, pictures: Path, tmp_path: Path) -> None:
    segmenter, out = open_segmenter(trained, "cpu"), tmp_path / "out"
    predict(segmenter, find_pictures(pictures).frames, pictures, out)
    (out / "masks" / "a.png.tmp-999999999").touch()
    predict(segmenter, find_pictures(pictures).frames, pictures, out)
    assert sorted(p.name for p in (out / "masks").iterdir()) == ["a.png", "b.png", "c.png"]


def test_another_inputs_predictions_are_not_overwritten(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    """Frames of two splits bear the same names."""
    segmenter, dataset, out = open_segmenter(trained, "cpu"), open_dataset(drawn), tmp_path / "out"
    predict(segmenter, frames_of(dataset, "validation"), drawn, out)
    with pytest.raises(UsageError, match=re.escape(str(out))) as caught:
        predict(segmenter, frames_of(dataset, "test"), drawn, out)
    assert caught.value.findings[0].code == "not-empty"


def test_label_maps_travel_with_the_weights(trained: Path, drawn: Path) -> None:
    assert open_segmenter(trained, "cpu").label_map == open_dataset(drawn).label_map
    assert isinstance(open_segmenter(trained, "cpu").label_map, LabelMap)
