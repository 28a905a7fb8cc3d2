"""ONNX Runtime against PyTorch on real frames: differences and speed.

    taskset -c 0 python benchmarks/onnx_parity.py RUN DATA --out onnx.json

RUN is a finished run with its ``model.onnx`` (``headstart export RUN``). Every frame of the split
goes through both, one at a time, on the CPU, in one process; the two take turns at being first.
Frames are used at the training size, as in ``predict``, and at their own size.

``largest_difference`` is the largest difference of a probability. ``other_class_share`` is the
share of pixels whose class differs, at the frames' own size;
``largest_lead_where_the_class_differs`` is the largest lead of PyTorch's most probable class over
the next at those pixels. ``milliseconds`` are wall-clock time, ``processor_milliseconds`` the
computing time of all threads of the process. With one thread (``taskset``) on an idle machine the
two are equal; on a busy one, look at the second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.errors import HeadstartError
from headstart.inference.class_maps import class_maps, resized
from headstart.inference.onnx_file import read_onnx
from headstart.inference.opening import open_segmenter
from headstart.inference.segmenter import Pictures, Segmenter, brought
from headstart.runs.records import environment, version_of
from headstart.system.disk import write_json
from headstart.system.processor import available_threads


def timed(segmenter: Segmenter, batch: Pictures) -> tuple[np.ndarray, tuple[float, float]]:
    """Probabilities, and the milliseconds they took: wall-clock and processor time."""
    began = time.perf_counter(), time.process_time()
    found = segmenter.probabilities(batch)
    ended = time.perf_counter(), time.process_time()
    return found, ((ended[0] - began[0]) * 1e3, (ended[1] - began[1]) * 1e3)


def lead(probs: np.ndarray) -> np.ndarray:
    """The lead of the most probable class over the next, at each pixel."""
    first = np.sort(probs, axis=0)
    return first[-1] - first[-2]


def compared(both: dict[str, Segmenter], batches: list[Pictures], sizes: list) -> dict[str, Any]:
    """Run one frame at a time through both; compare classes at ``sizes``."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
    differences, pixels, differs, leads = [], 0, 0, [0.0]
    for name in both:  # what is done once is not measured
        timed(both[name], batches[0])
    for i, (batch, size) in enumerate(zip(batches, sizes, strict=True)):
        found = {}
        for name in list(both) if i % 2 else reversed(both):
            found[name], times = timed(both[name], batch)
            took[name].append(times)
        a, b = found.values()
        differences.append(float(np.abs(a - b).max()))
        min_area = both["pytorch"].min_area
        other = np.not_equal(*(class_maps(p, [size], min_area)[0] for p in found.values()))
        pixels, differs = pixels + other.size, differs + int(other.sum())
        if other.any():
            leads.append(float(lead(resized(found["pytorch"][0], size))[other].max()))
    return {
        "largest_difference": max(differences),
        "median_of_largest_differences": statistics.median(differences),
        "pixels": pixels,
        "other_class_pixels": differs,
        "other_class_share": differs / pixels,
        "largest_lead_where_the_class_differs": max(leads),
        "milliseconds": {n: spread([clock for clock, _ in times]) for n, times in took.items()},
        "processor_milliseconds": {n: spread([p for _, p in times]) for n, times in took.items()},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and extremes."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def measure(run: Path, data: Path, split: str) -> dict[str, Any]:
    """The whole record."""
    torch.set_num_threads(available_threads())
    dataset, file = open_dataset(data), read_onnx(run / "model.onnx")
    frames = frames_of(dataset, split)
    pictures = [read_frame(frame, dataset.root) for frame in frames]
    both = {"pytorch": open_segmenter(run, "cpu"), "onnxruntime": Segmenter.from_onnx(file)}
    sizes = [picture.shape[:2] for picture in pictures]
    small = [brought(both["pytorch"], picture).transpose(2, 0, 1)[None] for picture in pictures]
    own = [np.stack([picture.transpose(2, 0, 1)]) for picture in pictures]
    hardware = environment("cpu")
    for package in ("onnx", "onnxruntime", "onnxscript"):
        hardware["versions"][package] = version_of(package)
    return {
        "schema": 1,
        "benchmark": "onnx_parity",
        "hardware": hardware,
        "settings": {
            "data": str(data),
            "split": split,
            "frames": len(frames),
            "own_sizes": sorted({f"{h}x{w}" for h, w in sizes}),
            "training_size": "{}x{}".format(*file.facts.size),
            "classes": len(file.facts.names),
            "width": json.loads((run / "config.json").read_text())["width"],
            "threads": available_threads(),
            "file_bytes": len(file.content),
            "weights_sha256": file.facts.weights_sha256,
        },
        "at the training size": compared(both, small, sizes),
        "at the frames' own size": compared(both, own, sizes),
    }


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run with its model.onnx")
    parser.add_argument("data", type=Path, help="a dataset")
    parser.add_argument("--split", default="test", help="its frames [default: %(default)s]")
    parser.add_argument("--out", type=Path, help="a JSON file [default: standard output]")
    options = parser.parse_args()
    try:
        record = measure(options.run, options.data, options.split)
    except HeadstartError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    if options.out is None:
        print(json.dumps(record, indent=2, allow_nan=False))
    else:
        write_json(options.out, record)


if __name__ == "__main__":
    main()
