"""``headstart evaluate RUN_OR_MASKS DATA``: all the scores."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.errors import Finding, UsageError


def evaluate(
    run_or_masks: Path = typer.Argument(
        ..., help="A finished run, its ONNX file, or a folder of masks named as the frames."
    ),
    data: Path = typer.Argument(..., help="The dataset's folder."),
    split: str = typer.Option("test", help="Which split to score: train, validation or test."),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    json: bool = typer.Option(False, "--json", help="The scores as one JSON object on stdout."),
) -> None:
    """Score a run, or masks from anywhere, on a split of DATA. Writes nothing.

    Example: headstart evaluate predictions/masks my-data --split test
    """
    from headstart.data.question import task_of
    from headstart.inference.onnx_file import is_onnx

    of_classes = task_of(data) == "classification"
    is_run = is_onnx(run_or_masks) or (run_or_masks / "config.json").exists()
    if of_classes and not is_run:
        message = f"{data} has classes, and {run_or_masks} is no run"
        raise UsageError(Finding("not-a-run", "error", message, "give what was --out of a train"))

    from headstart.cli.show import show_scores
    from headstart.data.layouts.folders import open_dataset
    from headstart.inference.evaluation import evaluate_masks, evaluate_run

    if of_classes:
        from headstart.data.layouts.class_folders import open_classes
        from headstart.inference.evaluation import evaluate_run

        its = (run_or_masks, open_classes(data), split, device)
        show_scores(evaluate_run(*its), json)
        return
    dataset = open_dataset(data)
    if is_run:
        scores = evaluate_run(run_or_masks, dataset, split, device)
    else:
        scores = evaluate_masks(run_or_masks, dataset, split)
    show_scores(scores, json)
