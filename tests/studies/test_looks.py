"""Looks: what each may get wrong, which seeds it compares, and what the report says of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.cli.study import _show_plan
from headstart.config.files import read_study_config, study_to_json
from headstart.config.option_values import FEWEST_SEEDS, parse_looks
from headstart.config.options import StudyOptions
from headstart.config.records import StudyConfig
from headstart.config.resolve import study_config
from headstart.errors import UsageError
from headstart.studies.cells import cells
from headstart.studies.costs import NOTHING
from headstart.studies.ledger import line_of, write_ledger
from headstart.studies.looks import error_with_more_seeds, look_at, look_sentence, seen_by
from headstart.studies.plan import plan
from headstart.studies.summary import write_summary
from headstart.studies.verdicts import compare
from headstart.studies.wording import sentences
from headstart.verbs.study import StudyResult
from tests.studies.test_ledger import TASK, write_finished
from tests.studies.test_study import tiny_study
from tests.studies.test_verdicts import a_run


def config(seeds: int, **changes: object) -> StudyConfig:
    settings = {
        "schema": 1, "data": "d", "starts": ("scratch", "colorization"), "labels": (30,),
        "seeds": tuple(range(1, seeds + 1)), "margin": 0.02, **changes,
    }  # fmt: skip
    return StudyConfig.model_validate(settings)


# --- the error of each look


def test_a_study_without_a_plan_has_one_look_with_all_of_the_error() -> None:
    look = look_at(config(5), 5)
    assert (look.number, look.seeds, look.planned, look.most) == (1, (5,), 0, None)
    assert look.error == look.total == pytest.approx(0.05)


@given(st.sets(st.integers(FEWEST_SEEDS, 60), min_size=1, max_size=5), st.integers(0, 60))
def test_planned_looks_share_the_error(looks: set[int], complete: int) -> None:
    planned = tuple(sorted(looks))
    look = look_at(config(planned[-1], looks=planned), min(complete, planned[-1]))
    assert look.error * len(planned) == pytest.approx(0.05) and look.total == pytest.approx(0.05)
    assert look.needed == planned[0]
    if complete >= planned[0]:
        assert look.most == max(n for n in planned if n <= complete)
        assert planned[look.number - 1] == look.most


def test_looks_without_a_plan_cost_more_than_is_allowed() -> None:
    second = look_at(config(10, seen=(5,)), 10)
    assert (second.number, second.seeds) == (2, (5, 10))
    assert (second.error, second.total) == pytest.approx((0.025, 0.075))
    third = look_at(config(20, seen=(5, 10)), 20)
    assert (third.error, third.total) == pytest.approx((0.05 / 3, 0.05 * (1 + 1 / 2 + 1 / 3)))
    beyond = look_at(config(30, looks=(5, 10), seen=(10,)), 30)
    assert (beyond.number, beyond.planned) == (3, 2)
    assert (beyond.error, beyond.total) == pytest.approx((0.05 / 3, 0.05 * (1 + 1 / 3)))


def test_more_seeds_are_judged_at_the_next_look() -> None:
    assert error_with_more_seeds(config(5), 5) == pytest.approx(0.025)
    assert error_with_more_seeds(config(10, seen=(5,)), 5) == pytest.approx(0.025)
    assert error_with_more_seeds(config(5, looks=(5, 10)), 5) == pytest.approx(0.025)
    assert error_with_more_seeds(config(10, looks=(5, 10)), 10) == pytest.approx(0.05 / 3)


def test_what_counts_as_seen() -> None:
    five, ten = config(5), config(10)
    assert seen_by(five, ten, finished=True) == (5,)
    assert seen_by(five, ten, finished=False) == ()
    assert seen_by(five, five, finished=True) == ()
    assert seen_by(config(4), ten, finished=True) == ()  # which had no verdict
    planned = config(5, looks=(5, 10))
    assert seen_by(planned, config(10, looks=(5, 10)), finished=True) == ()
    assert seen_by(planned, config(20, looks=(5, 10)), finished=True) == (5,)
    assert seen_by(config(10, seen=(5,)), config(20, seen=(5,)), finished=True) == (5, 10)


# --- what is compared


@pytest.fixture
def twelve(tmp_path: Path) -> list[dict]:
    recalls = {"scratch": 0.5, "colorization": 0.7}
    return [a_run(tmp_path, s, 30, seed, r) for seed in range(1, 13) for s, r in recalls.items()]


def test_between_two_looks_the_seeds_of_the_first_are_compared(
    tmp_path: Path, twelve: list[dict]
) -> None:
    planned = config(12, looks=(5, 10, 12))
    seven, five = ([r for r in twelve if r["seed"] <= n] for n in (7, 5))
    between, at_five = (compare(r, tmp_path, planned, None) for r in (seven, five))
    assert between == at_five and between["comparisons"][0]["seeds"] == 5
    assert between["comparisons"][0]["level"] == pytest.approx(1 - 0.05 / 3)
    assert between["look"]["number"] == 1
    at_end = compare(twelve, tmp_path, planned, None)
    assert at_end["look"]["number"] == 3 and at_end["comparisons"][0]["seeds"] == 12


def test_before_the_first_look_there_is_no_verdict(tmp_path: Path, twelve: list[dict]) -> None:
    planned = config(12, looks=(8, 12))
    seven = compare([r for r in twelve if r["seed"] <= 7], tmp_path, planned, None)
    (row,) = seven["comparisons"]
    assert (row["verdict"], row["low"], row["seeds"]) == ("too few seeds", None, 7)
    assert "7 of the 8 needed" in sentences(seven)[0]
    assert compare(twelve, tmp_path, planned, None)["comparisons"][0]["verdict"] == "helps"


def test_seeds_added_after_a_look_widen_the_interval(tmp_path: Path, twelve: list[dict]) -> None:
    at_once = compare(twelve, tmp_path, config(12), None)
    added = compare(twelve, tmp_path, config(12, seen=(5,)), None)
    assert "look" not in at_once and added["look"]["seeds"] == (5, 12)
    (narrow,), (wide,) = at_once["comparisons"], added["comparisons"]
    assert wide["low"] < narrow["low"] and wide["level"] == pytest.approx(0.975)


# --- the study's folder


def test_a_study_remembers_that_it_was_seen(drawn: Path, tmp_path: Path) -> None:
    five = tiny_study(drawn, seeds=(1, 2, 3, 4, 5), labels=(6,))
    (tmp_path / "config.json").write_text(study_to_json(five))
    ledger = {}
    for cell in cells(five):
        write_finished(tmp_path / cell.run)
        ledger[cell.run] = line_of(cell.run, tmp_path / cell.run, asdict(cell), TASK)
    write_ledger(tmp_path, ledger, list(ledger))
    more = tiny_study(drawn, seeds=(1, 2, 3, 4, 5, 6), labels=(6,))
    assert plan(more, tmp_path).config.seen == ()  # no comparison was written
    write_summary(tmp_path, {"schema": 1, "records": [], "comparisons": []})
    assert plan(five, tmp_path).config.seen == ()
    planned = plan(more, tmp_path)
    assert planned.config.seen == (5,)
    (tmp_path / "config.json").write_text(study_to_json(planned.config))
    assert plan(more, tmp_path).config.seen == (5,)
    assert plan(five, tmp_path).config == planned.config
    assert read_study_config(tmp_path / "config.json").seen == (5,)


def test_looks_cannot_be_planned_later(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(study_to_json(tiny_study(drawn)))
    with pytest.raises(UsageError, match=r"settings-differ.*looks: None -> \(5, 10\)"):
        plan(tiny_study(drawn, looks=(5, 10)), tmp_path)


# --- options


def test_the_first_look_says_how_many_seeds() -> None:
    resolved = study_config(StudyOptions(looks="8,16"), "d", "segmentation", 60)
    assert resolved.looks == (8, 16) and resolved.seeds == tuple(range(1, 9))
    again = study_config(StudyOptions(), "d", "segmentation", 60, resolved)
    assert again.looks == (8, 16)
    assert study_config(StudyOptions(), "d", "segmentation", 60).seeds == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("wrong", ["", "4,8", "10,5", "5,5", "5,x", "5,2000", [5, 3]])
def test_looks_that_make_no_sense(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"bad-looks.*5 to 1000"):
        parse_looks(wrong)
    with pytest.raises(ValueError, match="looks"):
        config(10, looks=(10, 5))


# --- words


def test_the_report_says_which_look_it_is_and_what_it_costs() -> None:
    assert look_sentence(None) == ""
    planned = look_sentence(asdict(look_at(config(10, looks=(5, 10, 20)), 10)))
    assert "look 2 of 3" in planned and "5, 10, 20" in planned and "1.7 %" in planned
    seen = look_sentence(asdict(look_at(config(20, seen=(5, 10)), 20)))
    assert "look 3" in seen and "1.7 %" in seen and "9.2 %" in seen and "--looks" in seen


def test_a_dry_run_says_the_looks_and_what_would_be_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {
        "labels": 30, "tune": "all", "start": "chroma", "against": "scratch", "seeds": 10,
        "difference": 0.0312, "margin": 0.02, "groups": None, "seeds_needed": 20,
        "frames_needed": 170,
    }  # fmt: skip
    planned = config(10, looks=(5, 10, 20))
    _show_plan(StudyResult(Path("x"), planned, (), None, 10, NOTHING, (row,)), json=True)
    said = capsys.readouterr()
    for fact in ("5, 10, 20 seeds", "0.031", "0.02", "with 20 seeds or 170 test pictures"):
        assert fact in said.err
    assert '"seeds_needed": 20' in said.out
