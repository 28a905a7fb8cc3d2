"""Ways to use pictures without labels, compared on validation on three datasets.

``python benchmarks/unlabelled.py DATA --out ledger.jsonl --seeds 1,2,3``: ``DATA`` is the folder
that holds ``hw6``, ``drive`` and ``membrane``. Each candidate, which is a pretext before training
or a teacher during it, is trained with each seed on each dataset, and scored on the validation
split. The test split is never read. A line is added to the ledger after every run; the same command
continues it. ``--table`` trains nothing, and prints for each candidate and dataset the mean, and
the mean difference to its control: the teachers see three times as many pictures as ``supervised``,
as ``supervised, longer`` does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recipes import beside_control

import headstart
from headstart.config.methods import Teacher
from headstart.config.recipes import DEFAULT, ENCODER_DEFAULT
from headstart.runs.records import environment
from headstart.system.processor import available_threads

STEPS = 1200
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A dataset, and a size at which a run takes minutes."""

    labels: int
    size: str
    tile: bool


CASES = {
    "hw6": Case(30, "64x80", False),
    "drive": Case(10, "64", True),
    "membrane": Case(10, "64", True),
}
TEACHERS = {
    "teacher": {},
    "teacher, sure at 0.8": {"confidence": 0.8},
    "teacher, sure at 0.95": {"confidence": 0.95},
    "teacher, sure by class": {"by_class": True},
    "teacher, balanced": {"balance": 0.5},
    "teacher, by class and balanced": {"by_class": True, "balance": 0.5},
    "teacher, channels dropped": {"dropped": 0.5},
    "teacher, half the weight": {"weight": 0.5},
}
PRETEXTS = ("colorization", "masked-denoising", "vicreg")
CANDIDATES: dict[str, Row] = {
    "supervised": {},
    "supervised, longer": {"steps": 3 * STEPS},
    **{name: {"teacher": changes} for name, changes in TEACHERS.items()},
    **{name: {"start": name} for name in PRETEXTS},
}


def train_once(
    case: Case, data: Path, candidate: Row, seed: int, model: str, threads: int
) -> dict[str, Any]:
    """Train one run and return its validation scores."""
    recipe = DEFAULT if model == "unet" else ENCODER_DEFAULT
    if "teacher" in candidate:
        recipe = recipe.model_copy(update={"teacher": Teacher(**candidate["teacher"])})
    start = candidate.get("start", "scratch" if model == "unet" else "imagenet")
    if model != "unet" and "start" in candidate:
        start = f"imagenet-{start}"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        run = headstart.train(
            data, out=Path(out) / "run", model=model, start=start, recipe=recipe, size=case.size,
            tile=case.tile, width=16, steps=candidate.get("steps", STEPS), labels=case.labels,
            seed=seed, score="validation", threads=threads,
            drop_leaks=True if "start" in candidate else None,  # a teacher always does
        )  # fmt: skip
    scores = run.scores
    return {
        "dice": scores["dice"],
        "dice_by_class": scores["dice_by_class"],
        "trivial": scores["trivial"]["dice"],
        "frames": scores["frames"],
        "seconds": round(time.monotonic() - began, 1),
    }


def table(rows: list[Row], model: str) -> str:
    """Return means, and mean differences to the control over the seeds that both have."""
    dice = {(r["candidate"], r["case"], r["seed"]): r["dice"] for r in rows if r["model"] == model}
    lines = [f"{'':32}" + "".join(f"{case:>26}" for case in CASES)]
    for candidate, changes in CANDIDATES.items():
        control = "supervised, longer" if "teacher" in changes else "supervised"
        cells = (beside_control(dice, candidate, control, case) for case in CASES)
        lines.append(f"{candidate:32}" + "".join(f"{cell:>26}" for cell in cells).rstrip())
    return "\n".join(lines)


def main() -> None:
    """Read the options, train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--model", default="unet", help="the encoder starts from ImageNet")
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--candidates", help="which of them to train, separated by semicolons")
    parser.add_argument("--datasets", default=",".join(CASES))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    rows: list[Row] = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    done = {(r["model"], r["candidate"], r["case"], r["seed"]) for r in rows}
    wanted = options.candidates.split(";") if options.candidates else list(CANDIDATES)
    todo = [
        (seed, candidate, dataset)
        for seed in map(int, options.seeds.split(","))
        for candidate in wanted
        for dataset in options.datasets.split(",")
        if (options.model, candidate, dataset, seed) not in done
    ]
    for seed, candidate, dataset in [] if options.table else todo:
        case, changes = CASES[dataset], CANDIDATES[candidate]
        row: Row = {"model": options.model, "candidate": candidate, "case": dataset, "seed": seed}
        data = options.data / dataset
        row |= train_once(case, data, changes, seed, options.model, options.threads)
        row |= {"settings": asdict(case), "changes": changes, "cpu": environment("cpu")["cpu"]}
        rows.append(row)
        with options.out.open("a") as ledger:
            ledger.write(json.dumps(row) + "\n")
        print(json.dumps({k: row[k] for k in ("candidate", "case", "seed", "dice", "seconds")}))
    print(table(rows, options.model))


if __name__ == "__main__":
    main()
