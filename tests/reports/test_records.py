"""From a folder to records: what is there, what is missing, what is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import DataError, Finding
from headstart.reports.arms import arms_of
from headstart.reports.records import read_records


def copied(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "study"))


def refusal(folder: Path) -> Finding:
    with pytest.raises(DataError) as refused:
        read_records(folder)
    (finding,) = refused.value.findings
    return finding


def test_a_study(study: Path) -> None:
    records = read_records(study)
    study_record = records.study
    assert study_record is not None and records.run is None and records.pretext is None
    assert records.config is study_record.config
    assert len(records.runs) == study_record.expected == 20 and study_record.since == 0
    keys = [(r.start, r.labels, r.seed) for r in records.runs]
    assert keys == sorted(keys, key=lambda k: (k[0] != "scratch", k[1], k[2]))
    assert [p.seed for p in records.pretexts] == [1, 2, 3, 4, 5]
    assert records.runs[0].seconds > 0 and records.runs[0].frames.counts.shape[0] == 20
    assert [(a.line, a.labels, len(a.runs)) for a in arms_of(records)] == [
        (0, 3, 5), (1, 3, 5), (0, 12, 5), (1, 12, 5),
    ]  # fmt: skip


def test_a_run_and_a_pretext(study: Path, trained: Path) -> None:
    records = read_records(trained)
    assert records.run is not None and records.config is records.run and records.study is None
    assert (records.runs[0].labels, records.runs[0].seed) == (12, 3)
    pretext = read_records(next((study / "starts").iterdir()))
    assert pretext.pretext is not None and pretext.config is pretext.pretext
    assert not pretext.runs and len(pretext.pretexts) == 1


def test_a_study_under_way(study: Path, tmp_path: Path) -> None:
    """First without study.json, then with one that knows less than the ledger."""
    folder = copied(study, tmp_path)
    lines = (folder / "ledger.jsonl").read_text().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_text("".join(lines[:7]))
    made = json.loads((folder / "study.json").read_text())
    (folder / "study.json").unlink()
    records = read_records(folder)
    assert records.study is not None
    assert (len(records.runs), records.study.expected, records.study.summary) == (7, 20, None)
    made["records"] = made["records"][:3]
    (folder / "study.json").write_text(json.dumps(made))
    records = read_records(folder)
    assert records.study is not None
    assert (len(records.runs), records.study.since) == (3, 4)


def test_nothing_there(study: Path, tmp_path: Path) -> None:
    finding = refusal(tmp_path)
    assert finding.code == "not-a-run" and "config.json" in finding.message
    folder = copied(study, tmp_path)
    for name in ("study.json", "ledger.jsonl"):
        (folder / name).unlink()
    assert refusal(folder).code == "unfinished"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("config.json", "{", "bad-record"),
        ("study.json", "[]", "bad-record"),
        ("study.json", '{"schema": 1, "records": [{"run": "x"}]}', "bad-record"),
        ("ledger.jsonl", "{]\n", "bad-record"),
        ("starts/colorization-1-0a1b2c3d/scores.json", "", "bad-record"),
        ("runs/scratch-all-3-1/metrics.jsonl", "nothing\n", "bad-record"),
        ("runs/scratch-all-3-1/environment.json", None, "unreadable"),
    ],
)
def test_damage_is_named(
    study: Path, tmp_path: Path, name: str, content: str | None, code: str
) -> None:
    folder = copied(study, tmp_path)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    finding = refusal(folder)
    assert finding.code == code
    assert str(folder / name) in finding.message
    incomplete = content is not None and content.startswith('{"schema"')
    assert ("records.0.start" in finding.message) == incomplete  # the field that is missing


@pytest.mark.parametrize("name", ["frames.csv", "scores.json"])
def test_a_run_that_the_ledger_contradicts_is_not_reported(
    study: Path, tmp_path: Path, name: str
) -> None:
    folder = copied(study, tmp_path)
    run = "runs/scratch-all-3-1"
    shutil.copy(folder / "runs/scratch-all-3-2" / name, folder / run / name)
    finding = refusal(folder)
    assert (finding.code, finding.files) == ("ledger-differs", (run,))


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    """Writes a record of JSON as no program of ours would."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("environment.json", lambda record: record.update(labels=None)),
        ("environment.json", lambda record: record["labels"].pop("validation")),
        ("scores.json", lambda record: record.update(dice=None)),
        ("scores.json", lambda record: record["classes"].popitem()),
        ("scores.json", lambda record: record["trivial"].pop("dice")),
    ],
)
def test_what_a_run_without_a_manifest_lacks_is_named(
    trained: Path, tmp_path: Path, name: str, change: Callable[[Any], Any]
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    (folder / "manifest.json").unlink()
    changed(folder / name, change)
    finding = refusal(folder)
    assert finding.code == "bad-record" and str(folder / name) in finding.message


def test_a_run_without_epochs_is_damaged(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    (folder / "manifest.json").unlink()
    (folder / "metrics.jsonl").write_text("")
    assert "metrics.jsonl" in refusal(folder).message


def test_runs_on_other_classes_are_not_reported_together(study: Path, tmp_path: Path) -> None:
    folder = copied(study, tmp_path)
    (folder / "ledger.jsonl").unlink()  # which would contradict it
    run = folder / "runs/scratch-all-3-2"
    for name in ("scores.json", "frames.csv"):
        text = (run / name).read_text()
        (run / name).write_text(text.replace("Drawn_Scissors", "Drawn_Hook"))
    finding = refusal(folder)
    assert finding.code == "bad-record" and str(run / "scores.json") in finding.message
    assert "Drawn_Hook" in finding.message and "Drawn_Scissors" in finding.message


def test_a_record_does_not_lead_out_of_the_study(study: Path, tmp_path: Path) -> None:
    folder = copied(study, tmp_path)
    made = json.loads((folder / "study.json").read_text())
    made["records"][0]["run"] = "../elsewhere"
    (folder / "study.json").write_text(json.dumps(made))
    finding = refusal(folder)
    assert finding.code == "bad-record" and "../elsewhere" in finding.message
