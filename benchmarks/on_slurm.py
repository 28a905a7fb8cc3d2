"""A study on a real SLURM: jobs cancelled, a node lost, time limits, the coordinator killed.

``python benchmarks/on_slurm.py OUT --cluster ../shared/slurm/cluster``: starts a SLURM of two nodes
on this machine, draws a small dataset, and runs a study of 24 runs and six pretexts with ``--on
local``; then with ``--on slurm`` in another folder, where

- two running jobs are cancelled (``scancel``),
- the coordinator is killed with SIGKILL and started again,
- a node is lost with its job, and comes back,
- pretexts are longer than the time limit of a job, so that they are started again at it.

``study.json`` and every ``frames.csv`` must be the same, byte for byte, and no run may come to its
end twice. ``overhead`` is the time for a unit of a stand-in that takes no time. The JSON says what
happened when; the exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from coordinators import contents, repeated

from headstart.data.drawn.dataset import write_dataset
from headstart.studies import job_script
from headstart.studies.coordinator import Coordinator
from headstart.studies.job_script import queue
from headstart.studies.slurm import Slurm, name_of
from headstart.studies.status import study_status
from headstart.studies.units import Unit
from headstart.system import host
from headstart.system.disk import write_json
from headstart.system.signals import Stopping
from headstart.training.listener import ignore

STUDY = (
    "--starts", "scratch,colorization", "--labels", "8,all", "--seeds", "6", "--steps", "40",
    "--size", "32x40", "--width", "8", "--threads", "1", "--precision", "float32",
    "--checkpoint-seconds", "2",
)  # fmt: skip
RUNS = 24


def command(data: Path, out: Path, pretext_steps: int, *more: str) -> list[str]:
    """The command of the study."""
    words = [sys.executable, "-m", "headstart", "study", str(data), "--out", str(out), *STUDY]
    return [*words, "--pretext-steps", str(pretext_steps), *more]


class Events:
    """What was done to the study, and when."""

    def __init__(self, log: Path) -> None:
        self.began, self.lines, self.log = time.monotonic(), [], log

    def note(self, what: str, **facts: Any) -> None:
        """Add a line."""
        self.lines.append({"at": round(time.monotonic() - self.began, 1), "what": what, **facts})
        print(json.dumps(self.lines[-1]), file=sys.stderr, flush=True)


def coordinator(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start the study's command."""
    with log.open("ab") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, start_new_session=True)


def until_done(out: Path, count: int, child: subprocess.Popen[bytes]) -> None:
    """Wait until this many runs are finished, or the command has ended."""
    while child.poll() is None:
        if (out / "units.json").exists() and study_status(out).done >= count:
            return
        time.sleep(1)


def running(out: Path) -> list[str]:
    """The jobs of a study that run, and have claimed their unit."""
    states = study_status(out).in_state("running")
    jobs = queue(os.getuid(), name_of(out))
    return [u.job for u in states if u.job in jobs and jobs[u.job].state == "RUNNING"]


def cancel_one(out: Path, events: Events) -> None:
    """Cancel a running job."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if jobs := running(out):
            subprocess.run(["scancel", jobs[0]], check=True)
            events.note("scancel", job=jobs[0])
            return
        time.sleep(0.5)
    raise SystemExit("no job ran for two minutes")


def disturbed(words: list[str], out: Path, cluster: Path, folder: Path) -> dict[str, Any]:
    """Run the study on SLURM, and let everything happen to it."""
    log = out.parent / "slurm.log"
    events = Events(log)
    child = coordinator(words, log)
    until_done(out, 2, child)
    cancel_one(out, events)
    until_done(out, 5, child)
    child.kill()
    child.wait()
    events.note("coordinator killed", jobs=len(queue(os.getuid(), name_of(out))))
    time.sleep(5)
    child = coordinator(words, log)
    until_done(out, 8, child)
    cancel_one(out, events)
    until_done(out, 11, child)
    while not running(out):
        time.sleep(0.5)
    node = queue_node(running(out)[0])
    subprocess.run([cluster, "node-down", folder, node[1:]], check=True)
    events.note("node lost", node=node)
    time.sleep(20)
    subprocess.run([cluster, "node-up", folder, node[1:]], check=True)
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], check=False)
    events.note("node back", node=node)
    status = child.wait()
    events.note("ended", status=status)
    return {"seconds": events.lines[-1]["at"], "status": status, "events": events.lines}


def queue_node(job: str) -> str:
    """The node of a job."""
    return job_script.ask("squeue", "-h", "-j", job, "-o", "%N").strip()


def starts_again() -> dict[str, int]:
    """How often jobs were started again, by accounting: at their time limit or after a loss."""
    answer = job_script.ask(
        "sacct", "-n", "-P", "-X", "-D", "-S", "now-6hours", "-o", "JobID,State"
    )
    states = Counter(line.split("|")[1].split(" ")[0] for line in answer.splitlines())
    return dict(sorted(states.items()))


STAND_IN = """
import sys
from pathlib import Path
from headstart.studies.worker import claimed
root, name, job = Path(sys.argv[1]), sys.argv[2], sys.argv[6]
with claimed(root, name, "slurm", job) as held:
    held.check()
    (root / name).mkdir()
