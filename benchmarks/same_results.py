"""Shows that a change of the code changes nothing that it computes.

``python benchmarks/same_results.py record BEFORE.json --out WORK`` draws small data, gives commands
of every kind, one after another, and records the SHA-256 of what they write. The same after the
change, into another file, then ``compare BEFORE.json AFTER.json`` names each file that differs and
ends with 1 if there is one. ``PYTHONPATH`` selects the code; nothing of headstart is imported here.

The bits depend on the processor and on the versions of torch and numpy, which stand in the file: a
record made elsewhere differs without any change of the code.

Where WORK is makes no difference: commands run inside it, with relative paths. A case that stands
in the file and in WORK is not run again.

Not recorded: ``timing.jsonl``, ``cache/``, ``checkpoint/``, what LaTeX makes, and ``overlay.mp4``,
which the encoder makes otherwise each time. Recorded without what changes from run to run: JSON
without values called ``*seconds``, ``environment.json`` without machine and versions, HTML and TeX
without durations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GREYS = {"tissue": 0, "clamp": 60, "hook": 120}
CLASSES = ("ape", "bee", "cat")
SQUEEZENET = "weights/squeezenet1_1.safetensors"
DURATION = re.compile(r"\b(\d+\.\d s|\d+ min \d+ s|\d+ h \d+ min)\b")

UNRECORDED = {"timing.jsonl", ".lock", "report.pdf", "overlay.mp4"}
UNRECORDED_FOLDERS = {"cache", "checkpoint"}
OF_THE_MACHINE = {"versions", "system", "cpu", "cores", "gpu"}


# Data, drawn with numpy ---------------------------------------------------------------------------


def scene(*key: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of 32 x 40 with up to two things in it, and its classes."""
    rng = np.random.default_rng([7, *key])
    y, x = np.mgrid[:32, :40]
    shade = 1 - ((y - 16) ** 2 + (x - 20) ** 2) / 1200
    pixels = np.stack([c * shade for c in (170, 80, 70)], 2) + rng.normal(0, 6, (32, 40, 3))
    mask = np.zeros((32, 40), np.uint8)
    for k, colour in ((1, (90, 140, 200)), (2, (210, 210, 120))):
        if rng.random() < 0.75:
            cy, cx = rng.integers(6, 26), rng.integers(6, 34)
            ry, rx = rng.integers(4, 9), rng.integers(5, 12)
            inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
            pixels[inside] = np.array(colour) + rng.normal(0, 8, (int(inside.sum()), 3))
            mask[inside] = k
    return pixels.clip(0, 255).astype(np.uint8), mask


def save(path: Path, pixels: np.ndarray) -> None:
    """JPEG or PNG, by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 92, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(pixels).save(path, **options)


def greys(mask: np.ndarray) -> np.ndarray:
    """Classes as the grey levels of the label map."""
    return np.array(list(GREYS.values()), np.uint8)[mask]


def draw_frames(root: Path) -> None:
    """The assignment's layout, with pictures for colorization."""
    for s, (split, count) in enumerate((("train", 12), ("validation", 4), ("test", 5))):
        for k in range(count):
            pixels, mask = scene(0, s, k)
            folder = root / "segmentation" / split / str(k)
            save(folder / f"{k}_input.jpg", pixels)
            save(folder / f"{k}_mask.png", greys(mask))
    for s, (split, count) in enumerate((("train_cor", 15), ("validation_cor", 3))):
        for k in range(count):
            pixels, _ = scene(1, s, k)
            folder = root / "colorization" / split / str(k)
            save(folder / f"{k}_input.jpg", pixels)
            save(folder / f"{k}_gray.jpg", np.asarray(Image.fromarray(pixels).convert("L")))
    (root / "mapping.json").write_text(json.dumps(GREYS))


def draw_plain(root: Path) -> None:
    """The plain layout, of six videos; two test frames are among the unlabelled pictures."""
    rows = ["stem,group"]
    for s, (split, count) in enumerate((("train", 12), ("validation", 4), ("test", 6))):
        for k in range(count):
            pixels, mask = scene(2, s, k)
            save(root / split / "images" / f"f{k}.png", pixels)
            save(root / split / "masks" / f"f{k}.png", greys(mask))
            rows.append(f"{split}/f{k},video{s}{k % 3}")
    for k in range(10):
        save(root / "unlabelled" / f"u{k}.png", scene(3, 0, k)[0] if k > 1 else scene(2, 2, k)[0])
    (root / "groups.csv").write_text("\n".join(rows) + "\n")
    (root / "mapping.json").write_text(json.dumps(GREYS))


