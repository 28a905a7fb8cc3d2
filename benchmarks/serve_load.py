"""Starts ``headstart serve`` on this machine and overloads it.

``python benchmarks/serve_load.py RUN PICTURE --out FILE``: rounds of 100 simultaneous requests,
then 200 clients that disconnect during an upload. Measures the server's memory before and after
each, and the response time of ``/health`` meanwhile. Another server gets a picture while 20 uploads
stall, and then eight photographs of 24 megapixels at once; its peak memory is measured, for the
run and for its ``model.onnx``. ``--before SRC`` does the latter with the sources in another folder
first, such as those of an earlier commit.
The exit status is 1 if a request got neither an answer nor a proper refusal, if ``/health`` took a
second, if stalled uploads or photographs kept a picture from its answer, or if the server did not
stop within five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import io
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
from PIL import Image

from headstart.seeding import generator
from headstart.system.disk import write_json

POLITE = (200, 503)
SIZE = (6000, 4000)
SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAD = "POST /segment HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n"


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


def started(run: Path, said: Path, source: Path = SOURCE) -> tuple[subprocess.Popen[bytes], str]:
    """The server and its address."""
    command = [sys.executable, "-m", "headstart", "serve", str(run), "--port", "0"]
    with said.open("wb") as err:
        environment = {**os.environ, "PYTHONPATH": str(source)}
        server = subprocess.Popen(command, stderr=err, env=environment)
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
    head = HEAD.format(host, len(content))

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


def photograph() -> bytes:
    """A JPEG of 24 megapixels: noise, enlarged, so that it is as smooth as a photograph."""
    noise = generator(0, "photograph").integers(0, 256, (SIZE[1] // 10, SIZE[0] // 10, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


async def under_strain(
    url: str, pid: int, small: bytes, args: argparse.Namespace
) -> dict[str, Any]:
    """A picture while uploads stall; then a photograph alone, and several at once."""
    host, port = url.removeprefix("http://").split(":")
    stalled = []
    for _ in range(args.stalled):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(HEAD.format(host, len(small)).encode() + small[: len(small) // 2])
        await writer.drain()
        stalled.append(writer)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    statuses = await at_once(url, small, 1)
    took = round(time.monotonic() - began, 2)
    uploads = {"count": args.stalled, "statuses": dict(statuses), "seconds": took}
    for writer in stalled:
        writer.transport.abort()
    await asyncio.sleep(1)
    photographs, large = [], photograph()
    for count in (1, args.photographs):
        began = time.monotonic()
        statuses = await at_once(url, large, count)
        took = round(time.monotonic() - began, 1)
        photographs.append(
            {"count": count, "statuses": dict(statuses), "seconds": took, **memory(pid)}
        )
    return {"stalled_uploads": uploads, "photographs": photographs}


def strained(source: Path, folder: Path, small: bytes, args: argparse.Namespace) -> dict[str, Any]:
    """Stalled uploads and photographs, on servers of some sources: of the run, and of its file."""
    found = {}
    for name, served in (("run", args.run), ("onnx", args.run / "model.onnx")):
        server, url = started(served, folder / "stderr.txt", source)
        try:
            found[name] = asyncio.run(under_strain(url, server.pid, small, args))
            print(source, name, found[name], flush=True)
        finally:
            server.kill()
            server.wait()
    return found


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
    parser.add_argument("--stalled", type=int, default=20)
    parser.add_argument("--photographs", type=int, default=8)
    parser.add_argument("--before", type=Path, help="sources to strain first")
    args = parser.parse_args()
    content, busy = args.picture.read_bytes(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        server, url = started(args.run, Path(folder) / "stderr.txt")
        try:
            found = asyncio.run(measure(url, server.pid, content, args))
            stop = stopped(server)
        finally:
            server.kill()
        sources = {"before": args.before} if args.before else {}
        sources["after"] = SOURCE
        strain = {name: strained(s, Path(folder), content, args) for name, s in sources.items()}
    machine = {
        "cores": os.cpu_count(),
        "load_average": round(busy, 1),  # of what else ran on the machine before
        "python": platform.python_version(),
    }
    asked = {"requests_at_once": args.requests, "picture_bytes": len(content)}
    record = {"schema": 1, **machine, **asked, **found, "stop": stop, "strain": strain}
    write_json(args.out, record)
    print(json.dumps({key: found[key] for key in ("health", "health_without_load")}), stop)
    known = {str(status) for status in POLITE}
    polite = all(set(r["statuses"]) <= known and "200" in r["statuses"] for r in found["rounds"])
    parts = [
        part for s in strain["after"].values() for part in (s["stalled_uploads"], *s["photographs"])
    ]
    answered = all(set(part["statuses"]) == {"200"} for part in parts)
    held = polite and answered and found["health"]["longest_seconds"] < 1
    return 0 if held and stop["exit_status"] == 0 and stop["seconds"] < 5 else 1


if __name__ == "__main__":
    sys.exit(main())
