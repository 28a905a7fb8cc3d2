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
    """Mean score over seeds by start, tuning and budget, then each difference with its interval."""
    runs, metric = record["records"], record["comparisons"][0]["metric"]
    budgets = sorted({r["labels"] for r in runs})
    several = len({r["tune"] for r in runs}) > 1
    head = [f"{n} labels" for n in budgets]
    if record["labels_saved"]:
        head.append("labels for what the other reaches with all")
    lines = [f"| start | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]

    def named(start: str, tune: str) -> str:
        return f"`{_called(start)}`" + (f", tune {tune}" if several else "")

    for line in dict.fromkeys((r["start"], r["tune"]) for r in runs):
        cells = [""] * len(head)
        for i, budget in enumerate(budgets):
            values = [
                r["scores"][metric]
                for r in runs
                if (r["start"], r["tune"], r["labels"]) == (*line, budget)
            ]
            cells[i] = f"{sum(values) / len(values):.3f} ({len(values)} seeds)"
        lines.append(f"| {named(*line)} | {' | '.join(cells)} |")
    pair = ("start", "tune", "against")
    for start, tune, against in dict.fromkeys(
        tuple(c[name] for name in pair) for c in record["comparisons"]
    ):
        about = (start, tune, against)
        mine = [c for c in record["comparisons"] if tuple(c[name] for name in pair) == about]
        saved = [s for s in record["labels_saved"] if tuple(s[name] for name in pair) == about]
        cells = [_difference(c) for c in mine] + [_saved(s, budgets[0]) for s in saved]
        name = f"{named(start, tune)} against `{_called(against)}`, verdict's {metric}"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def homework_table(record: dict[str, Any]) -> str:
    """Each part beside the constant prediction, what is expected and what was reported."""
    lines = [
        "| part | score | here | constant | expected | reported | epochs | reported |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    named = {"2b-whole": "2(b′)", "2b-staged": "2(b″)"}
    parts = {f"1({letter})": part for letter, part in record["parts"].items()}
    parts |= {named.get(name, f"2({name[1:]})"): part for name, part in record["part2"].items()}
    for name, part in parts.items():
        score = next((s for s in ("dice_assignment", "accuracy", "loss") if s in part), None)
        if score is None:
            continue
        beside = [part.get(key) for key in ("expected", "reported")]
        cells = [f"{part[score]:.4f}", f"{part['trivial'][score]:.4f}"]
        cells += ["-" if value is None else f"{value:g}" for value in beside]
        cells += [str(part["epochs"]), str(part["reported_epochs"] or "-")]
        lines.append(f"| {name} | `{score}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def effects_table(record: dict[str, Any]) -> str:
    """What colorization does under either schedule, and the schedule on either start."""
    lines = ["| changed | held | difference in `dice` |", "|---|---|---|"]
    changed = {"colorization": "(d) instead of (b)", "schedule": "no StepLR instead of StepLR"}
    lines += [
        f"| {changed[c['of']]} | {c['given']} | {_difference(c)} |" for c in record["comparisons"]
    ]
    return "\n".join(lines)


def suggest_table(record: dict[str, Any]) -> str:
    """Scores of each way of choosing labels, seed by seed, then the differences."""
    ways = {"base": "the first labels", "random": "and random", "suggested": "and suggested"}
    seeds = record["settings"]["seeds"]
    first, more = record["settings"]["labels"], record["settings"]["more"]
    scores = ("dice", "dice_frame", "dice_assignment")
    lines = [
        f"| labels | {' | '.join(f'`{s}`' for s in scores)} | `dice` of seeds {seeds} |",
        f"|---|{'--:|' * len(scores)}---|",
    ]
    for way, words in ways.items():
        mine = [r for r in record["records"] if r["way"] == way]
        means = [f"{record['means'][way][s]:.3f}" for s in scores]
        each = ", ".join(f"{r['scores']['dice']:.3f}" for r in mine)
        count = first if way == "base" else first + more
        lines.append(f"| {count}: {words} | {' | '.join(means)} | {each} |")
    lines += ["", "| difference in the verdict's `dice` | |", "|---|---|"]
    for c in record["comparisons"]:
        lines.append(f"| {c['way']} against {c['against']} | {_difference(c)} |")
    return "\n".join(lines)


def recipes_table(record: dict[str, Any]) -> str:
    """A row for each dataset and budget: the former recipe, the new one, the difference."""
    lines = [
        "| dataset | size, width | labels | test pictures | former | new | difference | constant |",
        "|---|---|--:|--:|--:|--:|---|--:|",
    ]
    for row in record["rows"]:
        old, new = (sum(row[name]) / row["seeds"] for name in ("old", "new"))
        lines.append(
            f"| {row['dataset']} | {row['size']}, {row['width']} | {row['labels']} "
            f"| {row['frames']} | {old:.3f} | {new:.3f} | {row['difference']:+.3f} "
            f"({row['low']:+.3f} to {row['high']:+.3f}) | {row['trivial']:.3f} |"
        )
    return "\n".join(lines)


def _called(start: str) -> str:
    return Path(start).name.removesuffix(".safetensors")


def _difference(c: dict[str, Any]) -> str:
    return f"{c['difference']:+.3f} ({c['low']:+.3f} to {c['high']:+.3f}): {c['verdict']}"


def _saved(s: dict[str, Any], fewest: int) -> str:
    def shown(value: float | None) -> str:
        if value is not None and value <= fewest:
            return f"at most {fewest}"
        return f"more than {s['labels']}" if value is None else f"{value:.0f}"

    return f"{shown(s['reaches'])} ({shown(s['low'])} to {shown(s['high'])}) of {s['labels']}"


def filled(page: str) -> str:
    """The page with what stands between ``<!-- KIND NAME -->`` and ``<!-- end -->`` made anew."""
    make = {"runs": runs_table, "classes": classes_table, "hardware": hardware}
    make |= {"study": study_table, "homework": homework_table, "effects": effects_table}
    make |= {"suggest": suggest_table, "recipes": recipes_table}

    def one(match: re.Match[str]) -> str:
        record = json.loads((HERE / f"{match[2]}.json").read_bytes())
        return f"<!-- {match[1]} {match[2]} -->\n{make[match[1]](record)}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) ([\w/-]+) -->\n.*?<!-- end -->", one, page, flags=re.DOTALL)


if __name__ == "__main__":
    for readme in (HERE / "README.md", *sorted(HERE.glob("*/README.md"))):
        readme.write_text(filled(readme.read_text()))
