"""Studies and cross-validations in use: which networks predict, and that they average."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import headstart
from headstart.config.records import StudyConfig
from headstart.errors import DataError, UsageError
from headstart.exports.to_onnx import export_run
from headstart.inference.members import members_of
from headstart.inference.opening import open_classifier, open_segmenter
from headstart.labelling.known_frames import known_of
from headstart.labelling.suggestion import suggest
from headstart.runs.cross_validation import cross_validate
from headstart.scores import segmentation as segmentation_scores
from headstart.studies.study import study
from headstart.tasks.lookup import labelled_task
from tests.tasks.classifier_runs import classifier
from tests.tiny_runs import Silent, tiny


@pytest.fixture(scope="module")
def folded(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("members") / "R"
    recipe = tiny(drawn).recipe.with_epochs(1)
    cross_validate(tiny(drawn, folds=2, recipe=recipe), out, Silent())
    return out


@pytest.fixture(scope="module")
def studied(drawn: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two starts, two budgets, two seeds."""
    out = tmp_path_factory.mktemp("members") / "S"
    settings = tiny(drawn).model_dump(
        include={"schema_", "data", "width", "size", "threads", "task", "model"}
    )
    recipe = tiny(drawn).recipe.with_epochs(1)
    starts, labels, seeds = ("scratch", str(trained)), (4, 6), (1, 2)
    config = StudyConfig(**settings, recipe=recipe, starts=starts, labels=labels, seeds=seeds)
    study(config, out, Silent(), lambda _: None)
    return out


def score_highest(study: Path, start: str) -> None:
    """Give the runs of a start the best validation scores."""
    for path in study.glob("runs/*/metrics.jsonl"):
        (path.parent / "manifest.json").unlink()
        value = 0.9 if path.parent.name.startswith(start) else 0.2
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        text = (json.dumps({**row, "validation_dice": value}) + "\n" for row in rows)
        path.write_text("".join(text))


def test_folds_predict_by_their_mean_probability(folded: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24), np.uint8)
    together = open_segmenter(folded, "cpu")
    alone = [open_segmenter(folded / f"fold-{k}", "cpu") for k in (1, 2)]
    expected = np.mean([one.probabilities(pictures) for one in alone], axis=0)
    assert np.allclose(together.probabilities(pictures), expected, atol=1e-6)
    assert together.digest not in {one.digest for one in alone}


def with_temperatures(folder: Path, values: dict[str, float]) -> None:
    """Write other temperatures, as an older version would: nothing vouches for them."""
    for name, value in values.items():
        path = folder / name / "calibration.json"
        (path.parent / "manifest.json").unlink(missing_ok=True)
        path.write_text(json.dumps({**json.loads(path.read_text()), "temperature": value}))


def test_folds_take_the_mean_of_their_temperatures(folded: Path, tmp_path: Path) -> None:
    shutil.copytree(folded, tmp_path / "R")
    with_temperatures(tmp_path / "R", {"fold-1": 1.0, "fold-2": 4.0, ".": 2.5})
    assert open_segmenter(tmp_path / "R/fold-2", "cpu").temperature == 4.0
    assert open_segmenter(tmp_path / "R", "cpu").temperature == 2.5, "its own record"
    (tmp_path / "R/calibration.json").unlink()  # an older version finished it
    assert open_segmenter(tmp_path / "R", "cpu").temperature == 2.0


def test_seeds_take_the_temperature_that_was_fitted_for_them_together(
    studied: Path, tmp_path: Path
) -> None:
    shutil.copytree(studied, tmp_path / "S")
    score_highest(tmp_path / "S", "scratch")
    runs = {"runs/scratch-all-6-1": 1.0, "runs/scratch-all-6-2": 4.0}
    with_temperatures(tmp_path / "S", {**runs, "ensembles/scratch-all-6": 3.0})
    assert open_segmenter(tmp_path / "S", "cpu").temperature == 3.0
    members = tmp_path / "S/ensembles/scratch-all-6/members.json"
    content = members.read_text()
    members.write_text(content.replace("scratch-all-6-2", "scratch-all-6-9"))
    assert open_segmenter(tmp_path / "S", "cpu").temperature == 2.0, "of other runs"
    members.write_text(content)
    (tmp_path / "S/ensembles/scratch-all-6/calibration.json").unlink()
    assert open_segmenter(tmp_path / "S", "cpu").temperature == 2.0


@pytest.mark.parametrize("best", ["scratch", "run_"])
def test_the_best_arm_by_validation_is_chosen(studied: Path, tmp_path: Path, best: str) -> None:
    shutil.copytree(studied, tmp_path / "S")
    score_highest(tmp_path / "S", best)
    members = members_of(tmp_path / "S")
    assert members is not None and len(members.runs) == 2
    assert all(run.name.startswith(best) and "-6-" in run.name for run in members.runs)
    assert "the best of 2 on validation (mean validation dice 0.900)" in members.words


def test_an_arm_with_fewer_seeds_is_not_chosen(studied: Path, tmp_path: Path) -> None:
    shutil.copytree(studied, tmp_path / "S")
    score_highest(tmp_path / "S", "scratch")
    (tmp_path / "S/runs/scratch-all-6-2/scores.json").unlink()
    members = members_of(tmp_path / "S")
    assert members is not None
    assert all(run.name.startswith("run_") for run in members.runs)
    shutil.rmtree(tmp_path / "S/runs")
    with pytest.raises(DataError, match="unfinished"):
        members_of(tmp_path / "S")


