"""Which arm is the best, and what each costs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from headstart.reports.arm_costs import arm_costs, best_section
from headstart.reports.arms import arms_of
from headstart.reports.csv_tables import arms_csv
from headstart.reports.records import read_records


def test_the_arms_of_each_budget_stand_in_the_order_of_their_scores(study: Path) -> None:
    records = read_records(study)
    rows = arm_costs(records, arms_of(records), None)
    assert [row.arm.labels for row in rows] == [3, 3, 12, 12]
    for better, worse in ((rows[0], rows[1]), (rows[2], rows[3])):
        assert better.point.mean > worse.point.mean
        assert better.chance is not None and worse.chance is not None
        assert better.chance + worse.chance == pytest.approx(1) and better.chance > 0.5
    assert {row.arm.name for row in rows[:2]} == {"scratch", "colorization"}


def test_a_pretext_is_part_of_the_cost(study: Path) -> None:
    records = read_records(study)
    config = records.study.config
    of = {(row.arm.name, row.arm.labels): row for row in arm_costs(records, arms_of(records), None)}
    scratch, pretext = of["scratch", 3], of["colorization", 3]
    steps = records.runs[0].history[-1]["step"]
    assert scratch.pictures == steps * config.recipe.batch
    assert pretext.pictures - scratch.pictures == 4770 * config.pretext_recipe.batch
    assert pretext.seconds - scratch.seconds == pytest.approx(30 * 6.5)
    assert scratch.seconds == pytest.approx(np.mean([run.seconds for run in scratch.arm.runs]))


def test_the_section_says_which_is_the_best(study: Path) -> None:
    records = read_records(study)
    section = best_section(records, arm_costs(records, arms_of(records), None))
    assert section is not None and len(section["sentences"]) == 2
    assert section["table"].head[0] == "start"
    assert any("colorization" in words for words in section["sentences"])
    assert best_section(records, []) is None


def test_with_few_seeds_there_is_an_order_but_no_probability(hostile: Path) -> None:
    records = read_records(hostile)
    rows = arm_costs(records, arms_of(records), None)
    assert len(rows) == 4 and {row.chance for row in rows} == {None}
    section = best_section(records, rows)
    assert section is not None and section["sentences"] == []


def test_the_table_for_other_programs(study: Path) -> None:
    records = read_records(study)
    rows = arm_costs(records, arms_of(records), None)
    read = list(csv.DictReader(arms_csv(rows).splitlines()))
    assert [row["start"] for row in read] == [row.arm.runs[0].start for row in rows]
    assert [float(row["chance_to_be_best"]) for row in read] == [row.chance for row in rows]
