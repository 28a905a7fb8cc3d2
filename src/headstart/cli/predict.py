"""``headstart predict RUN INPUT``: masks and overlays, of pictures or a clip; or classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headstart.cli.progress import Counting, say

if TYPE_CHECKING:
    from headstart.verbs.predict import PredictResult


def predict(
    run: Path = typer.Argument(..., help="A finished run, or its ONNX file."),
    source: Path = typer.Argument(
        ...,
        metavar="INPUT",
        help="A picture, a folder of pictures, a clip, or a dataset with --split.",
    ),
    out: Path = typer.Option(
        ...,
        help="Where to write masks/ and overlays/; for a clip overlay.mp4, areas.csv and "
        "timeline.png; for a classifier classes.csv.",
    ),
    split: str | None = typer.Option(None, help="Predict this split of a dataset."),
    masks: bool = typer.Option(
        False, "--masks", help="Also write a mask for every frame of a clip."
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Write a mask and an overlay of every picture, at the picture's own size.

    Masks hold the grey levels of the dataset that the run was trained on. A clip becomes
    overlay.mp4, areas.csv (the share of each class in each frame) and timeline.png. A classifier
    writes classes.csv, with the probability of every class.

    Example: headstart predict runs/first photos/ --out predictions
    """
    from headstart.cli.show import print_json
    from headstart.errors import printable
    from headstart.verbs.predict import predict as write

    with Counting(printable(source.name), "frames") as counting:
        result = write(
            run,
            source,
            out=out,
            split=split,
            masks=masks,
            device=device,
            step=counting.step,
        )
    for finding in result.findings:
        say(str(finding))
    say(_written(result))
    if json:
        print_json(result.to_json())


def _written(result: PredictResult) -> str:
    if result.classes is not None:
        return f"Wrote the classes of {result.pictures} pictures to {result.classes}"
    if result.clip is None:
        return f"Wrote {result.pictures} masks to {result.masks}, overlays to {result.overlays}"
    masks = "" if result.masks is None else f", masks to {result.masks}"
    names = "overlay.mp4, areas.csv and timeline.png"
    return f"Predicted {result.pictures} frames: wrote {names} to {result.folder}{masks}"
