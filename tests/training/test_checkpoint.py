"""No kill, full disk or flipped bit may cost more than the newest checkpoint."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import DataError, DiskError
from headstart.system import disk
from headstart.training import checkpoint
from headstart.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)


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
    "zeros at its end": lambda p: p.write_bytes(p.read_bytes()[:-40] + bytes(40)),
    "of another step": lambda p: p.write_bytes(p.with_stem("step-00000010").read_bytes()[::-1]),
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


def test_weights_come_back_with_their_facts_and_the_same_bytes(tmp_path: Path) -> None:
    weights = {
        "b": torch.randn(3, 4, 2, 2).contiguous(memory_format=torch.channels_last),
        "a": torch.ones(2),
    }
    facts = {"names": ["x", "y"], "width": 4}
    for name in ("one", "two"):
        save_weights(tmp_path / name, weights, facts)
    loaded, read, _ = load_weights(tmp_path / "one")
    assert read == facts and all(torch.equal(loaded[k], weights[k]) for k in weights)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_flipped_bit_is_loaded(tmp_path: Path) -> None:
    """300 flips in both files of the newest: its weights, or those of the one before."""
    _save(tmp_path, 10, 20)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    parts = [path for path in kept if "20" in path.name]
    rng, seen = random.Random(0), set()
    for _ in range(300):
        path = rng.choice(parts)
        content = bytearray(kept[path])
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        state, findings = load_checkpoint(tmp_path)
        assert state is not None
        step = 10 if findings else 20
        assert torch.equal(state["weights"], torch.full((50,), float(step)))
        assert step == 10 or path.suffix == ".json"  # a fact that decides nothing
        seen.add((step, path.suffix))
        for part in tmp_path.iterdir():
            part.unlink()
        for part, whole in kept.items():
            part.write_bytes(whole)
    assert seen == {(10, ".pt"), (10, ".json"), (20, ".json")}


def test_order_is_by_step_whatever_the_clock_says(tmp_path: Path) -> None:
    _save(tmp_path, 10, 20)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0) if "20" in path.name else (2_000_000_000, 2_000_000_000))
    _save(tmp_path, 30)
    assert not list(tmp_path.glob("*10*")), "the oldest step goes, not the oldest file"
    for path in tmp_path.glob("*30*"):
        os.utime(path, (0, 0))
    state, _ = load_checkpoint(tmp_path)
    assert state is not None and state["weights"][0] == 30


def _killed_at(call: int, folder: Path, step: int) -> bool:
    """Save in a process that dies before its call number ``call`` of the disk; False if not."""
    child = os.fork()
    if child == 0:
        calls = itertools.count(1)

        def dying(original: Any) -> Any:
            def last(*args: Any, **named: Any) -> Any:
                if next(calls) == call:
                    if original is os.fsync and os.fstat(args[0]).st_mode & 0o100000:
                        os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)  # half is written
                    os._exit(9)
                return original(*args, **named)

            return last

        disk.os.fsync = dying(os.fsync)
        for name in ("open", "replace", "unlink"):
            setattr(Path, name, dying(getattr(Path, name)))
        _save(folder, step)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_killed_before_any_call_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No checkpoint but the one being written is lost, and the next start leaves no file of it."""
    monkeypatch.setenv("TMPDIR", "/nowhere")  # temporary files lie beside what they become
    saved, call = 20, 1
    _save(tmp_path, 10, 20)
    while _killed_at(call, tmp_path, saved + 10):
        disk.sweep(tmp_path)
        assert {path.suffix for path in tmp_path.iterdir()} == {".pt", ".json"}
        state, findings = load_checkpoint(tmp_path)
        assert state is not None and findings == []
        assert state["weights"][0] in (saved, saved + 10)
        saved, call = int(state["weights"][0]), call + 1
    assert call > 9 and len(list(tmp_path.iterdir())) == 4


def test_power_may_fail_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names reach the disk with the next flush of the folder, or earlier, in any order.

    What was written to a file and not flushed is gone.
    """
    log: list[tuple[str, Path, bytes]] = []
    folder, flushed = tmp_path / "real", {}
    folder.mkdir()
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def flush(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == folder:
            log.append(("flush", path, b""))
        else:
            flushed[path] = path.read_bytes()
        fsync(descriptor)

    def rename(path: Path, target: Path) -> Path:
        log.append(("name", target, flushed.get(path, b"")))
        return replace(path, target)

    def remove(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            log.append(("remove", path, b""))
        unlink(path, missing_ok)

    monkeypatch.setattr(disk.os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", rename)
    monkeypatch.setattr(Path, "unlink", remove)
    ends = {}
    for step in (10, 20, 30):
        _save(folder, step)
        ends[len(log)] = step
    monkeypatch.undo()
    assert sum(kind == "flush" for kind, *_ in log) == 6
    cases = 0
    for end in range(len(log) + 1):
        last = max((k for k in range(end) if log[k][0] == "flush"), default=-1) + 1
        pending = range(last, end)
        for count in range(len(pending) + 1):
            for chosen in itertools.combinations(pending, count):
                place = tmp_path / f"case{cases}"
                place.mkdir()
                for kind, path, content in [log[k] for k in (*range(last), *chosen)]:
                    if kind == "name":
                        (place / path.name).write_bytes(content)
                    elif kind == "remove":
                        (place / path.name).unlink(missing_ok=True)
                done = max((step for k, step in ends.items() if k <= end), default=0)
                state, findings = load_checkpoint(place)
                found = 0 if state is None else int(state["weights"][0])
                assert findings == [] and done <= found <= done + 10
                cases += 1
    assert cases > 20


EVENTS = ("save", "kill", "full disk", "flip", "resume")


@settings(max_examples=60)
@given(st.lists(st.sampled_from(EVENTS), max_size=14))
def test_any_order_of_saves_kills_full_disks_flips_and_resumptions(events: list[str]) -> None:
    """Against a model: the newest that is whole is resumed, and what was lost is said."""
    whole: dict[int, bool] = {}  # by step: whether nobody has flipped a bit of it
    step, damaged = 0, False
    with tempfile.TemporaryDirectory() as name, mock.patch.object(disk.os, "fsync"):
        folder = Path(name)
        for event in events:
            if event == "save":
                step += 10
                _save(folder, step)
                whole = dict(sorted({**whole, step: True}.items())[-2:])
            elif event == "kill":
                killed = mock.patch.object(checkpoint, "write_json", side_effect=KeyboardInterrupt)
                with killed, pytest.raises(KeyboardInterrupt):
                    _save(folder, step + 10)
            elif event == "full disk":
                full = mock.patch.object(Path, "replace", side_effect=OSError(28, "full"))
                with full, pytest.raises(DiskError):
                    _save(folder, step + 10)
            elif event == "flip" and whole:
                _flip(folder / f"step-{max(whole):08d}.pt")
                whole[max(whole)] = not whole[max(whole)]  # twice is as it was
            elif event == "resume":
                while whole and not whole[max(whole)]:
                    del whole[max(whole)]
                    damaged = True
                if whole or not damaged:
                    state, _ = load_checkpoint(folder)
                    step = 0 if state is None else int(state["weights"][0])
                    assert step == max(whole, default=0)
                else:
                    with pytest.raises(DataError, match="no-valid-checkpoint"):
                        load_checkpoint(folder)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"{}", b"\xff" * 100])
def test_weights_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"\[bad-weights\].*weights\.safetensors"):
        load_weights(path)
    with pytest.raises(DataError, match=r"\[unreadable\].*absent"):
        load_weights(tmp_path / "absent")
