"""Flips single bits in every record that headstart writes, and truncates it; then reads it.

``python benchmarks/flips.py OUT --flips 300``: draws a small dataset; trains a run, a classifier, a
pretext and a study on it; exports the run. Then every file of each folder is damaged, one copy
at a time, and every command that reads the file is run. Each outcome is one of four:

- detected: the command ends with an error of headstart's own;
- harmless: it ends well, with the same output and the same files as before, bit for bit;
- silent: it ends well, with anything else;
- traceback: any other exception.

The JSON has the four numbers for each file and command. The exit status is 1 if anything was silent
or a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import hashlib
import io
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from headstart.cli.main import app
from headstart.data.drawn.dataset import write_dataset
from headstart.errors import HeadstartError
from headstart.system.disk import write_json

OUTCOMES = ("detected", "harmless", "silent", "traceback")
TINY = ("--size", "16x24", "--width", "2", "--threads", "1", "--seed", "1")


@dataclass(frozen=True)
class Command:
    """A command that reads a folder.

    Attributes:
        words: its arguments; ``{run}`` is the damaged folder, ``{data}`` the dataset, ``{new}`` a
            folder that does not exist yet.
        makes: what is compared: files in ``{run}``, as patterns; ``{new}`` is compared whole.
    """

    words: str
    makes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The verb."""
        return self.words.split()[0]


REPORT = Command("report {run}", ("report.html", "report/*.csv"))
RUN = (
    Command("train {data} --out {run} --epochs 2 " + " ".join(TINY), ("scores.json",)),
    REPORT,
    Command("predict {run} {data} --split test --out {new}"),
    Command("evaluate {run} {data} --json"),
    Command("suggest {run} {data} --count 2 --out {new}"),
    Command("export {run} --out {new}/model.onnx --json"),
    Command("train {data} --out {new} --epochs 1 --start {run} " + " ".join(TINY)),
)
PRETEXT = (
    Command("pretrain {data} --out {run} --epochs 2 " + " ".join(TINY), ("scores.json",)),
    REPORT,
    Command("train {data} --out {new} --epochs 1 --start {run} " + " ".join(TINY)),
)
_STUDY = "--starts scratch,colorization --labels 6 --seeds 2 --size 16x24 --width 2 --threads 1"
STUDY = (
    Command(
        f"study {{data}} --out {{run}} --epochs 1 --pretext-epochs 1 {_STUDY} --json",
        ("study.json", "ledger.jsonl"),
    ),
    REPORT,
)
CLASSIFIER = (
    Command(
        "train {photos} --task classification --model squeezenet1_1 --tune head --size 32 "
        "--epochs 1 --threads 1 --seed 1 --out {run}",
        ("scores.json",),
    ),
    REPORT,
    Command("predict {run} {photos} --split test --out {new}"),
    Command("evaluate {run} {photos} --json"),
)
ONNX = (
    Command("predict {run}/model.onnx {data} --split test --out {new}"),
    Command("evaluate {run}/model.onnx {data} --json"),
)


def run_command(words: str) -> tuple[str, str]:
    """Run a command in this process; return how it ended and what it printed on stdout."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            status = app(words.split(), standalone_mode=False)
    except HeadstartError:
        return "error", said.getvalue()
    except SystemExit as end:
        status = end.code
    except Exception as error:  # whatever it is, it would be a traceback
        return f"traceback: {type(error).__name__}: {str(error)[:200]}", said.getvalue()
    return ("done" if not status else "error"), said.getvalue()


def content_of(paths: Iterator[Path], root: Path) -> str:
    """One hash over names and contents of files, but for those that hold times."""
    digest = hashlib.sha256()
    for path in sorted(p for p in paths if p.is_file()):
        if path.name in (".lock", "timing.jsonl", "manifest.json"):
            continue
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def outcome_of(command: Command, run: Path, places: dict[str, Path]) -> tuple[str, str]:
    """Run a command on a folder; return how it ended, and a hash of all that it made."""
    new = places["new"]
    shutil.rmtree(new, ignore_errors=True)
    ended, said = run_command(command.words.format(run=run, **places))
    made = [content_of(run.glob(pattern), run) for pattern in command.makes]
    if command.name in ("predict", "suggest", "export"):
        made.append(content_of(new.rglob("*"), new))
    elif command.name == "train" and new.exists():
        made.append(content_of(iter([new / "weights.safetensors", new / "scores.json"]), new))
    return ended, hashlib.sha256("\0".join([said, *made]).encode()).hexdigest()


def damages(content: bytes, flips: int, rng: random.Random) -> Iterator[bytes]:
    """Yield the content with one bit flipped, ``flips`` times; then cut short in four places."""
    for _ in range(flips):
        place, bit = rng.randrange(len(content)), rng.randrange(8)
        yield content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
    for length in sorted({0, 1, len(content) // 2, len(content) - 1}):
        yield content[:length]


def files_of(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a folder that commands read."""
    return sorted(
        path
        for pattern in patterns
        for path in folder.glob(pattern)
        if path.is_file() and path.stat().st_size
    )


_read: set[str] = set()


