"""Records of a run: what this and older versions write is read; anything else is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from headstart.errors import DataError
from headstart.records.run_records import (
    data_folder,
    looked_for,
    path_from,
    read_environment,
    read_leaks,
    read_metrics,
    read_scores,
    read_timing,
    seconds_of,
)
from headstart.records.scores import ClassificationScores, PretextScores, SegmentationScores

OLD = Path(__file__).parents[1] / "fixtures" / "e5cb359" / "runs"
FORMS: dict[str, type[BaseModel]] = {
    "finished": SegmentationScores,
    "classes": ClassificationScores,
    "pretext": PretextScores,
}


@pytest.mark.parametrize("name", FORMS)
def test_records_of_an_older_version_are_read(name: str) -> None:
    run = OLD / name
    assert read_scores(run, FORMS[name]) == json.loads((run / "scores.json").read_text())
    environment = json.loads((run / "environment.json").read_text())
    read = read_environment(run)
    assert (read.data, read.versions) == (environment["data"], environment["versions"])
    assert (read.labels, read.pictures) == (environment.get("labels"), environment.get("pictures"))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert list(read_metrics(run)) == rows
    assert [line.epoch for line in read_timing(run) if not line.stage] == [r["epoch"] for r in rows]
    assert seconds_of(run) == sum(line.seconds for line in read_timing(run)) > 0


def test_a_line_that_a_kill_tore_is_passed_over(tmp_path: Path) -> None:
    line = '{"epoch": 1, "steps": 3, "train_seconds": 1.5, "validation_seconds": 0.5}\n'
    (tmp_path / "timing.jsonl").write_text(line * 2 + line[:20])
    assert [row.seconds for row in read_timing(tmp_path)] == [2.0, 2.0]


ENVIRONMENT: dict[str, Any] = json.loads((OLD / "finished" / "environment.json").read_text())
LEAKS = {"compared_with": [], "pictures": 1, "copies": ["\udce9.png"], "near": [], "dropped": True}


def test_names_need_not_be_unicode(tmp_path: Path) -> None:
    (tmp_path / "leaks.json").write_text(json.dumps(LEAKS))
    assert read_leaks(tmp_path).copies == ("\udce9.png",)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": None}, "data"),
        ({"data": {"train": 3}}, r"data\.train"),
        ({"threads": "2"}, "threads"),
        ({"threads": True}, "threads"),
        ({"labels": [6]}, "labels"),
        ({"start": {"moved": []}}, r"start\.name"),
        ({"start": {"name": "a", "moved": [3]}}, r"start\.moved\.0"),
    ],
)
def test_an_odd_entry_is_named(tmp_path: Path, change: dict, named: str) -> None:
    (tmp_path / "environment.json").write_text(json.dumps({**ENVIRONMENT, **change}))
    with pytest.raises(DataError, match=rf"bad-record.*environment\.json.*({named})"):
        read_environment(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("environment.json", "[]"),
        ("leaks.json", json.dumps({**LEAKS, "pictures": 1.5})),
        ("scores.json", "{}"),
        ("scores.json", "3"),
        ("metrics.jsonl", "3\n"),
        ("metrics.jsonl", '{"epoch": 1, "step": 2, "validation_dice": "high"}\n'),
        ("metrics.jsonl", '{"epoch": 1, "step": 2, "validation_dice": 1e999}\n'),
        ("timing.jsonl", '{"epoch": 1}\n'),
        ("timing.jsonl", "\0\0\n"),
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    reading: dict[str, Any] = {
        "environment.json": read_environment,
        "leaks.json": read_leaks,
        "scores.json": lambda run: read_scores(run, SegmentationScores),
        "metrics.jsonl": read_metrics,
        "timing.jsonl": read_timing,
    }
    with pytest.raises(DataError, match=f"bad-record.*{name}"):
        reading[name](tmp_path)


def test_the_data_are_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = tmp_path / "project/runs/a", tmp_path / "project/data"
    for folder in (run, data, tmp_path / "else"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    assert path_from(run, str(data)) is None and path_from(Path("runs/a"), "data") == "../../data"
    assert path_from(tmp_path / "else", "data") is None  # it would name the folder project
    assert path_from(run, "fashion-mnist") is None
    environment = {**ENVIRONMENT, "data_path": "../../data"}
    (run / "environment.json").write_text(json.dumps(environment))
    for directory in (tmp_path / "project", tmp_path / "else", run):
        monkeypatch.chdir(directory)
        assert data_folder(run, "data") == data
    assert data_folder(run, str(tmp_path / "other")) == tmp_path / "other"
    copied = tmp_path / "copy"  # of the whole project, or of the run alone
    shutil.copytree(tmp_path / "project", copied)
    assert data_folder(copied / "runs/a", "data") == copied / "data"
    shutil.copytree(run, tmp_path / "a")
    monkeypatch.chdir(tmp_path / "project")
    assert data_folder(tmp_path / "a", "data") == Path("data")
    words = looked_for(tmp_path / "a", "data")
    assert "../../data" in words and str(tmp_path / "a") in words and "current directory" in words


def test_an_older_run_is_looked_for_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text(json.dumps(ENVIRONMENT))
    assert data_folder(tmp_path, "data") == Path("data")
    assert "current directory" in looked_for(tmp_path, "data")
    assert looked_for(tmp_path, "/data") == "/data"
