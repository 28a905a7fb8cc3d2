"""Coordinators on one folder, with a stand-in for the training that takes no time."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.errors import DataError, DiskError, Finding, HeadstartError
from headstart.studies import coordinator as coordinator_module
from headstart.studies.coordinator import MOST_TRIES, Coordinator
from headstart.studies.local import Processes, ThisProcess, TrainAndMeasure
from headstart.studies.units import Unit, queue_of
from headstart.studies.worker import claimed
from headstart.system.attempts import attempts, last_lines
from headstart.system.claims import claim
from headstart.system.signals import Stopping
from headstart.training.listener import ignore
from tests.tiny_runs import forked_workers

FORK = multiprocessing.get_context("fork")
Trained = Callable[[str], object]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator_module, "POLL", 0.02)
    monkeypatch.setattr(coordinator_module, "_TICK", 0.02)


def units(count: int) -> list[Unit]:
    """A pretext, units that need it, and as many that do not."""
    first = Unit(name="starts/p", about="pretext p", pretext="p")
    after = [Unit(name=f"runs/a{k}", about=f"a{k}", needs=("starts/p",)) for k in range(count)]
    return [first, *after, *(Unit(name=f"runs/b{k}", about=f"b{k}") for k in range(count))]


def write(name: str, root: Path, seconds: float = 0.0, fails: str = "", how: str = "") -> None:
    """Note who begins a unit and who ends it; this is the training."""
    with claimed(root, name, logs=how == "killed") as held:
        if is_done(root, name):
            return
        if name == fails:
            _fail(how)
        if "/a" in name:
            assert is_done(root, "starts/p")
        time.sleep(seconds)
        held.check()
        done(root, name)


def done(root: Path, name: str) -> None:
    """Finish a unit: one file for each time, so that no kill falls between two of them."""
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / f"done-{uuid.uuid4().hex}").touch()


def is_done(root: Path, name: str) -> bool:
    return any((root / name).glob("done-*"))


def _fail(how: str) -> None:
    if how == "killed":
        os.write(1, b"the last words\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "alone":
        os.kill(os.getpid(), signal.SIGTERM)
        raise Stopping().__enter__().interrupted(Finding("interrupted", "info", "saved"))
    raise {
        "nan": DataError(Finding("not-finite", "error", "NaN")),
        "disk": DiskError(Finding("disk", "error", "full")),
        "memory": MemoryError(),
        "bug": ZeroDivisionError("a bug"),
    }[how]


def measuring(train: Trained) -> TrainAndMeasure:
    return functools.partial(_and_measure, train)


def _and_measure(train: Trained, name: str, *, measured: Callable[[], None]) -> None:
    measured()  # the next may begin
    train(name)


def coordinate(
    root: Path, works: list[Unit], jobs: int, train: Trained, tell: Callable[[str], None]
) -> tuple[list[str], Coordinator]:
    def finished(unit: Unit) -> bool:
        return is_done(root, unit.name)

    with Stopping() as stopping, forked_workers():
        executor = ThisProcess(train) if jobs == 1 else Processes(measuring(train), jobs)
        made = Coordinator(root, works, finished, executor, stopping, tell)
        return [unit.name for unit in made.work()], made


def ends(root: Path) -> dict[str, int]:
    """Return how often each unit was trained to its end."""
    return dict(Counter(p.parent.relative_to(root).as_posix() for p in root.glob("*/*/done-*")))


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_are_trained_once_after_what_they_need(tmp_path: Path, jobs: int) -> None:
    works = units(4)
    names, made = coordinate(tmp_path, works, jobs, functools.partial(write, root=tmp_path), ignore)
    assert sorted(names) == sorted(unit.name for unit in works) and not made.progress.failed
    assert ends(tmp_path) == {unit.name: 1 for unit in works}
    assert names[0] == "starts/p" or jobs == 2
    assert not list(tmp_path.glob("claims/*/*")), "nothing is left of finished units"


def _in_child(root: Path, jobs: int, seconds: float, seed: int) -> None:
    os.setsid()
    time.sleep(random.Random(seed).uniform(0, 0.02))
    train = functools.partial(write, root=root, seconds=seconds)
    _, made = coordinate(root, units(4), jobs, train, ignore)
    os._exit(0 if len(made.progress.finished) == 9 else 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_two_that_start_at_once_share_the_work(tmp_path: Path, jobs: int) -> None:
    for k in range(3):
        (root := tmp_path / str(k)).mkdir()
        both = [FORK.Process(target=_in_child, args=(root, jobs, 0.005, i)) for i in (1, 2)]
        for child in both:
            child.start()
        for child in both:
            child.join()
        assert [child.exitcode for child in both] == [0, 0]
        assert ends(root) == {unit.name: 1 for unit in units(4)}


def test_one_is_killed_and_the_other_finishes(tmp_path: Path) -> None:
    for k in range(4):
        (root := tmp_path / str(k)).mkdir()
        both = [FORK.Process(target=_in_child, args=(root, 1 + k % 2, 0.02, i)) for i in (1, 2)]
        for child in both:
            child.start()
        time.sleep(0.05 + 0.02 * k)
        both[k % 2].kill()  # its workers end themselves
        for child in both:
            child.join()
        assert both[1 - k % 2].exitcode == 0
        assert ends(root) == {unit.name: 1 for unit in units(4)}


@pytest.mark.parametrize(
    ("how", "tries", "jobs"),
    [
        ("nan", 1, 1), ("memory", MOST_TRIES, 1), ("bug", MOST_TRIES, 1), ("nan", 1, 2),
        ("killed", MOST_TRIES, 2), ("alone", MOST_TRIES, 2),
    ],
)  # fmt: skip
def test_what_fails_is_tried_again_where_it_helps_and_the_others_go_on(
    tmp_path: Path, how: str, tries: int, jobs: int
) -> None:
    told: list[str] = []
    train = functools.partial(write, root=tmp_path, fails="runs/a1", how=how)
    names, made = coordinate(tmp_path, units(2), jobs, train, told.append)
    assert len(names) == 4 and set(made.progress.failed) == {"runs/a1"} and not made.blocked()
    tried = attempts(tmp_path, "runs/a1")
    assert len(tried) == tries and all(a.ending is not None for a in tried)
    assert any("a1 failed" in line for line in told)
    if how == "killed":
        assert last_lines(tried[-1].folder)[-1] == "the last words"
        assert made.progress.failed["runs/a1"].code == "worker-died"
        assert "SIGKILL" in made.progress.failed["runs/a1"].message
    again, made = coordinate(tmp_path, units(2), 1, functools.partial(write, root=tmp_path), ignore)
    assert not made.progress.failed and len(again) == 5, "the same command tries it anew"
    assert ends(tmp_path) == {unit.name: 1 for unit in units(2)}


def test_what_needs_a_failed_pretext_is_not_tried(tmp_path: Path) -> None:
    train = functools.partial(write, root=tmp_path, fails="starts/p", how="nan")
    names, made = coordinate(tmp_path, units(2), 1, train, ignore)
    assert set(names) == {"runs/b0", "runs/b1"} and set(made.progress.failed) == {"starts/p"}
    assert [unit.name for unit in made.blocked()] == ["runs/a0", "runs/a1"]


def test_a_full_disk_ends_the_work(tmp_path: Path) -> None:
    train = functools.partial(write, root=tmp_path, fails="runs/b0", how="disk")
    with pytest.raises(DiskError):
        coordinate(tmp_path, units(3), 1, train, ignore)
    assert "runs/b1" not in ends(tmp_path)


def test_an_error_before_a_claim_is_no_endless_loop(tmp_path: Path) -> None:
    def refuse(name: str) -> None:
        raise HeadstartError(Finding("no-such-unit", "error", name))

    names, made = coordinate(tmp_path, units(1), 1, refuse, ignore)
    assert names == [] and set(made.progress.failed) == {"starts/p", "runs/b0"}


def test_a_failure_of_another_coordinator_counts(tmp_path: Path) -> None:
    works = [Unit(name="runs/b0", about="b0"), Unit(name="runs/b1", about="b1")]

    def train(name: str) -> None:
        if name == "runs/b0":  # meanwhile, elsewhere
            with pytest.raises(DataError):
                write("runs/b1", tmp_path, fails="runs/b1", how="nan")
        write(name, tmp_path)

    names, made = coordinate(tmp_path, works, 1, train, ignore)
    assert names == ["runs/b0"] and set(made.progress.failed) == {"runs/b1"}


def test_it_waits_for_what_others_train_and_takes_over_what_died(tmp_path: Path) -> None:
    ours = claim(tmp_path, "runs/b1")
    assert ours is not None
    told: list[str] = []

    def die() -> None:
        os._exit(0 if claim(tmp_path, "runs/b0") is not None else 1)

    child = FORK.Process(target=die)
    child.start()
    child.join()

    def tell(line: str) -> None:
        told.append(line)
        done(tmp_path, "runs/b1")

    works = [Unit(name="runs/b0", about="b0"), Unit(name="runs/b1", about="b1")]
    names, made = coordinate(tmp_path, works, 1, functools.partial(write, root=tmp_path), tell)
    assert names == ["runs/b0", "runs/b1"] and ends(tmp_path) == {"runs/b0": 1, "runs/b1": 1}
    assert len(told) == 1 and "waiting for 1" in told[0]
    assert len(made.progress.finished) == 2


def wait_for_a_signal(name: str, root: Path) -> None:
    if name == "runs/b0":
        write(name, root)
    with Stopping() as stopping:
        while not stopping.asked() and name != "runs/b0":
            time.sleep(0.01)
        (root / "saved").write_text(name)


def test_an_error_of_the_caller_does_not_wait_for_runs(tmp_path: Path) -> None:
    """Such as a full disk when the ledger is written: other runs may take hours."""
    works = [Unit(name="runs/b0", about="b0"), Unit(name="runs/b1", about="b1")]
    with Stopping() as stopping, forked_workers():
        train = functools.partial(wait_for_a_signal, root=tmp_path)
        executor = Processes(measuring(train), 2)

        def finished(unit: Unit) -> bool:
            return unit.name == "runs/b0" and is_done(tmp_path, unit.name)

        args = (finished, executor, stopping)
        work = Coordinator(tmp_path, works, *args, print).work()
        with pytest.raises(ZeroDivisionError), contextlib.closing(work):
            for _ in work:
                _ = 1 / 0
    assert (tmp_path / "saved").read_text() == "runs/b1"


def test_a_pretext_begins_before_longer_runs_if_its_own_run_is_long() -> None:
    pretext = Unit(name="starts/p", about="", steps=20, pretext="p")
    after = Unit(name="runs/after", about="", steps=90, needs=("starts/p",))
    long, short = (Unit(name=f"runs/{n}", about="", steps=n) for n in (100, 10))
    works = [short, pretext, long, after]
    queue, ready = queue_of(works), [short, pretext, long]
    order = []
    while ready:
        order.append(queue.next(ready, works, 3))
        ready.remove(order[-1])
    assert order == [pretext, long, short]


def test_the_order_keeps_seeds_and_ends_with_the_short_ones() -> None:
    works = [
        Unit(name=f"{seed}{size}", about="", seed=seed, steps=steps)
        for seed in range(1, 9)
        for size, steps in (("short", 1), ("long", 10))
    ]
    queue, left, order = queue_of(works), list(works), []
    while left:
        order.append(queue.next(left, left, 2))
        left.remove(order[-1])
    assert [unit.seed for unit in order[:6]] == [1, 1, 2, 2, 3, 3]
    assert [unit.steps for unit in order[-3:]] == [1, 1, 1]
    left, order = list(works), []
    while left:
        order.append(queue.next(left, left, 1))
        left.remove(order[-1])
    assert order == works, "one at a time, seed by seed"