def draw_faulty(root: Path, without: int | None = None) -> None:
    """A mask with an unknown grey level, one of another size, a copy; and one mask missing."""
    for k in range(8):
        pixels, mask = scene(4, 0, k if k != 5 else 4)
        save(root / "images" / f"f{k}.png", pixels)
        if k == without:
            continue
        level = greys(mask)
        if k == 2:
            level[0, 0] = 77
        save(root / "masks" / f"f{k}.png", level[:20] if k == 3 else level)
    (root / "mapping.json").write_text(json.dumps(GREYS))


def draw_photos(root: Path, count: int, names: Iterable[str], key: int) -> None:
    """Three classes that differ in their colour."""
    for s, split in enumerate(("train", "test")):
        for k, name in enumerate(names):
            for i in range(count if s == 0 else 4):
                rng = np.random.default_rng([key, s, k, i])
                pixels = rng.integers(0, 90, (24, 28, 3))
                pixels[..., k] += 120
                save(root / split / name / f"{i}.png", pixels.astype(np.uint8))


def draw_idx(root: Path) -> None:
    """Grey pictures of ten classes in the four files that Fashion-MNIST has."""
    root.mkdir(parents=True)
    for s, (split, each) in enumerate((("train", 6), ("t10k", 2))):
        rng = np.random.default_rng([8, s])
        labels = rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), each))
        pixels = rng.integers(0, 60, (len(labels), 28, 28), dtype=np.uint8)
        for picture, label in zip(pixels, labels, strict=True):
            picture[2 * label : 2 * label + 8, 4:24] += 150
        header = struct.pack(">4I", 2051, len(labels), 28, 28)
        (root / f"{split}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = struct.pack(">2I", 2049, len(labels))
        (root / f"{split}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


def draw_weights(path: Path) -> None:
    """Random weights with the names and shapes of a SqueezeNet of torchvision, as safetensors."""
    shapes: dict[str, tuple[int, ...]] = {"features.0": (64, 3, 3, 3)}
    # fmt: off
    fires = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128),
             9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
    # fmt: on
    for k, (inside, squeezed, out) in fires.items():
        shapes[f"features.{k}.squeeze"] = (squeezed, inside, 1, 1)
        shapes[f"features.{k}.expand1x1"] = (out, squeezed, 1, 1)
        shapes[f"features.{k}.expand3x3"] = (out, squeezed, 3, 3)
    shapes["classifier.1"] = (1000, 512, 1, 1)
    rng, facts, content, at = np.random.default_rng(9), {}, [], 0
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        for part, values in (
            ("weight", rng.normal(0, scale, shape)),
            ("bias", rng.normal(0, 0.01, shape[0])),
        ):
            raw = values.astype("<f4").tobytes()
            span = [at, at + len(raw)]
            facts[f"{name}.{part}"] = {
                "dtype": "F32",
                "shape": list(values.shape),
                "data_offsets": span,
            }
            content.append(raw)
            at += len(raw)
    header = json.dumps(facts).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"".join(content))


def draw_clip(path: Path, frames: int = 12) -> None:
    """An AVI file of JPEG pictures, 10 a second."""
    pictures = []
    for k in range(frames):
        save(path.with_suffix(".jpg"), np.roll(scene(5, 0, 0)[0], k, 1))
        pictures.append(path.with_suffix(".jpg").read_bytes())
    path.with_suffix(".jpg").unlink()

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    def listed(name: bytes, *chunks: bytes) -> bytes:
        return chunk(b"LIST", name + b"".join(chunks))

    main = struct.pack("<14I", 100_000, 0, 0, 0x10, frames, 0, 1, 0, 40, 32, 0, 0, 0, 0)
    stream = b"vids" + b"MJPG" + struct.pack(
        "<IHHIIIIIIII4H", 0, 0, 0, 0, 1, 10, 0, frames, 0, 2**32 - 1, 0, 0, 0, 40, 32
    )  # fmt: skip
    form = struct.pack("<IiiHH4sIiiII", 40, 40, 32, 1, 24, b"MJPG", 3 * 40 * 32, 0, 0, 0, 0)
    head = listed(
        b"hdrl",
        chunk(b"avih", main),
        listed(b"strl", chunk(b"strh", stream), chunk(b"strf", form)),
    )
    index, at = b"", 4
    for picture in pictures:
        index += b"00dc" + struct.pack("<3I", 0x10, at, len(picture))
        at += 8 + len(picture) + len(picture) % 2
    movie = listed(b"movi", *(chunk(b"00dc", picture) for picture in pictures))
    path.write_bytes(chunk(b"RIFF", b"AVI " + head + movie + chunk(b"idx1", index)))


