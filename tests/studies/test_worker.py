"""A worker: one unit by its name, with nothing but the study's folder."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from headstart.errors import DataError, DiskError, Finding, HeadstartError, LockedError
from headstart.studies import worker
from headstart.studies.books import begin
from headstart.studies.plan import plan
from headstart.studies.status import study_status
from headstart.studies.study import study
from headstart.studies.units import read_units
from headstart.studies.worker import train_unit
from headstart.system.attempts import attempts, last_lines
from headstart.system.claims import Ending, claim, end
from tests.studies.test_study import ignore, tiny_study
from tests.tiny_runs import Silent


@pytest.fixture
def begun(drawn: Path, tmp_path: Path) -> Path:
    """A study of which nothing is trained."""
    out = tmp_path / "S"
    begin(plan(tiny_study(drawn, labels=(6,), seeds=(1,)), out), out)
    return out


def run_main(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["worker", *map(str, words)])
    try:
        worker.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_workers_alone_train_a_study(
    begun: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As jobs of a cluster do; whoever comes later finds the runs finished."""
    units = read_units(begun)
    assert len(units) == 3 and [bool(unit.needs) for unit in units] == [False, False, True]
    for unit in units:
        assert run_main(monkeypatch, begun, unit.name, "--executor", "slurm", "--job", "17") == 0
        record = json.loads((begun / unit.name / "environment.json").read_text())
        assert (record["executor"], record["device"]) == ("slurm", "cpu")
        assert record["precision"] == "float32" and "cores" in record["host_class"]
        assert not attempts(begun, unit.name)
    told: list[str] = []
    config = tiny_study(drawn, labels=(6,), seeds=(1,))
    study(config, begun, listener := Silent(), told.append)
    assert sum(line.startswith("[") for line in told) == 2 and listener.steps == []
    study(config, tmp_path / "alone", Silent(), ignore)
    assert (begun / "study.json").read_bytes() == (tmp_path / "alone/study.json").read_bytes()


