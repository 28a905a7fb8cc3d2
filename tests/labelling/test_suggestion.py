"""What is suggested is what the run is unsure of, and has no labels yet."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.framing import framed
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError
from headstart.inference.finished_run import read_finished_run
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter
from headstart.labelling.known_frames import known_of
from headstart.labelling.suggestion import look, suggest, uncertainty
from headstart.runs.run import train
from headstart.scores.calibration import calibrated
from headstart.verbs.suggest import suggest as suggest_verb
from tests.tiny_runs import Silent, tiny

CPU = torch.device("cpu")


def test_uncertainty_is_entropy_from_none_to_all() -> None:
    even = torch.full((1, 4, 3, 5), 0.25)
    sure = torch.zeros(1, 4, 3, 5)
    sure[:, 2] = 1
    values = uncertainty(torch.cat([even, sure, (even + sure) / 2]))
    assert values[0] == pytest.approx(1) and values[1] == 0 and 0 < values[2] < 1


def test_the_uncertainty_is_that_of_calibrated_probabilities(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "manifest.json").unlink()  # an older version vouched for nothing
    path, frames = run / "calibration.json", open_dataset(drawn).unlabelled["train"]
    segmenter, record = open_segmenter(trained, "cpu"), json.loads(path.read_text())
    for temperature in (0.5, 3.0, None):
        path.unlink()
        if temperature is not None:  # else it is a run of an older version
            path.write_text(json.dumps({**record, "temperature": temperature}))
        picked = suggest(run, frames, drawn, 2, CPU).picked
        assert picked
        for suggestion in picked:
            picture = framed(read_frame(suggestion.frame, drawn), segmenter.size, "squeeze")
            probs = segmenter.probabilities(np.stack([picture.transpose(2, 0, 1)]))
            scaled = calibrated(probs, temperature or 1.0, axis=1)
            expected = uncertainty(torch.from_numpy(scaled))
            assert suggestion.uncertainty == pytest.approx(float(expected), rel=1e-4)


def test_what_has_labels_or_is_held_out_is_left_out(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    """Of a folder with a training frame, a test frame and new pictures, only the new are picked."""
    dataset = open_dataset(drawn)
    for split in ("train", "test"):
        shutil.copy(dataset.splits[split][0].image, tmp_path / f"{split}.jpg")
    rng = np.random.default_rng(0)
    for i in range(4):
        pixels = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"new-{i}.png")
    suggestions = suggest(trained, find_pictures(tmp_path).frames, tmp_path, 10, CPU)
    assert {s.frame.name for s in suggestions.picked} == {f"new-{i}" for i in range(4)}
    assert (suggestions.pictures, suggestions.labelled, suggestions.held_out) == (6, 1, 1)
    assert suggestions.findings == ()
    for s in suggestions.picked:
        assert 0 < s.uncertainty < 1 and sum(s.shares) == pytest.approx(1)
    covers = [s.covers for s in suggestions.picked]
    assert covers == sorted(covers, reverse=True)


def test_a_run_knows_what_it_learned_from(trained: Path, drawn: Path, tmp_path: Path) -> None:
    known = known_of(trained)
    assert len(known.learned) == len(known.labelled) == 12 and len(known.held_out) == 9
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    config = (moved / "config.json").read_text()
    (moved / "manifest.json").unlink()
    (moved / "config.json").write_text(config.replace(str(drawn), str(tmp_path / "gone")))
    known = known_of(moved)
    assert known.labelled == known.held_out == () and known.findings[0].code == "labels-unknown"
    frames = open_dataset(drawn).unlabelled["train"]
    assert suggest(moved, frames, drawn, 1, CPU).findings == known.findings


def test_other_pictures_under_the_same_names_are_told(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    run, data = (shutil.copytree(p, tmp_path / p.name) for p in (trained, drawn))
    config = (run / "config.json").read_text()
    (run / "manifest.json").unlink()
    (run / "config.json").write_text(config.replace(str(drawn), str(data)))
    dataset = open_dataset(data)
    assert known_of(run).findings == ()
    shutil.copy(dataset.unlabelled["train"][0].image, dataset.splits["train"][3].image)
    shutil.copy(dataset.splits["test"][0].masks[0], dataset.splits["test"][1].masks[0])
    suggestions = suggest(run, dataset.unlabelled["train"][:2], data, 1, CPU)
    (warning,) = suggestions.findings
    assert (warning.code, warning.severity) == ("data-changed", "warning")
    assert "train, test" in warning.message and "validation" not in warning.message
    assert "--fresh" not in warning.hint
    (run / "environment.json").write_text("{}")
    (warning,) = known_of(run).findings
    assert warning.code == "labels-unknown" and "environment.json" in warning.message
    (run / "environment.json").write_bytes((trained / "environment.json").read_bytes())
    mask = dataset.splits["validation"][0].masks[0]  # which nothing here needs
    mask.unlink()
    mask.symlink_to(trained / "predictions.png")
    (warning,) = known_of(run).findings
    assert warning.code == "labels-unknown" and str(run) in warning.message
    assert "environment.json" not in warning.message


def test_labels_outside_the_budget_are_labels_too(drawn: Path, tmp_path: Path) -> None:
    """A run on four of the twelve: the other eight are not suggested to be labelled again."""
    run = tmp_path / "run"
    train(tiny(drawn, labels=4), run, Silent())
    known = known_of(run)
    assert len(known.learned) == 4 and len(known.labelled) == 12 and not known.findings
    source = tmp_path / "pictures"
    source.mkdir()
    for frame in known.labelled:
        shutil.copy(frame.image, source / f"{frame.name}{frame.image.suffix}")
    suggestions = suggest(run, find_pictures(source).frames, source, 5, CPU)
    assert suggestions.picked == () and suggestions.labelled == 12
    (run / "labels.txt").write_text("0\nnobody\n")  # of frames that have gone since
    (warning,) = known_of(run).findings
    assert warning.code == "labels-unknown" and warning.message.startswith("1 frames")
    (run / "labels.txt").unlink()
    known = known_of(run)
    assert known.learned == () and len(known.labelled) == 12 and len(known.held_out) == 9
    (warning,) = known.findings
    assert warning.code == "labels-unknown" and "labels.txt" in warning.message


def test_pictures_that_cannot_be_read_are_all_named(trained: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"<html>")
    run = read_finished_run(trained)
    with pytest.raises(DataError, match=r"a\.png(.|\n)*b\.png"):
        frames = find_pictures(tmp_path).frames
        look(Segmenter.network(run), run.facts.size, "squeeze", frames, tmp_path, CPU)


def test_a_bad_picture_does_not_keep_others_from_being_suggested(
    trained: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for name in "ac":
        pixels = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{name}.png")
    (photos / "b.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"b\.png"):
        suggest_verb(trained, photos, out=out, device="cpu")
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["a.png", "c.png"]


def test_what_the_network_is_used_for_leaves_no_hook(trained: Path, drawn: Path) -> None:
    run = read_finished_run(trained)
    network: Any = Segmenter.network(run)
    frames = [replace(f, mask=None) for f in open_dataset(drawn).splits["test"]]
    first, again = (look(network, run.facts.size, "squeeze", frames, drawn, CPU) for _ in range(2))
    assert np.array_equal(first.features, again.features) and first.features.shape == (5, 16)
    assert not network.encoder[-1]._forward_hooks
