"""The recipe ``default`` against what it was when it counted passes, on several datasets.

``python benchmarks/old_default.py DATA STUDIES --out table.json``: ``DATA`` is the folder that
holds ``hw6``, ``drive`` and ``membrane``; scenes are drawn. For each dataset, two studies of the
same budgets and seeds are made in ``STUDIES``, one for each recipe, and scored on the test split.
The same command continues them; ``--datasets`` and ``--recipes`` name those to train, and
``--table`` trains nothing. The table has each mean over the seeds, the trivial prediction's score,
and the difference with its interval at 95 %, not adjusted for the number of rows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import headstart
from headstart.data.drawn.dataset import write_dataset
from headstart.runs.records import environment
from headstart.scores.pooled import DICE
from headstart.studies.counts_of_runs import Runs, of_seeds, read_runs
from headstart.studies.statistics import interval, paired_difference
from headstart.studies.summary import read_summary
from headstart.tasks.lookup import labelled_task

SEEDS = 5
OLD = """# The recipe "default" while it counted passes: 40 over the labelled pictures.
base = "default"
name = "old"
epoch = "pass"
epochs = 40
batch = 5
min_area = 0.01
adapt_min_area = false

[augmentation]
rotation = 10.0
scale = 1.2
brightness = 0.2
contrast = 0.2
saturation = 0.2
"""


@dataclass(frozen=True)
class Case:
    """A dataset's budgets, and a size at which a run takes minutes on one core."""

    labels: tuple[int | str, ...]
    size: str
    width: int


CASES = {
    "hw6": Case((10, 20, 30, "all"), "64x80", 16),
    "drive": Case((10, "all"), "128x128", 8),
    "membrane": Case((10, "all"), "128x128", 8),
    "scenes": Case((10, 20, 30, "all"), "64x80", 16),
}


def recipe_file(studies: Path, recipe: str) -> str:
    """Return what ``--recipe`` takes for the recipe ``new`` or ``old``."""
    if recipe == "new":
        return "default"
    path = studies / "old.toml"
    path.write_text(OLD)
    return str(path)


def run_study(data: Path, studies: Path, dataset: str, recipe: str, threads: int) -> None:
    """Train what is missing of one study."""
    case = CASES[dataset]
    headstart.study(
        data, out=studies / f"{dataset}-{recipe}", starts=["scratch"], labels=list(case.labels),
        seeds=SEEDS, size=case.size, width=case.width, recipe=recipe_file(studies, recipe),
        threads=threads,
    )  # fmt: skip


def read(study: Path) -> tuple[list[dict[str, Any]], Runs]:
    """Return the records of a study's runs, and their counts."""
    records = read_summary(study)["records"]
    return records, read_runs(records, study, labelled_task("segmentation"))


def rows(studies: Path, dataset: str) -> list[dict[str, Any]]:
    """Return a row for each budget whose seeds both studies have."""
    (new, new_runs), (old, old_runs) = (read(studies / f"{dataset}-{r}") for r in ("new", "old"))
    table = []
    for key in sorted(new_runs.keys() & old_runs.keys(), key=lambda k: k[2]):
        seeds = sorted(new_runs[key].keys() & old_runs[key].keys())
        if len(seeds) < SEEDS:
            continue
        counts = of_seeds(new_runs[key], seeds), of_seeds(old_runs[key], seeds)
        difference = paired_difference(*counts, DICE.usable(counts[0][0], None).classes)
        low, high = interval(difference)
        row: dict[str, Any] = {"dataset": dataset, "labels": key[2], "seeds": len(seeds)}
        row |= vars(CASES[dataset]) | {"labels": key[2], "frames": counts[0].shape[1]}
        for name, records in (("new", new), ("old", old)):
            of_key = [r for r in records if r["labels"] == key[2] and r["seed"] in seeds]
            row[name] = [r["scores"]["dice"] for r in of_key]
            row["trivial"] = of_key[0]["scores"]["trivial"]["dice"]
        table.append(row | {"difference": difference.value, "low": low, "high": high})
    return table


def text(table: list[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    lines = ["| dataset | labels | old | new | difference | trivial |", "|---|--:|--:|--:|---|--:|"]
    for row in table:
        ends = "" if row["low"] is None else f" ({row['low']:+.3f} to {row['high']:+.3f})"
        lines.append(
            f"| {row['dataset']} | {row['labels']} | {mean(row['old']):.3f} "
            f"| {mean(row['new']):.3f} | {row['difference']:+.3f}{ends} | {row['trivial']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the options, train what is missing, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("studies", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--datasets", default=",".join(CASES))
    parser.add_argument("--recipes", default="new,old")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.table:
        options.studies.mkdir(parents=True, exist_ok=True)
        for dataset in options.datasets.split(","):
            for recipe in options.recipes.split(","):
                data = options.data / dataset
                if dataset == "scenes" and not (data := options.studies / "scenes").exists():
                    write_dataset(
                        data, train=60, validation=20, test=50, unlabelled=0, height=128, width=160
                    )
                run_study(data, options.studies, dataset, recipe, options.threads)
    table = []
    for dataset in options.datasets.split(","):
        if all(
            (options.studies / f"{dataset}-{r}" / "study.json").exists() for r in ("new", "old")
        ):
            table += rows(options.studies, dataset)
    print(text(table))
    if options.out is not None:
        record = {"schema": 1, "benchmark": "old-default", "hardware": environment("cpu")}
        options.out.write_text(json.dumps({**record, "old": OLD, "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
