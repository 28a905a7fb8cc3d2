"""Who may ask: the gate in front of everything else.

A page anywhere on the web can make a browser send requests to this machine. Three rules keep such
pages out: the ``Host`` must be one of ours (a name that was made to point here is not), the
``Origin`` of whatever is sent must be that host, and answers may not be embedded elsewhere.
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
OPEN = ("/", "/page.css", "/page.js", "/stage.js", "/worth.js", "/icon.svg", "/health")
"""What is answered without a token: it says nothing about the run."""


@dataclass(frozen=True)
class Guard:
    """An application behind its gate.

    Attributes:
        app: what is behind it.
        host: the address the server listens on.
        token: without which nothing about the run is said; ``None``: none is asked for.
    """

    app: App
    host: str
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or refuses it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        begun: list[bool] = []  # whether an answer has

        async def counted() -> Message:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                scope[BODY_READ] = True
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(True)
                ours = {name for name, _ in HEADERS}
                theirs = [pair for pair in message["headers"] if pair[0].lower() not in ours]
                message = {**message, "headers": [*theirs, *HEADERS]}
            await send(message)

        refusal = self.refusal(scope)
        app = self.app if refusal is None else refusal.response()
        try:
            await app(scope, counted, guarded)
        except asyncio.CancelledError:  # only a server that stops does that, after its patience
            if not begun:
                stopping = {"code": "stopping", "message": "the server was stopped", "hint": ""}
                await JSONResponse(stopping, 503)(scope, counted, guarded)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why a request is not let through; ``None`` where it is."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"host", b"").decode("latin-1")
        if not is_ours(given, self.host):
            message = "this server is not asked by that name"
            return Refusal(400, "wrong-host", message, "use the address that it printed")
        origin = headers.get(b"origin")
        sends = scope["method"] not in ("GET", "HEAD")
        if sends and origin is not None and _netloc(origin.decode("latin-1")) != given.lower():
            message = "another page sent this"
            return Refusal(403, "wrong-origin", message, "open the server's own page")
        if self.token is not None and scope["path"] not in OPEN:
            _, _, theirs = headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(theirs, self.token.encode()):
                message = "this page asks for its token"
                hint = "open the address that the server printed, token and all"
                return Refusal(401, "token", message, hint)
        return None


def _netloc(origin: str) -> str | None:
    """Host and port of an ``Origin``; ``None`` where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def is_ours(header: str, host: str) -> bool:
    """Whether a ``Host`` is a name of a server that listens on ``host``.

    Listening on every address, any address will do, and this machine's own name: a page elsewhere
    has a name of its own, and cannot make a browser say another.

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
    """Whether only this machine can reach what listens there.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    address = ipaddress_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def ipaddress_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is; ``None`` for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
