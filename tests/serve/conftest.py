"""A real server on a free port of this machine."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from headstart.config.files import read_run_config
from headstart.data.label_map import LabelMap
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Segmenter
from headstart.serve.app import Served, make_app
from headstart.serve.facts import About, find_about
from headstart.serve.limits import RequestLimits
from headstart.serve.samples import Samples, find_samples
from headstart.serve.server import bind, make_server


@contextmanager
def running(served: Served, token: str | None = None) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    address = bind("127.0.0.1", 0)
    server = make_server(make_app(served, token=token))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [address.socket]})
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        yield address.url
    finally:
        server.should_exit = True
        thread.join(20)
    if thread.is_alive():
        where = sys._current_frames().get(thread.ident or 0)
        pytest.fail("it does not stop; it is at\n" + "".join(traceback.format_stack(where)))


@pytest.fixture(scope="session")
def served(trained: Path) -> Served:
    segmenter = open_segmenter(trained, "cpu")
    config = read_run_config(trained / "config.json")
    samples = find_samples(config, trained, segmenter.label_map, None)
    return Served(segmenter, find_about(trained), samples)


# Not for the session: tests elsewhere replace parts of the process, which it would run on.
@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with running(served) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as its:
        yield its


def slow(seconds: float, limits: RequestLimits) -> Served:
    """A network that takes its time, to fill the places of a server with."""

    def probabilities(pictures: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return np.full((len(pictures), 2, 4, 4), 0.5, np.float32)

    def maps(_: np.ndarray, sizes: list[tuple[int, int]], *_contents: object) -> list[np.ndarray]:
        return [np.zeros(size, np.uint8) for size in sizes]

    label_map = LabelMap(("background", "tool"), (0, 255))
    segmenter = Segmenter((4, 4), "squeeze", label_map, 0.0, "0" * 64, probabilities, maps)
    about = About("slow", None, None, {})
    return Served(segmenter, about, Samples("test", (), Path(), "none"), limits)
