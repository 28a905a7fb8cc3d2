"""``headstart serve`` as a process: what it refuses to begin, and how it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from headstart.__main__ import _leave
from headstart.config.files import to_json
from headstart.config.recipes import read_classifier_recipe
from headstart.config.records import make_run_config
from tests.cli.command import become_headstart, headstart
from tests.serve.test_app import PNG, UPLOAD, connected


@contextmanager
def serving(run: Path, cwd: Path, *options: str) -> Iterator[tuple[int, str, Path]]:
    """Its process, address, and where its stderr goes."""
    said = cwd / "stderr.txt"
    command = ["serve", str(run), "--port", "0", "--device", "cpu", *options]
    with said.open("w+b") as err, (cwd / "stdout.txt").open("w+b") as out:
        child = os.fork()
        if child == 0:
            become_headstart(out.fileno(), err.fileno(), command, cwd)
        try:
            until = time.monotonic() + 120
            while "Ctrl-C" not in said.read_text() and time.monotonic() < until:
                time.sleep(0.01)
            url = re.search(r"(http://\S+)", said.read_text())
            assert url is not None, said.read_text()
            yield child, url[1], said
        finally:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def ends(child: int) -> int:
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    status = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert status is not None
    return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status


def after_start(said: Path) -> list[str]:
    _, _, rest = said.read_text().partition("Press Ctrl-C to stop\n")
    return rest.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_is_no_failure(trained: Path, tmp_path: Path, number: int) -> None:
    with serving(trained, tmp_path) as (child, url, said):
        assert httpx.post(f"{url}/segment", content=PNG).status_code == 200
        os.kill(child, number)
        assert ends(child) == 0 and after_start(said) == ["Stopped"]
    assert (tmp_path / "stdout.txt").read_bytes() == b""


def test_a_request_in_flight_is_finished_and_one_that_stalls_is_not_waited_for(
    trained: Path, tmp_path: Path
) -> None:
    with serving(trained, tmp_path) as (child, url, said), ExitStack() as stack:
        finished, stalled, refused = (stack.enter_context(connected(url)) for _ in range(3))
        for line in (finished, stalled):
            line.sendall(UPLOAD % len(PNG) + PNG[:10])
        refused.sendall(UPLOAD % 30_000_000)  # the answer comes before the upload
        time.sleep(0.3)
        os.kill(child, signal.SIGTERM)
        began = time.monotonic()
        time.sleep(0.3)
        finished.sendall(PNG[10:])
        assert b" 200 OK" in finished.recv(65536)
        assert ends(child) == 0
        assert time.monotonic() - began < 5.5
        assert b" 503 " in stalled.recv(65536) and b" 413 " in refused.recv(65536)
        stopping, stopped = after_start(said)
        assert "3 requests" in stopping and "2 requests" in stopped


def test_a_second_interrupt_ends_it_at_once(trained: Path, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, _leave)  # as the program does first
    try:
        with serving(trained, tmp_path) as (child, url, said), connected(url) as line:
            line.sendall(UPLOAD % 99 + b"stalled")
            time.sleep(0.3)
            began = time.monotonic()
            os.kill(child, signal.SIGINT)
            while not after_start(said):
                time.sleep(0.01)
            os.kill(child, signal.SIGINT)
            assert ends(child) == 130 and time.monotonic() - began < 3
            stopping, *rest = after_start(said)
            assert "1 request" in stopping and len(list(filter(None, rest))) == 1
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_is_written_anywhere(trained: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}

    def files(child: int) -> set[str]:
        there = {str(p.readlink()) for p in Path(f"/proc/{child}/fd").iterdir() if p.exists()}
        return {file for file in there if file.startswith("/")}

    with serving(trained, tmp_path) as (child, url, _):
        httpx.get(f"{url}/health")
        opened = files(child)
        for name in ("../../evil.png", "a.png"):
            httpx.post(f"{url}/segment", content=PNG, headers={"X-File-Name": name})
        httpx.post(f"{url}/segment", content=b"\xff" * 21_000_000)
        assert files(child) == opened
        os.kill(child, signal.SIGTERM)
        assert ends(child) == 0
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


def test_others_are_let_in_with_a_token_only(trained: Path, tmp_path: Path) -> None:
    refused = headstart("serve", trained, "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2 and "--token auto" in refused.stderr
    with serving(trained, tmp_path, "--host", "0.0.0.0", "--token", "auto") as (_, url, said):
        address, _, token = url.partition("/#token=")
        assert said.read_text().count(token) == 1 and "not encrypted" in said.read_text()
        assert "instead of 127.0.0.1" in said.read_text()
        assert httpx.get(f"{address}/facts").status_code == 401
        given = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{address}/facts", headers=given).status_code == 200


def test_a_token_of_any_letters_stands_in_the_address(trained: Path, tmp_path: Path) -> None:
    token = "100%+a&b#c=d/e?f"
    with serving(trained, tmp_path, "--token", token) as (_, url, _said):
        address, _, fragment = url.partition("/#")
        assert parse_qs(fragment) == {"token": [token]}
        given = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{address}/facts", headers=given).status_code == 200


def test_a_busy_port_is_said_before_anything_is_loaded(trained: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = headstart("serve", trained, "--port", port)
    assert done.returncode == 2 and f"port-in-use]: port {port} " in done.stderr
    assert re.search(r"--port \d+ is free", done.stderr)


def test_a_classifier_and_no_run_are_refused(tmp_path: Path) -> None:
    config = make_run_config(
        data="photos", task="classification", model="resnet18", width=None, size=(64, 64),
        recipe=read_classifier_recipe("default"), threads=1,
    )  # fmt: skip
    (tmp_path / "config.json").write_text(to_json(config))
    done = headstart("serve", tmp_path, "--port", "0")
    assert done.returncode == 2 and "is-a-classifier" in done.stderr and "predict" in done.stderr
    done = headstart("serve", tmp_path / "nothing", "--port", "0")
    assert done.returncode == 65 and "hint" in done.stderr


def test_a_missing_extra_is_named_with_its_command(trained: Path) -> None:
    script = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['headstart', *sys.argv[1:]]\n"
        "from headstart.cli.main import main; main()"
    )
    command = [sys.executable, "-c", script, "serve", str(trained)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 69 and 'pip install "headstart[serve]"' in done.stderr


def test_the_page_itself_loads_no_torch() -> None:
    script = (
        "import sys, headstart.serve.app, headstart.serve.server\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
