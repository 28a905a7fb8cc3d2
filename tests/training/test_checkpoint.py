"""No kill, full disk or flipped bit may cost more than the newest checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.errors import DataError
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


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"{}", b"\xff" * 100])
def test_weights_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"\[bad-weights\].*weights\.safetensors"):
        load_weights(path)
    with pytest.raises(DataError, match=r"\[unreadable\].*absent"):
        load_weights(tmp_path / "absent")
