"""Several coordinators on one study: started at once, killed; and what a unit costs.

``python benchmarks/coordinators.py OUT``: draws a small dataset and runs a study of four runs and
two pretexts with one coordinator. Then, each time in a new folder:

- ``together``: two coordinators begin at the same moment, each with one or two jobs;
- ``killed``: one of two is killed with SIGKILL at a random moment, with its workers or without;
- ``machines``: as ``killed``, but each takes the other for another machine, so that it knows of its
  death by its heartbeats alone (every 0.2 s instead of 5, dead after 6 s instead of 90).

Each time, ``study.json``, all weights and all ``frames.csv`` must be those of one coordinator, byte
for byte; no run may be trained twice to its end, and none may be missing. Without a kill, no epoch
may be repeated; ``epochs_repeated`` are those since the last checkpoint of what was killed.

``overhead`` is the time for a unit of a stand-in that takes no time: claimed, noticed, finished.

Coordinators are children of a process that has loaded all libraries. The JSON has a line for each
case. The exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.config.recipes import DEFAULT, PRETEXT_DEFAULT
from headstart.config.records import StudyConfig
from headstart.data.drawn.dataset import write_dataset
from headstart.studies import coordinator, worker
from headstart.studies.local import Processes, ThisProcess
from headstart.studies.study import study
from headstart.studies.units import Unit
from headstart.system import attempts, claims, host
from headstart.system.disk import write_json
from headstart.system.signals import Stopping
from headstart.training.listener import SILENT, ignore

EPOCHS, PRETEXT_EPOCHS = 3, 2
MODULES = (
    "torch._dynamo", "matplotlib.pyplot", "scipy.stats", "headstart.runs.run",
    "headstart.tasks.pretext_training", "headstart.tasks.segmentation_training",
)  # fmt: skip
FORK = multiprocessing.get_context("fork")


def settings(data: Path) -> StudyConfig:
    """The study: two starts and two seeds, each a second of training."""
    recipe = DEFAULT.with_epochs(EPOCHS).model_copy(update={"batch": 4})
    pretext = PRETEXT_DEFAULT.with_epochs(PRETEXT_EPOCHS).model_copy(update={"batch": 4})
    return StudyConfig.model_validate(
        {
            "schema": 1, "data": str(data), "starts": ("scratch", "colorization"),
            "labels": (6,), "seeds": (1, 2), "width": 2, "size": (16, 24), "threads": 1,
            "recipe": recipe, "pretext_recipe": pretext,
        }
    )  # fmt: skip


def coordinate(data: Path, out: Path, jobs: int, machine: str | None, log: Path) -> None:
    """Run a study in this process, and leave."""
    os.setsid()
    multiprocessing.get_context = lambda _: FORK  # workers need not load PyTorch again
    if machine is not None:
        claims.this_machine = attempts.this_machine = lambda: machine
        claims.BEAT, claims.DEAD_AFTER = 0.2, 6.0
    coordinator.POLL = 0.2
    worker._train = noting_ends(worker._train, log.parent / "ends")
    with log.open("a") as file:
        os.dup2(file.fileno(), 2)
        study(settings(data), out, SILENT, ignore, jobs=jobs, checkpoint_seconds=0.05)
    os._exit(0)


def noting_ends(train: Callable[..., None], ends: Path) -> Callable[..., None]:
    """Let a training that comes to its end add its name to a file."""

    def train_and_note(unit: Unit, config: Any, out: Path, *rest: Any) -> None:
        was_finished = (out / unit.name / "scores.json").exists()
        train(unit, config, out, *rest)
        if not was_finished:
            with ends.open("a") as file:
                file.write(f"{unit.name}\n")

    return train_and_note


def contents(out: Path) -> dict[str, str]:
    """The SHA-256 of what must not depend on coordinators."""
    found = [out / "study.json", *sorted(out.glob("runs/*/frames.csv"))]
    found += sorted(out.glob("runs/*/weights.safetensors"))
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


def repeated(out: Path) -> dict[str, int]:
    """How many epochs each unit trained beyond those that it has."""
    more = {}
    for path in (*out.glob("runs/*/timing.jsonl"), *out.glob("starts/*/timing.jsonl")):
        epochs = len((path.parent / "metrics.jsonl").read_text().splitlines())
        more[path.parent.name] = len(path.read_text().splitlines()) - epochs
    return {name: count for name, count in more.items() if count}


def left(session: int) -> list[int]:
    """The processes of a session that still run."""
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


def case(kind: str, data: Path, folder: Path, right: dict[str, str], seed: int) -> dict[str, Any]:
    """Run two coordinators on a new folder, and say what is wrong."""
    rng = random.Random(f"{kind} {seed}")
    folder.mkdir(parents=True)
    out, jobs = folder / "S", (rng.choice((1, 2)), rng.choice((1, 2)))
    names = ("one", "two") if kind == "machines" else (None, None)
    log, began = folder / "log", time.monotonic()
    both = [
        FORK.Process(target=coordinate, args=(data, out, each, name, log))
        for each, name in zip(jobs, names, strict=True)
    ]
    for child in both:
        child.start()
    victim, moment = rng.randrange(2), None
    if kind != "together":
        while not (out / "units.json").exists():
            time.sleep(0.01)
        moment = rng.uniform(0.0, case.took)
        both[victim].join(moment)
        both[victim].kill()
    for child in both:
        child.join()
    wrong = []
    for number, child in enumerate(both):
        if kind == "together" or number != victim:
            wrong += [f"status {child.exitcode}"] if child.exitcode else []
    if contents(out) != right:
        wrong.append("other files")
    again = repeated(out)
    if kind == "together" and again:
        wrong.append(f"epochs were repeated: {again}")
    ends = Counter((folder / "ends").read_text().splitlines())
    if twice := [name for name, count in ends.items() if count > 1]:
        wrong.append(f"trained twice: {twice}")
    if (out / "claims").exists():
        wrong.append("claims are left")
    deadline = time.monotonic() + 10
    while (orphans := left(both[victim].pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    wrong += [f"processes are left: {orphans}"] if orphans else []
    return {
        "kind": kind, "killed": kind != "together" and both[victim].exitcode == -signal.SIGKILL,
        "jobs": jobs, "killed_after": moment and round(moment, 2),
        "seconds": round(time.monotonic() - began, 1), "epochs_repeated": sum(again.values()),
        "wrong": wrong,
    }  # fmt: skip


case.took = 5.0


def nothing(name: str, root: Path) -> None:
    """A training that takes no time, with its claim."""
    with worker.claimed(root, name) as held:
        held.check()
        (root / name).mkdir()


def and_measure(train: Callable[[str], None], name: str, *, measured: Callable[[], None]) -> None:
    """Say at once that the next unit may begin, and train."""
    measured()
    train(name)


def overhead(root: Path, count: int, jobs: int) -> float:
    """The seconds of a unit that takes no time."""
    root.mkdir(parents=True)
    train: Callable[[str], None] = functools.partial(nothing, root=root)
    works = [Unit(name=f"unit-{k}", about=f"unit {k}") for k in range(count)]
    with Stopping() as stopping:
        executor = (
            ThisProcess(train)
            if jobs == 1
            else Processes(functools.partial(and_measure, train), jobs)
        )
        made = coordinator.Coordinator(
            root, works, lambda unit: (root / unit.name).exists(), executor, stopping, ignore
        )
        work = made.work()
        began = time.perf_counter()
        if jobs > 1:  # processes load libraries first: the clock starts with the first end
            next(work)
            began, count = time.perf_counter(), count - 1
        for _ in work:
            pass
        took = time.perf_counter() - began
    return took / count


def main() -> int:
    """Run all cases, and write ``OUT/coordinators.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    parser.add_argument("--together", type=int, default=20)
    parser.add_argument("--killed", type=int, default=10)
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--units", type=int, default=200, help="of the stand-in")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True)
    for module in MODULES:
        importlib.import_module(module)
    data = write_dataset(
        out / "data", train=12, validation=4, test=5, unlabelled=3, height=32, width=40
    )
    whole, began = out / "whole" / "S", time.monotonic()
    child = FORK.Process(target=coordinate, args=(data, whole, 1, None, out / "log"))
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"the study failed: see {out / 'log'}")
    case.took, right = (time.monotonic() - began) / 2, contents(whole)
    record: dict[str, Any] = {"schema": 1, "host": host.host_class(), "cases": []}
    for kind in ("together", "killed", "machines"):
        counted, k = 0, 0
        while counted < getattr(args, kind):  # a kill that came too late is no case
            found = case(kind, data, out / f"{kind}-{k}", right, k)
            record["cases"].append(found)
            counted, k = counted + (kind == "together" or found["killed"]), k + 1
            print(json.dumps(found), file=sys.stderr, flush=True)
            write_json(out / "coordinators.json", record)
    if args.units:
        record["overhead"] = {
            f"{jobs} at a time": overhead(out / f"units-{jobs}", args.units, jobs)
            for jobs in (1, 2)
        }
    failed = [found for found in record["cases"] if found["wrong"]]
    write_json(out / "coordinators.json", {**record, "failed": len(failed)})
    print(json.dumps({"cases": len(record["cases"]), "failed": len(failed),
                      "overhead": record.get("overhead")}))  # fmt: skip
    return int(bool(failed))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
