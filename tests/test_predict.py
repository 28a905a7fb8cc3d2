"""Masks at the picture's own size, overlays one can read, and nothing lost on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.folders import find_pictures, open_dataset
from headstart.data.label_map import LabelMap
from headstart.errors import DataError, UsageError
from headstart.predict import (
    evaluate_masks,
    evaluate_run,
    frames_of,
    overlay_with_legend,
    predict,
)
from headstart.segmenter import load_segmenter

CPU = torch.device("cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, (height, width) in {"a.png": (30, 50), "b.jpg": (61, 33), "c.png": (16, 24)}.items():
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(folder / name)
    return folder


def test_masks_have_the_pictures_own_size(trained: Path, pictures: Path, tmp_path: Path) -> None:
    segmenter = load_segmenter(trained, CPU)
    frames = find_pictures(pictures)
    predict(segmenter, frames, pictures, tmp_path / "out", CPU)
    for frame in frames:
        with (
            Image.open(frame.image) as image,
            Image.open(tmp_path / "out/masks" / f"{frame.name}.png") as mask,
        ):
            assert mask.size == image.size and mask.mode == "L"
            assert set(np.unique(np.asarray(mask))) <= set(segmenter.label_map.greys)


def test_the_same_again_writes_the_same(trained: Path, pictures: Path, tmp_path: Path) -> None:
    segmenter, out = load_segmenter(trained, CPU), tmp_path / "out"
    predict(segmenter, find_pictures(pictures), pictures, out, CPU)
    first = {p: p.read_bytes() for p in out.rglob("*.png")}
    predict(segmenter, find_pictures(pictures), pictures, out, CPU)
    assert first == {p: p.read_bytes() for p in out.rglob("*.png")} and len(first) == 6


def test_a_bad_picture_is_named_and_the_others_are_done(
    trained: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "bad.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"bad\.png"):
        predict(
            load_segmenter(trained, CPU), find_pictures(pictures), pictures, tmp_path / "out", CPU
        )
    assert len(list((tmp_path / "out/masks").iterdir())) == 3


def test_a_single_picture_is_found(pictures: Path) -> None:
    assert [f.name for f in find_pictures(pictures / "a.png")] == ["a"]


def test_pictures_that_would_share_a_mask(pictures: Path) -> None:
    (pictures / "a.jpg").write_bytes((pictures / "b.jpg").read_bytes())
    with pytest.raises(DataError, match="share a name"):
        find_pictures(pictures)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_nothing_to_predict(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture and no folder with pictures"):
        find_pictures(tmp_path / name)


def test_another_runs_predictions_are_not_overwritten(
    trained: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "made-of.txt").write_text("weights 0\npictures 0\n")
    with pytest.raises(UsageError, match="not made with these weights"):
        predict(load_segmenter(trained, CPU), find_pictures(pictures), pictures, out, CPU)


def test_another_inputs_predictions_are_not_overwritten(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    """Frames of two splits bear the same names."""
    segmenter, dataset, out = load_segmenter(trained, CPU), open_dataset(drawn), tmp_path / "out"
    predict(segmenter, frames_of(dataset, "validation"), drawn, out, CPU)
    with pytest.raises(UsageError, match="of these pictures"):
        predict(segmenter, frames_of(dataset, "test"), drawn, out, CPU)


def test_the_run_scores_again_what_it_scored(trained: Path, drawn: Path) -> None:
    scores = json.loads((trained / "scores.json").read_text())
    assert (
        json.loads(json.dumps(evaluate_run(trained, open_dataset(drawn), "test", "cpu"))) == scores
    )


def test_the_truth_scores_one(drawn: Path, tmp_path: Path) -> None:
    dataset = open_dataset(drawn)
    for frame in frames_of(dataset, "test"):
        assert frame.mask is not None
        (tmp_path / f"{frame.name}.png").write_bytes(frame.mask.read_bytes())
    scores = evaluate_masks(tmp_path, dataset, "test")
    assert scores["dice"] == scores["dice_assignment"] == scores["iou"] == 1
    assert scores["absent_fp_rate"] == 0 and not scores["collapsed"]


def test_masks_that_cannot_be_scored_are_all_named(drawn: Path, tmp_path: Path) -> None:
    dataset = open_dataset(drawn)
    with pytest.raises(DataError, match="no mask for 5 of the 5 frames"):
        evaluate_masks(tmp_path, dataset, "test")
    for i, frame in enumerate(frames_of(dataset, "test")):
        size = (4, 4) if i == 0 else (32, 40)
        Image.fromarray(np.full(size, 99 if i == 1 else 0, np.uint8)).save(
            tmp_path / f"{frame.name}.png"
        )
    with pytest.raises(DataError) as caught:
        evaluate_masks(tmp_path, dataset, "test")
    assert {f.code for f in caught.value.findings} == {"size-differs", "unknown-grey"}
    assert "99" in str(caught.value)


def test_a_run_for_other_classes_is_refused(trained: Path, drawn: Path, tmp_path: Path) -> None:
    import shutil

    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    labels = json.loads((data / "mapping.json").read_text())
    (data / "mapping.json").write_text(json.dumps({f"{k}_x": v for k, v in labels.items()}))
    with pytest.raises(DataError, match="Drawn_Tissue_x"):
        evaluate_run(trained, open_dataset(data), "test", "cpu")


def test_an_unknown_split(drawn: Path) -> None:
    with pytest.raises(UsageError, match="it has train, validation, test"):
        frames_of(open_dataset(drawn), "holdout")


@pytest.mark.parametrize("side", [8, 64, 320, 700])
def test_the_legend_lies_below_the_picture(side: int) -> None:
    """Whatever the picture's size and the number of classes, every name is inside the sheet."""
    names = ("background", *(f"a_rather_long_instrument_name_{k}" for k in range(1, 8)))
    image = np.zeros((side, side, 3), np.uint8)
    classes = (np.arange(side * side).reshape(side, side) % 8).astype(np.uint8)
    sheet = overlay_with_legend(image, classes, names)
    factor = max(1, -(-320 // side))
    assert sheet.shape[1] == side * factor and sheet.shape[0] > side * factor
    legend = sheet[side * factor :]
    assert (legend[:, -1] == 255).all() and (legend[-1] == 255).all()


def test_a_picture_without_foreground_says_so() -> None:
    sheet = overlay_with_legend(
        np.zeros((40, 400, 3), np.uint8), np.zeros((40, 400), np.uint8), ("background", "x")
    )
    assert (sheet[40:] < 128).any() and (sheet[:40] == 0).all()


def test_label_maps_travel_with_the_weights(trained: Path, drawn: Path) -> None:
    assert load_segmenter(trained, CPU).label_map == open_dataset(drawn).label_map
    assert isinstance(load_segmenter(trained, CPU).label_map, LabelMap)
