"""``headstart doctor``: plain and narrow through a pipe, one object for machines, its status."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from headstart.cli.main import app
from headstart.system import doctor
from headstart.system.packages import WANTED
from tests.cli.command import headstart


def test_what_people_see() -> None:
    done = headstart("doctor", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    for wanted in WANTED:
        assert f"  {wanted.name} " in done.stdout
    assert "required" in done.stdout.splitlines()[-1] and "\x1b" not in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if " in /" not in line)


def test_what_machines_see() -> None:
    report = json.loads(headstart("doctor", "--quick", "--json").stdout)
    assert report["schema"] == 1 and report["ok"] is True and report["devices"] is None
    assert {p["name"] for p in report["packages"]} == {w.name for w in WANTED}


def test_something_required_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    its = {w.name: w.least for w in WANTED if w.name not in ("pillow", "av")}
    monkeypatch.setattr(doctor, "_version", its.get)
    done = CliRunner().invoke(app, ["doctor", "--quick"])
    assert done.exit_code == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert 'pillow - missing: pip install "pillow>=13"' in lines
    assert 'av - missing: pip install "headstart[video]"' in lines
    report = json.loads(CliRunner().invoke(app, ["doctor", "--quick", "--json"]).stdout)
    assert report["ok"] is False
