"""``headstart predict RUN INPUT``: masks and overlays, of pictures or a clip; or classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headstart.cli.progress import Counting, say
from headstart.inference.format_names import MaskFormat, ProbabilityFormat

if TYPE_CHECKING:
    from headstart.inference.clips import ClipPrediction
    from headstart.verbs.predict import PredictResult


def predict(
    run: Path = typer.Argument(..., help="A finished run or study, or its ONNX file."),
    source: Path = typer.Argument(
        ...,
        metavar="INPUT",
        help="A picture, a folder of pictures and clips, a clip, or a dataset with --split.",
    ),
    out: Path = typer.Option(
        ...,
        help="Where to write masks/ and overlays/; for a clip, overlay.mp4, areas.csv and "
        "timeline.png; for a classifier, classes.csv.",
    ),
    split: str | None = typer.Option(None, help="Predict this split of a dataset."),
    format: MaskFormat = typer.Option(
        "masks",
        help="Also write the masks of pictures as annotations, to correct them in a tool. coco: "
        "annotations.json; labelme: labelme/; yolo: labels/ and data.yaml; cvat: annotations.xml; "
        "masks: no annotations.",
    ),
    masks: bool = typer.Option(
        False, "--masks", help="Also write a mask for every frame of a clip."
    ),
    probabilities: ProbabilityFormat | None = typer.Option(
        None,
        help="Also write the probability of every class to probabilities/. png: 16-bit grey, a "
        "file for each class, 65535 is 1; npz: one NumPy file for each picture.",
    ),
    tta: bool = typer.Option(
        False,
        "--tta",
        help="Average the predictions for each picture and its mirror image (left and right "
        "swapped), in twice the time. It can help only if mirrored pictures look like real ones.",
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, or mps."),
    json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Write a mask and an overlay of every picture, at its own size.

    If RUN is a study, the networks of its best start and tuning, one per seed, form an ensemble
    (mean probability); if RUN is a cross-validation, the networks of its folds do. Masks hold the
    grey levels or colours of the dataset that the run was trained on. Subfolders of INPUT are
    searched, too; masks/ and overlays/ have the same subfolders. A clip becomes overlay.mp4,
    areas.csv (the share of each class in each frame) and timeline.png; a clip in a folder gets a
    folder of its own. A classifier writes classes.csv, with the probability of every class.
    Probabilities are calibrated on the run's validation split.

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
            format=format,
            masks=masks,
            probabilities=probabilities,
            tta=tta,
            device=device,
            step=counting.step,
        )
    for finding in result.findings:
        say(str(finding))
    for line in _written(result):
        say(line)
    if json:
        print_json(result.to_json())


def _written(result: PredictResult) -> Iterator[str]:
    if result.classes is not None:
        yield f"Wrote the classes of {result.pictures} pictures to {result.classes}"
    if result.clip is not None:
        yield _of_clip(result.clip, result.folder)
    elif result.masks is not None:
        yield f"Wrote {result.pictures} masks to {result.masks}, overlays to {result.overlays}"
    if result.probabilities is not None:
        yield f"Wrote the probability of each class to {result.probabilities}"
    if result.annotations:
        yield f"Wrote annotations to {' and '.join(map(str, result.annotations))}"
    for clip in result.clips:
        yield _of_clip(clip.prediction, clip.folder)


def _of_clip(clip: ClipPrediction, folder: Path) -> str:
    masks = "" if clip.masks is None else f", masks to {clip.masks}"
    names = "overlay.mp4, areas.csv and timeline.png"
    return f"Predicted {clip.frames} frames: wrote {names} to {folder}{masks}"
