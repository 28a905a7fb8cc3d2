"""The seeds of each arm together: scored as their mean probability, beside their mean score."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import headstart
from headstart.config.files import read_run_config
from headstart.data.decoded_frames import decode
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from headstart.inference.class_maps import resized
from headstart.inference.opening import open_segmenter
from headstart.records.calibration import read_calibration
from headstart.reports.write import write_report
from headstart.scores.calibration import fit_temperature
from headstart.scores.pooled import pooled_dice
from headstart.studies.study import study
from headstart.tasks.lookup import labelled_task
from tests.studies.test_study import ignore, tiny_study
from tests.tiny_runs import Silent


@pytest.fixture(scope="module")
def done(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("together") / "S"
    config = tiny_study(drawn, starts=("scratch",), labels=(6,), seeds=(1, 2), width=4)
    study(config, out, Silent(), ignore)
    return out


def test_they_are_scored_as_predict_would_use_them(done: Path, drawn: Path) -> None:
    (row,) = json.loads((done / "study.json").read_text())["together"]
    assert (row["start"], row["labels"], row["seeds"]) == ("scratch", 6, 2)
    assert headstart.evaluate(done, drawn, device="cpu").scores == row["scores"]


def test_they_have_a_temperature_of_their_own(done: Path, drawn: Path, tmp_path: Path) -> None:
    """Fitted on what their mean probability says of the validation frames, at the masks' size."""
    together = read_calibration(done / "ensembles/scratch-all-6")
    assert together is not None and together.fitted_on == "validation" and together.split == "test"
    segmenter, dataset = open_segmenter(done, "cpu"), open_dataset(drawn)
    frames = dataset.splits["validation"]
    data = decode(frames, segmenter.size, dataset.label_map, dataset.root, tmp_path)
    probs = zip(segmenter.probabilities(np.array(data.images)), data.sizes, strict=True)
    pixels = np.concatenate([resized(p, size).reshape(len(p), -1).T for p, size in probs])
    truth = np.concatenate([np.asarray(t).ravel() for t in data.truth])
    expected, reason = fit_temperature(pixels, truth)
    assert together.temperature == pytest.approx(expected, rel=1e-3) and together.reason == reason
    assert together.fitted_predictions == len(truth)


def test_the_gain_and_its_interval_are_over_frames(done: Path) -> None:
    """Against the jackknife written out; classes as the study's verdicts take them."""
    record = json.loads((done / "study.json").read_text())
    (row,) = record["together"]
    classes = record["classes"]["classes"]
    task = labelled_task("segmentation")
    folders = [done / "ensembles/scratch-all-6", *(done / r["run"] for r in record["records"])]
    together, *alone = (task.read_counts(f).counts[:, classes] for f in folders)

    def gain(kept: np.ndarray) -> float:
        members = [float(pooled_dice(counts[kept].sum(0))) for counts in alone]
        return float(pooled_dice(together[kept].sum(0))) - float(np.mean(members))

    frames = np.arange(5)
    assert row["difference"] == pytest.approx(gain(frames))
    pseudo = [5 * gain(frames) - 4 * gain(frames[frames != f]) for f in frames]
    half = 2.7764451 * np.std(pseudo, ddof=1) / 5**0.5
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=1e-5)


def test_added_seeds_are_scored_together_with_the_others(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "S")
    config = tiny_study(drawn, starts=("scratch",), labels=(6,), seeds=(1, 2, 3), width=4)
    (row,) = study(config, tmp_path / "S", Silent(), ignore)["together"]
    assert row["seeds"] == 3
    assert len(json.loads((tmp_path / "S/ensembles/scratch-all-6/members.json").read_text())) == 3


def test_interrupted_before_they_are_scored_it_goes_on_with_them(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    """As after a kill: all runs are finished, and only the ensembles are missing."""
    shutil.copytree(done, tmp_path / "S")
    shutil.rmtree(tmp_path / "S/ensembles/scratch-all-6")
    config = tiny_study(drawn, starts=("scratch",), labels=(6,), seeds=(1, 2), width=4)
    study(config, tmp_path / "S", Silent(), ignore)
    assert (tmp_path / "S/study.json").read_bytes() == (done / "study.json").read_bytes()


def test_a_study_that_an_older_version_finished_stays_as_it_is(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "S")
    shutil.rmtree(tmp_path / "S/ensembles")
    config = tiny_study(drawn, starts=("scratch",), labels=(6,), seeds=(1, 2), width=4)
    assert "together" not in study(config, tmp_path / "S", Silent(), ignore)
    assert not (tmp_path / "S/ensembles").exists()


def test_without_weights_nothing_is_scored_together(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "S")
    shutil.rmtree(tmp_path / "S/ensembles")
    for weights in tmp_path.rglob("weights.safetensors"):
        weights.unlink()
    config = tiny_study(drawn, starts=("scratch",), labels=(6,), seeds=(1, 2, 3), width=4)
    assert "together" not in study(config, tmp_path / "S", Silent(), ignore)


def test_a_changed_record_is_noticed(done: Path, drawn: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "S")
    path = tmp_path / "S/ensembles/scratch-all-6/frames.csv"
    path.write_text(path.read_text().replace(",0,", ",1,", 1))
    config = tiny_study(drawn, starts=("scratch",), labels=(6,), seeds=(1, 2), width=4)
    with pytest.raises(DataError, match=r"frames\.csv is damaged"):
        study(config, tmp_path / "S", Silent(), ignore)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_what_a_cluster_trained_is_scored_on_a_machine_without_gpu(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    """As at the end of a study that is given from a login node."""
    task, runs = labelled_task("segmentation"), sorted(done.glob("runs/*"))
    config = read_run_config(runs[0] / "config.json").model_copy(update={"device": "cuda"})
    task.score_together(config, open_dataset(drawn), runs, tmp_path / "cache", tmp_path)
    there = (done / "ensembles/scratch-all-6/frames.csv").read_bytes()
    assert (tmp_path / "frames.csv").read_bytes() == there


def test_the_report_shows_them(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "S")
    page = next(p for p in write_report(tmp_path / "S") if p.suffix == ".html").read_text()
    assert page.count("its 2 seeds together") == 2  # of scores, and of calibration
    assert "the 2 seeds of scratch together score dice" in page
