"""A study on one GPU and on all GPUs of a machine: time, and which devices were used.

The same small study is trained twice: one run at a time on ``cuda:0``, then ``--jobs`` runs at a
time on all visible devices. While the second trains, the memory that is in use on each device is
sampled from outside; a device on which it never rises was not used. The record has both times,
what each device used at most, what the study said of memory, and the scores of both studies, which
may differ by what CUDA sums in no fixed order.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from headstart.system.devices import cuda_devices
from headstart.system.disk import write_json

ROSE = 300_000_000  # bytes: a context of CUDA and a small network


def used(count: int) -> list[int]:
    """The bytes that are in use on each device."""
    found = []
    for k in range(count):
        free, total = torch.cuda.mem_get_info(k)
        found.append(total - free)
    return found


def timed_study(options: list[str], out: Path, count: int) -> dict[str, Any]:
    """Run a study in a process of its own; return its time, and the memory used meanwhile."""
    most, over = used(count), threading.Event()
    before = list(most)

    def sample() -> None:
        while not over.wait(0.2):
            most[:] = map(max, most, used(count))

    thread = threading.Thread(target=sample)
    thread.start()
    began = time.perf_counter()
    command = [sys.executable, "-m", "headstart", "study", *options, "--out", str(out)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    took = time.perf_counter() - began
    over.set()
    thread.join()
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    records = json.loads((out / "study.json").read_bytes())["records"]
    return {
        "seconds": round(took, 1),
        "rose": [a - b for a, b in zip(most, before, strict=True)],
        "told": [line for line in done.stderr.splitlines() if "has memory for" in line],
        "scores": [record["dice"] for record in records],
    }


def main() -> int:
    """Train both studies and write ``OUT/devices.json``; 1 if a device was not used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    parser.add_argument("--at-each", type=int, default=2, help="runs at a time on each device")
    parser.add_argument("--size", default="256x320")
    parser.add_argument("--steps", type=int, default=600)
    asked = parser.parse_args()
    devices = cuda_devices(("cuda",))
    if not devices:
        sys.exit("torch finds no CUDA device")
    jobs = asked.at_each * len(devices)
    asked.out.mkdir(parents=True)
    options = [
        str(asked.data), "--starts", "scratch", "--labels", "30", "--seeds", str(2 * jobs),
        "--size", asked.size, "--width", "32", "--steps", str(asked.steps), "--threads", "2",
    ]  # fmt: skip
    record: dict[str, Any] = {
        "schema": 1, "benchmark": "devices",
        "devices": [torch.cuda.get_device_name(k) for k in range(len(devices))], "jobs": jobs,
        "one": timed_study([*options, "--device", "cuda:0"], asked.out / "one", len(devices)),
        "all": timed_study(
            [*options, "--device", ",".join(d.name for d in devices), "--jobs", str(jobs)],
            asked.out / "all", len(devices),
        ),
    }  # fmt: skip
    record["speedup"] = round(record["one"]["seconds"] / record["all"]["seconds"], 2)
    write_json(asked.out / "devices.json", record)
    idle = [d.name for d, rose in zip(devices, record["all"]["rose"], strict=True) if rose < ROSE]
    print(json.dumps({k: record[k] for k in ("devices", "jobs", "speedup")}))
    if idle:
        print(f"not used: {', '.join(idle)}", file=sys.stderr)
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
