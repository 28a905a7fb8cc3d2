"""Candidates for the classifiers' recipe ``default``, compared on pictures that train nothing.

``python benchmarks/classifier_recipes.py DATA --out ledger.jsonl``: ``DATA`` is the folder that
holds ``cifar10-5k``, ``fashion-mnist`` and ``weights``; scenes are drawn. Each candidate is trained
in each case, from scratch and from the published weights, and scored on the validation split. The
drawn folder has as few validation pictures as a few dozen photos have, so it is scored on 200
further drawn pictures. No test split of DATA is read. The most frequent class stands beside each
score. A line is added to the ledger after every run; the same command continues it. ``--table``
prints the accuracy of each candidate in each case.

Pictures are 32 x 32 where the whole network trains, so that a run takes a minute, and 64 x 64 where
only the last layer does. Of Fashion-MNIST, only the first 6,000 training pictures are read.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

from headstart.config.recipe_records import ClassifierRecipe
from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import RunConfig
from headstart.data.drawn.instruments import KINDS
from headstart.data.drawn.scenes import draw_scene
from headstart.data.layouts.idx import FILES, read_idx
from headstart.runs.records import environment
from headstart.runs.run import train
from headstart.seeding import generator
from headstart.system.processor import available_threads
from headstart.training.listener import SILENT

_FASHION = 6000  # pictures of it that are read
_DRAWN = {"train": 7, "validation": 2, "test": 50}  # pictures of each class
SIZES = {"all": (32, 32), "head": (64, 64)}
STARTS = {"scratch": "scratch", "published": "weights/squeezenet1_0-imagenet.safetensors"}


@dataclass(frozen=True)
class Case:
    """A dataset, a number of labels, the split that is scored and the network."""

    folder: str
    labels: int
    score: str = "validation"
    model: str = "squeezenet1_0"


CASES = {
    "drawn, 28 labels": Case("drawn", 28, "test"),
    "cifar10, 40 labels": Case("cifar10-5k", 40),
    "fashion, 100 labels": Case("fashion-mnist", 100),
    "cifar10, 400 labels": Case("cifar10-5k", 400),
    "fashion, 2,000 labels": Case("fashion-mnist", 2000),
    "cifar10, 4,500 labels": Case("cifar10-5k", 4500),
}

# Ten passes in batches of 64: the recipe before it counted steps.
_PASSES = CLASSIFIER_DEFAULT.model_copy(
    update={
        "batch": 64, "epochs": 10, "head_epochs": 5, "steps": None, "average": 0.0,
        "learning_rate": 3e-4, "head_learning_rate": 1e-3, "choose": "accuracy", "ties": "first",
    }
)  # fmt: skip


def _steps(steps: int, batch: int, **changes: Any) -> ClassifierRecipe:
    return _PASSES.model_copy(update={"steps": steps, "batch": batch, **changes})


CANDIDATES: Mapping[str, Mapping[str, ClassifierRecipe]] = {
    "all": {
        "ten passes": _PASSES,
        "1,000 of 32": _steps(1000, 32),
        "500 of 32": _steps(500, 32),
        "1,000 of 32, 1e-3": _steps(1000, 32, learning_rate=1e-3),
        "2,000 of 32": _steps(2000, 32),
    },
    "head": {
        "ten passes": _PASSES,
        "500 of 32": _steps(500, 32),
        "1,000 of 32": _steps(1000, 32),
        "2,000 of 32": _steps(2000, 32),
        "1,000 of 32, 3e-3": _steps(1000, 32, head_learning_rate=3e-3),
        "2,000 of 32, 3e-3": _steps(2000, 32, head_learning_rate=3e-3),
        "1,000 of 32, 1e-2": _steps(1000, 32, head_learning_rate=1e-2),
        "1,000 of 32, averaged": _steps(1000, 32, average=0.99),
    },
}


def write_drawn(root: Path) -> Path:
    """Draw photos of one instrument each into folders of classes."""
    left = {split: [count] * len(KINDS) for split, count in _DRAWN.items()}
    number = 0
    for split, counts in left.items():
        while any(counts):
            image, mask = draw_scene(generator(0, "classes", number), 64, 80)
            number += 1
            shown = set(np.unique(mask).tolist()) - {0}
            if len(shown) != 1 or not counts[kind := shown.pop() - 1]:
                continue
            counts[kind] -= 1
            folder = root / split / KINDS[kind].name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{number}.png")
    return root


def write_fashion(source: Path, root: Path) -> Path:
    """Copy the first pictures of Fashion-MNIST."""
    root.mkdir()
    arrays = read_idx(source)[1]
    for split, names in FILES.items():
        pixels, labels = (array[:_FASHION] for array in arrays[split])
        for name, magic, array in zip(
            names, (2051, 2049), (pixels, labels.astype(np.uint8)), strict=True
        ):
            header = np.array([magic, *array.shape], ">u4").tobytes()
            (root / name).write_bytes(header + array.tobytes())
    return root


def train_once(
    case: Case, data: Path, start: str, tune: str, recipe: ClassifierRecipe, seed: int,
    threads: int, cache: Path,
) -> dict[str, Any]:  # fmt: skip
    """Train one run and return its accuracy, and the validation of each epoch."""
    config = RunConfig.model_validate(
        {
            "schema": 1, "data": str(data), "task": "classification", "model": case.model,
            "width": None, "size": SIZES[tune], "labels": case.labels, "recipe": recipe,
            "start": start, "tune": tune, "seed": seed, "score": case.score, "threads": threads,
        }
    )  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        scores = train(config, Path(out) / "run", SILENT, cache=cache)
        lines = (Path(out) / "run" / "metrics.jsonl").read_text().splitlines()
        timing = (Path(out) / "run" / "timing.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {
        "accuracy": scores["accuracy"],
        "trivial": scores["trivial"]["accuracy"],
        "pictures": scores["pictures"],
        "seconds": round(time.monotonic() - began, 1),
        "train_seconds": round(sum(json.loads(t).get("train_seconds", 0) for t in timing), 1),
        "validation_accuracy": [round(r["validation_accuracy"], 4) for r in rows],
        "validation_loss": [round(r["validation_loss"], 4) for r in rows],
    }


def table(rows: list[dict[str, Any]], tune: str) -> str:
    """Return the mean accuracy of each candidate in each case."""
    lines = []
    for start in STARTS:
        lines += [f"tune {tune}, start {start}", f"{'':24}" + "".join(f"{c:>23}" for c in CASES)]
        for candidate in [*CANDIDATES[tune], "trivial"]:
            line, means = f"{candidate:24}", []
            for case in CASES:
                its = [r for r in rows if (r["tune"], r["start"]) == (tune, start)]
                its = [r for r in its if r["case"] == case]
                field = "trivial" if candidate == "trivial" else "accuracy"
                found = [r[field] for r in its if candidate in (r["candidate"], "trivial")]
                means += [mean(found)] if found else []
                line += f"{f'{mean(found):.3f} ({len(found)})' if found else '':>23}"
            whole = f"{mean(means):9.3f}" if len(means) == len(CASES) else ""
            lines.append(line + whole)
    return "\n".join(lines)


def main() -> None:
    """Read the options, train what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tunes", default="head,all")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--candidates", help="which of them to train, with ; between them")
    parser.add_argument("--cases", default=";".join(CASES), help="with ; between them")
    parser.add_argument("--starts", default=",".join(STARTS))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    rows = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    identity = ("candidate", "case", "start", "tune", "seed")
    done = {tuple(row[name] for name in identity) for row in rows}
    tunes = options.tunes.split(",")
    if not options.table:
        work = Path(tempfile.mkdtemp())
        folders = {
            "drawn": write_drawn(work / "drawn"),
            "fashion-mnist": write_fashion(options.data / "fashion-mnist", work / "fashion"),
            "cifar10-5k": options.data / "cifar10-5k",
        }
        for seed, tune in product(map(int, options.seeds.split(",")), tunes):
            chosen = options.candidates.split(";") if options.candidates else CANDIDATES[tune]
            for name, case, start in product(
                chosen, options.cases.split(";"), options.starts.split(",")
            ):
                recipe = CANDIDATES[tune][name]
                row = dict(zip(identity, (name, case, start, tune, seed), strict=True))
                if tuple(row.values()) in done:
                    continue
                its = CASES[case]
                if recipe.steps is None:  # a folder of so many pictures: not a budget of more
                    recipe = recipe.with_steps(10 * -(-its.labels // recipe.batch))
                    recipe = recipe.model_copy(update={"epochs": 10})
                source = STARTS[start]
                source = source if start == "scratch" else str(options.data / source)
                row |= train_once(
                    its, folders[its.folder], source, tune, recipe, seed, options.threads,
                    work / "cache",
                )  # fmt: skip
                row |= {"settings": vars(its) | {"size": SIZES[tune]}}
                row |= {"recipe": recipe.model_dump(), "cpu": environment("cpu")["cpu"]}
                rows.append(row)
                print(*row.values(), flush=True)
                with options.out.open("a") as ledger:
                    ledger.write(json.dumps(row) + "\n")
        shutil.rmtree(work)
    print("\n".join(table(rows, tune) for tune in tunes))


if __name__ == "__main__":
    main()