RECIPES = {
    "own.toml": 'base = "default"\nbatch = 4\nbalance = 0.0\nmin_area = 0.0\nloss = "dice"\n'
    'absent = "count"\nschedule = "step"\nstep_size = 1\ngamma = 0.5\nchoose = "loss"\n'
    "average = 0.0\npatience = 1\n[augmentation]\nflip_horizontal = true\nflip_vertical = true\n"
    'brightness = 0.1\nborder = "reflection"\n',
    "classes.toml": 'base = "default"\nbatch = 8\nsmoothing = 0.1\nhead_epochs = 2\n',
    "pretext.toml": 'base = "assignment"\nbatch = 4\nnoise = 0.2\nhidden = 0.3\nblock = 0.25\n',
}


def draw(work: Path) -> None:
    """All data, completely or not at all."""
    if (work / "data").exists():
        return
    for name in ("data.partial", "weights", "recipes"):
        shutil.rmtree(work / name, ignore_errors=True)
    data = work / "data.partial"
    draw_frames(data / "frames")
    draw_plain(data / "plain")
    draw_faulty(data / "faulty")
    draw_faulty(data / "broken", without=1)
    draw_photos(data / "photos", 8, CLASSES, 5)
    draw_photos(data / "birds", 6, [f"a {name}bird" for name in CLASSES], 6)
    draw_idx(data / "idx")
    draw_clip(data / "clip.avi")
    draw_weights(work / SQUEEZENET)
    (work / "recipes").mkdir()
    for name, text in RECIPES.items():
        (work / "recipes" / name).write_text(text)
    data.rename(work / "data")


