"""Scores of a run and of masks in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.folders import frames_of, open_dataset
from headstart.errors import DataError, UsageError
from headstart.evaluate import evaluate_masks, evaluate_run


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
