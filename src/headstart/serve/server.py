"""The HTTP server: address, token, time limits of connections, orderly stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from headstart.errors import Finding, UsageError
from headstart.serve.guard import is_loopback
from headstart.serve.limits import App, RequestLimits
from headstart.system.signals import Stopping

_PORTS_TRIED = 50  # above a busy one
_DRAIN = 4  # seconds for requests in flight, so that stopping takes less than five seconds
_CONNECTIONS = 512
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Address:
    """The address that a server listens on.

    Attributes:
        socket: the bound socket; connections wait until the server accepts them.
        host, port: the address.
    """

    socket: socket.socket
    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL for a browser on this machine."""
        host = self.own or self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def own(self) -> str | None:
        """The loopback address, where the server listens on every address; else None."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host)


def checked_token(host: str, token: str | None) -> str | None:
    """Return the token to ask for; ``auto`` draws a random one.

    Raises:
        UsageError: other machines can reach ``host`` and there is no token, or the token is weak.
    """
    if token == "auto":
        return secrets.token_urlsafe(24)
    if token is None and not is_loopback(host):
        message = f"--host {host} lets other machines connect, but there is no --token"
        hint = "add --token auto; or leave --host out and use ssh -L"
        raise UsageError(Finding("open-to-others", "error", message, hint))
    if token is not None and (weakness := _weakness(token)):
        hint = "--token auto draws a random one"
        raise UsageError(Finding("short-token", "error", weakness, hint))
    return token


def _weakness(token: str) -> str:
    """Return what is wrong with a token; empty where it is good."""
    if not all("!" <= letter <= "~" for letter in token):
        return "--token contains a space or a character beyond ASCII, expected neither"
    if len(token) < _SHORTEST_TOKEN:
        return f"--token has {len(token)} characters, expected {_SHORTEST_TOKEN} or more"
    return ""


def bind(host: str, port: int) -> Address:
    """Bind a socket to a port and listen.

    Raises:
        UsageError: the port is in use (the hint names a free one), or the address is invalid.
    """
    try:
        bound = _bind(host, port)
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"cannot listen on {host}, port {port}: {reason}"
            hint = "use --host 127.0.0.1 for this machine only; ports below 1024 need root rights"
            raise UsageError(Finding("no-such-address", "error", message, hint)) from None
        message = f"port {port} is in use"
        raise UsageError(Finding("port-in-use", "error", message, _free_port(host, port))) from None
    return Address(bound, host, bound.getsockname()[1])


def _bind(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    return bound


def _free_port(host: str, port: int) -> str:
    for other in range(port + 1, min(port + 1 + _PORTS_TRIED, 65536)):
        try:
            _bind(host, other).close()
        except OSError:
            continue
        return f"--port {other} is free"
    return "choose another --port; 0 picks a free one"


class _TimedProtocol(H11Protocol):
    """HTTP that closes connections whose client is too slow; uvicorn itself waits forever.

    A client has ``seconds`` to send a request's head, and ``answer_seconds`` to read an answer,
    which stays in memory until then.
    """

    seconds = RequestLimits.pause_seconds
    answer_seconds = RequestLimits.answer_seconds
    _head_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size() == 0:
            self._answer_read()  # and so were all answers before this request
        super().data_received(data)
        self._wait_for_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer_sent()

    def on_response_complete(self) -> None:
        self._answer_sent()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_read()
        self._answer_read()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_read()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.seconds, self._head_late)

    def _head_read(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _answer_sent(self) -> None:
        self._answer_read()
        if self.transport.get_write_buffer_size() > 0:
            self._answer_timer = self.loop.call_later(self.answer_seconds, self._answer_late)

    def _answer_read(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _answer_late(self) -> None:
        self._answer_timer = None
        if self.transport.get_write_buffer_size() > 0:
            # A reset frees what the system buffers of the answer; closing would keep it.
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to their owner and says in sentences that it stops."""

    def __init__(
        self, config: uvicorn.Config, asked: Callable[[], bool], say: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._asked = asked
        self._say = say

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._asked()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        unfinished = 0

        def late() -> None:
            nonlocal unfinished
            unfinished = len(self.server_state.tasks)
            # From now on uvicorn breaks off what is left, and would log that as errors.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

        if count := len(self.server_state.tasks):
            have = "1 request has" if count == 1 else f"{count} requests have"
            self._say(f"Stopping: {have} {_DRAIN} s to finish")
        timer = asyncio.get_running_loop().call_later(_DRAIN, late)
        await super().shutdown(sockets)
        timer.cancel()
        requests = "1 request" if unfinished == 1 else f"{unfinished} requests"
        self._say(f"Stopped; {requests} did not finish in time" if unfinished else "Stopped")


def make_server(
    app: App,
    asked: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
) -> uvicorn.Server:
    """Return an HTTP server for an application.

    Args:
        app: the application.
        asked: returns whether to stop; ``should_exit`` stops it, too.
        say: tells the user a sentence.
    """
    config = uvicorn.Config(
        app,
        http=_TimedProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN,
    )
    return _Server(config, asked, say)


def serve(app: App, address: Address, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then let requests at hand finish for a few seconds.

    Args:
        app: the application.
        address: where to listen.
        say: tells the user a sentence.
    """
    with Stopping() as stopping:
        say("Press Ctrl-C to stop")
        make_server(app, stopping.asked, say).run(sockets=[address.socket])
