"""Numbers over seeds, against numpy and the scores' own functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.report.read import read_records
from headstart.report.summary import cells, point, spread, trivial_score, verdict_classes
from headstart.scores import overlap
from headstart.scores.pooled import DICE
from tests.report.maker import make_study


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_a_spread_is_numpys(values: list[float]) -> None:
    told = spread([None, *values])
    assert told is not None and told.sd is not None
    assert told.mean == pytest.approx(np.mean(values))
    assert told.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert (told.low, told.high) == (min(values), max(values))


def test_no_spread_of_nothing() -> None:
    assert spread([None]) is None
    assert spread([0.3]).sd is None  # type: ignore[union-attr]


def test_a_point_is_the_mean_of_its_seeds(study: Path) -> None:
    records = read_records(study)
    usable = verdict_classes(records)
    assert usable is not None
    for cell in cells(records):
        told = point(cell, usable.classes, None, DICE)
        chosen = [0, *usable.classes]
        each = [overlap.dice(run.frames.counts[:, chosen]) for run in cell.runs]
        assert told.seeds == pytest.approx(each) and told.mean == pytest.approx(np.mean(each))
        assert told.low is not None and told.high is not None
        assert told.low < told.mean < told.high


def test_the_trivial_score_is_that_of_metrics(study: Path) -> None:
    run = read_records(study).runs[0]
    held = [c for c, s in enumerate(run.scores["classes"].values()) if c and s["frames"]]
    assert trivial_score(run, held) == pytest.approx(run.scores["trivial"]["dice"])


def test_the_median_run(trained: Path, tmp_path: Path) -> None:
    folder = make_study(trained, tmp_path / "s", labels=(12,), seeds=(1, 2, 3, 4))
    for cell in cells(read_records(folder)):
        values = sorted(run.scores["dice"] for run in cell.runs)
        assert cell.median("dice").scores["dice"] == values[1]


def test_runs_on_other_frames_are_not_averaged(trained: Path, tmp_path: Path) -> None:
    folder = make_study(trained, tmp_path / "s", labels=(12,), seeds=(1, 2))
    path = folder / "runs/scratch-all-12-2/frames.csv"
    lines = path.read_text().splitlines(keepends=True)
    classes = len({line.split(",")[1] for line in lines[1:]})
    path.write_text("".join(lines[:-classes]))
    records = read_records(folder)
    usable = verdict_classes(records)
    assert usable is not None
    with pytest.raises(DataError, match="do not fit together"):
        point(cells(records)[0], usable.classes, None, DICE)
