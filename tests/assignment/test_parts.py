"""Single parts of the assignment, and sizes for some hours: small real runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headstart.assignment.chosen import GROUPS, Chosen
from headstart.assignment.missing import is_done
from headstart.assignment.parts import recorded_part
from headstart.assignment.settings import PARTS, SCALES, Homework, parse_parts, with_needed
from headstart.assignment.sizes_file import read_chosen, with_sizes, write_chosen
from headstart.config.files import read_run_config, to_json
from headstart.errors import DataError, UsageError
from headstart.studies.hours import Measured
from tests.assignment.test_homework import app, read_page
from tests.studies.test_study import tiny_study

TINY = ["--scale", "tiny", "--device", "cpu", "--threads", "1"]


def run(data: Path, out: Path, *options: str) -> tuple[str, dict]:
    """What is told, and homework.json."""
    result = CliRunner().invoke(app(), ["--data", str(data), *TINY, "--out", str(out), *options])
    assert result.exit_code == 0, result.stderr
    return result.stderr, json.loads((out / "homework.json").read_text())


def test_unknown_parts_are_refused_with_all_that_there_are() -> None:
    with pytest.raises(UsageError) as refused:
        parse_parts("1a,2d,nonsense")
    message = refused.value.findings[0].message
    assert "'2d', 'nonsense'" in message and "'1a'" not in message
    assert all(part in message for part in PARTS)
    with pytest.raises(UsageError, match="bad-setting"):
        parse_parts([])
    assert with_needed(parse_parts("1d")) == ("1b", "1c", "1d")


def test_single_parts_one_after_the_other(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "H"
    told, record = run(drawn, out, "--parts", "1c")
    assert "1(c): loss" in told and "left in all" in told
    assert "loss" in record["parts"]["c"] and not (out / "a").exists()
    for letter in "abd":
        reason = record["parts"][letter]["not_run"]
        assert reason.startswith("Not chosen") and f"--parts 1{letter}" in reason.replace(
            "1b,1c,1d", "1d"
        )
    reason = record["part2"]["2a"]["not_run"]
    assert " --parts 2a " in reason and reason.endswith("with --fashion-mnist")
    words = read_page(out).words
    assert "What was asked for, and what was run" in words and "Not run" in words

    told, record = run(drawn, out, "--parts", "1b")
    assert "accuracy" not in told and record["parts"]["b"]["dice"] is not None
    assert "loss" in record["parts"]["c"], "what was run before stays in the report"
    assert record["comparisons"] == [] and "not_run" in record["parts"]["d"]
    trained = {p: p.stat().st_mtime_ns for p in out.rglob("scores.json")}

    told, record = run(drawn, out, "--parts", "1d")
    assert "what these parts need is run too: 1(b), 1(c)" in told
    assert all(p.stat().st_mtime_ns == t for p, t in trained.items()), "a part ran again"
    assert len(record["comparisons"]) == 4 and "not_run" in record["parts"]["a"]
    assert [is_done(part, out) for part in PARTS] == [False, True, True, True, *[False] * 3]


def test_hours_are_kept_and_the_report_compares(
    drawn: Path, coloured: Path, squeezenet: Path, tmp_path: Path
) -> None:
    out = tmp_path / "H"
    part2 = ["--fashion-mnist", str(coloured), "--model", "squeezenet1_1"]
    options = [*part2, "--weights", str(squeezenet), "--parts", "1a,2a", "--hours", "1"]
    told, record = run(drawn, out, *options)
    assert "Choosing sizes for --hours 1" in told and "All parts: about " in told
    assert "1(a): 32 x 40, width 4" in told and "2(a): squeezenet1_1 at 32 x 32" in told
    assert record["parts"]["a"]["epochs"] and record["part2"]["2a"]["epochs"] == 4
    chosen = json.loads((out / "sizes.json").read_text())
    assert chosen["hours"] == 1 and chosen["groups"] == ["part 1", "2(a), 2(b)"]
    assert read_run_config(out / "a" / "config.json").size == tuple(chosen["sizes"]["size"])
    words = read_page(out).words
    for fact in (
        "256 × 320, width 32",
        "32 × 40, width 4",
        "--model squeezenet1_1; otherwise the largest that fits --hours 1",
    ):
        assert fact in words, fact
    again, same = run(drawn, out, *options[:-1], "2")
    assert "keeps the sizes chosen for 1 hours" in again and same == record
    assert json.loads((out / "sizes.json").read_text()) == chosen
    record = run(drawn, out, "--parts", "1a")[1]  # with the sizes of the folder
    assert record["parts"]["a"] == same["parts"]["a"] and "epochs" in record["part2"]["2a"]


def test_what_fits_at_no_size_is_named_with_what_it_takes(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "H"
    told, record = run(drawn, out, "--parts", "1a", "--hours", "1e-6")
    reason = record["parts"]["a"]["not_run"]
    assert "does not fit into --hours 1e-06" in reason and "at the smallest size" in reason
    assert "1(a): not run" in told and not (out / "a").exists()
    (out / "sizes.json").write_text('{"hours": 1}')
    with pytest.raises(DataError, match=r"bad-record.*sizes\.json"):
        read_chosen(out)
    refused = CliRunner().invoke(
        app(), ["--data", str(drawn), *TINY, "--out", str(out), "--hours", "0"]
    )
    assert isinstance(refused.exception, UsageError) and "--hours is 0" in str(refused.exception)


def test_a_folder_goes_on_without_its_hours(tmp_path: Path) -> None:
    """Parts that did not fit are run; tunings beyond the assignment keep the reason."""
    left_out = {"2b-whole": "takes long", "2b-staged": "takes long", "2c": "does not fit"}
    sizes = replace(SCALES["small"], extras=False)
    write_chosen(Chosen(1.0, sizes, 1, tuple(GROUPS), left_out), tmp_path)
    asked = Homework("hw6", "small", 5)
    homework, _ = with_sizes(asked, None, tmp_path, 1, Measured(), print)
    assert homework.left_out == {"2b-whole": "takes long", "2b-staged": "takes long"}
    assert (homework.parts, homework.hours, homework.sizes) == (asked.parts, 1.0, sizes)


def test_a_study_says_device_and_threads_where_no_single_run_has_begun(tmp_path: Path) -> None:
    assert recorded_part(tmp_path) is None
    (tmp_path / "steplr").mkdir()
    config = tiny_study(tmp_path).model_copy(update={"threads": 3})
    (tmp_path / "steplr/config.json").write_text(to_json(config))
    begun = recorded_part(tmp_path)
    assert begun is not None and (begun.threads, begun.device) == (3, "cpu")


def test_a_homework_of_which_nothing_could_be_run_goes_on(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "H"
    for _ in range(2):
        _, record = run(drawn, out, "--parts", "2a")
        assert "--fashion-mnist" in record["part2"]["2a"]["not_run"]
