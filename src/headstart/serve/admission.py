"""Work in threads: so much at once, so much waiting, and the rest is asked to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from headstart.serve.limits import Limits, Refusal, gone

_T = TypeVar("_T")


class Desk:
    """Where requests are worked on.

    A thread cannot be stopped: one that takes too long is answered for, but keeps its place until
    it ends, so that there are never more threads than places.
    """

    def __init__(self, running: int, waiting: int, limits: Limits) -> None:
        self._most = running + waiting
        self._inside = 0
        self._seconds = limits.work_seconds
        self._patience = limits.turn_seconds
        self._places = asyncio.Semaphore(running)
        self._pool = ThreadPoolExecutor(running, thread_name_prefix="headstart-serve")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A request's stay, from before its upload.

        Raises:
            Refusal: so many are inside that it would have to wait long.
        """
        if self._inside >= self._most:
            raise _busy()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def do(
        self, work: Callable[[], _T], left: Callable[[], Awaitable[bool]] | None = None
    ) -> _T:
        """The result of some work, done in a thread when its turn comes.

        Args:
            work: what is to be done.
            left: whether whoever asked is gone by then; nothing is done for those.

        Raises:
            Refusal: its turn does not come, it takes too long, or nobody waits for it.
        """
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise _busy() from None
        try:
            if left is not None and await left():
                raise gone()
            doing = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except BaseException:
            self._places.release()
            raise
        doing.add_done_callback(self._leave)
        try:
            return await asyncio.wait_for(asyncio.shield(doing), self._seconds)
        except TimeoutError:
            message = f"the picture was not done within {self._seconds:g} s"
            raise Refusal(504, "slow-work", message, "try a smaller picture") from None

    def _leave(self, doing: asyncio.Future[_T]) -> None:
        self._places.release()
        if not doing.cancelled():
            doing.exception()  # looked at, whether or not somebody still waits for it

    def close(self) -> None:
        """Takes no more work, and does not wait for what is being done."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _busy() -> Refusal:
    message = "too many pictures at once"
    return Refusal(503, "busy", message, "try again in a moment", retry_after=2)
