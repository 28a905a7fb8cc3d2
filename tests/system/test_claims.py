"""Claims: one holder at a time, found dead without any clock, and never taken twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from headstart.errors import DiskError, LockedError
from headstart.system import claims
from headstart.system.attempts import Ending, attempts, last_lines
from headstart.system.claims import Watch, alone, claim, end

FORK = multiprocessing.get_context("fork")


def elsewhere(root: Path, name: str) -> None:
    """Make the holder of the last claim one of another machine, whose processes are not known."""
    path = attempts(root, name)[-1].folder / "holder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "machine": "other"}))


def test_one_holds_it_until_it_is_given_back(tmp_path: Path) -> None:
    held = claim(tmp_path, "runs/a", "slurm", "17")
    assert held is not None and claim(tmp_path, "runs/a") is None
    held.check()
    (attempt,) = attempts(tmp_path, "runs/a")
    assert attempt.holder is not None and attempt.ending is None
    assert (attempt.holder.executor, attempt.holder.job) == ("slurm", "17")
    assert (attempt.holder.pid, attempt.holder.is_gone) == (os.getpid(), False)
    held.end(Ending("interrupted", "interrupted", "a signal"))
    with pytest.raises(LockedError, match="claim-lost"):
        held.check()
    again = claim(tmp_path, "runs/a")
    assert again is not None
    first, second = attempts(tmp_path, "runs/a")
    assert first.ending is not None and first.ending.outcome == "interrupted"
    assert (second.number, second.ending) == (2, None)
    again.end(Ending("finished"))
    assert attempts(tmp_path, "runs/a") == () and not (tmp_path / "claims/runs/a").exists()


def test_many_that_try_at_once_and_one_gets_it(tmp_path: Path) -> None:
    start = FORK.Barrier(8)

    def attempt(queue: multiprocessing.SimpleQueue) -> None:
        start.wait()
        held = claim(tmp_path, "a")
        queue.put(held is not None)
        start.wait()
        os._exit(0)

    for _ in range(5):
        queue = FORK.SimpleQueue()
        children = [FORK.Process(target=attempt, args=(queue,)) for _ in range(8)]
        for child in children:
            child.start()
        assert sum(queue.get() for _ in children) == 1
        for child in children:
            child.join()
        dead = attempts(tmp_path, "a")[-1]
        assert Watch().is_dead(dead), "its process has ended, so nobody waits for its heartbeat"
        end(dead.folder, Ending("died"))


def test_the_dead_of_other_machines_are_those_without_a_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    now = [0.0]
    watch = Watch(lambda: now[0])
    held = claim(tmp_path, "a")
    assert held is not None
    elsewhere(tmp_path, "a")
    for _ in range(3):  # it lives, however long the observer did not look
        assert not watch.is_dead(attempts(tmp_path, "a")[-1])
        now[0] += 10 * claims.DEAD_AFTER
        time.sleep(0.1)
    held._over.set()  # as if the machine had stopped
    held._thread.join()
    assert not watch.is_dead(attempts(tmp_path, "a")[-1])
    now[0] += claims.DEAD_AFTER - 1
    assert not watch.is_dead(attempts(tmp_path, "a")[-1])
    now[0] += 2
    assert watch.is_dead(attempts(tmp_path, "a")[-1])


def test_a_number_of_a_process_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    held = claim(tmp_path, "a")
    assert held is not None
    path = held.attempt / "holder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "began": "1"}))
    assert Watch().is_dead(attempts(tmp_path, "a")[-1])


def test_who_was_taken_over_notices_and_ends_nothing(tmp_path: Path) -> None:
    slow = claim(tmp_path, "a")
    assert slow is not None
    end(attempts(tmp_path, "a")[-1].folder, Ending("died"))  # it was suspended for too long
    taker = claim(tmp_path, "a")
    assert taker is not None
    with pytest.raises(LockedError, match="claim-lost"):
        slow.check()
    slow.end(Ending("failed", "not-finite", "NaN"))
    taker.check()
    first, second = attempts(tmp_path, "a")
    assert first.ending is not None and first.ending.outcome == "died" and second.ending is None
    taker.end(Ending("finished"))
    with pytest.raises(LockedError, match="claim-lost"):
        slow.check()
    anew = claim(tmp_path, "a")  # the same number as the first had
    assert anew is not None and anew.attempt == slow.attempt
    with pytest.raises(LockedError, match="claim-lost"):
        slow.check()
    anew.check()


def test_a_late_taker_does_not_take_a_claim_that_was_taken(tmp_path: Path) -> None:
    """It saw the first holder dead, and goes on when a second has the claim already."""
    first = claim(tmp_path, "a")
    assert first is not None
    dead = attempts(tmp_path, "a")[-1]
    end(dead.folder, Ending("died"))
    second = claim(tmp_path, "a")
    assert second is not None
    end(dead.folder, Ending("died", message="said again"))
    assert claim(tmp_path, "a") is None
    second.check()


def test_what_is_written_alone_is_never_lost(tmp_path: Path) -> None:
    """Processes count a number up, and some are killed while they hold the claim."""
    total = tmp_path / "total"
    total.write_text("0")

    def count(dies: bool) -> None:
        for i in range(10):
            with alone(tmp_path, "writing", pause=0.001):
                if dies and i == 5:
                    os._exit(1)
                total.write_text(str(int(total.read_text()) + 1))
        os._exit(0)

    children = [FORK.Process(target=count, args=(k == 0,)) for k in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert int(total.read_text()) == 10 + 10 + 5
    assert len(list((tmp_path / "claims/writing").iterdir())) <= 2


def test_waiting_alone_ends_when_asked(tmp_path: Path) -> None:
    held = claim(tmp_path, "a")
    assert held is not None
    with alone(tmp_path, "a", lambda: True) as got:
        assert got is None
    held.check()


def test_a_folder_that_was_deleted_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(DiskError):
        claim(tmp_path / "gone", "a")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outcome": "died", "later": 1}'])
def test_an_end_that_was_torn_is_an_end(tmp_path: Path, content: str) -> None:
    held = claim(tmp_path, "a")
    assert held is not None
    (held.attempt / "end.json").write_text(content)
    ending = attempts(tmp_path, "a")[-1].ending
    assert ending is not None and ending.outcome == "died"
    assert claim(tmp_path, "a") is not None


def test_the_end_of_a_log(tmp_path: Path) -> None:
    assert last_lines(tmp_path) == ()
    (tmp_path / "log").write_text("".join(f"line {k}\n" for k in range(9000)) + "\x1b[31mlast")
    lines = last_lines(tmp_path, 2)
    assert lines == ("line 8999", "\\x1b[31mlast")


def test_threads_end_with_their_claims(tmp_path: Path) -> None:
    before = threading.active_count()
    for name in "abc":
        with alone(tmp_path, name):
            pass
    assert threading.active_count() == before
