"""Seeds of a study with folds together: each picture by the networks that have not seen it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.config.files import read_run_config
from headstart.data.framing import framed
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.dataset import LABELLED, frames_of, pooled
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.inference.class_maps import class_maps
from headstart.inference.evaluation import evaluate_run
from headstart.inference.opening import open_classifier, open_segmenter
from headstart.records.calibration import read_calibration
from headstart.records.run_records import read_environment
from headstart.reports.write import write_report
from headstart.runs.cross_validation import cross_validate
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.calibration import mean_temperature
from headstart.studies.study import study
from headstart.tasks.lookup import labelled_task
from headstart.tasks.out_of_fold import folds_of, unseen_by
from tests.studies.test_study import ignore, tiny_study
from tests.tasks.classifier_runs import classifier
from tests.tiny_runs import Silent, tiny

TASK = labelled_task("segmentation")
ARM = "ensembles/scratch-all-6"


@pytest.fixture(scope="module")
def done(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds-together") / "S"
    recipe = tiny(drawn).recipe.with_epochs(1)
    config = tiny_study(
        drawn, starts=("scratch",), labels=(6,), seeds=(1, 2), folds=2, recipe=recipe
    )
    study(config, out, Silent(), ignore)
    return out


def runs_of(done: Path) -> list[Path]:
    return [done / f"runs/scratch-all-6-{seed}" for seed in (1, 2)]


def test_no_network_predicts_what_it_has_seen(done: Path, drawn: Path) -> None:
    names = [frame.name for frame in pooled(open_dataset(drawn)).splits[LABELLED]]
    unseen = unseen_by(TASK, runs_of(done))
    assert len(names) == 21 and set(unseen.testers) == set(names)
    for name in names:
        folds = unseen.of(name)
        assert [fold.parent for fold in folds] == runs_of(done), "one of each seed"
        for fold in folds:
            assert name not in (fold / "labels.txt").read_text().splitlines()
            assert name in TASK.read_counts(fold).frames, "so it does not validate either"
    assert len(unseen.grouped(names)) > 2, "seeds have other folds"


def test_they_are_scored_by_their_mean_probability(done: Path, drawn: Path) -> None:
    """Against the probabilities of each fold alone."""
    (row,) = json.loads((done / "study.json").read_text())["together"]
    assert (row["seeds"], row["folds"], row["scores"]["frames"]) == (2, 2, 21)
    together, dataset = TASK.read_counts(done / ARM), open_dataset(drawn)
    unseen = unseen_by(TASK, runs_of(done))
    opened = {f: open_segmenter(f, "cpu") for run in runs_of(done) for f in folds_of(run)}
    frames = pooled(dataset).splits[LABELLED]
    assert together.frames == tuple(frame.name for frame in frames)
    wrong = []
    for frame, counts in zip(frames, together.counts, strict=True):
        picture = read_frame(frame, dataset.root)
        folds = [opened[fold] for fold in unseen.of(frame.name)]
        small = framed(picture, folds[0].size, folds[0].framing).transpose(2, 0, 1)[None].copy()
        probs = np.mean([fold.probabilities(small) for fold in folds], axis=0)
        area = min(fold.min_area for fold in folds)
        (expected,) = class_maps(probs, [picture.shape[:2]], area)
        predicted = np.bincount(expected.ravel(), minlength=len(counts))
        wrong.append(np.abs(predicted - counts[:, :2].sum(1)).sum() / expected.size)
    assert np.mean(wrong) < 0.01
    assert row["difference"] == pytest.approx(
        row["scores"]["dice"] - np.mean([TASK.read_scores(run)["dice"] for run in runs_of(done)]),
        abs=0.2,
    ), "over classes that enough frames show"
    assert row["low"] < row["difference"] < row["high"]


def test_their_temperature_is_the_mean_of_all_folds(done: Path) -> None:
    record = read_calibration(done / ARM)
    folds = [read_calibration(fold) for run in runs_of(done) for fold in folds_of(run)]
    temperatures = [fold.temperature for fold in folds if fold is not None]
    assert record is not None and record.temperature == mean_temperature(temperatures)
    assert record.before.sums[:, 0].sum() == 21 * 32 * 40 and len(temperatures) == 4
    assert open_segmenter(done, "cpu").temperature == record.temperature


@pytest.mark.parametrize("split", ["train", "test"])
def test_evaluate_scores_as_the_study_does(done: Path, drawn: Path, split: str) -> None:
    dataset = open_dataset(drawn)
    in_split = {f"{split}/{frame.name}" for frame in frames_of(dataset, split)}

    def expected(folder: Path) -> dict[str, object]:
        counts = TASK.read_counts(folder)
        rows = [i for i, name in enumerate(counts.frames) if name in in_split]
        assert len(rows) == len(in_split)
        return segmentation_scores.score(counts.counts[rows], counts.names)

    result = headstart.evaluate(done, drawn, split=split, device="cpu")
    assert result.scores == {"split": split, **expected(done / ARM)}
    assert "the 2 of them that have not seen it" in result.findings[0].message
    run = runs_of(done)[0]
    assert evaluate_run(run, dataset, split, "cpu") == {"split": split, **expected(run)}


def test_predict_does_not_show_networks_what_they_have_seen(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    """Of a split of their own; new pictures are predicted by all."""
    args = {"split": "test", "device": "cpu"}
    result = headstart.predict(done, drawn, out=tmp_path / "P", **args)
    assert "the 2 of them that have not seen it" in result.findings[0].message
    scores = headstart.evaluate(done, drawn, **args).scores
    assert headstart.evaluate(tmp_path / "P/masks", drawn).scores == scores
    files = headstart.predict(done, drawn, out=tmp_path / "Q", probabilities="npz", **args)
    assert files.probabilities is not None and files.pictures == 5
    for mask in (tmp_path / "P/masks").iterdir():
        assert mask.read_bytes() == (tmp_path / "Q/masks" / mask.name).read_bytes()
    unlabelled = drawn / "colorization/train_cor"
    new = headstart.predict(done, unlabelled, out=tmp_path / "N", device="cpu")
    assert "4 networks predict" in new.findings[0].message
    assert "not seen" not in new.findings[0].message


def test_the_report_shows_them(done: Path, tmp_path: Path) -> None:
    page = next(p for p in write_report(done, out=tmp_path) if p.suffix == ".html").read_text()
    assert page.count("its 2 seeds together") == 2
    assert "each frame is predicted by the 2 networks that have not seen it" in page


def test_classifiers_predict_out_of_fold_too(coloured: Path, tmp_path: Path) -> None:
    runs = [tmp_path / f"R{seed}" for seed in (1, 2)]
    for seed, run in enumerate(runs, 1):
        cross_validate(classifier(coloured, start="scratch", folds=2, seed=seed), run, Silent())
    task, dataset = labelled_task("classification"), open_classes(coloured)
    config, out = read_run_config(runs[0] / "config.json"), tmp_path / "out"
    out.mkdir()
    scores = task.score_together(config, dataset, runs, tmp_path / "cache", out)
    counts, unseen = task.read_counts(out), unseen_by(task, runs, dataset.splits)
    assert set(counts.frames) == set(unseen.testers) and scores["split"] == "test"
    assert counts.frames == task.read_counts(runs[0]).frames, "in one order"
    result = headstart.evaluate(runs[0], coloured, split="train", device="cpu")
    assert "the one of them that has not seen it" in result.findings[0].message
    with_data = read_environment(runs[0] / "fold-1").data
    assert with_data[LABELLED] == task.hashes(dataset, config, runs[0])[LABELLED]
    alone = task.read_counts(runs[0])
    names = [f"train/{n}" if unseen.testers.get(f"train/{n}") else n
             for n in dataset.splits["train"].names]  # fmt: skip
    right = [alone.counts[alone.frames.index(name), 0, 0] for name in names]
    assert result.scores["accuracy"] == pytest.approx(np.mean(right))
    assert open_classifier(runs[0], "cpu").temperature > 0
