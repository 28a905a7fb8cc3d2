"""How ``--device`` and ``--jobs`` become what a study's runs are spread over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.config.files import to_json
from headstart.config.records import StudyConfig
from headstart.errors import UsageError
from headstart.studies import study as studies
from headstart.system.devices import VISIBLE
from headstart.verbs.study import study
from headstart.verbs.train import train


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Three pretended devices; the list receives settings, jobs and entries of each study."""
    calls: list[tuple[Any, ...]] = []

    def run(config: StudyConfig, out: Path, *rest: Any) -> dict[str, Any]:
        out.mkdir(parents=True)
        (out / "config.json").write_text(to_json(config))
        calls.append((config, rest[2], [device.entry for device in rest[-1].devices]))
        return {}

    monkeypatch.setattr(studies, "study", run)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda k: f"GPU {k}")
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setenv(VISIBLE, "7,GPU-5,3")
    return calls


@pytest.mark.parametrize(
    ("device", "jobs", "at_a_time", "entries"),
    [
        ("auto", None, 1, []),
        ("cuda:1", None, 1, []),
        ("cuda:0,cuda:2", None, 2, ["7", "3"]),
        ("auto", 2, 2, ["7", "GPU-5", "3"]),
        ("cuda", 6, 6, ["7", "GPU-5", "3"]),
        ("cuda:1", 2, 2, ["GPU-5"]),
        ("cpu", 2, 2, []),
    ],
)
def test_jobs_and_devices(
    device: str,
    jobs: int | None,
    at_a_time: int,
    entries: list[str],
    drawn: Path,
    tmp_path: Path,
    asked: list[tuple[Any, ...]],
) -> None:
    study(drawn, starts="scratch", seeds=1, device=device, jobs=jobs, out=tmp_path / "S")
    [(config, jobs_of_study, visible)] = asked
    assert config.device == ("cpu" if device == "cpu" else "cuda"), "whichever GPU it is"
    assert (jobs_of_study, visible) == (at_a_time, entries)


def test_a_device_that_there_is_not(
    drawn: Path, tmp_path: Path, asked: list[tuple[Any, ...]]
) -> None:
    for verb, device, code in (
        (study, "cuda:0,cuda:3", "unknown-device"),
        (study, "cuda:0,cpu", "unknown-device"),
        (train, "cuda:3", "unknown-device"),
        (train, "cuda:0,cuda:1", "several-devices"),
    ):
        with pytest.raises(UsageError) as caught:
            verb(drawn, device=device, out=tmp_path / "S")  # type: ignore[operator]
        assert caught.value.findings[0].code == code
    assert not asked and not (tmp_path / "S").exists()


def test_apples_gpu_trains_in_float32(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UsageError, match="float32"):
        train(drawn, device="mps", precision="bfloat16", out=tmp_path / "R")
