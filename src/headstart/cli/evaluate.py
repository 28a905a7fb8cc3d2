"""``headstart evaluate RUN_OR_MASKS DATA``: all the scores."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def evaluate(
    run_or_masks: Path = typer.Argument(
        ...,
        help="A finished run or study, its ONNX file, or a folder of masks with the frames' names.",
    ),
    data: Path = typer.Argument(..., help="The dataset's folder, or a dataset.toml."),
    split: str = typer.Option("test", help="Split to score: train, validation or test."),
    tta: bool = typer.Option(
        False,
        "--tta",
        help="Average the predictions for each picture and its mirror image, as predict --tta "
        "does, and score the result. Try it on validation.",
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    json: bool = typer.Option(False, "--json", help="Print the scores as one JSON object."),
) -> None:
    """Score a run, or masks from anywhere, on a split of DATA. Writes nothing.

    Example: headstart evaluate predictions/masks my-data --split test
    """
    from headstart.cli.show import show_scores
    from headstart.verbs.evaluate import evaluate as score

    result = score(run_or_masks, data, split=split, tta=tta, device=device)
    for finding in result.findings:
        say(str(finding))
    if tta:
        say("Predictions are averaged over each picture and its mirror image (--tta)")
    show_scores(result.scores, json)