def test_what_it_refuses(
    begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (first, *_) = read_units(begun)
    assert run_main(monkeypatch, begun, "runs/none") == 65
    assert "no-such-unit" in capsys.readouterr().err
    held = claim(begun, first.name)
    assert held is not None
    assert run_main(monkeypatch, begun, first.name) == 75
    assert "claimed" in capsys.readouterr().err
    held.end(Ending("released"))
    with pytest.raises(DataError, match="no-such-unit"):
        train_unit(first.name, begun.parent)


def test_a_worker_that_was_taken_over_writes_nothing_more(begun: Path) -> None:
    unit = next(unit for unit in read_units(begun) if not unit.pretext and not unit.needs)
    out, kept = begun / unit.name, {}

    class TakenOver(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 2:  # it was suspended, and another machine took over
                end(attempts(begun, unit.name)[-1].folder, Ending("died"))
                taker = claim(begun, unit.name)
                assert taker is not None
                kept.update({p: p.read_bytes() for p in out.rglob("*") if p.is_file()})

    with pytest.raises(LockedError, match="claim-lost"):
        train_unit(unit.name, begun, logs=False, listener=TakenOver(), checkpoint_seconds=0.001)
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert files == kept and kept and not (out / "scores.json").exists()
    first, second = attempts(begun, unit.name)
    assert first.ending is not None and first.ending.outcome == "died" and second.ending is None


def test_why_it_failed_stands_beside_its_log(
    begun: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = next(unit for unit in read_units(begun) if not unit.pretext and not unit.needs)

    # as outside of tests: pytest's own is not the process's
    monkeypatch.setattr(sys, "stderr", os.fdopen(2, "w", buffering=1, closefd=False))

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(worker, "_train", fail)
        with pytest.raises(ZeroDivisionError):
            train_unit(unit.name, begun)
    (attempt,) = attempts(begun, unit.name)
    assert attempt.ending is not None and attempt.ending.outcome == "failed"
    assert (attempt.ending.code, attempt.ending.again) == ("run-failed", True)
    lines = last_lines(attempt.folder)
    assert lines[0] == unit.about and lines[-1] == "ZeroDivisionError: a bug"
    assert capfd.readouterr() == ("", "")
    train_unit(unit.name, begun)
    assert (begun / unit.name / "scores.json").exists() and not attempts(begun, unit.name)
    assert capfd.readouterr() == ("", "")


def test_errors_of_a_training_as_errors_for_people() -> None:
    from headstart.studies.local import failure_of

    for error, code, status in (
        (MemoryError(), "memory", 74),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory", 74),
        (KeyError("a"), "run-failed", 1),
    ):
        found = failure_of(error)
        assert isinstance(found, HeadstartError)
        assert (found.findings[0].code, found.exit_status) == (code, status)


@pytest.mark.parametrize(
    ("when", "outcome", "again"), [("step", "released", True), ("begins", "interrupted", False)]
)
def test_before_its_time_limit_a_job_saves_and_starts_again_if_it_got_further(
    begun: Path, monkeypatch: pytest.MonkeyPatch, when: str, outcome: str, again: bool
) -> None:
    """SLURM's signal in the middle of a training, and before its first step."""
    unit = next(unit for unit in read_units(begun) if not unit.pretext and not unit.needs)
    asked: list[str] = []

    def near_the_limit(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    words = (begun, unit.name, "--executor", "slurm", "--job", "17_3", "--checkpoint-seconds", "0")
    with monkeypatch.context() as patched:
        patched.setattr(worker._Lines, when, near_the_limit)
        patched.setattr("headstart.studies.slurm.start_again", asked.append)
        assert run_main(patched, *words) == 128 + signal.SIGUSR1
    assert asked == (["17_3"] if again else [])
    (attempt,) = attempts(begun, unit.name)
    assert attempt.ending is not None and attempt.ending.outcome == outcome
    assert (attempt.ending.code == "time-limit") is not again
    (state,) = (u for u in study_status(begun).units if u.name == unit.name)
    assert (state.state, state.tries) == (("waiting", 0) if again else ("failed", 1))
    assert run_main(monkeypatch, *words) == 0 and not attempts(begun, unit.name)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_a_log_that_cannot_be_written_gives_the_claim_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise DiskError(Finding("disk", "error", "no space left"))

    with monkeypatch.context() as patched:
        patched.setattr(worker, "_printing_to", full)
        with pytest.raises(DiskError), worker.claimed(tmp_path, "runs/a", logs=True):
            raise AssertionError("it does not begin")
    (attempt,) = attempts(tmp_path, "runs/a")
    assert attempt.ending is not None and attempt.ending.outcome == "released"


def test_a_job_that_is_started_again_takes_its_own_claim_over(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine was lost, and nobody has waited 90 seconds; another job's claim stays."""
    unit = next(unit for unit in read_units(begun) if not unit.pretext and not unit.needs)
    lost = claim(begun, unit.name, "slurm", "17_3")
    assert lost is not None
    words = (begun, unit.name, "--executor", "slurm", "--job")
    assert run_main(monkeypatch, *words, "18_0") == 75
    assert run_main(monkeypatch, *words, "17_3") == 0
    assert (begun / unit.name / "scores.json").exists()
    with pytest.raises(LockedError):
        lost.check()


def test_a_machine_that_does_not_see_the_data_says_so(
    begun: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = next(unit for unit in read_units(begun) if not unit.pretext and not unit.needs)
    hidden = drawn.with_name("hidden")
    drawn.rename(hidden)
    try:
        assert run_main(monkeypatch, begun, unit.name, "--executor", "slurm", "--job", "1_0") == 65
    finally:
        hidden.rename(drawn)
    assert f"there is no {drawn}" in capsys.readouterr().err
    (attempt,) = attempts(begun, unit.name)
    assert attempt.ending is not None and attempt.ending.code == "data-not-seen"
    assert attempt.ending.again  # another machine may see it
