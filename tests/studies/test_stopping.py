"""A signal at any point of a study's life: it ends with the right status, and goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from headstart.config.records import StudyConfig
from headstart.errors import HeadstartError, InterruptedRun
from headstart.runs import records, run
from headstart.studies import study as study_module
from headstart.studies import workers
from headstart.studies.study import study
from headstart.system.signals import Stopping
from headstart.tasks import pretext_training, segmentation_training
from tests.conftest import Silent, blank_figures, forked_workers, tiny
from tests.studies.test_study import tiny_study

pytestmark = pytest.mark.usefixtures("unseen")
POINTS: dict[str, tuple[Any, str, int, int]] = {
    "planning again": (study_module, "replanned", 1, 0),
    "decoding for a pretext": (pretext_training, "_decoded", 1, 0),
    "a pretext's validation": (records.Recording, "epoch", 1, 0),
    "a pretext's scoring": (pretext_training, "_score", 1, 0),
    "decoding for a run": (segmentation_training, "_decoded", 1, 0),
    "validation": (records.Recording, "epoch", 4, 0),
    "scoring": (segmentation_training, "write_scores", 1, 1),
    "a model card": (run, "model_card", 2, 1),
    "a line of the ledger": (study_module, "line_of", 1, 1),
    "the ledger": (study_module, "write_ledger", 2, 1),
    "a later scoring": (segmentation_training, "write_scores", 2, 2),
    "study.json": (study_module, "_write_study", 1, 2),
}
"""Where a function is found, its name, which call of it, and runs that are finished after it."""


@pytest.fixture
def config(drawn: Path) -> StudyConfig:
    return tiny_study(drawn, labels=(6,), seeds=(1,))


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / "S"
    with blank_figures():
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


@pytest.mark.parametrize("noticed", ["when it should have finished", "when more is to begin"])
def test_a_worker_that_dies_is_named_and_finished_runs_are_kept(
    config: StudyConfig,
    whole: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    noticed: str,
) -> None:
    """As the kernel kills it when memory is short."""

    class Dying:
        def __init__(self, *_: object, **__: object) -> None:
            self.given = 0

        def __enter__(self) -> Dying:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, work: Any, *args: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.given += 1
            if self.given == 3 and "begin" in noticed:
                raise BrokenProcessPool
            if self.given == 3:
                future.set_exception(BrokenProcessPool())
            else:
                future.set_result(work(*args))
            return future

    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(workers, "ProcessPoolExecutor", Dying)
        with pytest.raises(HeadstartError, match=r"(?s)\[worker-died\].*6 labels.*--jobs"):
            study(config, tmp_path / "S", Silent(), told.append, jobs=2)
    finished = sum(line.startswith("[") for line in told)
    assert 1 <= finished < 2
    study(config, tmp_path / "S", Silent(), told.append)
    assert sum(line.startswith("[") for line in told) == 2, "no run is run twice"
    assert (tmp_path / "S" / "study.json").read_bytes() == whole


def test_a_signal_to_workers_alone_does_not_end_a_study_as_if_it_were_complete(
    config: StudyConfig, whole: bytes, tmp_path: Path
) -> None:
    told: list[str] = []

    def signalling(line: str) -> None:
        told.append(line)
        if len(told) == 1:
            for process in multiprocessing.active_children():
                process.terminate()

    said = r"(?s)\[worker-died\].*signal.*same command"
    with forked_workers(), pytest.raises(HeadstartError, match=said):
        study(config, tmp_path / "S", Silent(), signalling, jobs=2)
    finished = sum(line.startswith("[") for line in told)
    assert finished < 2
    study(config, tmp_path / "S", Silent(), told.append)
    assert sum(line.startswith("[") for line in told) == 2, "no run is run twice"
    assert (tmp_path / "S" / "study.json").read_bytes() == whole


def test_an_error_in_the_parent_does_not_wait_for_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a full disk when the ledger is written: other runs may take hours."""
    running: Future[Any] = Future()

    class Pool:
        def __init__(self, *_: object, **__: object) -> None:
            self.given = 0

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            running.result(timeout=0)  # a real pool waits for it

        def submit(self, *_: object) -> Future[Any]:
            self.given += 1
            if self.given == 1:
                first: Future[Any] = Future()
                first.set_result({})
                return first
            return running

    class Process:
        def terminate(self) -> None:
            running.set_result({})

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(multiprocessing, "active_children", lambda: [Process()])
    works = [workers.Work(k, tmp_path / str(k), lambda: None, tmp_path, 1.0) for k in range(2)]  # type: ignore[arg-type, return-value]
    with (
        pytest.raises(ZeroDivisionError),
        Stopping() as stopping,
        contextlib.closing(workers.working(works, 2, Silent(), stopping)) as results,
    ):
        for _ in results:
            _ = 1 / 0
    assert running.done()


def test_an_incomplete_study_is_no_success(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "working", lambda *_: (work for work in ()))
    with pytest.raises(HeadstartError, match=r"(?s)\[unfinished\].*0 of the 2 runs.*again"):
        study(config, tmp_path / "S", Silent(), lambda _: None)
