"""Listening, serving, and stopping in order."""

from __future__ import annotations

import asyncio
import errno
import secrets
import signal
import socket
import struct
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from headstart.errors import Finding, UsageError
from headstart.serve.guard import is_loopback
from headstart.serve.limits import App, Limits

_TRIED = 50  # ports above a busy one
_DRAIN = 4  # seconds for requests in flight, so that stopping takes less than five
_CONNECTIONS = 512
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        socket: bound; what connects waits until it is served.
        host, port: as a browser is given them.
    """

    socket: socket.socket
    host: str
    port: int

    @property
    def url(self) -> str:
        """For a browser; of all addresses of this machine, its own."""
        host = self.own or self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def own(self) -> str | None:
        """This machine's address for itself, where the server listens on all that it has."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host)


def checked_token(host: str, token: str | None) -> str | None:
    """The token that will be asked for; ``auto`` draws one.

    Raises:
        UsageError: others can reach ``host`` and there is none, or it can be guessed.
    """
    if token == "auto":
        return secrets.token_urlsafe(24)
    if token is None and not is_loopback(host):
        message = f"--host {host} lets other machines in, and there is no --token"
        hint = "add --token auto; or leave --host out and reach it through ssh -L"
        raise UsageError(Finding("open-to-others", "error", message, hint))
    if token is not None and (wrong := _wrong_with(token)):
        raise UsageError(Finding("short-token", "error", wrong, "--token auto draws one"))
    return token


def _wrong_with(token: str) -> str:
    """What is wrong with a token; empty where nothing is."""
    if not all("!" <= letter <= "~" for letter in token):
        return "--token holds a space or a letter beyond ASCII, expected neither"
    if len(token) < _SHORTEST_TOKEN:
        return f"--token has {len(token)} characters, expected {_SHORTEST_TOKEN} or more"
    return ""


def bind(host: str, port: int) -> Address:
    """Takes a port.

    Raises:
        UsageError: it is in use (the next free one is named), or there is no such address.
    """
    try:
        taken = _bind(host, port)
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"cannot listen on {host}, port {port}: {reason}"
            hint = "--host 127.0.0.1 is this machine alone; ports below 1024 need rights"
            raise UsageError(Finding("no-such-address", "error", message, hint)) from None
        message = f"port {port} is in use"
        raise UsageError(Finding("port-in-use", "error", message, _another(host, port))) from None
    return Address(taken, host, taken.getsockname()[1])


def _bind(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(128)
    except OSError:
        taken.close()
        raise
    return taken


def _another(host: str, port: int) -> str:
    for other in range(port + 1, min(port + 1 + _TRIED, 65536)):
        try:
            _bind(host, other).close()
        except OSError:
            continue
        return f"--port {other} is free"
    return "choose another --port; 0 takes any"


class _Timely(H11Protocol):
    """Ends connections that do not get a request's head out, or an answer in: uvicorn waits on.

    An answer is in memory until it is taken, also on a connection that is to be closed after it.
    """

    seconds = Limits.pause_seconds
    answer_seconds = Limits.answer_seconds
    _clock: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size() == 0:
            self._taken()  # all answers before this request
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._given()

    def on_response_complete(self) -> None:
        self._given()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._taken()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._clock is None:
            self._clock = self.loop.call_later(self.seconds, self._late)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _given(self) -> None:
        self._taken()
        if self.transport.get_write_buffer_size() > 0:
            self._taking = self.loop.call_later(self.answer_seconds, self._untaken)

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _untaken(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size() > 0:
            # Reset, or the system holds what it has of the answer for as long as it is not read.
            line = self.transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


def make_server(app: App) -> uvicorn.Server:
    """What speaks HTTP in front of an application."""
    config = uvicorn.Config(
        app,
        http=_Timely,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN,
    )
    return uvicorn.Server(config)


def serve(app: App, address: Address) -> None:
    """Serves until SIGINT or SIGTERM; then requests in flight have a few seconds to end."""
    # uvicorn raises the signal that stopped it once more, when it is done: to be stopped is what a
    # server is for, and ends with 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    make_server(app).run(sockets=[address.socket])
