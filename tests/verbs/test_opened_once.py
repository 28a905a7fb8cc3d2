"""A command opens its dataset once and hands it on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.data.layouts import recognise

TINY: dict[str, Any] = {"size": (16, 24), "width": 2, "epochs": 1, "threads": 1, "device": "cpu"}
STUDY: dict[str, Any] = {"starts": "scratch,chroma", "labels": 6, "seeds": 1, "pretext_epochs": 1}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """Counts how often each folder is read."""
    counts: Counter[Path] = Counter()

    def counting(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def counted(root: Path) -> Any:
            counts[root] += 1
            return read(root)

        return counted

    layouts = tuple(replace(each, read=counting(each.read)) for each in recognise.LAYOUTS)
    monkeypatch.setattr(recognise, "LAYOUTS", layouts)
    return counts


def test_a_pretext_a_run_and_a_study(drawn: Path, tmp_path: Path, opened: Counter[Path]) -> None:
    verbs: dict[str, Callable[[], object]] = {
        "pretrain": lambda: headstart.pretrain(drawn, out=tmp_path / "p", **TINY),
        "train": lambda: headstart.train(
            drawn, start="chroma", pretext_epochs=1, out=tmp_path / "r", **TINY
        ),
        "plan": lambda: headstart.study(drawn, out=tmp_path / "s", dry_run=True, **STUDY, **TINY),
        "study": lambda: headstart.study(drawn, out=tmp_path / "s", **STUDY, **TINY),
        "report": lambda: headstart.report(tmp_path / "s"),
        "check": lambda: headstart.check(drawn),
        "predict": lambda: headstart.predict(
            tmp_path / "r", drawn, out=tmp_path / "m", split="test", device="cpu"
        ),
        "homework": lambda: headstart.homework(
            drawn, out=tmp_path / "h", scale="tiny", seeds=1, threads=1, device="cpu"
        ),
    }
    for name, verb in verbs.items():
        opened.clear()
        verb()
        assert opened == {drawn: 1}, name
