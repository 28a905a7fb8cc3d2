"""Published weights: taken only if their hash is right, and nothing is left of what is not."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from headstart.errors import DataError, UsageError
from headstart.models import published as module
from headstart.models.published import Published, fetch_published, published

CONTENT = b"weights, and many of them " * 1000
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torchvision keeps weights files; the user's own is not touched."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "checkpoints"


class _Server(ThreadingHTTPServer):
    mode = "whole"
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.mode == "hangs up":
            self.wfile.write(b"nonsense\r\n")
            return
        if self.server.mode == "absent":
            self.send_error(404, "Not Found")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.server.mode == "whole" else CONTENT[:5000])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def at(monkeypatch: pytest.MonkeyPatch, cache: Path, port: int) -> Published:
    """Lets the weights of every network be one small file of a server here."""
    name = f"net-{PREFIX}.pth"
    weights = Published(f"http://127.0.0.1:{port}/{name}", cache / name, PREFIX)
    monkeypatch.setattr(module, "published", lambda network: weights)
    return weights


def test_where_torchvision_has_its_own(cache: Path) -> None:
    weights = published("vgg16")
    assert weights.url.startswith("https://download.pytorch.org/models/vgg16-")
    assert weights.path == cache / weights.url.rpartition("/")[2]
    assert weights.path.name == f"vgg16-{weights.hash_prefix}.pth"


def test_every_network_has_a_hash_or_says_that_nothing_is_published(cache: Path) -> None:
    from headstart.models.classifiers import network_names

    without = []
    for name in network_names():
        try:
            assert len(published(name).hash_prefix) >= 8
        except UsageError as e:
            assert "--start" in str(e)
            without.append(name)
    assert len(without) < 5


def test_a_network_that_is_none(cache: Path) -> None:
    with pytest.raises(UsageError, match="no network vgg-16"):
        fetch_published("vgg-16")


def test_a_truncated_file_in_the_cache_is_refused_by_its_hash(cache: Path) -> None:
    path = published("squeezenet1_0").path
    path.parent.mkdir()
    path.write_bytes(b"half of it")
    with pytest.raises(DataError, match="bad-weights") as caught:
        fetch_published("squeezenet1_0")
    assert str(path) in str(caught.value) and "remove" in str(caught.value)
    assert path.read_bytes() == b"half of it"  # the user's to remove


def test_what_is_there_and_right_is_not_fetched_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, server: _Server
) -> None:
    weights = at(monkeypatch, cache, server.server_port)
    assert fetch_published("vgg16") == weights.path and weights.path.read_bytes() == CONTENT
    assert fetch_published("vgg16") == weights.path and server.asked == 1
    weights.path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=f"expected {PREFIX}"):
        fetch_published("vgg16")
    monkeypatch.setattr(
        module, "published", lambda _: dataclasses.replace(weights, hash_prefix="0" * 8)
    )
    weights.path.write_bytes(CONTENT)
    with pytest.raises(DataError, match="expected 00000000"):
        fetch_published("vgg16")


def test_a_download_cut_short_is_refused_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, server: _Server
) -> None:
    weights = at(monkeypatch, cache, server.server_port)
    server.mode = "short"
    with pytest.raises(DataError, match="bad-weights") as caught:
        fetch_published("vgg16")
    assert weights.url in str(caught.value) and "--start" in str(caught.value)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("mode", ["absent", "hangs up", "no server"])
def test_without_a_network_the_file_to_fetch_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, server: _Server, mode: str
) -> None:
    weights = at(monkeypatch, cache, 1 if mode == "no server" else server.server_port)
    server.mode = mode
    with pytest.raises(DataError, match=r"(?s)no-network.*vgg16") as caught:
        fetch_published("vgg16")
    assert weights.url in str(caught.value) and "--start" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = at(monkeypatch, cache, 1)
    cache.write_text("a file in the folder's place")
    with pytest.raises(DataError, match=r"\[disk\]") as caught:
        fetch_published("vgg16")
    assert weights.url in str(caught.value)
