"""No kill, full disk or flipped bit may cost more than the newest checkpoint."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from headstart import checkpoint
from headstart.checkpoint import (
    load_checkpoint,
    load_weights,
    locked,
    save_checkpoint,
    save_weights,
    write_atomic,
    write_json,
)
from headstart.errors import DataError, DiskError, LockedError


def _save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, {"weights": torch.full((50,), float(step))}, {"epochs": 0})


def test_the_newest_is_continued_and_two_are_kept(tmp_path: Path) -> None:
    _save(tmp_path, 10, 20, 30)
    state, findings = load_checkpoint(tmp_path)
    assert state is not None and state["weights"][0] == 30 and findings == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000020.json", "step-00000020.pt", "step-00000030.json", "step-00000030.pt",
    ]  # fmt: skip


def test_none_where_there_never_was_one(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint") == (None, [])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "one bit flipped": _flip,
    "cut in half": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "three bytes short": lambda p: p.write_bytes(p.read_bytes()[:-3]),
    "emptied": lambda p: p.write_bytes(b""),
    "a web page": lambda p: p.write_text("<html>not found</html>"),
    "gone": lambda p: p.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_damaged_one_is_never_loaded(tmp_path: Path, damage, suffix: str) -> None:
    _save(tmp_path, 10, 20)
    damage(tmp_path / f"step-00000020{suffix}")
    state, findings = load_checkpoint(tmp_path)
    assert state is not None and state["weights"][0] == 10
    if suffix == ".pt" or (tmp_path / "step-00000020.json.corrupt").exists():
        assert findings[0].code == "checkpoint-damaged" and "step-00000020" in findings[0].message
        assert not (tmp_path / "step-00000020.json").exists()


def test_all_damaged_is_an_error_and_never_a_new_beginning(tmp_path: Path) -> None:
    _save(tmp_path, 10, 20)
    for path in tmp_path.glob("*.pt"):
        _flip(path)
    for _ in range(2):  # asking again gives the same answer
        with pytest.raises(DataError) as caught:
            load_checkpoint(tmp_path)
        assert caught.value.exit_status == 65
        assert len(caught.value.findings[0].files) == 2


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, code: int
) -> None:
    path = tmp_path / "scores.json"
    write_json(path, {"dice": 0.5})

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    target = checkpoint.os if failing == "fsync" else Path
    monkeypatch.setattr(target, failing, fail)
    with pytest.raises(DiskError) as caught:
        write_json(path, {"dice": 0.6})
    assert caught.value.exit_status == 74
    assert os.strerror(code) in str(caught.value) and "MB are free" in str(caught.value)
    assert json.loads(path.read_text()) == {"dice": 0.5}
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_an_interrupted_save_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two files of a checkpoint, as a kill there would leave it."""
    _save(tmp_path, 10)
    monkeypatch.setattr(
        checkpoint, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        _save(tmp_path, 20)
    state, _ = load_checkpoint(tmp_path)
    assert state is not None and state["weights"][0] == 10


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


def test_temporary_files_of_dead_processes_are_swept(tmp_path: Path) -> None:
    dead, alive = tmp_path / "a.json.tmp-999999999", tmp_path / f"b.json.tmp-{os.getpid()}"
    dead.touch()
    alive.touch()
    with locked(tmp_path):
        assert not dead.exists() and alive.exists()


def test_weights_come_back_with_their_facts_and_the_same_bytes(tmp_path: Path) -> None:
    weights = {
        "b": torch.randn(3, 4, 2, 2).contiguous(memory_format=torch.channels_last),
        "a": torch.ones(2),
    }
    facts = {"names": ["x", "y"], "width": 4}
    for name in ("one", "two"):
        save_weights(tmp_path / name, weights, facts)
    loaded, read = load_weights(tmp_path / "one")
    assert read == facts and all(torch.equal(loaded[k], weights[k]) for k in weights)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"{}", b"\xff" * 100])
def test_weights_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or no weights file"):
        load_weights(path)
    with pytest.raises(DataError, match="expected the weights of a finished run"):
        load_weights(tmp_path / "absent")


def test_content_is_flushed_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power may fail: the file's bytes, then its name, then the folder reach the disk."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(checkpoint.os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_atomic(tmp_path / "x", "content")
    assert calls == ["fsync", "replace", "fsync"]
