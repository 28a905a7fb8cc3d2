"""Drawn objects in rings of pixels that do not count, from training to scores, by the verbs."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.drawn.dataset import GREYS, write_dataset
from headstart.data.label_map import IGNORE
from headstart.data.pictures.masks import read_labelled
from headstart.errors import DataError
from headstart.inference.opening import open_segmenter
from headstart.scores.frames_csv import read_frames_csv
from headstart.scores.overlap import dice_of_frames
from headstart.serve.answer import answer
from headstart.serve.samples import find_samples
from headstart.verbs.check import check
from headstart.verbs.evaluate import evaluate
from headstart.verbs.predict import predict
from headstart.verbs.study import study
from headstart.verbs.train import TrainResult, train
from tests.scores.oracle import from_sklearn

TINY = {"size": (16, 24), "width": 2, "epochs": 2, "threads": 1, "device": "cpu"}
LEVELS = list(GREYS.values())
VOID = 255


def ringed(mask: np.ndarray) -> np.ndarray:
    """The mask with the pixels on both sides of every border ignored."""
    ring = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        ahead = [slice(None), slice(None)]
        behind = [slice(None), slice(None)]
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        differs = mask[tuple(ahead)] != mask[tuple(behind)]
        ring[tuple(ahead)] |= differs
        ring[tuple(behind)] |= differs
    return np.where(ring, np.uint8(VOID), mask)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ringed") / "data"
    write_dataset(root, train=12, validation=4, test=6, unlabelled=0, height=32, width=40)
    for path in root.glob("segmentation/*/*/*_mask.png"):
        Image.fromarray(ringed(np.asarray(Image.open(path)))).save(path)
    (root / "mapping.json").write_text(json.dumps({**GREYS, "ignore": VOID}))
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(data, out=tmp_path_factory.mktemp("runs") / "run", **TINY)


def truths(data: Path, split: str = "test") -> list[np.ndarray]:
    """The masks of a split in levels, in the order of the frames."""
    folder = data / "segmentation" / split
    paths = [folder / str(k) / f"{k}_mask.png" for k in range(len(list(folder.iterdir())))]
    return [np.asarray(Image.open(path)) for path in paths]


def equals_the_oracle(scores: dict, masks: Path, data: Path) -> None:
    """The scores are those that scikit-learn gives the written masks without ignored pixels."""
    truth = truths(data)
    predicted = [np.asarray(Image.open(masks / f"{k}.png")) for k in range(len(truth))]
    pairs = [
        [np.searchsorted(LEVELS, x[t != VOID]) for x in (p, t)]
        for p, t in zip(predicted, truth, strict=True)
    ]
    expected = from_sklearn([p for p, _ in pairs], [t for _, t in pairs], len(LEVELS))
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name
    pixels = np.bincount(np.concatenate([t for _, t in pairs]), minlength=len(LEVELS))
    assert [c["pixels"] for c in scores["classes"].values()] == pixels.tolist()


def test_the_rings_are_there(data: Path) -> None:
    assert all(0 < (mask == VOID).mean() < 0.5 for mask in truths(data) if mask.any())
    assert sum((mask == VOID).any() for mask in truths(data)) >= 3


def test_the_scores_of_a_run_are_those_of_the_pixels_that_count(
    data: Path, run: TrainResult, tmp_path: Path
) -> None:
    written = predict(run.folder, data, out=tmp_path / "out", split="test", device="cpu")
    assert written.masks is not None
    equals_the_oracle(run.scores, written.masks, data)
    assert evaluate(written.masks, data).scores == run.scores
    assert evaluate(run.folder, data, device="cpu").scores == run.scores
    for mask in written.masks.iterdir():
        assert set(np.unique(np.asarray(Image.open(mask)))) <= set(LEVELS)


def test_counts_add_up_to_the_pixels_that_count(data: Path, run: TrainResult) -> None:
    counts = read_frames_csv(
        (run.folder / "frames.csv").read_bytes(), run.folder / "frames.csv"
    ).counts
    valid = [int((mask != VOID).sum()) for mask in truths(data)]
    assert (counts[..., 0] + counts[..., 2]).sum(1).tolist() == valid  # of the truth
    assert (counts[..., 0] + counts[..., 1]).sum(1).tolist() == valid  # of the prediction


def test_masks_may_hold_anything_where_the_truth_is_ignored(
    data: Path, run: TrainResult, tmp_path: Path
) -> None:
    """So the true masks can be scored themselves, and are perfect."""
    for k, mask in enumerate(truths(data)):
        Image.fromarray(mask).save(tmp_path / f"{k}.png")
    scores = evaluate(tmp_path, data).scores
    assert scores["dice"] == scores["dice_assignment"] == 1 and scores["absent_fp_rate"] == 0
    Image.fromarray(np.full((32, 40), VOID, np.uint8)).save(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"unknown-grey.*255"):
        evaluate(tmp_path, data)


def test_an_exported_network_scores_the_same(data: Path, exported: tuple[Path, dict]) -> None:
    run, _ = exported
    theirs, ours = (evaluate(p, data, device="cpu").scores for p in (run, run / "model.onnx"))
    for name in ("dice", "dice_assignment", "iou"):
        assert ours[name] == pytest.approx(theirs[name], abs=0.02)
    (pixels, others) = ([c["pixels"] for c in s["classes"].values()] for s in (ours, theirs))
    assert pixels == others and sum(pixels) < 6 * 32 * 40


def test_the_page_shows_the_truth_and_scores_it_without_ignored_pixels(
    data: Path, run: TrainResult
) -> None:
    segmenter = open_segmenter(run.folder, "cpu")
    samples = find_samples(run.config, run.folder, segmenter.label_map, None)
    assert len(samples.frames) == 6 and samples.label_map is not None
    expected = dice_of_frames(
        read_frames_csv((run.folder / "frames.csv").read_bytes(), run.folder / "frames.csv").counts
    )
    for frame, mask, dice in zip(samples.frames, truths(data), expected, strict=True):
        picture, truth = read_labelled(frame, samples.label_map, samples.root)
        said = answer(segmenter, picture, truth)
        assert said["dice"] == (None if np.isnan(dice) else pytest.approx(dice, abs=1e-12))
        assert said["ignored"] == bool((mask == VOID).any())
        shown = np.frombuffer(zlib.decompress(base64.b64decode(said["truth"])), np.uint8)
        assert np.array_equal(shown.reshape(mask.shape) == IGNORE, mask == VOID)


def test_a_study_counts_no_ignored_pixel(data: Path, tmp_path: Path) -> None:
    options = {"starts": ["scratch"], "labels": [6, "all"], "seeds": [3], **TINY}
    done = study(data, out=tmp_path / "study", **options)
    valid = [int((mask != VOID).sum()) for mask in truths(data)]
    for record in done.study["records"]:
        folder = tmp_path / "study" / record["run"]
        counts = read_frames_csv((folder / "frames.csv").read_bytes(), folder / "frames.csv").counts
        assert (counts[..., 0] + counts[..., 2]).sum(1).tolist() == valid
        written = predict(folder, data, out=tmp_path / record["run"], split="test", device="cpu")
        assert written.masks is not None
        equals_the_oracle(record["scores"], written.masks, data)


def test_check_shares_are_of_the_pixels_that_count(data: Path) -> None:
    report = check(data)
    assert report.ok
    for split in ("train", "validation", "test"):
        masks = truths(data, split)
        total = sum(int((m != VOID).sum()) for m in masks)
        shares = {
            name: sum(int((m == g).sum()) for m in masks) / total for name, g in GREYS.items()
        }
        assert report.splits[split].pixels == pytest.approx(shares)
        assert report.splits[split].frames_with == {
            name: sum(bool((m == g).any()) for m in masks) for name, g in GREYS.items()
        }
    scores = from_sklearn(
        [np.zeros((m != VOID).sum(), int) for m in truths(data)],
        [np.searchsorted(LEVELS, m[m != VOID]) for m in truths(data)],
        len(LEVELS),
    )
    assert report.splits["test"].trivial["dice_assignment"] == pytest.approx(
        scores["dice_assignment"]
    )


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_without_foreground_is_refused_before_training(
    data: Path, tmp_path: Path, split: str
) -> None:
    """Its masks show background and ignored pixels only."""
    root = shutil.copytree(data, tmp_path / "data")
    for path in root.glob(f"segmentation/{split}/*/*_mask.png"):
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.where(mask == 0, 0, VOID).astype(np.uint8)).save(path)
    found = {f.code: f for f in check(root).findings}
    assert found["no-foreground"].severity == "error" and split in found["no-foreground"].message
    with pytest.raises(DataError, match=f"no-foreground.*{split}"):
        train(root, out=tmp_path / "run", **TINY)
    assert not (tmp_path / "run" / "config.json").exists()
    with pytest.raises(DataError, match=f"no-foreground.*{split}"):
        study(root, out=tmp_path / "study", starts=["scratch", "colorization"], seeds=[3], **TINY)
    assert not (tmp_path / "study").exists()


def test_frames_without_any_pixel_that_counts_are_named(data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(data, tmp_path / "data")
    nothing = np.full((32, 40), VOID, np.uint8)
    for split, k in (("train", 2), ("test", 1)):
        Image.fromarray(nothing).save(root / f"segmentation/{split}/{k}/{k}_mask.png")
    (finding,) = [f for f in check(root).findings if f.code == "all-ignored"]
    assert finding.severity == "warning" and "2 frames" in finding.message
    assert [Path(f).name for f in finding.files] == ["2_input.jpg", "1_input.jpg"]
    run = train(root, out=tmp_path / "run", **TINY)
    counts = read_frames_csv(
        (run.folder / "frames.csv").read_bytes(), run.folder / "frames.csv"
    ).counts
    assert (counts[1] == 0).all() and (counts[[0, 2, 3, 4, 5]].sum((1, 2)) > 0).all()
    rows = [json.loads(row) for row in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["train_loss"]) for row in rows)
    written = predict(run.folder, root, out=tmp_path / "out", split="test", device="cpu")
    assert written.masks is not None
    equals_the_oracle(run.scores, written.masks, root)
