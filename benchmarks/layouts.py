"""Times how fast folders are recognised and checked.

``python benchmarks/layouts.py --out layouts.json`` writes datasets into a temporary folder and
times, ``--rounds`` times each:

- recognition of folders of 100,000 files, by their names and a few opened files: pictures and masks
  in two folders; the same in folders of patients and days; COCO's file beside its pictures;
  labelme's files beside their pictures in folders of patients and days; pictures alone;
- ``headstart check``, as a command, on 1,000 frames with masks of 256 x 320 pixels;
- ``headstart check`` on 200 pictures with 2,000 polygons in COCO's JSON.

The JSON has the seconds of all rounds and of the processor in the median one, in which other
programs on the machine count less.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.data.layouts.recognise import recognise
from headstart.runs.records import environment
from headstart.system.disk import write_json

HEIGHT, WIDTH = 256, 320


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """Return a picture as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def tiny() -> tuple[bytes, bytes]:
    """Return a picture and a mask of 24 x 32 pixels."""
    rng = np.random.default_rng(0)
    mask = np.zeros((24, 32), np.uint8)
    mask[5:20, 8:28] = 1
    return encoded(rng.integers(0, 256, (24, 32, 3), np.uint8), "png"), encoded(mask, "png")


def write(path: Path, content: bytes) -> None:
    """Write a file whose folder may be missing."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
    path.write_bytes(content)


def nested(count: int) -> Iterator[str]:
    """Return paths without ending: a hundred patients, ten days each."""
    for k in range(count):
        yield f"patient{k % 100}/day{k // 100 % 10}/{k:06}"


def two_folders(root: Path, files: int) -> None:
    """Write pictures and masks side by side."""
    picture, mask = tiny()
    for k in range(files // 2):
        write(root / "img" / f"{k:06}.png", picture)
        write(root / "gt" / f"{k:06}.png", mask)


def patients(root: Path, files: int) -> None:
    """Write pictures and masks in folders of patients and days."""
    picture, mask = tiny()
    for stem in nested(files // 2):
        write(root / "img" / f"{stem}.png", picture)
        write(root / "gt" / f"{stem}.png", mask)


def pictures_alone(root: Path, files: int) -> None:
    """Write pictures in folders of patients and days, without masks."""
    picture, _ = tiny()
    for stem in nested(files):
        write(root / f"{stem}.png", picture)


def coco(root: Path, files: int) -> None:
    """Write pictures in one folder, and COCO's file."""
    picture, _ = tiny()
    for k in range(files - 1):
        write(root / "images" / f"{k:06}.png", picture)
    text = {"images": [{"id": 0, "file_name": "000000.png"}], "annotations": [], "categories": []}
    write(root / "annotations" / "instances_train.json", json.dumps(text).encode())


def labelme(root: Path, files: int) -> None:
    """Write pictures, each with labelme's file beside it, in folders of patients and days."""
    picture, _ = tiny()
    for stem in nested(files // 2):
        text = {"version": "5.5.0", "shapes": [], "imagePath": f"{stem[-6:]}.png"}
        write(root / f"{stem}.png", picture)
        write(root / f"{stem}.json", json.dumps(text).encode())


def smooth(rng: np.random.Generator) -> np.ndarray:
    """Return a picture as a camera might give it: no two are alike, and it compresses."""
    coarse = rng.integers(0, 256, (HEIGHT // 32, WIDTH // 32, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def frames(root: Path, count: int) -> None:
    """Write pictures as JPEG, with masks of three classes as PNG."""
    rng = np.random.default_rng(0)
    for k in range(count):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for level in (1, 2):
            y, x = rng.integers(0, HEIGHT // 2), rng.integers(0, WIDTH // 2)
            mask[y : y + HEIGHT // 3, x : x + WIDTH // 3] = level
        write(root / "images" / f"{k:04}.jpg", encoded(smooth(rng), "jpeg"))
        write(root / "masks" / f"{k:04}.png", encoded(mask, "png"))


def polygons(root: Path, count: int) -> None:
    """Write a picture for each ten polygons of 40 corners, and COCO's file."""
    rng = np.random.default_rng(0)
    size = {"height": HEIGHT, "width": WIDTH}
    images = [{"id": k, "file_name": f"{k:04}.jpg", **size} for k in range(count // 10)]
    annotations = []
    for k in range(count):
        (y, x), radius = rng.uniform((30, 30), (HEIGHT - 30, WIDTH - 30)), rng.uniform(10, 25)
        angles = [math.tau * corner / 40 for corner in range(40)]
        flat = [c for a in angles for c in (x + radius * math.cos(a), y + radius * math.sin(a))]
        annotations.append(
            {"id": k, "image_id": k // 10, "category_id": 1 + k % 3, "segmentation": [flat]}
        )
    for image in images:
        write(root / "images" / str(image["file_name"]), encoded(smooth(rng), "jpeg"))
    categories = [{"id": k, "name": f"class {k}"} for k in (1, 2, 3)]
    text = {"images": images, "annotations": annotations, "categories": categories}
    write(root / "annotations" / "instances.json", json.dumps(text).encode())


def timed(work: Callable[[], str], rounds: int) -> dict[str, Any]:
    """Return seconds by the clock, and seconds of the processor in the median round."""
    readings = []
    for _ in range(rounds):
        began, used = time.perf_counter(), sum(os.times()[:4])  # with the seconds of children
        found = work()
        readings.append((time.perf_counter() - began, sum(os.times()[:4]) - used))
    clock = [round(seconds, 3) for seconds, _ in readings]
    processor = round(statistics.median(used for _, used in readings), 3)
    return {"found": found, "seconds": clock, "processor_seconds": processor}


def recognised(root: Path) -> str:
    """Return the name of a folder's layout."""
    found = recognise(root)
    return "none" if found is None else found.layout


def checked(root: Path) -> str:
    """Run ``headstart check``, and return the layout that it names."""
    command = [sys.executable, "-m", "headstart", "check", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["layout"])


def main() -> int:
    """Write the datasets, one after the other, time them, and print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--polygons", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    record: dict[str, Any] = {
        "schema": 1, "benchmark": "layouts", "hardware": environment("cpu"),
        "command": "python benchmarks/layouts.py " + " ".join(
            f"--{name} {getattr(args, name)}" for name in ("files", "frames", "polygons", "rounds")
        ),
        "recognition": {}, "check": {},
    }  # fmt: skip
    parts = [
        *(("recognition", make, args.files, recognised)
          for make in (two_folders, patients, coco, labelme, pictures_alone)),
        ("check", frames, args.frames, checked),
        ("check", polygons, args.polygons, checked),
    ]  # fmt: skip
    for part, make, count, work in parts:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            record[part][make.__name__] = timed(lambda: work(Path(folder)), args.rounds)  # noqa: B023
    print(json.dumps(record, indent=2))
    if args.out is not None:
        write_json(args.out, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