def _remember(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        _read.add(os.fsdecode(arguments[0]))


def measure(
    folder: Path, files: list[Path], commands: Sequence[Command], places: dict[str, Path],
    flips: int, rng: random.Random, examples: list[str],
) -> dict[str, dict[str, Counter[str]]]:  # fmt: skip
    """Damage each file and run each command; return the outcomes by file and command."""
    work = places["work"]
    counted: dict[str, dict[str, Counter[str]]] = {}
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)
    right, reads = {}, {}
    for command in commands:
        _read.clear()
        right[command] = outcome_of(command, work, places)
        assert right[command][0] == "done", (command.words, right[command])
        reads[command] = set(_read)
        restore(folder, work, unchanged=False)
    for path in files:
        name = path.relative_to(folder).as_posix()
        readers = [command for command in commands if str(work / name) in reads[command]]
        if not readers:
            continue
        counted[name] = {command.words.split(" --")[0]: Counter() for command in readers}
        began = time.monotonic()
        for content in damages(path.read_bytes(), flips, rng):
            for command in readers:
                (work / name).write_bytes(content)
                ended, made = outcome_of(command, work, places)
                if ended == "error":
                    outcome = "detected"
                elif ended != "done":
                    outcome = "traceback"
                    examples.append(f"{name}: {command.words}: {ended}")
                else:
                    outcome = "harmless" if made == right[command][1] else "silent"
                    if outcome == "silent":
                        examples.append(f"{name}: {command.words}: silent")
                counted[name][command.words.split(" --")[0]][outcome] += 1
                restore(folder, work, made == right[command][1])
        total = sum(counted[name].values(), Counter())
        print(f"{name}: {dict(total)}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return counted


def restore(folder: Path, work: Path, unchanged: bool) -> None:
    """Make the damaged copy as it was; whole, if a command may have written to it."""
    if not unchanged:
        shutil.rmtree(work)
        shutil.copytree(folder, work)
        return
    for path in folder.rglob("*"):
        if path.is_file():
            copy = work / path.relative_to(folder)
            if not copy.exists() or not filecmp.cmp(copy, path, shallow=False):
                shutil.copy(path, copy)


def draw(out: Path) -> tuple[Path, Path]:
    """Draw a dataset of frames, and one of two classes of pictures."""
    data, photos = out / "data", out / "photos"
    if not data.exists():
        write_dataset(data, train=8, validation=3, test=3, unlabelled=4, height=32, width=40)
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for k, name in enumerate(("ape", "bee")):
            (photos / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = rng.integers(0, 60, (18, 20, 3))
                pixels[..., k] += 150
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(photos / split / name / f"{i}.png")
    return data, photos


def main() -> int:
    """Make the folders, damage them, and write ``OUT/flips.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--flips", type=int, default=300, help="of each file")
    parser.add_argument("--only", default="", help="part of a folder's name, to measure it alone")
    parser.add_argument("--seed", type=int, default=0, help="of the places")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sys.addaudithook(_remember)
    data, photos = draw(out)
    places = {"data": data, "photos": photos, "new": out / "new", "work": out / "work"}
    everything = ("*.json", "*.jsonl", "*.csv", "*.txt", "*.safetensors")
    of_study = ("config.json", "ledger.jsonl", "study.json", "runs/scratch-all-6-1/*.json*",
                "runs/scratch-all-6-1/*.csv", "starts/colorization-1-*/*.json*")  # fmt: skip
    cases = {
        "run": (RUN, everything),
        "pretext": (PRETEXT, everything),
        "study": (STUDY, of_study),
        "classifier": (CLASSIFIER, everything),
        "onnx": (ONNX, ("model.onnx",)),
        "cache": ((STUDY[0],), ("cache/*/*",)),
    }
    for name in ("run", "pretext", "study", "classifier"):
        if not (out / name).exists():
            ended, _ = run_command(cases[name][0][0].words.format(run=out / name, **places))
            assert ended == "done", (name, ended)
    if not (out / "onnx").exists():
        shutil.copytree(out / "run", out / "onnx")
        assert run_command(f"export {out / 'onnx'}")[0] == "done"
    if not (out / "cache").exists():  # a study that has one more seed to train, with the old cache
        shutil.copytree(out / "study", out / "cache")
    rng, examples, results = random.Random(args.seed), [], {}
    for name, (commands, patterns) in cases.items():
        if args.only not in name:
            continue
        if name == "cache":
            words = commands[0].words.replace("--seeds 2", "--seeds 3")
            commands = (Command(words, ("study.json",)),)  # the ledger has seconds
        print(f"{name}:", file=sys.stderr)
        files = files_of(out / name, patterns)
        if name == "cache":  # one of each kind
            files = list({path.name: path for path in files}.values())
        counted = measure(out / name, files, commands, places, args.flips, rng, examples)
        results[name] = {
            file: {words: dict(count) for words, count in by_command.items()}
            for file, by_command in counted.items()
        }
    totals = {
        outcome: sum(
            count.get(outcome, 0)
            for by_file in results.values()
            for by_command in by_file.values()
            for count in by_command.values()
        )
        for outcome in OUTCOMES
    }
    record = {"schema": 1, "flips": args.flips, "seed": args.seed, "totals": totals,
              "folders": results, "examples": examples[:50]}  # fmt: skip
    text = json.dumps(record).replace(f"{out}/", "")
    write_json(out / "flips.json", json.loads(text))
    print(json.dumps(totals))
    return int(bool(totals["silent"] or totals["traceback"]))


if __name__ == "__main__":
    sys.exit(main())
