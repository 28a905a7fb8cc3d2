"""A line for each finished run, in the study's order; each is checked against its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.errors import DataError
from headstart.studies.ledger import line_of, read_ledger, write_ledger

CELL = {"start": "scratch", "tune": "all", "labels": 6}


def write_finished(run: Path, frames: str = "frame,split\n") -> None:
    """What a ledger looks at of a finished run."""
    run.mkdir(parents=True)
    (run / "frames.csv").write_text(frames)
    (run / "scores.json").write_text("{}")
    rows = [{"epoch": 1, "steps": 3, "train_seconds": 1.5, "validation_seconds": 0.25}] * 2
    (run / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A study whose second run ended first."""
    ledger = {}
    for k in (2, 1):
        write_finished(tmp_path / f"runs/{k}", f"frame,split\n{k},test\n")
        ledger[f"runs/{k}"] = line_of(f"runs/{k}", tmp_path / f"runs/{k}", CELL | {"seed": k})
    write_ledger(tmp_path, ledger, ["runs/1", "runs/2", "runs/3"])
    return tmp_path


def test_lines_are_in_the_order_of_the_study(out: Path) -> None:
    ledger = read_ledger(out)
    assert list(ledger) == ["runs/1", "runs/2"]
    line = ledger["runs/2"]
    assert (line["run"], line["seed"], line["steps"], line["seconds"]) == ("runs/2", 2, 6, 3.5)
    assert len({line["frames_sha256"] for line in ledger.values()}) == 2


def test_no_ledger_is_no_run(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == {}


def test_runs_that_contradict_it_are_named_together(out: Path) -> None:
    (out / "runs/1/frames.csv").write_text("frame,split\n1,train\n")
    (out / "runs/2/scores.json").unlink()
    with pytest.raises(DataError, match=r"ledger-differs.*2 runs") as caught:
        read_ledger(out)
    assert caught.value.findings[0].files == ("runs/1", "runs/2")


@pytest.mark.parametrize("text", ["{", "[]", '{"start": "scratch"}', '{"run": "runs/1"}', "7"])
def test_a_damaged_ledger_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ledger.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"bad-record.*ledger\.jsonl"):
        read_ledger(tmp_path)


def test_every_flip_in_a_line_is_found_or_says_nothing(out: Path) -> None:
    path = out / "ledger.jsonl"
    content, right = path.read_bytes(), read_ledger(out)
    for place in range(0, len(content), 3):
        flipped = bytes([content[place] ^ 1 << place % 8])
        path.write_bytes(content[:place] + flipped + content[place + 1 :])
        try:
            assert read_ledger(out) == right
        except DataError as error:
            assert error.findings[0].code in ("bad-record", "ledger-differs")
