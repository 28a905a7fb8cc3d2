"""What the server takes, and how it says no."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_READ = "headstart.body-read"  # in a request's scope: its whole body has come


@dataclass(frozen=True)
class Limits:
    """What is taken at most.

    Attributes:
        bytes: of one picture's file.
        pixels: of one picture.
        running: how many pictures are worked on at once.
        waiting: how many more may be uploading or wait for their turn.
        upload_seconds: for a whole upload.
        pause_seconds: without a byte in an upload, or in a request's head.
        turn_seconds: until a place to be worked at is free.
        work_seconds: for one picture, decoding included.
        answer_seconds: for an answer to be taken.
    """

    bytes: int = 20_000_000
    pixels: int = 24_000_000
    running: int = 2
    waiting: int = 8
    upload_seconds: float = 30.0
    pause_seconds: float = 5.0
    turn_seconds: float = 120.0
    work_seconds: float = 60.0
    answer_seconds: float = 30.0


class Refusal(Exception):  # noqa: N818 - most are no errors of anybody
    """A request that is not done, and why: ``{"code", "message", "hint"}`` with an HTTP status."""

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "hint": hint}
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    def response(self) -> JSONResponse:
        """As it is sent."""
        return Lingering(self.body, self.status, self.headers)


class Lingering(JSONResponse):
    """An answer given before the request was read to its end.

    If the connection were closed on a client that is still sending, its system would throw the
    answer away unread. So the answer goes out, and what still comes is read and dropped: only so
    much, and only so long.
    """

    _BYTES, _SECONDS = 64_000_000, 5.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""

        async def held(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
            else:
                await send(message)

        await super().__call__(scope, receive, held)
        if not scope.get(BODY_READ) and _sends_a_body(scope):
            await self._drop(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop(self, receive: Receive) -> None:
        left = self._BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._SECONDS):
                while left > 0:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
                    left -= len(message.get("body", b""))


def _sends_a_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    if headers.get(b"expect", b"").lower() == b"100-continue":
        return False  # it waits for our word before it sends
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """The body of a request, in memory.

    Raises:
        Refusal: it is too large, too slow, or its sender is gone.
    """
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if int(announced) > limits.bytes:
        raise too_large(limits)
    body = bytearray()
    clock = asyncio.get_running_loop().time
    end = clock() + limits.upload_seconds
    try:
        while clock() < end:
            # Not wait_for: before Python 3.12 it can lose a cancellation that comes with a message.
            async with asyncio.timeout_at(min(end, clock() + limits.pause_seconds)):
                message = await receive()
            if message["type"] == "http.disconnect":
                raise gone()
            body += message.get("body", b"")
            if len(body) > limits.bytes:
                raise too_large(limits)
            if not message.get("more_body"):
                return bytes(body)
        raise TimeoutError
    except TimeoutError:
        message_ = f"the upload took longer than {limits.upload_seconds:g} s, or paused"
        raise Refusal(408, "slow-upload", message_, "try again, or a smaller picture") from None


def too_large(limits: Limits) -> Refusal:
    """More bytes than are taken."""
    message = f"the file is larger than {limits.bytes / 1e6:g} MB"
    return Refusal(413, "file-too-large", message, "save the picture smaller, or as JPEG")


def gone() -> Refusal:
    """Nobody is there to read it; the number is what others use for that."""
    return Refusal(499, "gone", "the client is gone")
