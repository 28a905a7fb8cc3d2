"""How many pixels are decoded at once, and in which order results come."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headstart.data.pictures.in_flight import in_order, pixels_in


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (10, 1), (20, 2), (45, 4)])
def test_items_in_flight_stay_within_the_pixels(limit: int, most: int) -> None:
    lock, taken = threading.Lock(), 0
    started: list[int] = []

    def work(item: int) -> int:
        with lock:
            started.append(item)
            assert len(started) - taken <= most
        return item * item

    with ThreadPoolExecutor(8) as pool:
        found = []
        for result in in_order(pool, work, range(30), lambda _: 10, limit):
            found.append(result)
            with lock:
                taken += 1
    assert found == [k * k for k in range(30)]


def test_an_error_stops_what_has_not_begun() -> None:
    done = []

    def work(item: int) -> int:
        done.append(item)
        return 1 // (item - 3)

    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        list(in_order(pool, work, range(1000), lambda _: 1, limit=4))
    assert len(done) < 10


def test_a_header_that_cannot_be_read_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    assert pixels_in(tmp_path / "a.png", tmp_path) == 0
