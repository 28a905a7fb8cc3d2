"""The same pictures side by side for all arms: which pictures, and the answers that were scored."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from headstart.plots import contact_sheet
from headstart.reports.write import write_report
from headstart.scores.counts import count
from headstart.scores.overlap import dice_of_frames
from headstart.studies.side_by_side import AHEAD, BEHIND, TYPICAL, choose, read_sheets
from headstart.studies.study import study
from headstart.studies.wording import called
from headstart.tasks.lookup import labelled_task
from tests.studies.test_study import ignore, tiny_study
from tests.tiny_runs import Silent, tiny

TASK = labelled_task("segmentation")
ARMS = {"starts": ("scratch", "scratch+supervised-longer"), "labels": (6,), "width": 4}


@pytest.fixture(scope="module", params=[None, 2], ids=["split", "folds"])
def done(
    request: pytest.FixtureRequest, drawn: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("side-by-side") / "S"
    seeds = (1, 2) if request.param is None else (1,)
    recipe = tiny(drawn).recipe.with_epochs(1)
    config = tiny_study(drawn, **ARMS, seeds=seeds, folds=request.param, recipe=recipe)
    study(config, out, Silent(), ignore)
    return out


@given(st.integers(2, 4), st.integers(1, 12), st.data())
def test_pictures_are_chosen_for_and_against_the_leading_arm(
    arms: int, pictures: int, data: st.DataObject
) -> None:
    values = st.floats(0, 1) | st.just(float("nan"))
    row = st.lists(values, min_size=pictures, max_size=pictures)
    scores = np.array(data.draw(st.lists(row, min_size=arms, max_size=arms)))
    chosen = choose(scores)
    indices = [i for _, i in chosen]
    assert len(set(indices)) == len(indices) <= 6
    assert not np.isnan(scores[:, indices]).all(0).any(), "there is something to see"
    known = np.nan_to_num(scores, nan=1.0)
    lead = known[0] - known[1:].mean(0)
    assert all(lead[i] > 0 for kind, i in chosen if kind == AHEAD)
    assert all(lead[i] < 0 for kind, i in chosen if kind == BEHIND)
    seen = lead[~np.isnan(scores).all(0)]
    if len(seen) and seen.max() > 0:
        assert lead[chosen[0][1]] == seen.max()
    assert {kind for kind, _ in chosen} <= {AHEAD, BEHIND, TYPICAL}


def test_it_shows_the_answers_that_were_scored(
    done: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class maps that are drawn have the counts of frames.csv."""
    (sheet,) = read_sheets(done, [6])
    runs = {name: done / run for name, run in sheet.arms}
    assert set(runs) == {"scratch", "scratch (supervised-longer)"} and sheet.labels == 6
    drawn_maps: list[np.ndarray] = []
    whole = contact_sheet.overlay_thumbnail

    def noted(image: np.ndarray, classes: np.ndarray, side: int) -> np.ndarray:
        drawn_maps.append(classes)
        return whole(image, classes, side)

    monkeypatch.setattr("headstart.tasks.side_by_side.overlay_thumbnail", noted)
    headings = dict(sheet.pictures)
    again = TASK.side_by_side(open_dataset(drawn), runs, headings, tmp_path / "cache")
    truths = drawn_maps[:: 1 + len(runs)]
    for k, run in enumerate(runs.values(), 1):
        counts = TASK.read_counts(run)
        for i, name in enumerate(headings):
            answer, truth = drawn_maps[i * (1 + len(runs)) + k], truths[i]
            maps = torch.from_numpy(answer.copy()), torch.from_numpy(truth.copy())
            (found,) = count(maps[0][None], maps[1][None], len(counts.names))
            assert (found.numpy() == counts.counts[counts.frames.index(name)]).all()
    with Image.open(io.BytesIO(again)) as new, Image.open(io.BytesIO(sheet.png)) as old:
        assert new.width == old.width > 3 * 180  # picture, truth, two arms; headings differ


def test_the_leading_arm_is_the_one_with_the_highest_mean(done: Path) -> None:
    (sheet,) = read_sheets(done, [6])
    rows = json.loads((done / "study.json").read_text())["records"]
    means = {
        name: np.mean([row["scores"]["dice"] for row in rows if called(row["start"]) == name])
        for name, _ in sheet.arms
    }
    assert list(means.values()) == sorted(means.values(), reverse=True)
    for name, run in sheet.arms:
        scores = sorted(row["scores"]["dice"] for row in rows if called(row["start"]) == name)
        assert TASK.read_scores(done / run)["dice"] == scores[(len(scores) - 1) // 2]
    lead = [dice_of_frames(TASK.read_counts(done / run).counts) for _, run in sheet.arms]
    names = TASK.read_counts(done / sheet.arms[0][1]).frames
    assert [name for name, _ in sheet.pictures] == [names[i] for _, i in choose(np.stack(lead))]


def test_the_page_shows_it_instead_of_a_sheet_for_each_arm(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "S")
    (page, *_) = write_report(tmp_path / "S")
    text = page.read_text()
    assert "furthest ahead of the others" in text and text.count("<img") == 1
    (page, *_) = write_report(tmp_path / "S", pictures=False)
    assert "<img" not in page.read_text()
    shutil.rmtree(tmp_path / "S/side-by-side")
    (page, *_) = write_report(tmp_path / "S")
    assert "furthest ahead" not in page.read_text()


def test_a_picture_that_is_not_the_one_drawn_is_noticed(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "S")
    path = tmp_path / "S/side-by-side/6.png"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="not the picture"):
        read_sheets(tmp_path / "S", [6])


def test_it_is_drawn_again_where_it_is_missing_but_not_without_weights(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    from headstart.config.files import read_study_config
    from headstart.studies.ledger import read_ledger
    from headstart.studies.plan import plan
    from headstart.studies.side_by_side import write_side_by_side

    shutil.copytree(done, tmp_path / "S")
    out = tmp_path / "S"
    planned = plan(read_study_config(out / "config.json"), out)
    before = (out / "side-by-side/6.png").read_bytes()
    shutil.rmtree(out / "side-by-side")
    write_side_by_side(planned, out, read_ledger(out), lambda: False)
    assert (out / "side-by-side/6.png").read_bytes() == before
    shutil.rmtree(out / "side-by-side")
    for weights in out.rglob("weights.safetensors"):
        weights.unlink()
    write_side_by_side(planned, out, read_ledger(out), lambda: False)
    assert not (out / "side-by-side").exists()
