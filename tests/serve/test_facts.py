"""The second tab: what is known of a run, a run of a study, and a file alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from headstart.config.files import read_run_config
from headstart.errors import DataError
from headstart.inference.opening import open_segmenter
from headstart.serve.facts import facts, find_about
from headstart.serve.samples import find_samples
from headstart.studies.wording import sentences
from tests.reports.maker import make_study


def segmenter(run: Path):
    return open_segmenter(run, "cpu")


def test_a_runs_scores_stand_beside_the_trivial_ones(trained: Path) -> None:
    told = facts(find_about(trained), segmenter(trained))
    scores = json.loads((trained / "scores.json").read_text())
    by_name = {s["name"]: s for s in told["worth"]["scores"]}
    assert set(by_name) == set(scores["trivial"])
    for name, trivial in scores["trivial"].items():
        assert (by_name[name]["value"], by_name[name]["trivial"]) == (scores[name], trivial)
    assert [c["name"] for c in told["worth"]["classes"]] == list(scores["classes"])
    assert f"{scores['dice']:.3f}" in " ".join(told["worth"]["told"][0].values())
    assert told["worth"]["study"] is None
    assert dict(told["about"])["Seed"] == "3"
    json.dumps(told)


def test_a_run_of_a_study_has_the_studys_verdict(trained: Path, tmp_path: Path) -> None:
    study = make_study(trained, tmp_path / "which", labels=(3, 12))
    told = json.loads((study / "study.json").read_text())
    run = study / told["records"][0]["run"]
    worth = facts(find_about(run), segmenter(trained))["worth"]
    assert worth["study"]["sentences"] == sentences(told) and len(worth["study"]["told"]) == 2
    assert worth["study"]["name"] == "which" and worth["told"]


def test_a_file_alone_says_what_is_known(trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"")
    about = find_about(file)
    told = facts(about, segmenter(trained))
    assert about.run is None and told["name"] == "model.onnx" and told["sheets"] == []
    assert "scores.json" in told["worth"]["missing"]
    samples = find_samples(None, None, segmenter(trained).label_map, None)
    assert samples.missing and not samples.frames


def test_a_file_in_its_runs_folder_has_the_runs_scores(trained: Path) -> None:
    assert find_about(trained / "weights.safetensors").run == trained


def test_a_run_that_lost_its_scores_says_so(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/scores.json").unlink()
    told = facts(find_about(tmp_path / "run"), segmenter(trained))
    assert "scores.json" in told["worth"]["missing"]


def test_a_file_beside_records_of_another_program_has_no_run(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"model_type": "unet"}')
    for manifest in ('{"name": "app"}', '{"files": ["model.onnx"]}'):
        (tmp_path / "manifest.json").write_text(manifest)
        assert find_about(tmp_path / "model.onnx").run is None


def test_other_kinds_of_runs_are_refused(trained: Path, tmp_path: Path) -> None:
    config = json.loads((trained / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "epcohs": 3}))
    with pytest.raises(DataError, match="epcohs"):
        find_about(tmp_path)


def test_data_that_are_gone_or_others_are_said_to_be(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    config, label_map = read_run_config(trained / "config.json"), segmenter(trained).label_map
    assert len(find_samples(config, trained, label_map, None).frames) == 5
    gone = config.model_copy(update={"data": str(tmp_path / "gone")})
    assert "--data DIR" in find_samples(gone, trained, label_map, None).missing
    assert len(find_samples(gone, trained, label_map, drawn).frames) == 5
    with pytest.raises(DataError):
        find_samples(config, trained, label_map, tmp_path / "gone")
    shutil.copytree(drawn, tmp_path / "fewer")
    shutil.rmtree(tmp_path / "fewer/segmentation/test/4")
    fewer = find_samples(config, trained, label_map, tmp_path / "fewer")
    assert fewer.missing and not fewer.frames
    shutil.rmtree(tmp_path / "fewer/segmentation/test")
    without = find_samples(config, trained, label_map, tmp_path / "fewer")
    assert "test" in without.missing and "fewer" in without.missing and not without.frames
