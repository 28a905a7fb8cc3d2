"""Part 2 of the assignment: what is run, what is not and why, and what its report says."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from headstart.assignment.costs import costs
from headstart.assignment.datasets import open_datasets
from headstart.assignment.missing import not_run as parts_not_run
from headstart.assignment.parts import classifier_run, new_data_study, with_recorded_part2
from headstart.assignment.report.part2_new_data import choices
from headstart.assignment.run import do_homework
from headstart.assignment.settings import CLASSIFIERS, SCALES, Homework, homework_command
from headstart.config.files import differences, read_run_config, read_study_config
from headstart.config.recipes import CLASSIFIER_ASSIGNMENT
from headstart.errors import DataError, UsageError
from tests.assignment.test_homework import app, read_page
from tests.tiny_runs import Silent, forked_workers


def not_run(homework: Homework, out: Path) -> dict[str, str]:
    return parts_not_run(homework, open_datasets(homework), out)


@pytest.fixture(scope="module")
def new(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures, their classes called otherwise."""
    root = tmp_path_factory.mktemp("new") / "birds"
    shutil.copytree(coloured, root)
    for folder in root.glob("*/*"):
        folder.rename(folder.with_name(f"a {folder.name}bird"))
    return root


@pytest.fixture(scope="module")
def homework(drawn: Path, coloured: Path, new: Path, squeezenet: Path) -> Homework:
    part2 = (str(coloured), str(new), "squeezenet1_1", str(squeezenet))
    return Homework(str(drawn), "tiny", 1, "cpu", 1, *part2)


