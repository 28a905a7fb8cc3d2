"""Hours of training and of serving: whether memory, open files and threads stay flat.

``python benchmarks/soak.py --out soak.json --minutes 120``: one process of ``headstart train`` on
drawn scenes at 64 x 80, with thousands of epochs and a checkpoint every ten seconds, and one of
``headstart serve``, which gets a picture every second. Each process is sampled every ten seconds.
Growth is the median of the last quarter minus that of the second (the first warms up). A training
keeps the row of every epoch, as it is in ``metrics.jsonl``; what the rows of so many epochs take is
``history_mb``. The exit status is 1 if memory grew by 10 MB more than that, or open files, threads
or files in /dev/shm by one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.runs.records import environment
from headstart.system.disk import write_json

SOURCE = Path(__file__).resolve().parents[1] / "src"
TINY = ("--model", "unet", "--size", "64x80", "--width", "8", "--threads", "1", "--device", "cpu")
ROOM = {"memory_mb": 10.0, "files": 0.5, "threads": 0.5, "shm": 0.5}
EVERY = 10.0  # seconds
KEPT = ("train", "memory_mb")  # grows with the epochs


def headstart(*words: object, said: Path) -> subprocess.Popen[bytes]:
    """Start a command; its stderr goes to a file."""
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with said.open("wb") as err:
        command = [sys.executable, "-m", "headstart", *map(str, words)]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=err, env=environ, start_new_session=True
        )


def sample(pid: int) -> dict[str, float]:
    """Memory in MB, open files and threads of a process; files in /dev/shm of all."""
    process = Path(f"/proc/{pid}")
    found = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert found is not None
    return {
        "memory_mb": int(found[1]) / 1000,
        "files": len(list((process / "fd").iterdir())),
        "threads": len(list((process / "task").iterdir())),
        "shm": len(list(Path("/dev/shm").iterdir())),
    }


def address(said: Path) -> str:
    """Return the URL of a server, once it has said it."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        if found := re.search(r"at (http://127\S+)\n", said.read_text()):
            return found[1]
        time.sleep(0.2)
    raise RuntimeError(said.read_text())


def growth(samples: list[dict[str, float]]) -> dict[str, float]:
    """Return, for each number, the median of the last quarter minus that of the second."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return {n: round(median(s[n] for s in late) - median(s[n] for s in early), 2) for n in ROOM}


def history_mb(row: str, epochs: int) -> float:
    """Return the memory that a training needs to keep the rows of so many epochs."""
    tracemalloc.start()
    rows = [json.loads(row) for _ in range(1000)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(taken / len(rows) * epochs / 1e6, 1)


def summary(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Return growth, extremes and at most 60 readings of the memory."""
    return {
        "growth": growth(samples),
        "least": {n: min(s[n] for s in samples) for n in ROOM},
        "most": {n: max(s[n] for s in samples) for n in ROOM},
        "memory_mb": [s["memory_mb"] for s in samples[:: max(1, len(samples) // 60)]],
    }


def soak(folder: Path, minutes: float) -> dict[str, Any]:
    """Train and serve for ``minutes``; samples of both processes and what they did."""
    data, first, long = folder / "data", folder / "first", folder / "long"
    write_dataset(data, train=12, validation=4, test=5, unlabelled=3, height=64, width=80)
    words = ("train", data, "--out", first, *TINY, "--steps", 50)
    if headstart(*words, said=folder / "first.txt").wait():
        raise RuntimeError((folder / "first.txt").read_text())
    picture = open_dataset(data).splits["test"][0].image.read_bytes()
    said = folder / "long.txt"
    words = ("train", data, "--out", long, *TINY, "--epochs", 100_000)
    training = headstart(*words, said=said)
    serving = headstart("serve", first, "--port", 0, said=folder / "serve.txt")
    url = address(folder / "serve.txt")
    samples: dict[str, list[dict[str, float]]] = {"train": [], "serve": []}
    answered, end = 0, time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        for name, process in (("train", training), ("serve", serving)):
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended: {said.read_text()[-2000:]}")
            samples[name].append(sample(process.pid))
        until = time.monotonic() + EVERY
        while time.monotonic() < until:
            with urllib.request.urlopen(f"{url}/segment", picture, timeout=60) as answer:
                answered += answer.status == 200
            time.sleep(1)
    training.send_signal(signal.SIGTERM)
    serving.send_signal(signal.SIGTERM)
    statuses = {"train": training.wait(60), "serve": serving.wait(60)}
    rows = (long / "metrics.jsonl").read_text().splitlines()
    done = {"epochs": len(rows), "steps": json.loads(rows[-1])["step"], "pictures": answered}
    history = history_mb(rows[-1], len(rows) // 2)  # between the middles of the two quarters
    summaries = {n: summary(s) for n, s in samples.items()}
    return {"done": done, "exit": statuses, "history_mb": history, **summaries}


def main() -> None:
    """Read the options, soak, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = soak(Path(folder), options.minutes)
    grown = [
        f"{name}: {number} grew by {value}"
        for name in ("train", "serve")
        for number, value in measured[name]["growth"].items()
        if value - (measured["history_mb"] if (name, number) == KEPT else 0) > ROOM[number]
    ]
    command = "python benchmarks/soak.py " + " ".join(sys.argv[1:])
    report = {"command": command, "minutes": options.minutes, "grown": grown, **measured}
    write_json(options.out, {"schema": 1, **report, "hardware": environment("cpu")})
    print(*grown or ["flat"], sep="\n")
    sys.exit(bool(grown) or measured["exit"] != {"train": 143, "serve": 0})


if __name__ == "__main__":
    main()
