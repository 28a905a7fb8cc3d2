"""The cache: made once, verified, made again where it is damaged, never half there."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from headstart.data import cache as cache_module
from headstart.data.cache import cached, open_array, write_array
from headstart.errors import DiskError
from headstart.system.disk import waiting_lock

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


def maker(calls: list[Path]):
    def make(folder: Path) -> None:
        calls.append(folder)
        write_array(folder / "array.npy", "<f4", ARRAY.shape, (row.tobytes() for row in ARRAY))

    return make


def test_it_is_made_once_and_other_content_is_another_folder(tmp_path: Path) -> None:
    calls: list[Path] = []
    first = cached(tmp_path, ["a", 1], maker(calls))
    assert cached(tmp_path, ["a", 1], maker(calls)) == first and len(calls) == 1
    assert np.array_equal(open_array(first / "array.npy"), ARRAY)
    assert cached(tmp_path, ["a", 2], maker(calls)) != first and len(calls) == 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "index"])
def test_what_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    calls: list[Path] = []
    folder = cached(tmp_path, "a", maker(calls))
    file = folder / ("sha256.json" if damage == "index" else "array.npy")
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        content[-1] ^= 1
        file.write_bytes(content[:-3] if damage == "truncate" else content)
    assert cached(tmp_path, "a", maker(calls)) == folder and len(calls) == 2
    assert np.array_equal(open_array(folder / "array.npy"), ARRAY)


def test_what_fails_leaves_nothing_and_what_a_kill_left_is_not_used(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "array.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, "a", fails)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    calls: list[Path] = []
    key = cached(tmp_path, "a", maker(calls)).name
    (tmp_path / key).rename(tmp_path / f"{key}.partial")
    assert cached(tmp_path, "a", maker(calls)).name == key and len(calls) == 2


def test_of_several_one_makes_it_and_the_others_find_it(tmp_path: Path) -> None:
    calls: list[Path] = []
    threads = [
        threading.Thread(target=cached, args=(tmp_path, "a", maker(calls))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_cache_that_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        cached(tmp_path / "file" / "cache", "a", maker([]))


def test_a_large_array_is_mapped_and_may_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cached(tmp_path, "a", maker([]))
    monkeypatch.setattr("headstart.data.cache._IN_MEMORY", 0)
    mapped = open_array(folder / "array.npy")
    assert isinstance(mapped, np.memmap)
    mapped[:] = 0
    assert np.array_equal(open_array(folder / "array.npy"), ARRAY)


def test_machines_make_the_same_folder_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their locks may not exclude each other on a disk that they share."""
    calls: list[Path] = []

    def slowly(folder: Path) -> None:
        maker(calls)(folder)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(cache_module, "this_machine", lambda: "other")
            cached(tmp_path, "a", maker(calls))

    first = cached(tmp_path, "a", slowly)
    assert len(calls) == 2 and calls[0] != calls[1]
    assert cached(tmp_path, "a", maker(calls)) == first and len(calls) == 2
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [first]


def test_what_killed_processes_left_of_other_keys_is_swept(tmp_path: Path) -> None:
    for name in ("killed", "alive"):
        (tmp_path / f"{name}.partial").mkdir()
    with waiting_lock(tmp_path / "alive.lock"):
        cached(tmp_path, "key", lambda folder: None)
    assert {path.name for path in tmp_path.glob("*.partial")} == {"alive.partial"}
