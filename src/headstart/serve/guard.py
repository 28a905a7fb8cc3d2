"""Checks of ``Host``, ``Origin`` and token before a request reaches the application.

Any web page can make a browser send requests to this machine. Three rules keep such pages out: the
``Host`` header must be an own name of the server (which stops DNS rebinding), the ``Origin`` of a
request that sends data must be that host, and other pages may not embed the answers.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse

from headstart.serve.limits import BODY_READ, App, Message, Receive, Refusal, Scope, Send

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
OPEN = (
    "/", "/page.css", "/page.js", "/requests.js", "/stage.js", "/worth.js", "/icon.svg", "/health",
)  # fmt: skip
"""Paths that need no token: their answers say nothing about the run."""


@dataclass(frozen=True)
class Guard:
    """An ASGI application that checks each request before it passes it on.

    Attributes:
        app: the application to protect.
        host: the address that the server listens on.
        token: the token that requests about the run need; ``None``: none.
    """

    app: App
    host: str
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started: list[bool] = []  # not empty once the answer has started

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                scope[BODY_READ] = True
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(True)
                ours = {name for name, _ in HEADERS}
                theirs = [pair for pair in message["headers"] if pair[0].lower() not in ours]
                message = {**message, "headers": [*theirs, *HEADERS]}
            await send(message)

        refusal = self.refusal(scope)
        app = self.app if refusal is None else refusal.response()
        try:
            await app(scope, watched_receive, send_with_headers)
        except asyncio.CancelledError:  # the server is stopping and has waited long enough
            if not started:
                stopping = {"code": "stopping", "message": "the server was stopped", "hint": ""}
                await JSONResponse(stopping, 503)(scope, watched_receive, send_with_headers)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return the refusal of a request; ``None`` where it may pass."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not is_ours(host, self.host):
            message = "the server does not answer to this host name"
            return Refusal(400, "wrong-host", message, "use the address that the server printed")
        origin = headers.get(b"origin")
        sends = scope["method"] not in ("GET", "HEAD")
        if sends and origin is not None and _netloc(origin.decode("latin-1")) != host.lower():
            message = "the request comes from another page"
            return Refusal(403, "wrong-origin", message, "open the server's own page")
        if self.token is not None and scope["path"] not in OPEN:
            _, _, theirs = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(theirs, self.token.encode()):
                message = "the token is missing or wrong"
                hint = "open the address that the server printed, including the token"
                return Refusal(401, "token", message, hint)
        return None


def _netloc(origin: str) -> str | None:
    """Return host and port of an ``Origin``; ``None`` where it is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def is_ours(header: str, host: str) -> bool:
    """Return whether a ``Host`` header names a server that listens on ``host``.

    A server that listens on every address accepts any IP address and this machine's own name. A
    page elsewhere has a domain name, which its browser sends and cannot change.

    >>> is_ours("localhost:8420", "127.0.0.1"), is_ours("rebound.example:8420", "127.0.0.1")
    (True, False)
    >>> is_ours("192.168.1.7:8420", "0.0.0.0"), is_ours("[::1]:8420", "::1")
    (True, True)
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name == host.lower():
        return True
    if is_loopback(host):
        return name in ("localhost", "127.0.0.1", "::1")
    if ipaddress_of(host) is None or not ipaddress.ip_address(host).is_unspecified:
        return False
    return ipaddress_of(name) is not None or name in ("localhost", socket.gethostname().lower())


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    address = ipaddress_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def ipaddress_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address in a text; ``None`` for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
