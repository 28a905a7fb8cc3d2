"""What the doctor finds, and what it makes of a machine that lacks something."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from pathlib import Path

import pytest
import torch

from headstart.system import doctor
from headstart.system.doctor import examine, weights_folder
from headstart.system.packages import WANTED, Wanted, import_all, judged

ROOT = Path(__file__).parents[2]


def test_what_is_wanted_is_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {(line, None) for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        declared |= {(line, extra) for line in lines if not line.startswith("headstart[")}
    assert {(f"{wanted.name}>={wanted.least}", wanted.extra) for wanted in WANTED} == declared


def test_nothing_below_the_floors_of_safety_is_fit() -> None:
    vulnerable = {wanted.name: wanted for wanted in WANTED if wanted.vulnerability}
    assert vulnerable.keys() == {"pillow", "torch", "onnx"}
    for name, old in (("pillow", "12.3.0"), ("torch", "2.9.1"), ("onnx", "1.20.1")):
        wanted = vulnerable[name]
        package = judged(wanted, old, "")
        assert package.verdict == "too old"
        assert wanted.vulnerability in package.do and wanted.least in package.do


def test_verdicts_and_what_to_do() -> None:
    wanted = Wanted("some", "some", "1.2", "video")
    assert (judged(wanted, None, None).verdict, judged(wanted, None, None).do) == (
        "missing", 'pip install "headstart[video]"',
    )  # fmt: skip
    assert judged(wanted, "1.2.0+cpu", "").verdict == "ok"
    assert judged(wanted, "1.10", "").verdict == "ok"
    assert judged(wanted, "1.1.9", "").verdict == "too old"
    assert judged(wanted, "no version", "").verdict == "too old"
    assert judged(wanted, "1.2rc1", "").verdict == "ok"
    broken = judged(wanted, "1.2", "ImportError: libfoo.so")
    assert broken.verdict == "broken" and "libfoo.so" in broken.do


def test_imports_are_tried_and_no_death_goes_unnoticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talks.py").write_text("print('hello')\n")
    (tmp_path / "dies.py").write_text("import os\nos._exit(7)\n")
    (tmp_path / "raises.py").write_text("raise OSError('libfoo.so: no such file\\nmore')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    errors = import_all(["talks", "raises", "dies", "json", "nowhere"])
    assert "crash" in errors.pop("dies")
    assert errors == {
        "talks": "", "json": "", "raises": "OSError: libfoo.so: no such file",
        "nowhere": "ModuleNotFoundError: No module named 'nowhere'",
    }  # fmt: skip


def test_torch_is_asked_for_devices() -> None:
    answers = import_all(["torch"])
    assert answers["torch"] == "" and set(answers["devices"]) == {"devices", "cpu_bf16"}
    assert len(answers["devices"]["devices"]) == torch.cuda.device_count()


def test_missing_extras_are_told_and_missing_requirements_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without(*names: str) -> doctor.Health:
        versions = {w.name: w.least for w in WANTED if w.name not in names}
        monkeypatch.setattr(doctor, "_version", versions.get)
        return examine(load=False)

    assert without().ok
    health = without("av", "fastapi")
    assert health.ok and {p.name for p in health.packages if p.verdict == "missing"} == {
        "av", "fastapi",
    }  # fmt: skip
    assert not without("torchvision").ok
    old = {**{wanted.name: wanted.least for wanted in WANTED}, "onnx": "1.20"}
    monkeypatch.setattr(doctor, "_version", old.get)
    assert not examine(load=False).ok  # an extra, but a vulnerable version


def test_places_are_those_that_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (("TORCH_HOME", "t"), ("XDG_CACHE_HOME", "x"), ("HOME", "h")):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv(variable, str(tmp_path / value))
        assert str(weights_folder()) == torch.hub.get_dir()
    monkeypatch.chdir(tmp_path)
    here = examine(load=False).places[0]
    assert here.folder == str(tmp_path) and 0 < here.free <= here.size


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_seen_where_typer_installs_it(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer import _completion_shared as typers

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert examine(load=False).completion == (shell, False)
    install = getattr(typers, f"install_{shell}")
    install(prog_name="headstart", complete_var="_HEADSTART_COMPLETE", shell=shell)
    assert examine(load=False).completion == (shell, True)


def test_json_is_whole() -> None:
    health = examine(load=False)
    written = json.loads(json.dumps(health.to_json()))
    assert {"schema", "ok", *(f.name for f in dataclasses.fields(health))} == set(written)
    assert written["cores"]["affinity"] == len(os.sched_getaffinity(0))
