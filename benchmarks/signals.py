"""Sends SIGINT and SIGTERM to a study at every point of its life, and continues it.

``python benchmarks/signals.py OUT``: a study of four runs and two pretexts, with one job and with
two. At the named point, in whichever process reaches it first, the study's main process gets the
signal, and with SIGINT the process at the point too, as from Ctrl-C on a terminal. It must end with
130 or 143 without a traceback, finish no more runs than were at hand (one for each job), and leave
no process behind; the same command must then end with the same ``study.json`` as a study that was
never stopped. The JSON has a line for each
case. The exit status is 1 if any case failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

POINTS = {
    "loading": "",
    "planning": "headstart.studies.study:plan",
    "planning again": "headstart.studies.books:replanned",
    "decoding for a pretext": "headstart.tasks.pretext_training:_decoded",
    "a pretext's fit": "headstart.tasks.pretext_training:pretext_batches",
    "a pretext's scoring": "headstart.tasks.pretext_training:_score",
    "decoding for a run": "headstart.tasks.segmentation_training:_decoded",
    "fit": "headstart.tasks.segmentation_batches:frame_batches",
    "validation": "headstart.tasks.segmentation_training:frame_counts",
    "scoring": "headstart.tasks.segmentation_training:write_scores",
    "a model card": "headstart.runs.run:model_card",
    "a line of the ledger": "headstart.studies.books:line_of",
    "the ledger": "headstart.studies.books:write_ledger",
    "study.json": "headstart.studies.study:write_study",
}
_POINT, _NUMBER, _ONCE = "SIGNALS_POINT", "SIGNALS_NUMBER", "SIGNALS_ONCE"
_MAIN = "SIGNALS_MAIN"


def _send() -> None:
    """Send the signal, unless another process or call did."""
    try:
        once = Path(os.environ[_ONCE])
        once.touch(exist_ok=False)
    except FileExistsError:
        return
    once.write_text(str(lines(once.parent / "S" / "ledger.jsonl")))
    number, main = int(os.environ[_NUMBER]), int(os.environ[_MAIN])
    os.kill(main, number)
    if number == signal.SIGINT and os.getpid() != main:
        os.kill(os.getpid(), number)
    time.sleep(0.05)


def lines(ledger: Path) -> int:
    """The number of finished runs in a ledger."""
    return len(ledger.read_text().splitlines()) if ledger.exists() else 0


def _patch() -> None:
    """Make the function at the point send the signal first; in worker processes, too."""
    module_name, _, name = os.environ[_POINT].partition(":")
    module = importlib.import_module(module_name)
    original = getattr(module, name)

    def signalled(*args: Any, **named: Any) -> Any:
        _send()
        return original(*args, **named)

    setattr(module, name, signalled)


def study(data: Path, out: Path, jobs: int) -> list[str]:
    """The command of the study."""
    words = "--starts scratch,colorization --labels 6 --seeds 2 --size 16x24 --width 2 --threads 1"
    return ["study", str(data), "--out", str(out), "--jobs", str(jobs), "--epochs", "2",
            "--pretext-epochs", "1", *words.split()]  # fmt: skip


def processes(out: Path) -> list[str]:
    """The processes that name a folder in their environment or command."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if str(out).encode() in (entry / "environ").read_bytes() and entry.name.isdigit():
                found.append(entry.name)
        except OSError:
            continue
    return [pid for pid in found if int(pid) != os.getpid()]


def case(data: Path, out: Path, point: str, number: int, jobs: int, right: bytes) -> dict[str, Any]:
    """Signal one study, continue it, and say what is wrong."""
    folder = out / f"{point.replace(' ', '-')}-{number}-{jobs}"
    folder.mkdir()
    command, once = study(data, folder / "S", jobs), folder / "once"
    settings = {_POINT: POINTS[point], _NUMBER: str(number), _ONCE: str(once)}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, __file__, "--run", *command], env={**os.environ, **settings},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if point == "loading":
        time.sleep(0.7)
        once.touch()
        process.send_signal(number)
    _, said = process.communicate(timeout=300)
    seconds = time.monotonic() - began
    finished = lines(folder / "S" / "ledger.jsonl")
    status = 128 - process.returncode if process.returncode < 0 else process.returncode
    wrong = []
    if not once.exists():
        wrong.append("the point was not reached")
    elif (more := finished - int(once.read_text() or 0)) > jobs:
        wrong.append(f"{more} more runs finished")
    if status != 128 + number:
        wrong.append(f"status {status}")
    if "Traceback" in said:
        wrong.append("traceback: " + said.strip().splitlines()[-1])
    if left := processes(folder):
        wrong.append(f"processes left: {left}")
    again = subprocess.run(
        [sys.executable, "-m", "headstart", *command], capture_output=True, text=True, check=False
    )
    summary = folder / "S" / "study.json"
    if again.returncode or summary.read_bytes() != right:
        wrong.append(f"continued: status {again.returncode}, other study.json")
    return {"point": point, "signal": signal.Signals(number).name, "jobs": jobs, "status": status,
            "finished": finished, "seconds": round(seconds, 1), "wrong": wrong}  # fmt: skip


def main() -> int:
    """Run all cases, or, with ``--run``, a study that signals itself."""
    if sys.argv[1] == "--run":
        os.environ[_MAIN] = str(os.getpid())
        sys.argv = ["headstart", *sys.argv[2:]]
        from headstart.__main__ import main as headstart

        headstart()
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder that does not exist")
    parser.add_argument("--only", default="", help="part of a point's name")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True)
    from headstart.data.drawn.dataset import write_dataset
    from headstart.system.disk import write_json

    data = out / "data"
    write_dataset(data, train=8, validation=3, test=3, unlabelled=4, height=32, width=40)
    whole = [sys.executable, "-m", "headstart", *study(data, out / "whole", 1)]
    subprocess.run(whole, check=True, capture_output=True)
    right = (out / "whole" / "study.json").read_bytes()
    cases = []
    for point in POINTS:
        if args.only not in point:
            continue
        for number in (signal.SIGINT, signal.SIGTERM):
            for jobs in (1, 2):
                cases.append(case(data, out, point, number, jobs, right))
                print(json.dumps(cases[-1]), file=sys.stderr)
    failed = [each for each in cases if each["wrong"]]
    write_json(out / "signals.json", {"schema": 1, "cases": cases, "failed": len(failed)})
    print(json.dumps({"cases": len(cases), "failed": len(failed)}))
    return int(bool(failed))


if os.environ.get(_POINT):
    _patch()
if __name__ == "__main__":
    sys.exit(main())
