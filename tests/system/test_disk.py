"""What is written is whole or not there; a folder is one process's at a time."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from headstart.errors import DiskError, LockedError
from headstart.system import disk
from headstart.system.disk import locked, waiting_lock, write_atomic, write_json


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, code: int
) -> None:
    path = tmp_path / "scores.json"
    write_json(path, {"dice": 0.5})

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    target = disk.os if failing == "fsync" else Path
    monkeypatch.setattr(target, failing, fail)
    with pytest.raises(DiskError) as caught:
        write_json(path, {"dice": 0.6})
    assert caught.value.exit_status == 74
    assert os.strerror(code) in str(caught.value)
    room = code in (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # only then does it matter
    assert ("MB are free" in str(caught.value)) == room
    assert json.loads(path.read_text()) == {"dice": 0.5}
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_nan_is_refused_rather_than_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"dice": float("nan")})


def _hold(folder: Path, ready, release) -> None:
    with locked(folder):
        ready.set()
        release.wait(20)


def test_a_folder_in_use_is_refused_naming_the_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, release))
    holder.start()
    assert ready.wait(20)
    with pytest.raises(LockedError) as caught, locked(tmp_path):
        pass
    assert caught.value.exit_status == 75 and str(holder.pid) in str(caught.value)
    holder.kill()  # the kernel lets go of a dead process's lock
    holder.join()
    with locked(tmp_path):
        pass


def _append(path: Path, letter: str) -> None:
    for _ in range(20):
        with waiting_lock(path.with_name("locks") / "one.lock"):
            before = path.read_text()
            path.write_text(before + letter)


def test_a_waiting_lock_lets_one_process_in_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.touch()
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(path.read_text()) == ["a"] * 20 + ["b"] * 20
    assert (tmp_path / "locks" / "one.lock").exists()


def test_a_waiting_lock_is_released_when_its_process_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold_waiting_lock, args=(tmp_path / "x.lock", ready))
    holder.start()
    assert ready.wait(20)
    holder.kill()
    holder.join()
    with waiting_lock(tmp_path / "x.lock"):
        pass


def _hold_waiting_lock(path: Path, ready) -> None:
    with waiting_lock(path):
        ready.set()
        time.sleep(60)


def test_a_lock_file_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError), waiting_lock(tmp_path / "file" / "x.lock"):
        pass


def test_temporary_files_of_dead_processes_are_swept(tmp_path: Path) -> None:
    dead, alive = tmp_path / "a.json.tmp-999999999", tmp_path / f"b.json.tmp-{os.getppid()}"
    mine = tmp_path / f"c.json.tmp-{os.getpid()}"  # an earlier process of the same number
    for path in (dead, alive, mine):
        path.touch()
    with locked(tmp_path):
        assert not dead.exists() and not mine.exists() and alive.exists()


def test_content_is_flushed_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power may fail: the file's bytes, then its name, then the folder reach the disk."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(disk.os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_atomic(tmp_path / "x", "content")
    assert calls == ["fsync", "replace", "fsync"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    paths = [tmp_path / ("x" * 254 + end) for end in "ab"]
    assert len({disk.temporary_name(path) for path in paths}) == 2
    for path in paths:
        write_atomic(path, "content")
    assert sorted(tmp_path.iterdir()) == paths
    (tmp_path / disk.temporary_name(paths[0]).name).touch()
    disk.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize(
    "code",
    ["EROFS", "EACCES", "EPERM", "ENOTDIR", "EEXIST", "EISDIR", "ENAMETOOLONG", "EINVAL"],
)
def test_only_a_full_disk_needs_room(code: str) -> None:
    number = getattr(errno, code)
    error = disk.cannot_write(Path("out"), OSError(number, os.strerror(number)))
    assert "room" not in str(error) and "MB" not in str(error) and error.findings[0].hint
    full = disk.cannot_write(Path("out"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert "make room" in str(full) and "MB are free" in str(full)


@pytest.mark.parametrize("out", ["file", "file/run", "x" * 300, "/".join(["x" * 99] * 50)])
def test_an_odd_folder_is_refused_in_words(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError) as caught, locked(tmp_path / out):
        pass
    assert "room" not in str(caught.value) and len(str(caught.value)) < 1000
