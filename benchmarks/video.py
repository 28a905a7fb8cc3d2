"""Predicts a long video with ``headstart predict`` and measures its memory.

``python benchmarks/video.py RUN --out video.json``: the pictures of ``--data`` (else scenes drawn
by headstart) are repeated until the video is ``--seconds`` long. The resident memory of the command
and of its decoder is read once per second. The JSON has the peak, the slope after the first fifth
(least squares, MB per 1,000 frames), about a hundred of the readings, and frames per second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.runs.records import environment
from headstart.system.disk import write_json


def make_clip(path: Path, data: Path, frames: int, rate: int, size: tuple[int, int]) -> None:
    """Write a video of the test split's pictures, each shown for a second, repeated."""
    import av

    dataset = open_dataset(data)
    pictures = [
        np.asarray(Image.fromarray(read_frame(f, dataset.root)).resize((size[1], size[0])))
        for f in frames_of(dataset, "test")
    ]
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for i in range(frames):
            shown = pictures[i // rate % len(pictures)]
            frame = av.VideoFrame.from_ndarray(np.roll(shown, 2 * (i % rate), axis=1), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    kilobytes = [int(line.split()[1]) for line in status.splitlines() if line[:6] == "VmRSS:"]
    return kilobytes[0] * 1024 / 1e6 if kilobytes else 0.0


def children(pid: int) -> list[int]:
    """Child processes of a process."""
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def watch(command: list[str], table: Path) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Run the command; return its memory and the size of areas.csv each second, and its output."""
    readings, began = [], time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            time.sleep(1)
            tables = list(table.parent.glob(f"{table.name}*"))
            reading = {
                "seconds": round(time.monotonic() - began, 2),
                "command_mb": round(resident_mb(process.pid), 1),
                "decoder_mb": round(sum(map(resident_mb, children(process.pid))), 1),
                "areas_bytes": tables[0].stat().st_size if tables else 0,
            }
            if reading["decoder_mb"] and reading["areas_bytes"]:
                readings.append(reading)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(process.returncode)
    return readings, json.loads(printed)


def slope(readings: list[dict[str, float]], key: str, frames: int) -> float:
    """MB per 1,000 frames after the first fifth; the size of areas.csv shows the progress."""
    late = readings[len(readings) // 5 :]
    whole = readings[-1]["areas_bytes"]
    done = np.array([r["areas_bytes"] / whole * frames for r in late])
    return float(1000 * np.polyfit(done, [r[key] for r in late], 1)[0])


def main() -> None:
    """Make the video, predict it, and write the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, help="whose test pictures; drawn where it is absent")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 320))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.out.parent) as name:
        folder = Path(name)
        data = args.data
        if data is None:
            data = write_dataset(folder / "data", train=2, validation=2, test=20, unlabelled=1)
        clip, out = folder / "clip.mp4", folder / "out"
        make_clip(clip, data, args.seconds * args.rate, args.rate, tuple(args.size))
        command = [sys.executable, "-m", "headstart", "predict", str(args.run), str(clip)]
        options = ["--out", str(out), "--device", args.device, "--json"]
        readings, written = watch([*command, *options], out / "areas.csv")
    took = readings[-1]["seconds"] - readings[0]["seconds"]
    keys = ("command_mb", "decoder_mb")
    record = {
        "schema": 1,
        "benchmark": "video",
        "hardware": environment(args.device),
        "clip": {"frames": written["frames"], "rate": args.rate, "size": list(args.size)},
        "network": json.loads((args.run / "config.json").read_text())["size"],
        "encoder": written["encoder"],
        "frames_per_second": round(written["frames"] / took, 1),
        "peak_mb": {key: max(r[key] for r in readings) for key in keys},
        "mb_in_1000_frames": {k: round(slope(readings, k, written["frames"]), 4) for k in keys},
        "readings": readings[:: max(1, len(readings) // 100)],
    }
    write_json(args.out, record)
    print({k: v for k, v in record.items() if k not in ("readings", "hardware")})


if __name__ == "__main__":
    main()
