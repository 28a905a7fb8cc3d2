"""Calibration in the report: each arm's errors before and after, the figure, what is unfitted."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.records.calibration import read_calibration
from headstart.reports import charts
from headstart.reports.arms import arms_of
from headstart.reports.certainty import calibration_csv, certainty_section, reliability_lines
from headstart.reports.records import Records, read_records
from headstart.reports.write import write_report
from tests.records.test_calibration import record


@pytest.fixture(scope="module")
def calibrated(study: Path) -> Records:
    """A study whose runs have temperatures 1.1 to 3.0."""
    records = read_records(study)
    runs = (
        replace(run, calibration=record(i, round(1.1 + i / 10, 4)))
        for i, run in enumerate(records.runs)
    )
    return replace(records, runs=tuple(runs))


def test_runs_of_older_versions_have_no_section(study: Path) -> None:
    records = read_records(study)
    assert certainty_section(records, arms_of(records)) is None
    assert reliability_lines(arms_of(records)) == [] and calibration_csv(records) is None


def test_each_arm_has_the_means_of_its_runs(calibrated: Records) -> None:
    arms = arms_of(calibrated)
    section = certainty_section(calibrated, arms)
    assert section is not None and section["predictions"] == "pixels"
    rows = [row for row in section["table"].rows if len(row) > 1]
    for arm, row in zip(arms, rows, strict=True):
        assert row[0] == arm.name
        temperatures = [run.calibration.temperature for run in arm.runs]
        assert row[1][0] == f"{np.mean(temperatures):.3f}"
        assert row[1][1] == f"{min(temperatures):.3f}–{max(temperatures):.3f}"
        assert row[2][0] == f"{np.mean([run.calibration.before.ece for run in arm.runs]):.3f}"
        assert row[5][0] == f"{np.mean([run.calibration.after.nll for run in arm.runs]):.3f}"


def test_the_figure_adds_up_the_seeds_of_the_largest_budget(calibrated: Records) -> None:
    lines = reliability_lines(arms_of(calibrated))
    assert [line.name for line in lines] == ["scratch", "colorization"]
    for line in lines:
        assert line.before[:, 0].sum() == line.after[:, 0].sum() == 5 * 60
    figure = charts.reliability(lines)
    for axes, bins in zip(figure.axes, (lines[0].before, lines[0].after), strict=True):
        drawn = axes.lines[1].get_xydata()  # after the dashed diagonal
        used = bins[bins[:, 0] > 0]
        assert np.allclose(drawn, used[:, [2, 1]] / used[:, :1])


def test_the_table_for_programs_has_every_run(calibrated: Records) -> None:
    rows = list(csv.DictReader(io.StringIO(calibration_csv(calibrated) or "")))
    assert len(rows) == len(calibrated.runs)
    for row, run in zip(rows, calibrated.runs, strict=True):
        assert float(row["temperature"]) == run.calibration.temperature
        assert float(row["ece_after"]) == run.calibration.after.ece


def test_a_temperature_that_could_not_be_fitted_says_why(calibrated: Records) -> None:
    first, *others = calibrated.runs
    unfitted = record(0, 1.0).model_copy(update={"reason": "no validation label to fit it on"})
    records = replace(calibrated, runs=(replace(first, calibration=unfitted), *others))
    section = certainty_section(records, arms_of(records))
    assert section is not None
    assert section["unfitted"] == [f"{first.name}: no validation label to fit it on"]


def test_the_page_of_a_run_shows_it(trained: Path, tmp_path: Path) -> None:
    files = write_report(trained, out=tmp_path / "report")
    text, calibration = files[0].read_text(), read_calibration(trained)
    assert calibration is not None
    assert 'id="certainty"' in text and f"{calibration.temperature:.3f}" in text
    assert {"calibration.csv", "reliability.png", "reliability.pdf"} <= {f.name for f in files}
