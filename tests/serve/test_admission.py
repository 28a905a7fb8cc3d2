"""Which requests are worked on at once: threads, places, pixels and bytes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from headstart.serve.admission import PixelBudget, Uploads, WorkQueue
from headstart.serve.limits import Refusal, RequestLimits

LIMITS = RequestLimits()


class InWork:
    """Work that takes a moment, or until it is let go, and records the pixels in work at once."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.seconds = seconds
        self.begun: list[int] = []
        self.now = self.most = 0
        self.may_end = threading.Event()
        self._lock = threading.Lock()

    def on(self, pixels: int) -> Callable[[], int]:
        def work() -> int:
            with self._lock:
                self.begun.append(pixels)
                self.now += pixels
                self.most = max(self.most, self.now)
            self.may_end.wait(self.seconds)
            with self._lock:
                self.now -= pixels
            return pixels

        return work


@pytest.mark.parametrize(
    ("sizes", "most"),
    [
        ([10] * 8, 20),  # two threads
        ([24] * 8, 24),
        ([13, 12, 13, 12], 13),
        ([12] * 6, 24),
        ([64, 1, 64, 1], 64),  # above the limit: alone
        ([0, 0, 24], 24),
    ],
)
def test_pixels_in_work_stay_within_the_budget(sizes: list[int], most: int) -> None:
    work = InWork()

    async def all_of_them() -> list[int]:
        queue = WorkQueue(2, 8, LIMITS, PixelBudget(24))
        return await asyncio.gather(*(queue.do(work.on(n), lambda n=n: n) for n in sizes))

    assert asyncio.run(all_of_them()) == sizes
    assert work.most == most


def test_two_queues_share_a_budget_and_small_pictures_do_not_overtake_a_large_one() -> None:
    work = InWork(0.2)

    async def all_of_them() -> None:
        budget = PixelBudget(24)
        one, other = WorkQueue(2, 8, LIMITS, budget), WorkQueue(1, 8, LIMITS, budget)
        async with asyncio.TaskGroup() as group:
            for queue, pixels in ((one, 20), (other, 10), (one, 4)):
                group.create_task(queue.do(work.on(pixels), lambda pixels=pixels: pixels))
                await asyncio.sleep(0.05)

    asyncio.run(all_of_them())
    assert work.begun == [20, 10, 4] and work.most == 20


def test_work_that_was_given_up_keeps_its_pixels_until_it_ends() -> None:
    work = InWork(60)

    async def all_of_them() -> int:
        queue = WorkQueue(2, 8, RequestLimits(work_seconds=0.2), PixelBudget(24))
        with pytest.raises(Refusal, match="longer than"):
            await queue.do(work.on(20), lambda: 20)
        assert work.now == 20
        waiting = asyncio.create_task(queue.do(work.on(19), lambda: 19))
        await asyncio.sleep(0.3)
        assert work.begun == [20]
        work.may_end.set()
        return await waiting

    assert asyncio.run(all_of_them()) == 19


@pytest.mark.parametrize(("held", "reason"), [(1, "client"), (24, "busy")])
def test_whoever_leaves_or_waits_too_long_gives_thread_and_pixels_back(
    held: int, reason: str
) -> None:
    work = InWork(60)

    async def left() -> bool:
        return True

    async def all_of_them() -> int:
        queue = WorkQueue(2, 8, RequestLimits(turn_seconds=0.1), PixelBudget(24))
        working = asyncio.create_task(queue.do(work.on(held), lambda: held))
        await asyncio.sleep(0.05)
        for _ in range(3):
            with pytest.raises(Refusal, match=reason):
                await queue.do(work.on(23), lambda: 23, left)
        work.may_end.set()
        await working
        return await queue.do(work.on(24), lambda: 24)

    assert asyncio.run(all_of_them()) == 24
    assert work.begun == [held, 24]


def test_uploads_are_refused_beyond_their_bytes_and_forgotten_afterwards() -> None:
    uploads = Uploads(100)
    with uploads.upload() as one:
        one(60)
        with uploads.upload() as other, pytest.raises(Refusal, match="uploads") as refused:
            other(40)
            other(1)
        one(40)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
    with uploads.upload() as one:
        one(100)
