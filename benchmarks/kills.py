"""Kills every command with SIGKILL at random moments, repeats it, and compares what it made.

``python benchmarks/kills.py OUT --kills 75``: draws a small dataset, pictures and a clip; trains a
run, a classifier and a study. Then each command runs once uninterrupted, and again and again
killed: up to five kills in a folder, then the same command to its end. Every file must be that of
the uninterrupted command, byte for byte, apart from files that hold times; no temporary file and,
half a minute after a kill, no process may be left. The JSON has the counts of each command and the
moments of its kills. The exit status is 1 if anything differed or was left.

Commands run in children of a process that has loaded all libraries, so that kills fall on the work
and not on the import of PyTorch.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data.drawn.dataset import write_dataset
from headstart.system.disk import write_json

SIZE = "--size 16x24 --width 2 --threads 1"
STUDY = f"--starts scratch,colorization --labels 6 --seeds 2 --epochs 2 --pretext-epochs 1 {SIZE}"
PROBE = "--task classification --model squeezenet1_1 --tune head --size 32 --epochs 2 --threads 1"
SAVING = "--checkpoint-seconds 0.001"
COMMANDS = {
    "check": "check {data} --out {out}",
    "train": f"train {{data}} --out {{out}} --epochs 4 --seed 1 {SAVING} {SIZE}",
    "train, a classifier": f"train {{photos}} --out {{out}} --seed 1 {SAVING} {PROBE}",
    "pretrain": f"pretrain {{data}} --out {{out}} --epochs 4 --seed 1 {SAVING} {SIZE}",
    "study": f"study {{data}} --out {{out}} {SAVING} {STUDY}",
    "study --jobs 2": f"study {{data}} --out {{out}} --jobs 2 {SAVING} {STUDY}",
    "report": "report {study} --out {out}",
    "evaluate": "evaluate {run} {data}",
    "predict": "predict {run} {pictures} --out {out} --format coco",
    "predict, a clip": "predict {run} {clip} --out {out} --masks",
    "predict, classes": "predict {classifier} {pictures} --out {out}",
    "suggest": "suggest {run} {pictures} --count 4 --out {out} --format labelme",
    "export": "export {run} --out {out}/model.onnx",
    "homework": "homework --data {data} --out {out} --scale tiny --threads 1",
}
"""``{out}`` is the folder that is compared."""

TIMES = ("timing.jsonl", "manifest.json", "ledger.jsonl", ".lock")  # or hashes of such files
OF_HOMEWORK = ("weights.safetensors", "scores.json", "frames.csv", "metrics.jsonl", "study.json")
MODULES = (
    "torchvision", "matplotlib.pyplot", "onnx", "onnxruntime", "av", "scipy.stats", "jinja2",
    "headstart.tasks.segmentation_training", "headstart.tasks.classification_training",
    "headstart.tasks.pretext_training", "headstart.exports.to_onnx", "headstart.reports.write",
    "headstart.studies.study", "headstart.labelling.folder", "headstart.inference.clips",
    "headstart.cli.main",
)  # fmt: skip
_PER_FOLDER = 5
_GONE = 30.0  # seconds after a kill


@dataclass
class Counts:
    """What came of the kills of one command.

    Attributes:
        kills: commands killed.
        ended: commands that ended before they were to be killed.
        folders: how many folders were finished and compared.
        different: files that differed, or temporary files that were left.
        failed: exit statuses other than 0 of commands that were not killed.
        orphans: kills after which a process was left.
        moments: seconds from the start of a command to its kill.
    """

    kills: int = 0
    ended: int = 0
    folders: int = 0
    different: list[str] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    orphans: int = 0
    moments: list[float] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether anything was not as it should be."""
        return bool(self.different or self.failed or self.orphans)


def start(words: str) -> int:
    """Run a command in a child process with a session of its own; return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["headstart", *words.split()]
    try:
        from headstart.cli.main import main as headstart

        headstart()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


def ended(pid: int, seconds: float) -> int | None:
    """Return the exit status of a child that ends within some seconds; None if it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def left(session: int) -> list[int]:
    """Return the processes of a session, apart from those that have ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, of = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(of) == session and state != "Z":
                found.append(int(entry.name))
    return found


def orphaned(session: int) -> bool:
    """Return whether processes of a session are still there after some seconds; end them."""
    until = time.monotonic() + _GONE
    while left(session) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in (remaining := left(session)):
        os.kill(pid, signal.SIGKILL)
    return bool(remaining)


def contents(folder: Path, name: str) -> dict[str, str]:
    """Return the SHA-256 of the files that must not depend on kills."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in TIMES
        and "checkpoint" not in path.parts
        and (name != "homework" or path.name in OF_HOMEWORK or ".tmp-" in path.name)
    }


