"""Weights of timm's hub: taken only if their hash is right; without the hub the file is named."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headstart.errors import DataError, UsageError
from headstart.models.published import at_hand, fetch_published

pytest.importorskip("timm", reason="timm is not installed: headstart[timm]")

CONTENT = b"weights, and many of them " * 1000
NAME = "timm/resnet10t"


class _Hub(ThreadingHTTPServer):
    stated = hashlib.sha256(CONTENT).hexdigest()
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Hub

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(CONTENT)

    def _answer(self, content: bytes) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if not self.server.stated:
            self.send_error(404, "Not Found")
            return
        self.send_response(200)
        self.send_header("ETag", f'"{self.server.stated}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Hub]:
    """A hub on this machine, and an empty cache; the user's own is not touched."""
    from huggingface_hub import constants

    with _Hub(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        from huggingface_hub import close_session

        close_session()


def test_a_file_is_fetched_once_and_checked_by_its_hash(hub: _Hub) -> None:
    assert not at_hand(NAME)
    path = fetch_published(NAME)
    assert path.read_bytes() == CONTENT and path.name == "model.safetensors"
    assert sum("/timm/resnet10t.c3_in1k/resolve/" in asked for asked in hub.asked) == 3
    hub.asked.clear()
    assert at_hand(NAME) and fetch_published(NAME) == path
    assert not hub.asked
    path.resolve().write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"bad-weights.*not what was published"):
        fetch_published(NAME)


def test_a_download_with_another_hash_is_refused(hub: _Hub) -> None:
    hub.stated = "0" * 64
    with pytest.raises(DataError, match="bad-weights"):
        fetch_published(NAME)


def test_without_the_hub_the_file_to_bring_is_named(
    hub: _Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.stated = ""
    with pytest.raises(DataError, match=r"no-network.*404") as caught:
        fetch_published(NAME)
    assert "timm/resnet10t.c3_in1k/resolve/main/model.safetensors" in caught.value.findings[0].hint
    from huggingface_hub import constants

    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"  # nobody listens
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(DataError, match="no-network") as caught:
        fetch_published(NAME)
    assert "--start" in caught.value.findings[0].hint


def test_a_network_without_published_weights_is_refused() -> None:
    with pytest.raises(UsageError, match="not-published"):
        fetch_published("timm/lcnet_035")
    assert not at_hand("timm/lcnet_035")
