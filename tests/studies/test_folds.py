"""A study with folds: its runs are cross-validations; records, verdicts and reports take them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.reports.write import write_report
from headstart.studies.costs import cost_of_study
from headstart.studies.plan import plan, scored_groups
from headstart.studies.study import study
from headstart.tasks.lookup import labelled_task
from tests.studies.test_study import ignore, tiny_study
from tests.tiny_runs import Silent, forked_workers


@pytest.fixture(scope="module")
def data(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labelled frames alone, in eleven groups: a pretext learns from those of its fold."""
    root = tmp_path_factory.mktemp("folds") / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    shutil.copy(drawn / "mapping.json", root)
    lines = ["stem,group"]
    for i, picture in enumerate(sorted(drawn.glob("segmentation/*/*/*_input.jpg"))):
        shutil.copy(picture, root / f"images/{i}.jpg")
        mask = picture.with_name(picture.name.replace("_input.jpg", "_mask.png"))
        shutil.copy(mask, root / f"masks/{i}.png")
        lines.append(f"{i},{i // 2}")
    (root / "groups.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "S"
    config = tiny_study(data, folds=2, labels=(6,), seeds=(1,))
    assert plan(config, out).sizes.pictures["test"] == 21
    study(config, out, Silent(), ignore)
    return out


def test_every_run_is_scored_on_all_labelled_frames(data: Path, done: Path) -> None:
    record = json.loads((done / "study.json").read_text())
    assert record["groups"] == 11 and len(record["records"]) == 2
    assert {r["scores"]["frames"] for r in record["records"]} == {21}
    task = labelled_task("segmentation")
    frames = {task.read_counts(done / r["run"]).frames for r in record["records"]}
    assert len(frames) == 1, "all runs list the frames in one order"
    groups = scored_groups(tiny_study(data, folds=2), task.open(data))
    assert groups is not None
    (names,) = frames
    of_frames = {f.name: f.group for f in task.pooled(task.open(data)).splits["labelled"]}
    known = [of_frames[name] for name in names]
    assert len({(g, k) for g, k in zip(groups.tolist(), known, strict=True)}) == 11


def test_each_fold_has_its_pretext_and_starts_of_a_seed_share_their_folds(done: Path) -> None:
    pretexts = sorted((done / "starts").iterdir())
    assert len(pretexts) == 2  # one for each fold
    learned = [
        {(done / f"runs/{start}-all-6-1/fold-{k}/labels.txt").read_text() for k in (1, 2)}
        for start in ("scratch", "colorization")
    ]
    assert learned[0] == learned[1] and len(learned[0]) == 2


def test_two_processes_give_the_same_files(data: Path, done: Path, tmp_path: Path) -> None:
    config = tiny_study(data, folds=2, labels=(6,), seeds=(1,))
    with forked_workers():
        study(config, tmp_path / "S", Silent(), ignore, jobs=2)
    for path in [done / "study.json", *done.glob("runs/*/frames.csv")]:
        assert (tmp_path / "S" / path.relative_to(done)).read_bytes() == path.read_bytes()


def test_a_finished_one_costs_nothing_and_folds_cannot_change(data: Path, done: Path) -> None:
    config = tiny_study(data, folds=2, labels=(6,), seeds=(1,))
    assert cost_of_study(plan(config, done)).runs == 0
    with pytest.raises(UsageError, match="folds: 2 -> 3"):
        plan(config.model_copy(update={"folds": 3}), done)
    more = cost_of_study(plan(config.model_copy(update={"seeds": (1, 2)}), done))
    assert (more.runs, more.pretexts) == (2, 2)
    assert more.steps == 2 * 2 * 2 * 2  # runs, folds, epochs, steps of an epoch


def test_the_report_says_what_its_intervals_speak_of(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "S")
    page = next(p for p in write_report(tmp_path / "S") if p.suffix == ".html").read_text()
    assert "divides them into 2 folds" in page and "if other pictures had been labelled" in page
    assert "The frames of a video or patient are all in one fold." in page
    assert "--folds 2" in page


def test_the_smallest_training_set_bounds_the_budget(data: Path, tmp_path: Path) -> None:
    sizes = plan(tiny_study(data, folds=2, labels=(6,)), tmp_path / "S").sizes.pictures
    with pytest.raises(UsageError, match="budget-too-large"):
        plan(tiny_study(data, folds=2, labels=(sizes["train"] + 1,)), tmp_path / "S")
    assert np.sum(list(sizes.values())) > 21  # the test pictures of all folds
