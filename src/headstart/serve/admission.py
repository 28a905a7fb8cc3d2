"""A queue of work in threads that refuses what would have to wait too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from headstart.serve.limits import Refusal, RequestLimits, gone

_T = TypeVar("_T")


class WorkQueue:
    """Threads for ``running`` requests, and places for ``waiting`` more.

    A thread cannot be stopped. Work that takes too long is answered with a timeout, but keeps its
    thread until it ends, so there are never more threads than ``running``. (docs/decisions/0022
    says why this is no ``anyio.CapacityLimiter``.)
    """

    def __init__(self, running: int, waiting: int, limits: RequestLimits) -> None:
        self._places = running + waiting
        self._admitted = 0
        self._work_seconds = limits.work_seconds
        self._turn_seconds = limits.turn_seconds
        self._free_threads = asyncio.Semaphore(running)
        self._pool = ThreadPoolExecutor(running, thread_name_prefix="headstart-serve")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place for one request, from before its upload to its answer.

        Raises:
            Refusal: every place is taken.
        """
        if self._admitted >= self._places:
            raise _busy()
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def do(
        self,
        work: Callable[[], _T],
        disconnected: Callable[[], Awaitable[bool]] | None = None,
    ) -> _T:
        """Run ``work`` in a thread as soon as one is free, and return its result.

        Args:
            work: the function to run.
            disconnected: returns whether the client is gone; its work is then not begun.

        Raises:
            Refusal: no thread becomes free in time, the work takes too long, or the client is gone.
        """
        try:
            async with asyncio.timeout(self._turn_seconds):
                await self._free_threads.acquire()
        except TimeoutError:
            raise _busy() from None
        try:
            if disconnected is not None and await disconnected():
                raise gone()
            future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except BaseException:
            self._free_threads.release()
            raise
        future.add_done_callback(self._release)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._work_seconds)
        except TimeoutError:
            message = f"the picture took longer than {self._work_seconds:g} s"
            raise Refusal(504, "slow-work", message, "try a smaller picture") from None

    def _release(self, future: asyncio.Future[_T]) -> None:
        self._free_threads.release()
        if not future.cancelled():
            future.exception()  # asyncio warns about exceptions that nobody retrieved

    def close(self) -> None:
        """Accept no more work; do not wait for the work that runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _busy() -> Refusal:
    message = "the server is busy with other pictures"
    return Refusal(503, "busy", message, "try again in a moment", retry_after=2)
