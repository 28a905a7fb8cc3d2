"""The limits of a request, the reading of its body, and refusals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse

from headstart.data.pictures.refusals import MAX_PIXELS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_READ = "headstart.body-read"  # set in a request's scope once its whole body is read


@dataclass(frozen=True)
class RequestLimits:
    """Limits on size, number and time.

    Attributes:
        bytes: largest file of a picture.
        pixels: most pixels of a picture, and of all pictures processed at once.
        running: pictures processed at once.
        waiting: further pictures that may wait for their turn.
        held_bytes: most bytes of all uploads in memory.
        upload_seconds: time for a whole upload.
        pause_seconds: longest pause in an upload or in a request's head.
        turn_seconds: longest wait for a free thread.
        work_seconds: time to decode and segment one picture.
        answer_seconds: time for the client to read an answer.
    """

    bytes: int = 20_000_000
    pixels: int = 24_000_000
    running: int = 2
    waiting: int = 8
    held_bytes: int = 200_000_000
    upload_seconds: float = 30.0
    pause_seconds: float = 5.0
    turn_seconds: float = 120.0
    work_seconds: float = 60.0
    answer_seconds: float = 30.0


class Refusal(Exception):  # noqa: N818 - an answer, mostly not an error
    """A refused request: an HTTP status, and ``{"code", "message", "hint"}`` as its body."""

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "hint": hint}
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    def response(self) -> JSONResponse:
        """Return the response to send."""
        return Lingering(self.body, self.status, self.headers)


class Lingering(JSONResponse):
    """A response that may be sent before the whole request was read.

    If the server closed the connection while the client is still sending, the client's system would
    discard the response. So the response is sent first, and then the rest of the request is read
    and dropped, up to a limit of bytes and seconds.
    """

    _BYTES, _SECONDS = 64_000_000, 5.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, then drop the rest of the request."""

        async def hold_open(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
            else:
                await send(message)

        await super().__call__(scope, receive, hold_open)
        if not scope.get(BODY_READ) and _has_body(scope):
            await self._drop_body(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop_body(self, receive: Receive) -> None:
        left = self._BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._SECONDS):
                while left > 0:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
                    left -= len(message.get("body", b""))


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    if headers.get(b"expect", b"").lower() == b"100-continue":
        return False  # the client waits for our answer before it sends the body
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


async def read_body(
    scope: Scope, receive: Receive, limits: RequestLimits, take: Callable[[int], None]
) -> bytes:
    """Return the body of a request.

    Args:
        scope: the request.
        receive: waits for the next part of it.
        limits: limits of its size and time.
        take: counts bytes as they arrive; raises a refusal where memory has no room for them.

    Raises:
        Refusal: the body is too large or too slow, there is no room, or the client is gone.
    """
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if int(announced) > limits.bytes:
        raise too_large(limits)
    body = bytearray()
    clock = asyncio.get_running_loop().time
    end = clock() + limits.upload_seconds
    try:
        while clock() < end:
            # Before Python 3.12, wait_for can lose a cancellation that arrives with a message.
            async with asyncio.timeout_at(min(end, clock() + limits.pause_seconds)):
                message = await receive()
            if message["type"] == "http.disconnect":
                raise gone()
            arrived = message.get("body", b"")
            if len(body) + len(arrived) > limits.bytes:
                raise too_large(limits)
            take(len(arrived))
            body += arrived
            if not message.get("more_body"):
                return bytes(body)
        raise TimeoutError
    except TimeoutError:
        reason = (
            f"the upload took longer than {limits.upload_seconds:g} s, or paused for "
            f"{limits.pause_seconds:g} s"
        )
        raise Refusal(408, "slow-upload", reason, "try again, or send a smaller picture") from None


def too_large(limits: RequestLimits) -> Refusal:
    """Return the refusal of a file with too many bytes."""
    message = f"the file is larger than {limits.bytes / 1e6:g} MB"
    return Refusal(413, "file-too-large", message, "scale the picture down, or save it as JPEG")


def too_many_pixels(pixels: int, limits: RequestLimits) -> Refusal:
    """Return the refusal of a picture with too many pixels."""
    message = f"the picture has {pixels:,} pixels, expected at most {limits.pixels:,}"
    hint = f"scale it down; headstart predict reads pictures of up to {MAX_PIXELS:,} pixels"
    return Refusal(413, "picture-size", message, hint)


def gone() -> Refusal:
    """Return the refusal of a request whose client has disconnected; 499 is nginx's status."""
    return Refusal(499, "gone", "the client has disconnected")