def kill_often(name: str, words: str, folder: Path, kills: int, rng: random.Random) -> Counts:
    """Run a command to its end, then kill it as often as asked, and compare."""
    counts, whole = Counts(), folder / "whole" / "out"
    began = time.monotonic()
    if (status := ended(start(words.format(out=whole)), 600)) != 0:
        raise SystemExit(f"{words}: status {status}")
    took, right = time.monotonic() - began, contents(whole, name)
    while counts.kills < kills:
        parts = folder / "parts" / "out"  # of the same name, which records hold
        shutil.rmtree(parts, ignore_errors=True)
        for _ in range(rng.randint(1, min(_PER_FOLDER, kills - counts.kills))):
            moment = rng.uniform(0, took)
            pid = start(words.format(out=parts))
            status = ended(pid, moment)
            if status is not None:
                counts.ended += 1
                counts.failed += [status] if status else []
                break
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            counts.kills += 1
            counts.moments.append(round(moment, 3))
            counts.orphans += orphaned(pid)
        status = ended(start(words.format(out=parts)), 600)
        if status != 0:
            counts.failed.append(-1 if status is None else status)
            continue
        counts.folders += 1
        made = contents(parts, name)
        counts.different += sorted(k for k in right.keys() | made if right.get(k) != made.get(k))
    return counts


def draw(out: Path) -> dict[str, Path]:
    """Draw what the commands work on, and make the runs that they use."""
    import numpy as np
    from PIL import Image

    places = {name: out / name for name in ("data", "photos", "pictures", "run", "classifier")}
    places |= {"study": out / "study", "clip": out / "clip.mp4"}
    write_dataset(places["data"], train=8, validation=3, test=3, unlabelled=4, height=32, width=40)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 60, (24, 32, 40, 3))
    places["pictures"].mkdir(parents=True)
    for k, pixels in enumerate(noise):
        kind = ("ape", "bee")[k % 2]
        pixels[..., k % 2] += 150
        image = Image.fromarray(pixels.astype(np.uint8))
        image.save(places["pictures"] / f"{k}.png")
        split = places["photos"] / ("test" if k % 3 == 2 else "train") / kind
        split.mkdir(parents=True, exist_ok=True)
        image.save(split / f"{k}.png")
    if ended(start_clip(places["clip"]), 60) != 0:
        raise SystemExit("the clip could not be written")
    for name, of in (("run", "train"), ("classifier", "train, a classifier"), ("study", "study")):
        words = COMMANDS[of].format(out=places[name], **places)
        if (status := ended(start(words), 600)) != 0:
            raise SystemExit(f"{words}: status {status}")
    return places


def start_clip(path: Path) -> int:
    """Write a clip in a child process, because FFmpeg's threads do not survive a fork."""
    pid = os.fork()
    if pid:
        return pid
    import av
    import numpy as np

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 40, "yuv420p"
        for k in range(60):
            pixels = np.full((32, 40, 3), 2 * k, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode())
    os._exit(0)


def main() -> int:
    """Kill every command, and write ``OUT/kills.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--only", default="", help="part of a command's name")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    out, results = args.out.resolve(), {}
    out.mkdir(parents=True)
    for module in MODULES:
        importlib.import_module(module)
    places = draw(out)
    for position, (name, words) in enumerate(COMMANDS.items()):
        if args.only not in name:
            continue
        rng = random.Random(1000 * args.seed + position)
        folder = out / name.replace(" ", "-").replace(",", "")
        given = {key: str(path) for key, path in places.items()}
        counts = kill_often(name, words.format(out="{out}", **given), folder, args.kills, rng)
        results[name] = vars(counts)
        print(f"{name}: {vars(counts) | {'moments': '...'}}", file=sys.stderr)
        record = {"schema": 2, "kills": sum(c["kills"] for c in results.values()),
                  "seed": args.seed, "commands": results}  # fmt: skip
        write_json(out / "kills.json", record)
    return int(any(Counts(**counts).bad for counts in results.values()))


if __name__ == "__main__":
    sys.exit(main())
