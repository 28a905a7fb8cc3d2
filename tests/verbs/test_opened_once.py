"""A command opens its dataset once and hands it on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.data.layouts import contents, recognise
from headstart.data.layouts.dataset import Dataset, Layout
from headstart.data.pictures.reading import read_image
from tests.data.layouts.test_people import CASES

TINY: dict[str, Any] = {"size": (16, 24), "width": 2, "epochs": 1, "threads": 1, "device": "cpu"}
STUDY: dict[str, Any] = {"starts": "scratch,chroma", "labels": 6, "seeds": 1, "pretext_epochs": 1}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """Counts how often each folder is read."""
    counts: Counter[Path] = Counter()

    def counting(layout: Layout[Dataset]) -> Layout[Dataset]:
        def counted(root: Path) -> Callable[[], Dataset] | None:
            read = layout.recognise(root)
            if read is None:
                return None

            def reading() -> Dataset:
                counts[root] += 1
                return read()

            return reading

        return replace(layout, recognise=counted)

    monkeypatch.setattr(recognise, "LAYOUTS", tuple(map(counting, recognise.LAYOUTS)))
    return counts


@pytest.fixture
def looked_into(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """Counts how often each file is decoded to recognise a dataset."""
    counts: Counter[Path] = Counter()

    def counted(path: Path, root: Path) -> Any:
        counts[path] += 1
        return read_image(path, root)

    monkeypatch.setattr(contents, "read_image", counted)
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


def test_a_folder_is_recognised_once(tmp_path: Path, looked_into: Counter[Path]) -> None:
    data = tmp_path / "data"
    CASES["a second observer"][0](data)  # its masks are compared, too
    verbs: dict[str, Callable[[], object]] = {
        "check": lambda: headstart.check(data, describe=tmp_path / "d.toml"),
        "train": lambda: headstart.train(data, out=tmp_path / "r", **TINY),
        "pretrain": lambda: headstart.pretrain(data, out=tmp_path / "p", **TINY),
        "plan": lambda: headstart.study(data, out=tmp_path / "s", dry_run=True, **STUDY, **TINY),
        "evaluate": lambda: headstart.evaluate(tmp_path / "r", data, device="cpu"),
    }
    for name, verb in verbs.items():
        looked_into.clear()
        verb()
        assert set(looked_into.values()) == {1}, name
