"""Numbers over seeds, against numpy and the scores' own functions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.reports.arms import arms_of, point, spread, trivial_score, verdict_classes
from headstart.reports.records import read_records
from headstart.scores import overlap, segmentation
from headstart.scores.frames_csv import read_frames_csv
from headstart.scores.pooled import DICE
from headstart.tasks.segmentation import MEASURES
from tests.reports.maker import make_study


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_a_spread_is_numpys(values: list[float]) -> None:
    of_values = spread([None, *values])
    assert of_values is not None and of_values.sd is not None
    assert of_values.mean == pytest.approx(np.mean(values))
    assert of_values.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert (of_values.low, of_values.high) == (min(values), max(values))


def test_no_spread_of_nothing() -> None:
    assert spread([None]) is None
    assert spread([0.3]).sd is None  # type: ignore[union-attr]


def test_a_point_is_the_mean_of_its_seeds(study: Path) -> None:
    records = read_records(study)
    usable = verdict_classes(records)
    assert usable is not None
    for arm in arms_of(records):
        of_arm = point(arm, usable.classes, None, DICE)
        chosen = [0, *usable.classes]
        each = [overlap.dice(run.frames.counts[:, chosen]) for run in arm.runs]
        assert of_arm.seeds == pytest.approx(each) and of_arm.mean == pytest.approx(np.mean(each))
        assert of_arm.low is not None and of_arm.high is not None
        assert of_arm.low < of_arm.mean < of_arm.high


def test_the_trivial_score_is_that_of_metrics(study: Path) -> None:
    run = read_records(study).runs[0]
    held = [c for c, s in enumerate(run.scores["classes"].values()) if c and s["frames"]]
    assert trivial_score(run, held, MEASURES) == pytest.approx(run.scores["trivial"]["dice"])


def test_the_median_run(trained: Path, tmp_path: Path) -> None:
    folder = make_study(trained, tmp_path / "s", labels=(12,), seeds=(1, 2, 3, 4))
    for arm in arms_of(read_records(folder)):
        values = sorted(run.scores["dice"] for run in arm.runs)
        assert arm.median("dice").scores["dice"] == values[1]


def test_runs_on_other_frames_are_not_averaged(trained: Path, tmp_path: Path) -> None:
    folder = make_study(trained, tmp_path / "s", labels=(12,), seeds=(1, 2))
    path = folder / "runs/scratch-all-12-2/frames.csv"
    lines = path.read_text().splitlines(keepends=True)
    classes = len({line.split(",")[1] for line in lines[1:]})
    path.write_text("".join(lines[:-classes]))
    fewer = read_frames_csv(path.read_bytes(), path)
    scores = {"split": "test", **segmentation.score(fewer.counts, fewer.names)}
    (path.parent / "scores.json").write_text(json.dumps(scores))
    (folder / "ledger.jsonl").unlink()  # which would contradict it
    records = read_records(folder)
    usable = verdict_classes(records)
    assert usable is not None
    with pytest.raises(DataError) as refused:
        point(arms_of(records)[0], usable.classes, None, DICE)
    (finding,) = refused.value.findings
    assert finding.code == "bad-record" and "scratch" in finding.message
