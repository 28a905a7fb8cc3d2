"""The demo from end to end, smaller than it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.studies.summary import read_summary
from headstart.verbs import demo
from tests.tiny_runs import Silent


@pytest.mark.parametrize("published", [False, True])
def test_from_nothing_to_a_report(tmp_path: Path, monkeypatch, published: bool) -> None:
    if published and not demo.encoder_at_hand():
        pytest.skip("the extra weights is not installed")
    monkeypatch.setattr(demo, "encoder_at_hand", lambda: published)
    starts = 2 + published
    small = {"SIZE": (32, 40), "WIDTH": 2, "LABELS": 8, "SEEDS": (1,), "EPOCHS": 1}
    monkeypatch.setattr(demo, "SCENES", {"train": 10, "validation": 3, "test": 6, "unlabelled": 4})
    for name, value in {**small, "PRETEXT_EPOCHS": 1, "MOST_JOBS": 1}.items():
        monkeypatch.setattr(demo, name, value)
    told: list[str] = []
    out = tmp_path / "demo"
    made = demo.demo(out=out, listener=Silent(), tell=told.append)
    record = read_summary(out / "study")
    assert json.loads(json.dumps(made.study)) == record and len(record["records"]) == starts
    assert f"[{starts}/{starts}]" in told[-1]
    assert made.predictions == out / "predictions" and made.report == out / "study" / "report.html"
    assert len(list((made.predictions / "masks").iterdir())) == 6
    page = made.report.read_text()
    assert "too few seeds" in page
    again: list[str] = []
    monkeypatch.setattr(demo, "encoder_at_hand", lambda: not published)  # it goes on as it began
    out = out.rename(tmp_path / "moved")
    demo.demo(out=out, tell=again.append)
    moved = (out / "study" / "report.html").read_text()
    assert again == [] and moved == page.replace("/demo/", "/moved/")
