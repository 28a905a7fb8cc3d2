"""The functions from Python, on drawn data: what they return and write."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.errors import DiskError, UsageError
from headstart.runs.run import train as train_run
from headstart.studies.summary import read_summary
from headstart.system.disk import locked
from headstart.system.processor import multiplies_bfloat16
from headstart.verbs.check import check
from headstart.verbs.evaluate import evaluate
from headstart.verbs.predict import predict
from headstart.verbs.pretrain import pretrain
from headstart.verbs.report import report
from headstart.verbs.study import study
from headstart.verbs.suggest import suggest
from headstart.verbs.train import train
from tests.tiny_runs import Silent, tiny

TINY = {"size": (16, 24), "width": 2, "epochs": 1, "threads": 1, "device": "cpu"}


def test_a_check(drawn: Path) -> None:
    found = check(str(drawn))
    assert found.ok and found.splits["train"].frames == 12


def test_from_a_pretext_to_a_run_to_masks_to_scores(drawn: Path, tmp_path: Path) -> None:
    start = pretrain(drawn, pretext="chroma", out=tmp_path / "start", **TINY)
    assert start.scores == json.loads((start.folder / "scores.json").read_text())
    assert all(path.is_file() for path in start.files)
    listener = Silent()
    run = train(
        drawn, start=str(start.folder), labels=6, out=tmp_path / "run", listener=listener, **TINY
    )
    assert run.config.labels == 6 and len(listener.rows) == 1
    assert run.scores == json.loads((run.folder / "scores.json").read_text())
    assert {path.name for path in run.files} >= {"curves.png", "predictions.png", "scores.json"}
    again = train(drawn, config=run.folder / "config.json", out=run.folder)
    assert (again.config, again.scores) == (run.config, run.scores)
    assert (
        train(drawn, config=run.folder / "config.json", out=run.folder, fresh=True).folder
        == tmp_path / "run-2"
    )

    written = predict(run.folder, drawn, out=tmp_path / "out", split="test", device="cpu")
    assert written.pictures == 5 and len(list(written.masks.iterdir())) == 5
    with pytest.raises(UsageError, match=r"no-run.*no run or folder of masks"):
        evaluate(tmp_path / "rnu", drawn)
    scores = evaluate(written.masks, drawn).scores
    assert scores == run.scores == evaluate(run.folder, drawn, device="cpu").scores
    page = report(run.folder)
    assert page.page.is_file() and page.files and all(path.is_file() for path in page.files)
    picked = suggest(run.folder, drawn, count=2, device="cpu")
    assert len(picked.suggestions) == 2 and (picked.folder / "suggestions.csv").is_file()
    assert picked.to_json()["out"] == str(run.folder / "to-label")


def test_the_size_fits_the_pictures_unless_it_is_given(drawn: Path, tmp_path: Path) -> None:
    length = {**TINY, "steps": 1}
    del length["size"], length["epochs"]
    first = train(drawn, out=tmp_path / "run", **length)
    assert first.config.size == (32, 40)
    assert train(drawn, out=tmp_path / "run", **length).config == first.config
    again = train(
        drawn, out=tmp_path / "other", start="chroma", size="auto", pretext_steps=1, **length
    )
    assert again.config.pretext is not None and again.config.pretext.size == (32, 40)
    assert pretrain(drawn, out=tmp_path / "pretext", **length).config.size == (32, 40)
    begun = train(drawn, out=tmp_path / "small", size=16, **length)
    assert train(drawn, out=tmp_path / "small", **length).config == begun.config, "as it began"
    planned = study(drawn, out=tmp_path / "study", dry_run=True, seeds=1, **length)
    assert planned.config.size == (32, 40)


def test_the_precision_is_recorded_and_kept(drawn: Path, tmp_path: Path) -> None:
    length = {name: value for name, value in TINY.items() if name != "epochs"} | {"steps": 1}
    usual = train(drawn, out=tmp_path / "usual", **length).config
    assert usual.precision == ("bfloat16" if multiplies_bfloat16() else "float32")
    asked = {"out": tmp_path / "half", "start": "chroma", "pretext_steps": 1, **length}
    half = train(drawn, precision="bfloat16", **asked).config
    assert half.pretext is not None and half.precision == half.pretext.precision == "bfloat16"
    assert train(drawn, **asked).config == half, "as it began"
    with pytest.raises(UsageError, match="precision"):
        train(drawn, precision="float32", **asked)


def test_a_study_and_its_plan(drawn: Path, tmp_path: Path) -> None:
    options = {"starts": ["scratch"], "labels": [6, "all"], "seeds": [3], **TINY}
    planned = study(drawn, out=tmp_path / "study", dry_run=True, **options)
    assert planned.study is None and planned.done == 0 and planned.cost.runs == 2
    assert not (tmp_path / "study").exists()
    lines: list[str] = []
    done = study(drawn, out=tmp_path / "study", tell=lines.append, **options)
    record = read_summary(tmp_path / "study")
    assert json.loads(json.dumps(done.study)) == record
    assert [(r["labels"], r["seed"]) for r in done.study["records"]] == [(6, 3), (12, 3)]
    assert len(lines) == 2
    assert study(drawn, out=tmp_path / "study", dry_run=True, **options).cost.runs == 0


def test_masks_are_no_run_for_pictures_with_a_class(coloured: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"error\[not-a-run\]"):
        evaluate(tmp_path, coloured)


@pytest.mark.parametrize(
    ("module", "record"),
    [
        ("train", "TrainResult"), ("pretrain", "PretrainResult"), ("study", "StudyResult"),
        ("report", "ReportResult"), ("evaluate", "EvaluateResult"), ("predict", "PredictResult"),
        ("suggest", "SuggestResult"), ("export", "ExportResult"), ("demo", "DemoResult"),
        ("homework", "HomeworkResult"),
    ],
)  # fmt: skip
def test_results_are_frozen_records(module: str, record: str) -> None:
    kind = getattr(importlib.import_module(f"headstart.verbs.{module}"), record)
    assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen


def test_the_functions_are_imported_without_torch() -> None:
    script = (
        "import headstart, sys\n"
        "for name in headstart.__all__[:11]: getattr(headstart, name)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_finished_run_on_a_read_only_disk(
    trained: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, made = os.open, os.mkdir

    def refuse(path: object) -> None:
        if str(path).startswith(str(trained)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def open_to_read(path: object, flags: int, *rest: object, **options: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            refuse(path)
        return opened(path, flags, *rest, **options)  # type: ignore[arg-type]

    def make(path: object, *rest: object, **options: object) -> None:
        refuse(path)
        made(path, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_to_read)
    monkeypatch.setattr(os, "mkdir", make)
    with pytest.raises(DiskError, match="Read-only"), locked(trained):
        pass
    scores = json.loads((trained / "scores.json").read_text())
    assert train_run(tiny(drawn), trained, Silent()) == scores
    with pytest.raises(DiskError, match="--out"):
        report(trained)
    page = report(trained, out=tmp_path / "page").page
    assert page == tmp_path / "page" / "report.html" and page.exists()
    report(trained, out=tmp_path / "page")  # the same again
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "theirs").touch()
    with pytest.raises(UsageError, match="other"):
        report(trained, out=tmp_path / "other")
    other = tmp_path / "another-run"
    other.mkdir()
    (other / "config.json").write_text("{}")
    (other / "report.html").touch()
    with pytest.raises(UsageError, match="itself a run"):
        report(trained, out=other)
    (tmp_path / "page/report/made-from.txt").write_text("another folder")
    with pytest.raises(UsageError, match="of another folder"):
        report(trained, out=tmp_path / "page")
    assert predict(trained, drawn, split="test", out=tmp_path / "masks").pictures == 5