# Cases --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Commands whose files lie in a folder of the case's name.

    Attributes:
        commands: without ``headstart``; ``@`` is the case's folder, and ``2!`` before a command the
            exit status that it ends with.
        needs: cases whose files it reads.
        act: done instead of the commands, in the work folder.
    """

    commands: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    act: Callable[[Path, str], None] | None = None


SMALL = "--size 32x40 --width 3 --threads 1 --device cpu"
CLASS = "--size 32 --threads 1 --device cpu"
HOMEWORK = (
    "--data data/frames --fashion-mnist data/idx --new-data data/birds --model squeezenet1_1 "
    f"--weights {SQUEEZENET} --scale tiny --threads 1 --device cpu"
)
PRETEXTS = "colorization,chroma,masked-denoising,masked-colorization,vicreg"


def stop_and_go_on(work: Path, name: str) -> None:
    """Trains two stages, stopped by a signal in the middle of the second, then continued."""
    words = f"train data/photos --model shufflenet_v2_x0_5 --tune staged {CLASS} --out {name}/run "
    words += "--recipe recipes/classes.toml --epochs 4 --checkpoint-seconds 0"
    child = subprocess.Popen(
        [sys.executable, "-m", "headstart", *words.split()],
        cwd=work, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    rows = work / name / "run" / "metrics.jsonl"
    while child.poll() is None and not (rows.exists() and rows.read_text()):
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    if (status := child.wait()) not in (143, 0):
        raise SystemExit(f"{name}: ended with {status}, expected 143")
    run(work, words, 0)


CASES: dict[str, Case] = {
    "words": Case((
        "--help", "check --help", "train --help", "pretrain --help", "study --help",
        "report --help", "evaluate --help", "predict --help", "suggest --help", "export --help",
        "homework --help", "explain --json", "explain unknown-grey",
        "2! train data/frames --recipe defualt --out @/run",
        "2! train data/frames --start nowhere --out @/run",
        "2! train data/frames --size 1x1 --out @/run",
        "2! train data/frames --tune head --out @/run",
        "2! study data/frames --seeds 0 --out @/study",
        "65! train data/faulty --out @/run",
        "65! train nowhere --out @/run",
        "65! evaluate nowhere data/frames",
        "65! report nowhere",
    )),
    "check": Case((
        "check data/frames --json", "check data/frames", "check data/plain --json",
        "check data/photos --json", "check data/photos", "check data/idx --json",
        "1! check data/faulty --json", "1! check data/faulty",
        "65! check data/broken --json",
    )),
    "default": Case((
        f"train data/frames {SMALL} --epochs 3 --seed 3 --json --out @/run",
        f"train data/frames {SMALL} --epochs 3 --seed 3 --json --out @/run",
        f"2! train data/frames {SMALL} --epochs 4 --seed 3 --out @/run",
        "report @/run",
    )),
    "assignment": Case((
        f"train data/frames {SMALL} --recipe assignment --labels 6 --epochs 3 --out @/run",
    )),
    "augmented": Case((
        f"train data/frames {SMALL} --recipe assignment-augmented --start masked-denoising "
        "--epochs 2 --pretext-epochs 2 --out @/run",
        "report @/run",
    )),
    "own-recipe": Case((
        f"train data/plain {SMALL} --recipe recipes/own.toml --start colorization --drop-leaks "
        "--pretext-recipe recipes/pretext.toml --pretext-epochs 2 --epochs 3 --score validation "
        "--out @/run",
        "train data/plain --config @/run/config.json --seed 9 --out @/again",
        "report @/again",
    )),
    "named-labels": Case((
        f"train data/frames {SMALL} --labels assignment/run/labels.txt --epochs 2 --out @/run",
    ), ("assignment",)),
    "pretexts": Case((
        f"pretrain data/frames --pretext chroma {SMALL} --epochs 2 --json --out @/chroma",
        f"pretrain data/plain --pretext masked-colorization --recipe assignment --drop-leaks "
        f"{SMALL} --epochs 2 --out @/masked",
        f"pretrain data/plain/unlabelled --pretext masked-denoising {SMALL} --epochs 2 --seed 4 "
        "--out @/folder",
        "report @/masked",
    )),
    "from-run": Case((
        f"train data/frames {SMALL} --start pretexts/chroma --epochs 2 --out @/pretext",
        f"train data/plain {SMALL} --start default/run/weights.safetensors --epochs 2 --out @/file",
    ), ("default", "pretexts")),
    "starts": Case((
        f"study data/frames --starts scratch,{PRETEXTS},scratch-longer,default/run,"
        "pretexts/masked/weights.safetensors --labels 5,all --seeds 1 --epochs 2 "
        f"--pretext-epochs 2 {SMALL} --json --out @/study",
        "report @/study --without-pictures",
    ), ("default", "pretexts")),
    "verdicts": Case((
        f"study data/plain --starts scratch,colorization --labels 4 --seeds 4 --epochs 2 "
        f"--pretext-epochs 1 {SMALL} --dry-run --json --out @/study",
        f"study data/plain --starts scratch,colorization --labels 4 --seeds 4 --epochs 2 "
        f"--pretext-epochs 1 {SMALL} --out @/study",
        f"study data/plain --starts scratch,colorization --labels 4,all --seeds 5 --epochs 2 "
        f"--pretext-epochs 1 {SMALL} --json --out @/study",
        f"2! study data/plain --starts scratch --labels 4 --seeds 5 --epochs 3 {SMALL} "
        "--out @/study",
        "report @/study --json",
    )),
    "encoder": Case((
        f"train data/frames --model squeezenet1_1 --start {SQUEEZENET} {SMALL} --epochs 2 "
        "--out @/file",
        f"train data/frames --model resnet18 --recipe assignment {SMALL} --epochs 1 --labels 6 "
        "--out @/residual",
        f"pretrain data/frames --model squeezenet1_1 --pretext colorization --recipe assignment "
        f"{SMALL} --epochs 1 --out @/pretext",
        "report @/file",
    )),
    "encoder-study": Case((
        f"study data/frames --model squeezenet1_1 --starts scratch,chroma,scratch-longer,"
        f"{SQUEEZENET},classes/head --against scratch --labels 6 --seeds 2, --epochs 1 "
        f"--pretext-epochs 1 {SMALL} --out @/study",
        "report @/study",
    ), ("classes",)),
    "classes": Case((
        f"train data/photos --model squeezenet1_1 --start {SQUEEZENET} --tune head {CLASS} "
        "--epochs 2 --json --out @/head",
        f"train data/idx --model shufflenet_v2_x0_5 --recipe assignment {CLASS} --epochs 2 "
        "--out @/idx",
        f"train data/birds --model shufflenet_v2_x0_5 --start classes/idx --tune last:2 {CLASS} "
        "--recipe recipes/classes.toml --labels 12 --epochs 2 --out @/last",
        "report @/idx",
    )),
    "continued": Case(act=stop_and_go_on),
    "classes-study": Case((
        f"study data/photos --model shufflenet_v2_x0_5 --starts scratch,classes/idx "
        f"--tunes all,head,last:3,staged --labels 6 --seeds 1 {CLASS} --epochs 1 --out @/study",
        f"study data/photos --model shufflenet_v2_x0_5 --starts scratch,classes/idx "
        f"--tunes all,head --labels 6,all --seeds 1,3 {CLASS} --epochs 1 --json --out @/study",
        "report @/study",
    ), ("classes",)),
    "people": Case((
        "predict default/run data/frames --split test --out @/split --json",
        "predict default/run data/plain/unlabelled --out @/pictures",
        "predict default/run data/clip.avi --masks --out @/clip --json",
        "suggest default/run data/plain/unlabelled --count 4 --out @/to-label --json",
        "suggest default/run data/frames --count 3 --out @/of-dataset --json",
        "evaluate default/run data/frames --split validation --json",
        "evaluate default/run data/plain",
        "evaluate @/split/masks data/frames --split test --json",
        "predict classes/idx data/idx --split test --out @/classes",
        "predict classes/head data/birds/test/'a apebird' --out @/of-pictures",
        "evaluate classes/head data/photos --split test --json",
        "evaluate encoder/residual data/frames --json",
    ), ("default", "classes", "encoder")),
    "files": Case((
        "export default/run --out @/unet.onnx --json",
        "export encoder/residual --pictures data/plain/unlabelled --out @/encoder.onnx --json",
        "export classes/last --out @/classes.onnx --json",
        "predict @/unet.onnx data/frames --split test --out @/split",
        "predict @/unet.onnx data/plain/unlabelled --out @/pictures",
        "predict @/encoder.onnx data/plain/unlabelled --out @/of-encoder",
        "predict @/classes.onnx data/birds --split test --out @/classes",
        "evaluate @/unet.onnx data/frames --json",
    ), ("default", "encoder", "classes")),
    "homework": Case((
        f"homework {HOMEWORK} --dry-run --json --out @/handin",
        f"homework {HOMEWORK} --json --out @/handin",
    )),
}  # fmt: skip


# Recording ----------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """One thread, plain text of one width."""
    fixed = {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    return {**os.environ, **fixed}


def run(work: Path, words: str, status: int) -> subprocess.CompletedProcess[str]:
    """One command; anything but the expected exit status ends the recording."""
    command = [sys.executable, "-m", "headstart", *shlex.split(words)]
    options = {"cwd": work, "env": environment(), "capture_output": True, "text": True}
    done = subprocess.run(command, check=False, **options)
    if done.returncode != status:
        message = f"headstart {words}\nended with {done.returncode}, expected {status}\n"
        raise SystemExit(message + done.stderr[-3000:])
    return done


def without(value: Any, names: set[str]) -> Any:
    """JSON without the values of these names, and without seconds."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in names and not k.endswith("seconds")}
        return {k: without(v, names) for k, v in kept.items()}
    return [without(v, names) for v in value] if isinstance(value, list) else value


