"""``headstart doctor``: plain and narrow through a pipe, one object for machines, its status."""

from __future__ import annotations

import json

import pytest

from headstart.system import doctor
from headstart.system.packages import WANTED
from tests.cli.test_main import headstart


def test_what_people_see() -> None:
    done = headstart("doctor", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    for its in WANTED:
        assert f"  {its.name} " in done.stdout
    assert "all that is required works" in done.stdout and "\x1b" not in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if " in /" not in line)


def test_what_machines_see() -> None:
    found = json.loads(headstart("doctor", "--quick", "--json").stdout)
    assert found["schema"] == 1 and found["ok"] is True and found["devices"] is None
    assert {its["name"] for its in found["packages"]} == {its.name for its in WANTED}


def test_something_required_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    its = {w.name: w.least for w in WANTED if w.name not in ("pillow", "av")}
    monkeypatch.setattr(doctor, "_version", its.get)  # the command is a fork of this process
    done = headstart("doctor", "--quick")
    assert done.returncode == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert 'pillow - missing: pip install "pillow>=13"' in lines
    assert 'av - missing: pip install "headstart[video]"' in lines
    found = json.loads(headstart("doctor", "--quick", "--json").stdout)
    assert found["ok"] is False
