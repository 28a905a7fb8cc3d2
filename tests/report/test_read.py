"""From a folder to records: what is there, what is missing, what is damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from headstart.errors import DataError
from headstart.report.read import read_records
from headstart.report.summary import cells
from headstart.training.config import PretextConfig, RunConfig, StudyConfig


def copied(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "study"))


def test_a_study(study: Path) -> None:
    records = read_records(study)
    assert isinstance(records.config, StudyConfig)
    assert len(records.runs) == records.expected == 20 and records.since == 0
    keys = [(r.start, r.labels, r.seed) for r in records.runs]
    assert keys == sorted(keys, key=lambda k: (k[0] != "scratch", k[1], k[2]))
    assert [p.seed for p in records.pretexts] == [1, 2, 3, 4, 5]
    assert records.runs[0].seconds > 0 and records.runs[0].frames.counts.shape[0] == 20
    assert [(c.line, c.labels, len(c.runs)) for c in cells(records)] == [
        (0, 3, 5), (1, 3, 5), (0, 12, 5), (1, 12, 5),
    ]  # fmt: skip


def test_a_run_and_a_pretext(study: Path, trained: Path) -> None:
    records = read_records(trained)
    assert isinstance(records.config, RunConfig) and records.expected == 1
    assert (records.runs[0].labels, records.runs[0].seed) == (12, 3)
    pretext = read_records(next((study / "starts").iterdir()))
    assert isinstance(pretext.config, PretextConfig) and not pretext.runs


def test_a_study_under_way(study: Path, tmp_path: Path) -> None:
    """First without study.json, then with one that knows less than the ledger."""
    folder = copied(study, tmp_path)
    lines = (folder / "ledger.jsonl").read_text().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_text("".join(lines[:7]))
    made = json.loads((folder / "study.json").read_text())
    (folder / "study.json").unlink()
    records = read_records(folder)
    assert (len(records.runs), records.expected, records.study) == (7, 20, None)
    made["records"] = made["records"][:3]
    (folder / "study.json").write_text(json.dumps(made))
    records = read_records(folder)
    assert (len(records.runs), records.since) == (3, 4)


def test_nothing_there(study: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no config\.json"):
        read_records(tmp_path)
    folder = copied(study, tmp_path)
    for name in ("study.json", "ledger.jsonl"):
        (folder / name).unlink()
    with pytest.raises(DataError, match="no run is finished yet"):
        read_records(folder)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{", "not valid JSON|damaged"),
        ("study.json", "[]", "expected an object"),
        ("study.json", '{"records": [{"run": "x"}]}', "lacks something"),
        ("ledger.jsonl", "{]\n", "damaged"),
        ("runs/scratch-all-3-1/scores.json", "", "damaged"),
        ("runs/scratch-all-3-1/frames.csv", "frame,class\n", "damaged"),
        ("runs/scratch-all-3-1/metrics.jsonl", "nothing\n", "damaged"),
        ("runs/scratch-all-3-1/environment.json", None, "No such file"),
    ],
)
def test_damage_is_named(
    study: Path, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    folder = copied(study, tmp_path)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(DataError, match=said):
        read_records(folder)


def test_a_record_does_not_lead_out_of_the_study(study: Path, tmp_path: Path) -> None:
    folder = copied(study, tmp_path)
    made = json.loads((folder / "study.json").read_text())
    made["records"][0]["run"] = "../elsewhere"
    (folder / "study.json").write_text(json.dumps(made))
    with pytest.raises(DataError, match="not inside the study"):
        read_records(folder)