"""


def overhead(root: Path, count: int) -> dict[str, float]:
    """The seconds of a unit that takes no time, from the first end to the last."""
    root.mkdir(parents=True)
    (root / "stand_in.py").write_text(STAND_IN)
    os.environ["PYTHONPATH"] = f"{root}:{os.environ.get('PYTHONPATH', '')}"
    job_script.WORKER = "stand_in"
    works = [Unit(name=f"unit-{k}", about=f"unit {k}") for k in range(count)]
    with Stopping() as stopping:
        executor = Slurm(root, {"time": "5"}, 1, False, None, 10.0, ignore)
        made = Coordinator(
            root, works, lambda unit: (root / unit.name).exists(), executor, stopping, ignore
        )
        began = time.perf_counter()
        work = made.work()
        next(work)
        first = time.perf_counter()
        for _ in work:
            pass
        took = time.perf_counter() - first
    files = sorted(path.stat().st_mtime for path in root.glob("unit-*"))
    # on two nodes, what SLURM and Python take for a job; the rest is the coordinator's
    return {
        "units": count, "first": first - began, "a_unit": took / (count - 1),
        "a_unit_of_slurm_and_python": (files[-1] - files[0]) / (count - 1),
        "after_the_last": time.time() - files[-1],
    }  # fmt: skip


def main() -> int:
    """Run the study twice and the stand-in, and write ``OUT/slurm.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    parser.add_argument("--cluster", type=Path, required=True)
    parser.add_argument("--pretext-steps", type=int, default=3000)
    parser.add_argument("--units", type=int, default=200, help="of the stand-in")
    args = parser.parse_args()
    out, cluster = args.out.resolve(), args.cluster.resolve()
    out.mkdir(parents=True)
    data = write_dataset(
        out / "data", train=24, validation=8, test=12, unlabelled=8, height=48, width=64
    )
    folder = out / "cluster"
    record: dict[str, Any] = {"schema": 1, "host": host.host_class()}
    subprocess.run([cluster, "start", folder, "2"], check=True, stdout=subprocess.DEVNULL)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        record["slurm"] = job_script.ask("sinfo", "-V").strip()
        if args.units:
            record["overhead"] = overhead(out / "units", args.units)
            job_script.WORKER = "headstart.studies.worker"
            write_json(out / "slurm.json", record)
        more = ("--on", "slurm", "--slurm", "time=2")
        words = command(data, out / "S", args.pretext_steps, *more)
        record["disturbed"] = disturbed(words, out / "S", cluster, folder)
        record["jobs"] = starts_again()
        write_json(out / "slurm.json", record)
    finally:
        subprocess.run([cluster, "stop", folder], check=False)
    with (out / "local.log").open("ab") as file:
        words = command(data, out / "local", args.pretext_steps, "--jobs", "2")
        subprocess.run(words, stdout=file, stderr=file, check=True)
    wrong = []
    if contents(out / "S") != contents(out / "local"):
        wrong.append("other files")
    if len(contents(out / "S")) != 1 + 2 * RUNS:
        wrong.append("runs are missing")
    again = repeated(out / "S")
    lines = (out / "slurm.log").read_text().splitlines()
    ends = Counter(line.partition("] ")[2].partition(":")[0] for line in lines if line[:1] == "[")
    if twice := [name for name, count in ends.items() if count > 1]:
        wrong.append(f"told twice: {twice}")
    write_json(
        out / "slurm.json",
        {**record, "epochs_repeated": again, "runs": RUNS, "wrong": wrong},
    )
    print(json.dumps({"wrong": wrong, "epochs_repeated": again, **record}))
    return int(bool(wrong))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
