"""Starts ``headstart serve`` on this machine and overloads it.

``python benchmarks/serve_load.py RUN PICTURE --out FILE``: rounds of 100 simultaneous requests,
then 200 clients that disconnect during an upload. Measures the server's memory before and after
each, and the response time of ``/health`` meanwhile. The exit status is 1 if a request got neither
an answer nor a proper refusal, if ``/health`` took a second, or if the server did not stop within
five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx

from headstart.system.disk import write_json

POLITE = (200, 503)


def memory(pid: int) -> dict[str, float]:
    """Current and peak resident memory of a process in MB, and its number of open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, highest = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    assert now is not None and highest is not None
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return {
        "rss_mb": round(int(now[1]) / 1000, 1),
        "highest_mb": round(int(highest[1]) / 1000, 1),
        "files": files,
        "threads": threads,
    }


def started(run: Path, said: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server and its address."""
    command = [sys.executable, "-m", "headstart", "serve", str(run), "--port", "0"]
    with said.open("wb") as err:
        server = subprocess.Popen(command, stderr=err)
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        if found := re.search(r"at (http://127\S+)\n", said.read_text()):
            return server, found[1]
        time.sleep(0.1)
    server.kill()
    raise RuntimeError(said.read_text())


def watch(url: str, begun: Event, stop: Event, taken: Queue[list[float]]) -> None:
    """Response times of ``/health``, polled from a separate process with its own connections.

    In the process that sends a hundred requests, it would mostly measure that process.
    """
    seconds = []
    host, port = url.removeprefix("http://").split(":")
    while not stop.is_set():
        began = time.monotonic()
        line = HTTPConnection(host, int(port), timeout=30)
        line.request("GET", "/health")
        assert line.getresponse().status == 200
        line.close()
        seconds.append(time.monotonic() - began)
        begun.set()
        time.sleep(0.05)
    taken.put(sorted(seconds))


async def at_once(url: str, content: bytes, count: int) -> Counter[str]:
    """The statuses of as many requests, sent at the same moment."""
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as client:

        async def one() -> str:
            try:
                return str((await client.post(f"{url}/segment", content=content)).status_code)
            except httpx.HTTPError as error:
                return type(error).__name__

        return Counter(await asyncio.gather(*(one() for _ in range(count))))


async def vanishing(url: str, content: bytes, count: int) -> None:
    """As many senders, ten at a time, that leave after half of a picture."""
    host, port = url.removeprefix("http://").split(":")
    head = f"POST /segment HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"

    async def one() -> None:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + content[: len(content) // 2])
        await writer.drain()
        writer.transport.abort()

    for _ in range(0, count, 10):
        await asyncio.gather(*(one() for _ in range(10)))


@contextmanager
def watched(url: str) -> Iterator[dict[str, float]]:
    """Record the response times of ``/health`` meanwhile."""
    own = multiprocessing.get_context("spawn")
    begun, stop, told = own.Event(), own.Event(), own.Queue()
    watching = own.Process(target=watch, args=(url, begun, stop, told))
    watching.start()
    begun.wait(60)
    found: dict[str, float] = {}
    yield found
    stop.set()
    taken = told.get(timeout=60)
    watching.join()
    found["asked"] = len(taken)
    for name, share in (("median", 0.5), ("p99", 0.99), ("longest", 1.0)):
        found[f"{name}_seconds"] = round(taken[min(int(share * len(taken)), len(taken) - 1)], 4)


async def measure(url: str, pid: int, content: bytes, args: argparse.Namespace) -> dict[str, Any]:
    """All rounds, with the server's memory around each."""
    await at_once(url, content, 4)  # what is loaded with the first pictures is no leak
    with watched(url) as idle:
        await asyncio.sleep(args.idle)
    before, rounds = memory(pid), []
    with watched(url) as busy:
        for _ in range(args.rounds):
            began = time.monotonic()
            statuses = await at_once(url, content, args.requests)
            took = round(time.monotonic() - began, 2)
            rounds.append(
                {"statuses": dict(sorted(statuses.items())), "seconds": took, **memory(pid)}
            )
            print(rounds[-1], flush=True)
        await vanishing(url, content, args.vanish)
        await asyncio.sleep(1)
        after = await at_once(url, content, 2)
    return {
        "before": before,
        "rounds": rounds,
        "vanished": {"count": args.vanish, "answered_after": dict(after), **memory(pid)},
        "health": busy,
        "health_without_load": idle,
    }


def stopped(server: subprocess.Popen[bytes]) -> dict[str, float]:
    """Stop the server with SIGTERM; return how it ended."""
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    status = server.wait(30)
    return {"exit_status": status, "seconds": round(time.monotonic() - began, 2)}


def main() -> int:
    """Measure, and report whether the limits held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--idle", type=float, default=10, help="seconds without load, first")
    parser.add_argument("--vanish", type=int, default=200)
    args = parser.parse_args()
    content, busy = args.picture.read_bytes(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        server, url = started(args.run, Path(folder) / "stderr.txt")
        try:
            found = asyncio.run(measure(url, server.pid, content, args))
            stop = stopped(server)
        finally:
            server.kill()
    machine = {
        "cores": os.cpu_count(),
        "load_average": round(busy, 1),  # of what else ran on the machine before
        "python": platform.python_version(),
    }
    asked = {"requests_at_once": args.requests, "picture_bytes": len(content)}
    write_json(args.out, {"schema": 1, **machine, **asked, **found, "stop": stop})
    print(json.dumps({key: found[key] for key in ("health", "health_without_load")}), stop)
    known = {str(status) for status in POLITE}
    polite = all(set(r["statuses"]) <= known and "200" in r["statuses"] for r in found["rounds"])
    held = polite and found["health"]["longest_seconds"] < 1
    return 0 if held and stop["exit_status"] == 0 and stop["seconds"] < 5 else 1


if __name__ == "__main__":
    sys.exit(main())
