"""A line for each finished run, in the study's order; each is checked against its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.records.vouching import write_manifest
from headstart.scores.frames_csv import frames_csv
from headstart.scores.segmentation import score
from headstart.studies.ledger import line_of, read_ledger, write_ledger
from headstart.tasks.lookup import labelled_task

CELL = {"start": "scratch", "tune": "all", "labels": 6}
TASK = labelled_task("segmentation")
NAMES = ("ground", "tool")


def write_finished(run: Path, missed: int = 0) -> None:
    """What a ledger looks at of a finished run, which missed so many pixels of its one frame."""
    run.mkdir(parents=True)
    counts = np.array([[[90, missed, 0], [10 - missed, 0, missed]]])
    (run / "frames.csv").write_text(frames_csv(counts, ("a",), NAMES))
    (run / "scores.json").write_text(json.dumps({"split": "test", **score(counts, NAMES)}))
    rows = [{"epoch": 1, "steps": 3, "train_seconds": 1.5, "validation_seconds": 0.25}] * 2
    (run / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def line(out: Path, k: int) -> dict[str, Any]:
    return line_of(f"runs/{k}", out / f"runs/{k}", CELL | {"seed": k}, TASK)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A study whose second run ended first."""
    ledger = {}
    for k in (2, 1):
        write_finished(tmp_path / f"runs/{k}", missed=k)
        ledger[f"runs/{k}"] = line(tmp_path, k)
    write_ledger(tmp_path, ledger, ["runs/1", "runs/2", "runs/3"])
    return tmp_path


def test_lines_are_in_the_order_of_the_study(out: Path) -> None:
    ledger = read_ledger(out)
    assert list(ledger) == ["runs/1", "runs/2"]
    second = ledger["runs/2"]
    found = (second["run"], second["seed"], second["steps"], second["seconds"])
    assert found == ("runs/2", 2, 6, 3.5)
    assert len({line["frames_sha256"] for line in ledger.values()}) == 2


def test_no_ledger_is_no_run(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == {}


def test_runs_that_contradict_it_are_named_together(out: Path) -> None:
    (out / "runs/1/frames.csv").write_text("frame,split\n1,train\n")
    (out / "runs/2/scores.json").unlink()
    with pytest.raises(DataError, match=r"ledger-differs.*2 of its runs") as caught:
        read_ledger(out)
    (finding,) = caught.value.findings
    assert finding.files == ("runs/1", "runs/2")
    assert "lines" in finding.hint and "folders" in finding.hint


def one_more_missed(run: Path) -> None:
    text = (run / "frames.csv").read_text()
    (run / "frames.csv").write_text(text.replace("tool,9,0,1", "tool,8,0,2"))


def other_classes(run: Path) -> None:
    text = (run / "scores.json").read_text()
    (run / "scores.json").write_text(text.replace('"tool"', '"hook"'))


def other_score(run: Path) -> None:
    scores = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps({**scores, "dice": None}))


@pytest.mark.parametrize("vouched", [True, False], ids=["manifest", "older"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda run: (run / "frames.csv").unlink(), r"frames\.csv"),
        (lambda run: (run / "scores.json").unlink(), r"scores\.json"),
        (lambda run: (run / "frames.csv").write_text("frame,class\n"), r"frames\.csv"),
        (lambda run: (run / "scores.json").write_text("{}"), r"scores\.json"),
        (one_more_missed, r"(frames\.csv|scores\.json).*"),
        (other_classes, r"scores\.json"),
        (other_score, r"scores\.json"),
    ],
)
def test_the_ledger_never_vouches_for_a_damaged_run(
    out: Path, vouched: bool, change: Callable[[Path], None], named: str
) -> None:
    if vouched:
        write_manifest(out / "runs/1", ("frames.csv", "scores.json", "timing.jsonl"), {})
    before = line(out, 1)
    assert before == read_ledger(out)["runs/1"]
    change(out / "runs/1")
    with pytest.raises(DataError, match=rf"(bad-record|bad-frames|unreadable).*{named}"):
        line(out, 1)


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
