"""A study on Ray: two nodes, one of which is killed in the middle; and what a unit costs.

``python benchmarks/on_ray.py OUT``: draws a small dataset and runs a study of 24 runs and six
pretexts on this machine alone; then on a Ray cluster of two nodes with one CPU each, which it
starts. After eight runs, and once an epoch of a run on the second node is over, all processes of
that node are killed with SIGKILL. ``study.json`` and all ``frames.csv`` must be those of the study
without Ray, byte for byte, and no run may be trained twice to its end. ``epochs_repeated`` are
those that the killed worker had trained since its last checkpoint.

``overhead`` is the time for a unit of a stand-in that takes no time, over 200 units: sent,
claimed, ended, noticed. The exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from coordinators import contents, repeated, settings

from headstart.data.drawn.dataset import write_dataset
from headstart.studies import backends
from headstart.studies import study as study_module
from headstart.studies.coordinator import Coordinator
from headstart.studies.ray_cluster import RayCluster
from headstart.studies.units import Unit
from headstart.studies.worker import claimed, train_unit
from headstart.system import host
from headstart.system.attempts import holder_of
from headstart.system.disk import write_json
from headstart.system.signals import Stopping
from headstart.training.listener import SILENT, ignore

NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}


def train_and_note(name: str, study: Path, **how: Any) -> None:
    """Train a unit; add its name to a file if it came to its end here."""
    was_finished = (study / name / "scores.json").exists()
    train_unit(name, study, **how)
    if not was_finished:
        with (study.parent / "ends").open("a") as file:
            file.write(f"{name}\n")


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    of = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            of[int(entry.name)] = int(fields[1])
    found = {pid}
    while more := {number for number, parent in of.items() if parent in found} - found:
        found |= more
    return found


def kill_when_at_work(out: Path, raylet: int, told: list[str], after: int) -> dict[str, Any]:
    """Kill all processes of a node in the middle of a run, after some runs are finished."""
    while True:
        there = family(raylet)
        for path in out.glob("claims/*/*/*/holder.json"):
            holder = holder_of(path.parent)
            unit = path.parent.parent.relative_to(out / "claims").as_posix()
            begun = (out / unit / "metrics.jsonl").exists()  # an epoch is over
            if len(told) >= after and holder is not None and holder.pid in there and begun:
                for process in sorted(there):
                    os.kill(process, signal.SIGKILL)
                return {"unit": unit, "processes": len(there), "at": time.monotonic()}
        time.sleep(0.01)


def lost_node(data: Path, folder: Path, cluster: Any) -> dict[str, Any]:
    """Run the study on the cluster while a node is killed, and compare with one without Ray."""
    config = settings(data).model_copy(update={"labels": (3, 6), "seeds": tuple(range(1, 7))})
    whole, out, told, heard = folder / "whole" / "S", folder / "ray" / "S", [], []
    began = time.monotonic()
    study_module.study(config, whole, SILENT, ignore, checkpoint_seconds=0.05)
    alone = time.monotonic() - began

    def tell(line: str) -> None:
        (told if line.startswith("[") else heard).append((time.monotonic(), line))
        print(line, file=sys.stderr, flush=True)

    killed: list[dict[str, Any]] = []
    raylet = cluster.second.all_processes["raylet"][0].process.pid
    killer = threading.Thread(
        target=lambda: killed.append(kill_when_at_work(out, raylet, told, 8)), daemon=True
    )
    killer.start()
    backends.train_unit = train_and_note
    began = time.monotonic()
    study_module.study(
        config,
        out,
        SILENT,
        tell,
        checkpoint_seconds=0.05,
        backend=backends.Backend(on="ray", ray=cluster.address),
    )
    took = time.monotonic() - began
    wrong = [] if contents(out) == contents(whole) else ["other files"]
    ends = Counter((out.parent / "ends").read_text().splitlines())
    wrong += [f"trained twice: {name}" for name, count in ends.items() if count > 1]
    wrong += ["claims are left"] if (out / "claims").exists() else []
    wrong += [] if killed and len(told) == 24 else ["no node was killed, or runs are missing"]
    noticed = [when - killed[0]["at"] for when, line in heard if "its process" in line and killed]
    return {
        "runs": len(told), "units": len(ends), "killed": killed[0]["unit"], "after_runs": 8,
        "processes_killed": killed[0]["processes"],
        "noticed_after_seconds": round(noticed[0], 2) if noticed else None,
        "said": [line for _, line in heard if "its process" in line],
        "epochs_repeated": repeated(out), "seconds": round(took, 1),
        "seconds_without_ray": round(alone, 1), "wrong": wrong,
    }  # fmt: skip


def nothing(name: str, root: Path, executor: str, job: str) -> None:
    """A training that takes no time, with its claim."""
    with claimed(root, name, executor, job) as held:
        held.check()
        (root / name).mkdir()


def overhead(root: Path, count: int, address: str) -> dict[str, Any]:
    """The seconds of a unit that takes no time."""
    root.mkdir(parents=True)
    units = [Unit(name=f"unit-{k}", about=f"unit {k}") for k in range(count)]
    with Stopping() as stopping:
        made = RayCluster(functools.partial(nothing, root=root), root, (), 1, address=address)
        places = made.places

        def finished(unit: Unit) -> bool:
            return (root / unit.name).exists()

        work = Coordinator(root, units, finished, made, stopping, ignore).work()
        asked = time.perf_counter()
        next(work)  # processes load libraries first: the clock starts with the first end
        began = time.perf_counter()
        for _ in work:
            pass
        took = time.perf_counter() - began
    return {
        "units": count, "places": places, "seconds_each": round(took / (count - 1), 4),
        "first_after_seconds": round(began - asked, 1),
    }  # fmt: skip


def main() -> int:
    """Run both, and write ``OUT/ray.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    parser.add_argument("--units", type=int, default=200, help="of the stand-in")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the loopback address only
    import ray
    from ray.cluster_utils import Cluster

    data = write_dataset(
        out / "data", train=12, validation=4, test=5, unlabelled=3, height=32, width=40
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAY_TMPDIR"] = folder
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        cluster.second = cluster.add_node(**NODE)
        record: dict[str, Any] = {"schema": 1, "host": host.host_class(), "ray": ray.__version__}
        record["overhead"] = overhead(out / "units", args.units, cluster.address)
        print(json.dumps(record["overhead"]), file=sys.stderr, flush=True)
        record["lost_node"] = lost_node(data, out, cluster)
        cluster.shutdown()
    write_json(out / "ray.json", record)
    print(json.dumps(record))
    return int(bool(record["lost_node"]["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
