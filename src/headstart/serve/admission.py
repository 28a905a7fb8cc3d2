"""Uploads in memory, and a queue of work in threads that refuses what would wait too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from headstart.data.pictures.in_flight import fits, run_and_give_back
from headstart.serve.limits import Refusal, RequestLimits, gone

_T = TypeVar("_T")


class Uploads:
    """The bytes of all uploads in memory, complete or not, up to ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @contextmanager
    def upload(self) -> Iterator[Callable[[int], None]]:
        """Give a function that counts bytes as they arrive; they are forgotten after the block.

        The function raises [`Refusal`][headstart.serve.limits.Refusal] where they are too many.
        """
        own = 0

        def take(size: int) -> None:
            nonlocal own
            if not fits(self._held, size, self._limit):
                message = f"the server holds {self._limit / 1e6:g} MB of uploads, and takes no more"
                raise _later(message)
            self._held += size
            own += size

        try:
            yield take
        finally:
            self._held -= own


class PixelBudget:
    """The pixels of all pictures in work, up to ``limit``; a picture with more goes alone.

    Pictures come in the order in which they asked, so small ones cannot keep a large one waiting.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._first_in_line = asyncio.Lock()
        self._freed = asyncio.Event()

    async def take(self, pixels: int) -> None:
        """Wait until there is room for a picture, and take it."""
        async with self._first_in_line:
            while not fits(self._held, pixels, self._limit):
                self._freed.clear()
                await self._freed.wait()
            self._held += pixels

    def free(self, pixels: int) -> None:
        """Give back what [`take`][] took."""
        self._held -= pixels
        self._freed.set()


class WorkQueue:
    """Threads for ``running`` requests, and places for ``waiting`` more.

    A thread cannot be stopped. Work that takes too long is answered with a timeout, but keeps its
    thread and its pixels until it ends, so there are never more threads than ``running``.
    (docs/decisions/0022 says why this is no ``anyio.CapacityLimiter``.)
    """

    def __init__(
        self, running: int, waiting: int, limits: RequestLimits, budget: PixelBudget
    ) -> None:
        self._places = running + waiting
        self._admitted = 0
        self._work_seconds = limits.work_seconds
        self._turn_seconds = limits.turn_seconds
        self._budget = budget
        self._free_threads = asyncio.Semaphore(running)
        self._pool = ThreadPoolExecutor(running, thread_name_prefix="headstart-serve")

    def require_place(self) -> None:
        """Refuse a request that would find no place now.

        Raises:
            Refusal: every place is taken.
        """
        if self._admitted >= self._places:
            raise _busy()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place for one request that needs no more of its client.

        Raises:
            Refusal: every place is taken.
        """
        self.require_place()
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def do(
        self,
        work: Callable[[], _T],
        count_pixels: Callable[[], int],
        disconnected: Callable[[], Awaitable[bool]] | None = None,
    ) -> _T:
        """Run ``work`` as soon as a thread and the pixels are free, and return its result.

        Args:
            work: the function to run.
            count_pixels: returns the pixels of its picture; reads the picture's header.
            disconnected: returns whether the client is gone; its work is then not begun.

        Raises:
            Refusal: the turn does not come in time, the work takes too long, or the client is gone.
        """
        pixels = await self._turn(count_pixels)
        try:
            if disconnected is not None and await disconnected():
                raise gone()
            thread_work = partial(run_and_give_back, work, pixels)
            future = asyncio.get_running_loop().run_in_executor(self._pool, thread_work)
        except BaseException:
            self._free(pixels)
            raise
        future.add_done_callback(partial(self._release, pixels))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._work_seconds)
        except TimeoutError:
            message = f"the picture took longer than {self._work_seconds:g} s"
            raise Refusal(504, "slow-work", message, "try a smaller picture") from None

    async def _turn(self, count_pixels: Callable[[], int]) -> int:
        """Wait for a thread and for pixels; return how many pixels."""
        try:
            async with asyncio.timeout(self._turn_seconds):
                pixels = await asyncio.to_thread(count_pixels)
                await self._free_threads.acquire()
                try:
                    await self._budget.take(pixels)
                except BaseException:
                    self._free_threads.release()
                    raise
        except TimeoutError:
            raise _busy() from None
        return pixels

    def _release(self, pixels: int, future: asyncio.Future[_T]) -> None:
        self._free(pixels)
        if not future.cancelled():
            future.exception()  # asyncio warns about exceptions that nobody retrieved

    def _free(self, pixels: int) -> None:
        self._budget.free(pixels)
        self._free_threads.release()

    def close(self) -> None:
        """Accept no more work; do not wait for the work that runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _busy() -> Refusal:
    return _later("the server is busy with other pictures")


def _later(message: str) -> Refusal:
    return Refusal(503, "busy", message, "try again in a moment", retry_after=2)
