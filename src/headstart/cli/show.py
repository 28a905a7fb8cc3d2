"""Results on stdout: tables for people, or one JSON object for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.config.records import PretextConfig, RunConfig
    from headstart.studies.costs import Cost


def print_json(value: Any) -> None:
    """Print one object on stdout."""
    print(json.dumps(value))  # noqa: T201


def show_scores(scores: dict[str, Any], as_json: bool) -> None:
    """Print scores beside those of the best constant prediction, or as JSON."""
    if as_json:
        print_json(scores)
        return

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    console = Console(highlight=False)
    of_classes = "accuracy" in scores
    counted, unit = ("pictures", "picture") if of_classes else ("frames", "pixel")
    table = Table(title=f"{scores['split']} split, {scores[counted]} {counted}", box=None)
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("best constant prediction", justify="right")
    for name in ("accuracy", "macro_f1") if of_classes else scores["trivial"]:
        table.add_row(name, shown(scores[name]), shown(scores["trivial"].get(name)))
    console.print(table)
    classes = Table(box=None)
    measures = ("recall", "precision") if of_classes else ("dice", "iou", "precision", "recall")
    for heading in ("class", *measures, counted):
        classes.add_column(heading, justify="left" if heading == "class" else "right")
    for name, c in scores["classes"].items():
        classes.add_row(escape(name), *(shown(c[key]) for key in measures), str(c[counted]))
    console.print(classes)
    if scores["collapsed"]:
        console.print(f"Collapsed: the model predicts one class for every {unit} of this split")


def show_forecast(config: RunConfig | PretextConfig, cost: Cost, as_json: bool) -> None:
    """Print what a training will take, on stderr, or as JSON."""
    from dataclasses import asdict

    from headstart.cli.forecast import forecast
    from headstart.cli.progress import say

    if as_json:
        print_json({"schema": 1, "todo": asdict(cost)})
        return
    for line in forecast(config, cost):
        say(line)


def show_study(study: dict[str, Any]) -> None:
    """Print mean scores by start and budget, then the verdicts in words."""
    from statistics import fmean

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from headstart.studies.ensembles import together_sentences
    from headstart.studies.looks import look_sentence
    from headstart.studies.wording import called, sentences
    from headstart.tasks.lookup import task_named

    console = Console(highlight=False)
    metric = "accuracy" if "accuracy" in study["records"][0]["scores"] else "dice"
    table = Table(title=f"mean {metric} over seeds (seeds; collapsed runs)", box=None)
    budgets = sorted({r["labels"] for r in study["records"]})
    table.add_column("start")
    for budget in budgets:
        table.add_column(f"{budget} labels", justify="right")
    tunes = {r["tune"] for r in study["records"]}
    for start, tune in dict.fromkeys((r["start"], r["tune"]) for r in study["records"]):
        row = []
        for budget in budgets:
            scores = [
                r["scores"]
                for r in study["records"]
                if (r["start"], r["tune"], r["labels"]) == (start, tune, budget)
                and r["scores"][metric] is not None
            ]
            mean = f"{fmean(s[metric] for s in scores):.3f}" if scores else "-"
            collapsed = sum(s["collapsed"] for s in scores)
            row.append(f"{mean} ({len(scores)}; {collapsed})")
        table.add_row(escape(called(start) + (f", tune {tune}" if len(tunes) > 1 else "")), *row)
    console.print(table)
    for sentence in sentences(study):
        console.print(escape(sentence))
    if looked := look_sentence(study.get("look")):
        console.print(escape(looked))
    measures = task_named("classification" if metric == "accuracy" else "segmentation").measures
    for told in together_sentences(study, measures):
        console.print(escape(told))
