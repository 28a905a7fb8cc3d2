"""Peak memory of the commands on large photographs, by the number of pictures.

``python benchmarks/memory.py --out memory.json``: draws pictures of 6000 x 4000 with masks, half
for training, a quarter each for validation and test, and as many without masks. Runs check, train,
predict, evaluate and suggest on them, each in a process of its own, and reports the most memory
that the process had resident. ``--before SRC`` runs the sources in another folder first, such as
those of an earlier commit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from headstart.runs.records import environment
from headstart.seeding import generator
from headstart.system.disk import write_json

SIZE = (6000, 4000)
CLASSES = {"background": 0, "bar": 100, "disc": 200}
COLOURS = {"background": (150, 70, 60), "bar": (90, 110, 200), "disc": (230, 220, 120)}
TRAIN = ("--epochs", "1", "--width", "4", "--size", "32x40", "--seed", "1")


def draw(image: Path, mask: Path | None, number: int) -> None:
    """Draw a bar and a disc on a plain ground; flat shapes are quick to draw and to compress."""
    random = generator(0, "memory", number)
    ground = tuple(int(c + random.integers(-40, 40)) for c in COLOURS["background"])
    picture, labels = Image.new("RGB", SIZE, ground), Image.new("L", SIZE, 0)
    for name in ("bar", "disc"):
        x, y = (int(random.integers(0, side // 2)) for side in SIZE)
        w, h = (int(random.integers(side // 8, side // 2)) for side in SIZE)
        for drawn, value in ((picture, COLOURS[name]), (labels, CLASSES[name])):
            pen = ImageDraw.Draw(drawn)
            (pen.rectangle if name == "bar" else pen.ellipse)((x, y, x + w, y + h), fill=value)
    image.parent.mkdir(parents=True, exist_ok=True)
    picture.save(image, quality=90)
    if mask is not None:
        mask.parent.mkdir(parents=True, exist_ok=True)
        labels.save(mask, compress_level=1)


def draw_dataset(root: Path, pictures: int) -> None:
    """Draw the splits and the unlabelled pictures."""
    held_out = pictures // 4
    splits = {"train": pictures - 2 * held_out, "validation": held_out, "test": held_out}
    number = 0
    for split, count in splits.items():
        for _ in range(count):
            number += 1
            folder = root / "labelled" / split
            draw(folder / f"images/{number}.jpg", folder / f"masks/{number}.png", number)
    for _ in range(pictures):
        number += 1
        draw(root / f"unlabelled/{number}.jpg", None, number)
    (root / "labelled" / "mapping.json").write_text(json.dumps(CLASSES))


def measure(arguments: list[str], source: Path) -> dict[str, float]:
    """Run a command in a process of its own; return its peak memory in MB, and its seconds."""
    began = time.monotonic()
    command = [sys.executable, "-m", "headstart", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(source)}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return {
        "peak_mb": round(usage.ru_maxrss * 1024 / 1e6, 1),
        "seconds": round(time.monotonic() - began, 1),
    }


def measure_all(root: Path, out: Path, source: Path) -> dict[str, dict[str, float]]:
    """Measure every command on a dataset."""
    data, run, unlabelled = str(root / "labelled"), str(out / "run"), str(root / "unlabelled")
    commands = {
        "check": ["check", data],
        "train": ["train", data, *TRAIN, "--out", run],
        "predict": ["predict", run, unlabelled, "--out", str(out / "predicted")],
        "evaluate": ["evaluate", run, data],
        "suggest": ["suggest", run, unlabelled, "--count", "5", "--out", str(out / "picked")],
    }
    measured = {}
    for name, arguments in commands.items():
        measured[name] = measure(arguments, source)
        print(name, measured[name], flush=True)
    return measured


def main() -> None:
    """Draw the datasets, measure the commands, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", default="10,40", help="numbers of pictures")
    parser.add_argument("--before", type=Path, help="sources to measure first")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    sources = {"before": asked.before} if asked.before else {}
    sources["after"] = Path(__file__).resolve().parents[1] / "src"
    peaks: dict[str, dict[str, Any]] = {name: {} for name in sources}
    for pictures in map(int, asked.pictures.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.out.resolve().parent) as name:
            root = Path(name)
            draw_dataset(root, pictures)
            for when, source in sources.items():
                (root / when).mkdir()
                print(f"{when}, {pictures} pictures", flush=True)
                peaks[when][str(pictures)] = measure_all(root, root / when, source)
    record = {
        "schema": 1,
        "benchmark": "memory",
        "hardware": environment("cpu"),
        "memory_mb": round(os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() / 1e6),
        "size": list(SIZE[::-1]),
        "classes": len(CLASSES),
        "train": list(TRAIN),
        "peaks": peaks,
    }
    write_json(asked.out, record)


if __name__ == "__main__":
    main()
