"""Kills ``headstart train`` with SIGKILL at random moments and resumes it, many times.

``python benchmarks/kills.py DATA OUT --kills 20``: one run is uninterrupted; the other is
killed and resumed as often as ``--kills`` says, then finishes. Every file that must not depend on
kills is compared byte for byte. The JSON has the moment of each kill. The exit status is 1 if any
byte differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from headstart.system.disk import write_json

FILES = ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv")


def command(data: Path, out: Path, settings: list[str]) -> list[str]:
    """The command that a user would give, and repeat."""
    fixed = ["--out", str(out), "--checkpoint-seconds", "1"]
    return [sys.executable, "-m", "headstart", "train", str(data), *fixed, *settings]


def newest_step(run: Path) -> int:
    """The step of the newest checkpoint, or 0 if there is none."""
    steps = [json.loads(p.read_bytes())["step"] for p in run.glob("checkpoint/step-*.json")]
    return max(steps, default=0)


def main() -> int:
    """Run both and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("settings", nargs="*", help="for headstart train, after --")
    args = parser.parse_args()
    settings = args.settings or ["--size", "64x80", "--width", "16", "--epochs", "6"]
    whole, parts = args.out / "whole", args.out / "parts"
    began = time.monotonic()
    subprocess.run(command(args.data, whole, settings), check=True, capture_output=True)
    took = time.monotonic() - began
    rows = [json.loads(line) for line in (whole / "timing.jsonl").read_text().splitlines()]
    training = sum(r["train_seconds"] + r["validation_seconds"] for r in rows)
    start = took - training  # to load what is needed, and to score
    longest = start + training / args.kills  # so that the last kill falls before the end
    rng = random.Random(args.seed)
    kills = []
    while len(kills) < args.kills:
        process = subprocess.Popen(
            command(args.data, parts, settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seconds = rng.uniform(0.3 * start, longest)
        time.sleep(seconds)
        if process.poll() is not None:
            break  # it has finished: later kills would fall on nothing
        process.kill()
        process.wait()
        kills.append({"after_seconds": round(seconds, 3), "newest_step": newest_step(parts)})
        print(kills[-1], flush=True)
    subprocess.run(command(args.data, parts, settings), check=True, capture_output=True)
    digests = {
        name: [hashlib.sha256((run / name).read_bytes()).hexdigest() for run in (whole, parts)]
        for name in FILES
    }
    equal = {name: a == b for name, (a, b) in digests.items()}
    record = {"schema": 1, "settings": settings, "uninterrupted_seconds": round(took, 1)}
    write_json(args.out / "kills.json", {**record, "kills": kills, "byte_identical": equal})
    print(equal)
    return 0 if all(equal.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