@pytest.fixture(scope="module")
def done(homework: Homework, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part 1 first; part 2 is given later, its trainings two at a time."""
    out = tmp_path_factory.mktemp("homework") / "H"
    first = Homework(homework.data, "tiny", 1)
    record = do_homework(first, out, Silent(), lambda _: None).record
    assert all("--fashion-mnist" in part["not_run"] for part in record["part2"].values())
    assert not_run(homework, out) == {}
    before = (out / "a" / "scores.json").stat().st_mtime_ns
    with forked_workers():
        do_homework(homework, out, Silent(), lambda _: None, jobs=2)
    assert (out / "a" / "scores.json").stat().st_mtime_ns == before
    return out


def test_what_is_run_is_the_assignment(done: Path, squeezenet: Path) -> None:
    runs = {folder: read_run_config(done / folder / "config.json") for folder in CLASSIFIERS}
    changed = differences(runs["2a"].recipe, CLASSIFIER_ASSIGNMENT)
    assert changed == ["epochs: 4 -> 10", "head_epochs: 4 -> 10"]
    assert [run.start for run in runs.values()] == ["scratch", *[str(squeezenet)] * 3]
    assert [run.tune for run in runs.values()] == ["all", "head", "all", "staged"]
    for folder, run in runs.items():
        changed = {d.split(":")[0] for d in differences(runs["2a"], run)}
        assert changed <= {"start", "tune"}, folder
    study = read_study_config(done / "2c" / "config.json")
    assert study.starts == (str(done / "2a"), str(done / "2b"), "scratch")
    assert study.data != runs["2a"].data
    assert study.against == study.starts[0] and study.tunes == ("all", "head")


def test_the_network_of_b_is_imagenets_to_the_last_bit(done: Path, squeezenet: Path) -> None:
    """So the study from (b) is the study from ImageNet, which its report says."""
    published, b = load_file(squeezenet), load_file(done / "2b" / "weights.safetensors")
    moved = json.loads((done / "2b" / "environment.json").read_text())["start"]["moved"]
    assert len(moved) == len(published) - 2  # but for the last layer's weight and bias
    for name in moved:
        assert torch.equal(b[name], published[name]), name
    study = json.loads((done / "2c" / "study.json").read_text())
    for record in study["records"]:
        if record["start"].endswith("2b"):
            environment = json.loads((done / "2c" / record["run"] / "environment.json").read_text())
            assert set(environment["start"]["moved"]) == set(moved)


def test_the_record(done: Path) -> None:
    record = json.loads((done / "homework.json").read_text())["part2"]
    assert list(record) == [*CLASSIFIERS, "2c"]
    for folder in CLASSIFIERS:
        scores = json.loads((done / folder / "scores.json").read_text())
        for name in ("accuracy", "macro_f1", "collapsed", "trivial"):
            assert record[folder][name] == scores[name]
    assert (record["2a"]["expected"], record["2a"]["reported"]) == (0.85, 0.9089)
    assert (record["2b"]["expected"], record["2b"]["reported"]) == (0.60, 0.8562)
    asked = {(c["start"], c["against"], c["tune"]) for c in record["2c"]["comparisons"]}
    assert asked == {(s, "2a", t) for s in ("2b", "scratch") for t in ("all", "head")}
    assert str(done) not in json.dumps(record)


def test_the_report_answers_part_2(done: Path) -> None:
    page, tex = read_page(done), (done / "report.tex").read_text()
    for fact in ("0.9089", "0.8562", "10 epochs"):
        assert fact in page.words and fact in tex, fact
    for fact in (
        "expected > 0.85",
        "expected > 0.6",
        "above the expected 0.85",
        "Every weight trained: there is no verdict with 21 labels from 1 seed",
        "not Fashion-MNIST",
        "8 epochs",  # in two stages
        "enlargement up to 1.2 (last layer alone: none)",
        "after pooling and standardisation",
        "Last layer trained",
        "identical to ImageNet’s weights",
        "squeezenet1_1 (assignment: VGG16)",
        "Does squeezenet1_1, whose weights are all random, reach an accuracy above 85 %",
        "most frequent class scores 0.333",
        "ImageNet’s weights, all but the last layer",
    ):
        assert fact in page.words, fact
    assert "Not run" not in page.words and "Not run" not in tex
    names = {p.name for p in (done / "figures").iterdir()}
    for folder in CLASSIFIERS:
        assert {f"{folder}-losses.png", f"{folder}-confusion.jpg"} <= names
    assert "2c-labels.pdf" in names
    included = set(re.findall(r"figures/([\w.-]+)", tex.split("\\begin{document}")[1]))
    assert {name for name in names if not name.endswith("png")} == included
    if shutil.which("pdflatex"):
        assert (done / "report.pdf").exists()


def test_part_2_is_not_lost_where_it_is_not_asked_for_again(
    homework: Homework, done: Path, squeezenet: Path
) -> None:
    first = Homework(homework.data, "tiny", 1)
    assert with_recorded_part2(first, done) == homework
    before = (done / "homework.json").read_bytes()
    options = ["--data", homework.data, "--scale", "tiny", "--device", "cpu", "--out", str(done)]
    result = CliRunner().invoke(app(), options)
    assert result.exit_code == 0, result.stderr
    assert (done / "homework.json").read_bytes() == before
    assert "2(c): Every weight trained" in result.stdout
    plan = CliRunner().invoke(app(), [*options, "--dry-run"])
    assert plan.stderr.count("; done") == 5 + 4 + 1
    other = Homework(homework.data, "tiny", 1, model="squeezenet1_0")
    with pytest.raises(UsageError, match="settings-differ") as refused:
        with_recorded_part2(other, done)
    message = refused.value.findings[0].message
    assert "squeezenet1_1" in message and "squeezenet1_0" in message


def test_a_folder_that_was_moved_and_whose_weights_are_gone_is_still_the_same(
    homework: Homework, done: Path, squeezenet: Path, tmp_path: Path
) -> None:
    moved, elsewhere = tmp_path / "elsewhere" / "H", tmp_path / "same.safetensors"
    shutil.copytree(done, moved, symlinks=True)
    shutil.copy(squeezenet, elsewhere)
    before = {p: p.stat().st_mtime_ns for p in moved.rglob("frames.csv")}
    record = json.loads((done / "homework.json").read_text())
    for weights in (elsewhere, squeezenet):
        again = replace(homework, weights=str(weights))
        assert do_homework(again, moved, Silent(), lambda _: None).record == record
    assert costs(homework, moved)["2(c)"].runs == 0
    gone = replace(homework, weights=str(tmp_path / "gone.safetensors"))
    assert not_run(gone, moved) == {}
    assert {p: p.stat().st_mtime_ns for p in moved.rglob("frames.csv")} == before
    elsewhere.write_bytes(squeezenet.read_bytes()[:-4] + b"1234")
    with pytest.raises(DataError, match=r"data-changed.*start"):
        do_homework(replace(homework, weights=str(elsewhere)), moved, Silent(), lambda _: None)


def test_without_published_weights_the_rest_is_done_and_what_to_fetch_is_said(
    homework: Homework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("there is no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    out = tmp_path / "H"
    options = ["--data", homework.data, "--fashion-mnist", str(homework.fashion_mnist),
               "--new-data", str(homework.new_data), "--model", "squeezenet1_1",
               "--scale", "tiny", "--device", "cpu", "--threads", "1"]  # fmt: skip
    plan = CliRunner().invoke(app(), [*options, "--dry-run", "--out", str(out)])
    assert plan.exit_code == 0 and "2(a)" in plan.stderr and "2(c)" in plan.stderr
    assert not out.exists()
    result = CliRunner().invoke(app(), [*options, "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    record = json.loads((out / "homework.json").read_text())["part2"]
    assert "accuracy" in record["2a"]
    for folder in ("2b", "2b-whole", "2b-staged", "2c"):
        assert "https://download.pytorch.org/models/squeezenet1_1-" in record[folder]["not_run"]
        assert "--weights" in record[folder]["not_run"] and not (out / folder).exists()
    assert read_page(out).words.count("Not run") == 4
    tex = (out / "report.tex").read_text()
    assert tex.count(r"\textbf{Not run.}") == 4
    if shutil.which("pdflatex"):
        assert (out / "report.pdf").exists()


def test_weights_that_are_there_and_wrong_are_no_missing_ones(
    homework: Homework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    for name in ("squeezenet1_1-b8a52dc0.pth",):
        (tmp_path / "checkpoints" / name).write_bytes(b"cut short")
    without = Homework(homework.data, "tiny", 1, fashion_mnist=homework.fashion_mnist,
                       model="squeezenet1_1")  # fmt: skip
    with pytest.raises(DataError, match="bad-weights"):
        do_homework(without, tmp_path / "H", Silent(), lambda _: None)
    assert not (tmp_path / "H").exists()
    with pytest.raises(UsageError, match=r"unknown-start.*nowhere"):
        not_run(replace(without, weights="nowhere"), tmp_path)
    with pytest.raises(UsageError, match="vgg16"):
        not_run(replace(without, model="vgg_16"), tmp_path)


def test_what_is_wrong_with_part_2_is_known_before_part_1_is_begun(
    homework: Homework, squeezenet: Path, tmp_path: Path
) -> None:
    for wrong in ({"fashion_mnist": "nowhere"}, {"new_data": "nowhere"}):
        for scale in ("full", "tiny"):
            with pytest.raises(DataError, match="nowhere"):
                not_run(replace(homework, scale=scale, **wrong), tmp_path)
    with pytest.raises(DataError, match="shapes-differ"):
        not_run(replace(homework, model="squeezenet1_0"), tmp_path)


def test_the_full_scale_is_the_assignments(coloured: Path, drawn: Path) -> None:
    full = Homework(str(drawn), "full", 5, fashion_mnist=str(coloured), new_data=str(coloured))
    datasets = open_datasets(full)
    assert datasets.pictures is not None and datasets.new_pictures is not None
    config = classifier_run(full, "2a", datasets.pictures, Path("H"))
    assert (config.model, config.size, config.labels) == ("vgg16", (224, 224), None)
    assert config.recipe == CLASSIFIER_ASSIGNMENT and config.recipe.epochs == 10
    assert SCALES["full"].budgets == (100, 500, None)
    assert new_data_study(full, datasets.new_pictures, Path("H")).labels == (21,)  # all there are
    assert homework_command(full, Path("H")).startswith(
        f"headstart homework --data {drawn} --fashion-mnist {coloured} --model vgg16 --new-data"
    )


def row(verdict: str, difference: float, low: float | None, high: float | None) -> dict:
    return {
        "labels": 100, "verdict": verdict, "difference": difference, "low": low, "high": high,
        "seeds": 5 if low is not None else 2, "level": 0.95,
    }  # fmt: skip


def test_choices_in_words() -> None:
    hurts = choices([row("hurts", -0.1, -0.2, -0.05)], "(b)", "(a)")
    assert hurts.startswith("(a) is better with 100 labels")
    assert "accuracy −0.100, interval −0.200 to −0.050" in hurts
    unclear = choices([row("no difference shown", 0.1, -0.2, 0.3)], "(b)", "(a)")
    assert "no difference is shown" in unclear and "better" not in unclear
    few = choices([row("too few seeds", 0.1, None, None)], "(b)", "(a)")
    assert few.startswith("there is no verdict with 100 labels from 2 seeds")
    assert "+0.100 so far for (b)" in few and "interval" not in few