def same_text(text: str, names: set[str]) -> str:
    """A text without what changes from run to run; of JSON, or lines of JSON, the values."""
    for split in (lambda text: [text], str.splitlines):
        try:
            parts = [json.loads(part) for part in split(text)]
            return "\n".join(json.dumps(without(part, names)) for part in parts)
        except ValueError:
            pass
    return DURATION.sub("TIME", text)


def content(path: Path) -> bytes:
    """What is recorded of a file."""
    if path.suffix in (".json", ".jsonl", ".html", ".tex", ".md"):
        names = OF_THE_MACHINE if path.name == "environment.json" else set()
        return same_text(path.read_text(), names).encode()
    return path.read_bytes()


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of what a case wrote, by the place in its folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.name in UNRECORDED or UNRECORDED_FOLDERS & set(place.parts):
            continue
        if path.is_file():
            found[str(place)] = sha256(content(path))
    return found


def do(case: Case, name: str, work: Path) -> dict[str, str]:
    """Runs a case; what it wrote and said."""
    shutil.rmtree(work / name, ignore_errors=True)
    said = {}
    if case.act is not None:
        case.act(work, name)
    for number, words in enumerate(case.commands, start=1):
        status = re.match(r"(\d+)! ", words)
        expected = int(status[1]) if status else 0
        its = words[status.end() :] if status else words
        done = run(work, its.replace("@", name), expected)
        label = f"command {number:02}: {its.split()[0]}"
        said[f"{label}, stdout"] = sha256(same_text(done.stdout, set()).encode())
        if expected:
            said[f"{label}, stderr"] = sha256(done.stderr.encode())
    return said | (hashes(work / name) if (work / name).exists() else {})


