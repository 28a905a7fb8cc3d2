"""Candidates for the recipe ``default``, compared on validation on several datasets.

``python benchmarks/recipes.py DATA --out ledger.jsonl --seeds 1,2``: ``DATA`` is the folder that
holds ``hw6``, ``drive`` and ``membrane``; scenes are drawn. Each candidate is trained with each
seed in each case, and scored on the validation split, the trivial prediction beside it. The test
split is never read. A line is added to the ledger after every run; the same command continues it.
``--table`` prints, for each candidate and case, the mean and the mean difference to ``default``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from headstart.config.recipe_records import Recipe
from headstart.config.recipes import DEFAULT
from headstart.config.records import RunConfig
from headstart.data.augmentation import Augmentation
from headstart.data.drawn.dataset import write_dataset
from headstart.runs.records import environment
from headstart.runs.run import train
from headstart.system.devices import pick_precision
from headstart.system.processor import available_threads
from headstart.training.listener import Silent


@dataclass(frozen=True)
class Case:
    """A dataset, a number of labels and a size at which a run takes one to three minutes."""

    folder: str
    labels: int | None
    size: tuple[int, int]
    width: int


CASES = {
    "hw6, 30 labels": Case("hw6", 30, (64, 80), 16),
    "hw6, all labels": Case("hw6", None, (64, 80), 16),
    "drive": Case("drive", None, (128, 128), 8),
    "membrane": Case("membrane", None, (128, 128), 8),
    "scenes, 30 labels": Case("scenes", 30, (64, 80), 16),
}


def _augmented(**changes: Any) -> Recipe:
    return DEFAULT.model_copy(
        update={"augmentation": Augmentation(**{**vars(DEFAULT.augmentation), **changes})}
    )


_MILD = _augmented(rotation=10.0, scale=1.2, brightness=0.2, contrast=0.2, saturation=0.2)


def _changed(recipe: Recipe, **changes: Any) -> Recipe:
    return recipe.model_copy(update={"steps": 2400, **changes})


CANDIDATES = {
    "default": DEFAULT,
    "half the steps": _changed(DEFAULT),
    "half the steps, decay": _changed(DEFAULT, weight_decay=0.05),
    "1,200 steps of 10": _changed(DEFAULT, batch=10, steps=1200),
    "mild": _changed(_MILD),
    "mild, half the rate": _changed(_MILD, learning_rate=3e-3),
    "mild, no least area": _changed(_MILD, min_area=0.0),
    "mild, flips": _changed(
        _MILD, augmentation=Augmentation(**{**vars(_MILD.augmentation), "flip_horizontal": True})
    ),
}


def train_once(case: Case, data: Path, recipe: Recipe, seed: int, threads: int) -> dict[str, Any]:
    """Train one run and return its validation scores."""
    config = RunConfig(
        schema=1, data=str(data), size=case.size, width=case.width, labels=case.labels,
        recipe=recipe, seed=seed, score="validation", threads=threads,
        precision=pick_precision("cpu", True),
    )  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        scores = train(config, Path(out) / "run", Silent())
    return {
        "dice": scores["dice"],
        "trivial": scores["trivial"]["dice"],
        "frames": scores["frames"],
        "seconds": round(time.monotonic() - began, 1),
    }


Dice = Mapping[tuple[str, str, int], float]
"""From candidate, case and seed to its score."""


def beside_control(dice: Dice, candidate: str, control: str, case: str) -> str:
    """Return the mean of a candidate and its mean difference to a control, over common seeds."""
    seeds = [s for c, k, s in dice if (c, k) == (candidate, case) and (control, case, s) in dice]
    if not seeds:
        return ""
    mine = mean(dice[candidate, case, s] for s in seeds)
    gain = mean(dice[candidate, case, s] - dice[control, case, s] for s in seeds)
    return f"{mine:.3f} {gain:+.3f} ({len(seeds)} seeds)"


def table(rows: list[dict[str, Any]]) -> str:
    """Return means, and mean differences to ``default`` over the seeds that both have."""
    dice = {(r["candidate"], r["case"], r["seed"]): r["dice"] for r in rows}
    lines = [f"{'':20}" + "".join(f"{case:>28}" for case in CASES)]
    for candidate in CANDIDATES:
        cells = (beside_control(dice, candidate, "default", case) for case in CASES)
        lines.append(f"{candidate:20}" + "".join(f"{cell:>28}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Read the options, train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--candidates", default=",".join(CANDIDATES), help="which of them to train")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    rows = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    done: set[tuple[str, str, int]] = {(r["candidate"], r["case"], r["seed"]) for r in rows}
    if not options.table:
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / "scenes"
            write_dataset(
                drawn, train=60, validation=20, test=1, unlabelled=0, height=128, width=160
            )
            folders: Mapping[str, Path] = {
                c.folder: drawn if c.folder == "scenes" else options.data / c.folder
                for c in CASES.values()
            }
            for seed in map(int, options.seeds.split(",")):
                for candidate in options.candidates.split(","):
                    recipe = CANDIDATES[candidate]
                    for name, case in CASES.items():
                        if (candidate, name, seed) in done:
                            continue
                        row = {"candidate": candidate, "case": name, "seed": seed}
                        row |= train_once(case, folders[case.folder], recipe, seed, options.threads)
                        row |= {"settings": vars(case), "recipe": recipe.model_dump()}
                        row |= {"cpu": environment("cpu")["cpu"]}
                        rows.append(row)
                        with options.out.open("a") as ledger:
                            ledger.write(json.dumps(row) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
