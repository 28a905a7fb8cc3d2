"""Which arm is the best, and what each costs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.reports.arm_costs import ArmCost, arm_costs, best_section
from headstart.reports.arms import arms_of
from headstart.reports.csv_tables import arms_csv
from headstart.reports.data_check import DataCheck
from headstart.reports.records import read_records

UNGROUPED = DataCheck("", (), None, grouped=False)


def test_the_arms_of_each_budget_stand_in_the_order_of_their_scores(study: Path) -> None:
    records = read_records(study)
    rows = arm_costs(records, arms_of(records), UNGROUPED)
    assert [row.arm.labels for row in rows] == [3, 3, 12, 12]
    for better, worse in ((rows[0], rows[1]), (rows[2], rows[3])):
        assert better.point.mean > worse.point.mean
        assert better.chance is not None and worse.chance is not None
        assert better.chance + worse.chance == pytest.approx(1) and better.chance > 0.5
    assert {row.arm.name for row in rows[:2]} == {"scratch", "colorization"}


def test_a_pretext_is_part_of_the_cost(study: Path) -> None:
    records = read_records(study)
    config = records.study.config
    rows = arm_costs(records, arms_of(records), UNGROUPED)
    of = {(row.arm.name, row.arm.labels): row for row in rows}
    scratch, pretext = of["scratch", 3], of["colorization", 3]
    steps = records.runs[0].history[-1]["step"]
    assert scratch.pictures == steps * config.recipe.batch
    assert pretext.pictures - scratch.pictures == 4770 * config.pretext_recipe.batch
    assert pretext.seconds - scratch.seconds == pytest.approx(30 * 6.5)
    assert scratch.seconds == pytest.approx(np.mean([run.seconds for run in scratch.arm.runs]))


def test_the_section_says_which_is_the_best(study: Path) -> None:
    records = read_records(study)
    section = best_section(records, arm_costs(records, arms_of(records), UNGROUPED))
    assert section is not None and len(section["sentences"]) == 2
    assert section["table"].head[0] == "start"
    assert any("colorization" in words for words in section["sentences"])
    assert best_section(records, []) is None


def test_with_few_seeds_there_is_an_order_but_no_probability(hostile: Path) -> None:
    records = read_records(hostile)
    rows = arm_costs(records, arms_of(records), UNGROUPED)
    assert len(rows) == 4 and {row.chance for row in rows} == {None}
    section = best_section(records, rows)
    assert section is not None and section["sentences"] == []


def test_the_table_for_other_programs(study: Path) -> None:
    records = read_records(study)
    rows = arm_costs(records, arms_of(records), UNGROUPED)
    read = list(csv.DictReader(arms_csv(rows).splitlines()))
    assert [row["start"] for row in read] == [row.arm.runs[0].start for row in rows]
    assert [float(row["chance_to_be_best"]) for row in read] == [row.chance for row in rows]


def test_without_the_groups_of_the_verdicts_there_are_no_intervals(
    study: Path, tmp_path: Path
) -> None:
    """Intervals over frames would be narrower, as if each came from a patient of its own."""
    assert all(row.point.low is not None for row in costs_of(study))
    out = Path(shutil.copytree(study, tmp_path / "grouped"))
    summary = json.loads((out / "study.json").read_text())
    (out / "study.json").write_text(json.dumps(summary | {"groups": 4}))
    assert all(row.point.low is None for row in costs_of(out))


def costs_of(study: Path) -> list[ArmCost]:
    records = read_records(study)
    return arm_costs(records, arms_of(records), UNGROUPED)
