"""Progress: lines without a terminal, a bar on one."""

from __future__ import annotations

import os
import pty
import sys
from types import SimpleNamespace

import pytest

from headstart.cli import progress
from headstart.cli.progress import Counting


def test_lines_are_few_and_estimate_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    # The clock of this module alone: one set back or forward for the whole process stops event
    # loops that run in other threads.
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with Counting("a.mp4", "frames") as counting:
        for done, seconds in ((1, 101.0), (100, 120.0), (110, 121.0), (1500, 400.0)):
            now[0] = seconds
            counting.step(done, 3000)
        now[0] = 500.0
        counting.step(1600, None)
    assert capsys.readouterr().err.splitlines() == [
        "a.mp4: 100 of 3,000 frames, about 9 min left",
        "a.mp4: 1,500 of 3,000 frames, about 5 min left",
        "a.mp4: 1,600 frames",
    ]


def test_a_terminal_gets_a_bar() -> None:
    child, terminal = pty.fork()
    if child == 0:
        sys.stderr = os.fdopen(2, "w")
        with Counting("[a].mp4", "frames") as counting:
            counting.step(3, 12)
        os._exit(0)
    shown = b""
    while b"\n" not in shown[-2:] or b"3/12" not in shown:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        shown += piece
    os.waitpid(child, 0)
    os.close(terminal)
    assert b"[a].mp4" in shown and b"3/12" in shown and b"frames" in shown
