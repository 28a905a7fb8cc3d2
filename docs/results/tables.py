"""Writes the tables of README.md beside this file from the JSON files beside it.

``python docs/results/tables.py`` after ``benchmarks/collect.py docs/results/NAME.json RUN...``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCORES = ("dice", "dice_frame", "dice_assignment", "iou", "absent_fp_rate")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def runs_table(record: dict[str, Any]) -> str:
    """A row a run, the mean over seeds where there are several, and the trivial scores."""
    runs = record["runs"]
    lines = [
        f"| recipe | size | seed | {' | '.join(f'`{s}`' for s in SCORES)} | epochs | minutes |",
        f"|---|---|--:|{'--:|' * (len(SCORES) + 2)}",
    ]
    for name in dict.fromkeys(r["settings"]["recipe"]["name"] for r in runs):
        chosen = [r for r in runs if r["settings"]["recipe"]["name"] == name]
        for run in chosen:
            size = "x".join(map(str, run["settings"]["size"]))
            minutes = (run["train_seconds"] + run["validation_seconds"]) / 60
            cells = [_shown(run["scores"][s]) for s in SCORES]
            end = f"{run['epochs']} | {minutes:.1f}"
            seed = run["settings"]["seed"]
            lines.append(f"| {name} | {size} | {seed} | {' | '.join(cells)} | {end} |")
        if len(chosen) > 1:
            means = [sum(r["scores"][s] for r in chosen) / len(chosen) for s in SCORES]
            cells = [f"**{_shown(m)}**" for m in means]
            lines.append(f"| **{name}, mean** | | | {' | '.join(cells)} | | |")
    trivial = [_shown(runs[0]["scores"]["trivial"][s]) for s in SCORES]
    lines.append(f"| best constant prediction | | | {' | '.join(trivial)} | | |")
    return "\n".join(lines)


def classes_table(record: dict[str, Any]) -> str:
    """Dice of each class: the mean over the seeds of each recipe."""
    runs = record["runs"]
    recipes = list(dict.fromkeys(r["settings"]["recipe"]["name"] for r in runs))
    lines = [
        f"| class | test frames | {' | '.join(recipes)} |",
        f"|---|--:|{'--:|' * len(recipes)}",
    ]
    for name, first in runs[0]["scores"]["classes"].items():
        cells = []
        for recipe in recipes:
            values = [
                r["scores"]["classes"][name]["dice"]
                for r in runs
                if r["settings"]["recipe"]["name"] == recipe
            ]
            there = [v for v in values if v is not None]
            cells.append(_shown(sum(there) / len(there) if there else None))
        lines.append(f"| {name.replace('_', ' ')} | {first['frames']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def hardware(record: dict[str, Any]) -> str:
    """What the runs were made on, in a line."""
    kinds = dict.fromkeys(
        f"{r['hardware']['gpu'] or r['hardware']['cpu']}, {r['hardware']['threads']} CPU threads, "
        f"PyTorch {r['hardware']['versions']['torch']}"
        for r in record["runs"]
    )
    return f"Hardware: {'; '.join(kinds)}."


def study_table(record: dict[str, Any]) -> str:
    """Mean score over seeds by start and budget, then each difference with its interval."""
    runs, metric = record["records"], record["comparisons"][0]["metric"]
    budgets = sorted({r["labels"] for r in runs})
    head = [f"{n} labels" for n in budgets]
    if record["labels_saved"]:
        head.append("labels for what `scratch` reaches with all")
    lines = [f"| start | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    for start in dict.fromkeys(r["start"] for r in runs):
        cells = [""] * len(head)
        for i, budget in enumerate(budgets):
            values = [
                r["scores"][metric] for r in runs if (r["start"], r["labels"]) == (start, budget)
            ]
            cells[i] = f"{sum(values) / len(values):.3f} ({len(values)} seeds)"
        lines.append(f"| `{_called(start)}` | {' | '.join(cells)} |")
    for start in dict.fromkeys(c["start"] for c in record["comparisons"]):
        cells = [_difference(c) for c in record["comparisons"] if c["start"] == start]
        cells += [_saved(s) for s in record["labels_saved"] if s["start"] == start]
        name = f"`{_called(start)}` against `scratch`, verdict's {metric}"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _called(start: str) -> str:
    return Path(start).name.removesuffix(".safetensors")


def _difference(c: dict[str, Any]) -> str:
    return f"{c['difference']:+.3f} ({c['low']:+.3f} to {c['high']:+.3f}): {c['verdict']}"


def _saved(s: dict[str, Any]) -> str:
    def shown(value: float | None) -> str:
        return f"more than {s['labels']}" if value is None else f"{value:.0f}"

    return f"{shown(s['reaches'])} ({shown(s['low'])} to {shown(s['high'])}) of {s['labels']}"


def filled(page: str) -> str:
    """The page with what stands between ``<!-- KIND NAME -->`` and ``<!-- end -->`` made anew."""
    make = {"runs": runs_table, "classes": classes_table, "hardware": hardware}
    make["study"] = study_table

    def one(match: re.Match[str]) -> str:
        record = json.loads((HERE / f"{match[2]}.json").read_bytes())
        return f"<!-- {match[1]} {match[2]} -->\n{make[match[1]](record)}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) ([\w/-]+) -->\n.*?<!-- end -->", one, page, flags=re.DOTALL)


if __name__ == "__main__":
    for readme in (HERE / "README.md", *sorted(HERE.glob("*/README.md"))):
        readme.write_text(filled(readme.read_text()))