def processor() -> str:
    """Its name; bits depend on it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    numbers = {}
    for line in lines:
        key, _, value = line.partition(":")
        numbers.setdefault(key.strip(), value.strip())
    parts = [numbers[k] for k in ("model name", "cpu family", "model") if k in numbers]
    return ", ".join(parts) or platform.processor()


def record(path: Path, work: Path, only: set[str]) -> None:
    """Runs what is not recorded yet, a case at a time."""
    known: dict[str, Any] = {"cases": {}}
    if path.exists():
        known = json.loads(path.read_text())
    packages = ("torch", "torchvision", "numpy", "pillow", "onnxruntime", "matplotlib")
    machine = {"processor": processor(), **{name: version(name) for name in packages}}
    if known.get("machine", machine) != machine:
        raise SystemExit(f"{path} was recorded on another machine: {known['machine']}")
    work.mkdir(parents=True, exist_ok=True)
    draw(work)
    wanted = set(CASES) if not only else set(only)
    while more := {need for name in wanted for need in CASES[name].needs} - wanted:
        wanted |= more
    order = sorted(wanted, key=depth_first().index)
    for name in order:
        if name in known["cases"] and (name == "check" or (work / name).exists()):
            continue
        began = time.monotonic()
        known["cases"][name] = do(CASES[name], name, work)
        (work / name).mkdir(exist_ok=True)
        seconds, files = time.monotonic() - began, len(known["cases"][name])
        print(f"{name:16} {seconds:5.1f} s, {files} hashes", flush=True)
        whole = {"schema": 1, "machine": machine, "cases": known["cases"]}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
        partial.rename(path)


def depth_first() -> list[str]:
    """All cases, each behind what it needs."""
    order: list[str] = []

    def visit(name: str) -> None:
        for need in CASES[name].needs:
            visit(need)
        if name not in order:
            order.append(name)

    for name in CASES:
        visit(name)
    return order


def compare(before: Path, after: Path) -> int:
    """Prints what differs; 1 if anything does."""
    a, b = (json.loads(path.read_text()) for path in (before, after))
    if a["machine"] != b["machine"]:
        print(f"recorded on different machines: {a['machine']} and {b['machine']}")
    wrong = 0
    for name in sorted(a["cases"].keys() | b["cases"].keys()):
        if name not in a["cases"] or name not in b["cases"]:
            print(f"{name}: only in {before if name in a['cases'] else after}")
            wrong += 1
            continue
        old, new = a["cases"][name], b["cases"][name]
        for file in sorted(old.keys() | new.keys()):
            if old.get(file) != new.get(file):
                how = "differs" if file in old and file in new else "is missing"
                where = "" if how == "differs" else f" in {before if file in new else after}"
                print(f"{name}: {file} {how}{where}")
                wrong += 1
    count = sum(map(len, a["cases"].values()))
    print(f"{len(a['cases'])} cases, {count} hashes: {wrong or 'none'} of them differ")
    return int(wrong > 0)


def main() -> int:
    """Records or compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("--out", type=Path, default=Path("same-results"), help="work folder")
    recording.add_argument(
        "--only", default="", help="cases, with commas; what they need comes too"
    )
    comparing = verbs.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    args = parser.parse_args()
    if args.verb == "compare":
        return compare(args.before, args.after)
    only = {name for name in args.only.split(",") if name}
    if unknown := only - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    record(args.file, args.out, only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
