"""A signal at any point of a study's life: it ends with the right status, and goes on."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from headstart.config.records import StudyConfig
from headstart.errors import DataError, Finding, HeadstartError, InterruptedRun
from headstart.reports.arms import arms_of
from headstart.reports.records import read_records
from headstart.reports.sentences import opening
from headstart.runs import records, run
from headstart.studies import books
from headstart.studies import study as study_module
from headstart.studies.coordinator import Coordinator
from headstart.studies.study import study
from headstart.tasks import pretext_training, segmentation_training
from headstart.verbs.status import status
from tests.studies.test_study import tiny_study
from tests.tiny_runs import Silent, forked_workers, tiny

POINTS: dict[str, tuple[Any, str, int, int]] = {
    "planning again": (books, "replanned", 1, 0),
    "decoding for a pretext": (pretext_training, "_decoded", 1, 0),
    "a pretext's validation": (records.Recording, "epoch", 1, 0),
    "a pretext's scoring": (pretext_training, "_score", 1, 0),
    "decoding for a run": (segmentation_training, "_decoded", 1, 0),
    "validation": (records.Recording, "epoch", 4, 0),
    "scoring": (segmentation_training, "write_scores", 1, 1),
    "a model card": (run, "model_card", 2, 1),
    "a line of the ledger": (books, "line_of", 1, 1),
    "the ledger": (books, "write_ledger", 2, 1),
    "a later scoring": (segmentation_training, "write_scores", 2, 2),
    "study.json": (study_module, "write_study", 1, 2),
}
"""Where a function is found, its name, which call of it, and runs that are finished after it."""


@pytest.fixture
def config(drawn: Path) -> StudyConfig:
    return tiny_study(drawn, labels=(6,), seeds=(1,))


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / "S"
    study(tiny_study(drawn, labels=(6,), seeds=(1,)), out, Silent(), lambda _: None)
    return (out / "study.json").read_bytes()


@pytest.mark.parametrize(
    ("point", "number"),  # benchmarks/signals.py sends both everywhere, to processes
    [(point, (signal.SIGINT, signal.SIGTERM)[k % 2]) for k, point in enumerate(POINTS)],
)
def test_a_signal_ends_a_study_wherever_it_comes(
    config: StudyConfig,
    whole: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    number: int,
) -> None:
    place, name, call, finished = POINTS[point]
    calls, original = [0], getattr(place, name)

    def signalled(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), number)
        return original(*args, **named)

    before = signal.getsignal(number)
    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(place, name, signalled)
        with pytest.raises(InterruptedRun, match=rf"\[interrupted\].*{finished} of 2") as caught:
            study(config, tmp_path / "S", Silent(), told.append)
    assert caught.value.exit_status == 128 + number
    assert sum(line.startswith("[") for line in told) == finished
    assert signal.getsignal(number) is before
    study(config, tmp_path / "S", Silent(), lambda _: None)
    assert (tmp_path / "S" / "study.json").read_bytes() == whole


def test_a_run_that_is_scored_says_that_it_is_finished(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = segmentation_training.write_scores

    def signalled(*args: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **named)

    monkeypatch.setattr(segmentation_training, "write_scores", signalled)
    listener = Silent()
    run.train(tiny(drawn), tmp_path / "run", listener)
    codes = [finding.code for finding in listener.warnings]
    assert codes[-1] == "stopped-after-the-end" and set(codes[:-1]) <= {"collapsed"}
    assert (tmp_path / "run" / "scores.json").exists()


def kill_once(out: Path, number: int) -> Any:
    """Wrap the scoring of runs, so that the first worker process that scores is ended there."""
    original = segmentation_training.write_scores

    def killed(*args: Any, **named: Any) -> Any:
        with contextlib.suppress(FileExistsError):
            (out / "killed").touch(exist_ok=False)
            os.kill(os.getpid(), number)
        return original(*args, **named)

    return killed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_ended_alone_is_replaced(
    config: StudyConfig,
    whole: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """As the kernel kills it when memory is short, or a cluster takes its place away."""
    told: list[str] = []
    monkeypatch.setattr(segmentation_training, "write_scores", kill_once(tmp_path, number))
    with forked_workers():
        study(config, tmp_path / "S", Silent(), told.append, jobs=2)
    assert sum(line.startswith("[") for line in told) == 2
    if number == signal.SIGKILL:
        assert any("SIGKILL" in line for line in told)
    assert (tmp_path / "S" / "study.json").read_bytes() == whole


def test_a_run_that_fails_is_named_and_the_others_go_on(
    config: StudyConfig, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, told, original = tmp_path / "S", [], run.train

    def failing(config: Any, *args: Any, **named: Any) -> Any:
        if config.start == "scratch" and config.task == "segmentation":
            raise DataError(Finding("not-finite", "error", "the loss became NaN", "try less"))
        return original(config, *args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(run, "train", failing)
        said = r"(?s)\[unfinished\].*1 of the 2 runs.*1 failed.*\[not-finite\].*scratch.*NaN"
        with pytest.raises(HeadstartError, match=said) as caught:
            study(config, out, Silent(), told.append)
    assert caught.value.exit_status == 65
    assert sum(line.startswith("[") for line in told) == 1
    (failed,) = status(out).in_state("failed")
    assert (failed.code, failed.about) == ("not-finite", "scratch, 6 labels, seed 1")
    records = read_records(out)
    (note,) = (n for n in opening(records, arms_of(records))["notes"] if "not-finite" in n)
    assert "scratch, 6 labels, seed 1" in note and "NaN" in note
    study(config, out, Silent(), told.append)
    assert sum(line.startswith("[") for line in told) == 2, "no run is run twice"
    assert (out / "study.json").read_bytes() == whole and not (out / "claims").exists()
    assert not status(out).in_state("failed")


def test_an_incomplete_study_is_no_success(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Coordinator, "work", lambda _: (unit for unit in ()))
    with pytest.raises(HeadstartError, match=r"(?s)\[unfinished\].*0 of the 2 runs.*again"):
        study(config, tmp_path / "S", Silent(), lambda _: None)
