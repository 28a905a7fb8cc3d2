"""Ports, tokens, names, and connections that say nothing."""

from __future__ import annotations

import select
import socket
import time

import numpy as np
import pytest

from headstart.errors import UsageError
from headstart.serve.guard import is_ours
from headstart.serve.limits import RequestLimits
from headstart.serve.server import _TimedProtocol, bind, checked_token
from tests.data.pictures.test_reading import encoded
from tests.serve.conftest import running, slow


def test_a_busy_port_names_a_free_one() -> None:
    taken = bind("127.0.0.1", 0)
    with taken.socket, pytest.raises(UsageError, match="port-in-use") as caught:
        bind("127.0.0.1", taken.port)
    named = int(caught.value.findings[0].hint.split()[1])
    again = bind("127.0.0.1", named)
    again.socket.close()
    assert again.url == f"http://127.0.0.1:{named}"


@pytest.mark.parametrize("host", ["256.0.0.1", "no-such-host.invalid", "192.0.2.1", "a" * 70])
def test_no_such_address(host: str) -> None:
    with pytest.raises(UsageError, match="no-such-address"):
        bind(host, 0)


def test_others_are_let_in_with_a_token_only() -> None:
    assert checked_token("127.0.0.1", None) is None
    with pytest.raises(UsageError, match="--token"):
        checked_token("0.0.0.0", None)
    with pytest.raises(UsageError, match=r"short-token.* 5 .* 16"):
        checked_token("127.0.0.1", "guess")
    for unsent in ("letters and spaces, long enough", "sixteen-l\u00e9tters-"):
        with pytest.raises(UsageError, match=r"short-token.*ASCII"):
            checked_token("127.0.0.1", unsent)
    drawn = {checked_token("0.0.0.0", "auto") for _ in range(3)}
    assert len(drawn) == 3 and all(d and len(d) >= 32 for d in drawn)
    assert checked_token("0.0.0.0", "sixteen-letters!") == "sixteen-letters!"


@pytest.mark.parametrize(
    ("header", "host", "ours"),
    [
        ("127.0.0.1:8420", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:1", "::1", True),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),
        ("10.1.2.3", "127.0.0.1", False),
        ("10.1.2.3:8420", "0.0.0.0", True),
        ("box.example:1", "box.example", True),
        ("localhost", "10.1.2.3", False),
        ("", "127.0.0.1", False),
        ("[::1", "::1", False),
        ("127.0.0.1@evil.example", "127.0.0.1", False),
    ],
)
def test_names(header: str, host: str, ours: bool) -> None:
    assert is_ours(header, host) is ours


def test_a_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_TimedProtocol, "seconds", 0.3)
    with running(slow(0.0, RequestLimits())) as url:
        host, port = url.removeprefix("http://").split(":")
        for said in (b"", b"GET / HTTP/1.1\r\nHost: 127"):
            with socket.create_connection((host, int(port)), 10) as line:
                line.sendall(said)
                began = time.monotonic()
                assert line.recv(1) == b"" and 0.1 < time.monotonic() - began < 3


@pytest.mark.parametrize("kept", ["keep-alive", "close"])
def test_an_answer_that_nobody_takes_is_dropped(monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    """Noise of 2000 x 2000 comes back as 16 MB: more than systems buffer."""
    monkeypatch.setattr(_TimedProtocol, "answer_seconds", 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    picture = encoded(noise)
    head = (
        "POST /segment?picture=true HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Connection: {kept}\r\nContent-Length: {len(picture)}\r\n\r\n"
    )
    with running(slow(0.0, RequestLimits())) as url, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(10)
        host, port = url.removeprefix("http://").split(":")
        line.connect((host, int(port)))
        line.sendall(head.encode() + picture)
        ended = select.poll()
        ended.register(line, select.POLLERR | select.POLLHUP)  # not what comes to be read
        assert ended.poll(10_000), "the answer is still held"
