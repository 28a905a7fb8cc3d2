"""Scores of a run and of masks in files."""

from __future__ import annotations

import json
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal
from weakref import WeakSet

import numpy as np
import pytest
from PIL import Image

from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, UsageError
from headstart.inference import segmenter as segmenter_module
from headstart.inference.class_maps import PictureSizes
from headstart.inference.evaluation import evaluate_masks, evaluate_run
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Pictures
from headstart.verbs.predict import predict


def test_the_run_scores_again_what_it_scored(trained: Path, drawn: Path) -> None:
    scores = json.loads((trained / "scores.json").read_text())
    assert (
        json.loads(json.dumps(evaluate_run(trained, open_dataset(drawn), "test", "cpu"))) == scores
    )


def test_memory_does_not_grow_with_the_frames(
    trained: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a split of many batches, no more class maps are there at once than of one."""
    alive: WeakSet[Held] = WeakSet()
    most = 0

    class Held(np.ndarray):
        __hash__ = object.__hash__  # type: ignore[assignment]

    segmenter = open_segmenter(trained, "cpu")

    def maps(pictures: Pictures, sizes: PictureSizes, contents: PictureSizes) -> list[np.ndarray]:
        nonlocal most
        class_maps = [m.view(Held) for m in segmenter.framed_maps(pictures, sizes, contents)]
        for m in class_maps:
            alive.add(m)
        most = max(most, len(alive))
        return class_maps

    scores = evaluate_run(trained, open_dataset(drawn), "train", "cpu")
    monkeypatch.setattr(segmenter_module, "_BATCH", 2)
    assert replace(segmenter, framed_maps=maps).evaluate(open_dataset(drawn), "train") == scores
    assert scores["frames"] == 12 and most == 2


def test_frames_that_cannot_be_read_are_all_named(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(drawn, tmp_path / "data")
    dataset = open_dataset(tmp_path / "data")
    bad = [dataset.splits["test"][i].image for i in (0, 3)]
    for path in bad:
        path.write_bytes(b"<html>")
    with pytest.raises(DataError) as caught:
        evaluate_run(trained, dataset, "test", "cpu")
    named = {file for finding in caught.value.findings for file in finding.files}
    assert named == {str(path.relative_to(tmp_path / "data")) for path in bad}


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
    with pytest.raises(DataError) as caught:
        evaluate_masks(tmp_path, dataset, "test")
    (finding,) = caught.value.findings
    assert finding.code == "mask-missing" and len(finding.files) == 5
    assert str(tmp_path) in finding.message and "5 of the 5" in finding.message
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
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    labels = json.loads((data / "mapping.json").read_text())
    (data / "mapping.json").write_text(json.dumps({f"{k}_x": v for k, v in labels.items()}))
    with pytest.raises(DataError) as caught:
        evaluate_run(trained, open_dataset(data), "test", "cpu")
    (finding,) = caught.value.findings
    assert finding.code == "other-classes" and str(data) in finding.message
    assert "Drawn_Tissue_x (0)" in finding.message and "Drawn_Tissue (0)" in finding.message


def test_an_unknown_split(drawn: Path) -> None:
    with pytest.raises(UsageError, match="train, validation, test") as caught:
        frames_of(open_dataset(drawn), "holdout")
    assert caught.value.findings[0].code == "no-such-split"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_are_found_in_either_form(
    trained: Path, drawn: Path, tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    """macOS gives decomposed names, most other systems composed ones."""
    data = tmp_path / "data"
    pictures = data / "test" / "images"
    frames = frames_of(open_dataset(drawn), "test")
    for split in ("train", "validation", "test"):
        for k, frame in enumerate(frames):
            name = unicodedata.normalize(form, f"\u00e9-{k}.png")
            for folder, source in (("images", frame.image), ("masks", frame.masks[0])):
                (data / split / folder).mkdir(parents=True, exist_ok=True)
                Image.open(source).save(data / split / folder / name)
    shutil.copy(drawn / "mapping.json", data)
    dataset = open_dataset(data)
    predict(trained, pictures, out=tmp_path / "out", device="cpu")
    scores = evaluate_masks(tmp_path / "out/masks", dataset, "test")
    assert scores["frames"] == len(frames_of(dataset, "test"))
    for mask in list((tmp_path / "out/masks").iterdir()):
        other = "NFD" if form == "NFC" else "NFC"
        mask.rename(mask.with_name(unicodedata.normalize(other, mask.name)))
    assert evaluate_masks(tmp_path / "out/masks", dataset, "test") == scores