def test_a_run_is_no_ensemble(trained: Path, tmp_path: Path) -> None:
    assert members_of(trained) is None and members_of(tmp_path) is None


def test_verbs_take_a_study_and_say_which_networks_predict(
    studied: Path, drawn: Path, tmp_path: Path
) -> None:
    result = headstart.predict(studied, drawn, split="test", out=tmp_path / "P", device="cpu")
    assert [f.code for f in result.findings] == ["ensemble"]
    assert "2 networks" in result.findings[0].message
    scored = headstart.evaluate(studied, drawn, device="cpu")
    of_masks = headstart.evaluate(tmp_path / "P/masks", drawn)
    assert scored.scores == of_masks.scores and scored.findings[0].code == "ensemble"


def test_folds_are_not_scored_on_pictures_that_they_have_seen(
    folded: Path, as_one_file: Path, drawn: Path
) -> None:
    """One fold alone is refused, and a file of all; of all, each has pictures that are new to it.

    With one fold for each picture, they give the scores of the cross-validation.
    """
    for run in (folded / "fold-1", as_one_file):
        with pytest.raises(UsageError, match="seen-in-training"):
            headstart.evaluate(run, drawn, device="cpu")
    together, of_test = headstart.evaluate(folded, drawn, device="cpu"), 5
    counts = labelled_task("segmentation").read_counts(folded)
    rows = [i for i, name in enumerate(counts.frames) if name.startswith("test/")]
    assert len(rows) == of_test
    expected = segmentation_scores.score(counts.counts[rows], counts.names)
    assert together.scores == {"split": "test", **expected}
    assert "the one of them that has not seen it" in together.findings[0].message


def test_pictures_that_changed_since_are_recognised_by_their_names(
    folded: Path, as_one_file: Path, drawn: Path, tmp_path: Path
) -> None:
    """A picture that went, or a corrected mask, does not make the others new to the networks."""
    data = Path(shutil.copytree(drawn, tmp_path / "d"))
    shutil.rmtree(data / "segmentation/test/0")
    together = headstart.evaluate(folded, data, device="cpu")
    counts = labelled_task("segmentation").read_counts(folded)
    names = [f"test/{k}" for k in (1, 2, 3, 4)]
    rows = [counts.frames.index(name) for name in names]
    expected = segmentation_scores.score(counts.counts[rows], counts.names)
    assert together.scores == {"split": "test", **expected}
    for run in (folded, folded / "fold-1", as_one_file):
        found = headstart.evaluate(run, data, device="cpu").findings
        (warned,) = [f for f in found if f.code == "changed-since-folds"]
        assert warned.severity == "warning" and "4 of 4 pictures of test" in warned.message


def test_folds_are_scored_on_other_data(folded: Path, drawn: Path, tmp_path: Path) -> None:
    for path in drawn.glob("segmentation/*/*/*"):
        split, name, kind = *path.parts[-3:-1], path.stem.partition("_")[2]
        folder = tmp_path / split / {"input": "images", "mask": "masks"}[kind]
        folder.mkdir(parents=True, exist_ok=True)
        turned = Image.open(path).transpose(Image.Transpose.ROTATE_180)
        if kind == "mask":  # the same names, and other objects
            turned = turned.point(lambda level: level if level else 60)
        turned.save(folder / f"{name}.png")
    shutil.copy(drawn / "mapping.json", tmp_path)
    for run in (folded, folded / "fold-1"):
        scored = headstart.evaluate(run, tmp_path, device="cpu")
        assert scored.scores["frames"] == 5
        assert not {f.code for f in scored.findings} - {"ensemble"}


@pytest.fixture(scope="module")
def as_one_file(folded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All folds in an ONNX file, which lies in a copy of their folder."""
    copy = shutil.copytree(folded, tmp_path_factory.mktemp("members") / "R")
    path = copy / "model.onnx"
    assert export_run(copy)["agreement"]["other_class_share"] == 0
    return path


def test_folds_as_one_onnx_file(folded: Path, as_one_file: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24), np.uint8)
    expected = open_segmenter(folded, "cpu").probabilities(pictures)
    assert np.allclose(
        open_segmenter(as_one_file, "cpu").probabilities(pictures), expected, atol=1e-5
    )
    assert not export_run(folded, as_one_file)["written"], "made from the same weights"


def test_suggest_takes_one_network(folded: Path, drawn: Path) -> None:
    with pytest.raises(UsageError, match=r"several-networks[\s\S]*fold-1"):
        suggest(folded, [], drawn, 2, torch.device("cpu"))


def test_a_fold_knows_what_it_learned_from(folded: Path, drawn: Path) -> None:
    known = known_of(folded / "fold-1")
    names = (folded / "fold-1/labels.txt").read_text().split()
    assert [f.name for f in known.learned] == names and not known.findings
    assert len(known.labelled) == 21, "none of the labelled frames is suggested"


def test_classifiers_average_too(coloured: Path, tmp_path: Path) -> None:
    cross_validate(classifier(coloured, start="scratch", folds=2), tmp_path / "R", Silent())
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 3, 18, 20), np.uint8))
    alone = [open_classifier(tmp_path / f"R/fold-{k}", "cpu") for k in (1, 2)]
    expected = np.mean([one.probabilities(pictures) for one in alone], axis=0)
    together = open_classifier(tmp_path / "R", "cpu").probabilities(pictures)
    assert np.allclose(together, expected, atol=1e-6)
