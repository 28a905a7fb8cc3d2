"""``headstart predict RUN INPUT``: masks and overlays, of pictures or a clip; or classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from headstart.cli.progress import Counting, say
from headstart.errors import Finding, UsageError, printable

_OR_A_SPLIT = "a dataset needs --split"


def predict(
    run: Path = typer.Argument(..., help="A finished run, or the ONNX file of one."),
    source: Path = typer.Argument(
        ...,
        metavar="INPUT",
        help="A picture, a folder of pictures, a clip, or a dataset with --split.",
    ),
    out: Path = typer.Option(
        ...,
        help="Where masks/ and overlays/, or overlay.mp4, areas.csv and timeline.png, or "
        "classes.csv, are written.",
    ),
    split: str | None = typer.Option(None, help="INPUT is a dataset: this split of it."),
    masks: bool = typer.Option(
        False, "--masks", help="Of a clip: a mask of every frame, too. Pictures always get theirs."
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    json: bool = typer.Option(
        False, "--json", help="What was written, as one JSON object on stdout."
    ),
) -> None:
    """Write a mask and an overlay of every picture, at the picture's own size.

    Masks hold the grey levels of the dataset that the run was trained on. A clip becomes
    overlay.mp4, areas.csv (the share of each class in each frame) and timeline.png. A classifier's
    classes and their probabilities stand in classes.csv.

    Example: headstart predict runs/first photos/ --out predictions
    """
    from headstart.data.pictures.clip import is_clip

    classifies = _is_classifier(run)
    if split is None and is_clip(source):
        if classifies:
            message = f"{run} is a classifier, which takes pictures; {source} is a clip"
            hint = "give a run that segments, or the clip's frames as pictures"
            raise UsageError(Finding("clip-for-classifier", "error", message, hint))
        _show(_clip(run, source, out, masks, device), json)
    elif classifies:
        _show(_classify(run, source, out, split, device), json)
    else:
        _show(_pictures(run, source, out, split, device), json)


def _show(written: dict[str, Any], json: bool) -> None:
    if json:
        from json import dumps

        print(dumps(written))  # noqa: T201


def _clip(run: Path, source: Path, out: Path, masks: bool, device: str) -> dict[str, Any]:
    from headstart.data.pictures.clip import open_clip
    from headstart.system.signals import Stopping

    with Stopping() as stopping, open_clip(source, stopping.asked) as clip:
        from headstart.inference.clips import predict_clip
        from headstart.inference.opening import open_segmenter

        segmenter = open_segmenter(run, device)
        with Counting(printable(clip.name), "frames") as counting:
            written = predict_clip(segmenter, clip, out, stopping, masks, counting.step)
    for warning in written.warnings:
        say(str(warning))
    also = f"; {written.frames} masks to {written.masks}" if masks else ""
    names = "overlay.mp4, areas.csv and timeline.png"
    say(f"{written.frames} frames predicted: {names} are in {out}{also}")
    return written.to_json(out)


def _pictures(run: Path, source: Path, out: Path, split: str | None, device: str) -> dict[str, Any]:
    from headstart.data.layouts.folders import find_pictures, frames_of, open_dataset
    from headstart.inference.masks import predict as write_predictions
    from headstart.inference.opening import open_segmenter

    if split is None:
        frames = find_pictures(source, _OR_A_SPLIT)
        root = source if source.is_dir() else source.parent
    else:
        dataset = open_dataset(source)
        frames, root = frames_of(dataset, split), dataset.root
    write_predictions(open_segmenter(run, device), frames, root, out)
    masks, overlays = out / "masks", out / "overlays"
    say(f"{len(frames)} masks written to {masks}, overlays to {overlays}")
    its = {"pictures": len(frames), "masks": str(masks), "overlays": str(overlays)}
    return {"schema": 1, **its}


def _is_classifier(run: Path) -> bool:
    from headstart.inference.onnx_file import is_onnx, read_onnx
    from headstart.training.config import read_config

    if is_onnx(run):
        return read_onnx(run).facts.task == "classification"
    its = run / "config.json"
    return its.exists() and read_config(its).task == "classification"


def _classify(run: Path, source: Path, out: Path, split: str | None, device: str) -> dict[str, Any]:
    from headstart.data.layouts.class_folders import open_classes
    from headstart.data.layouts.folders import find_pictures
    from headstart.inference.classifier import classes_of_pictures, classes_of_split, write_classes
    from headstart.inference.opening import open_classifier

    if split is None:
        frames = find_pictures(source, _OR_A_SPLIT)
        root = source if source.is_dir() else source.parent
        classifier = open_classifier(run, device)
        found = classes_of_pictures(classifier, frames, root)
        names = tuple(frame.name for frame in frames)
    else:
        dataset = open_classes(source)
        classifier = open_classifier(run, device)
        data, found = classes_of_split(classifier, dataset, split)
        names = data.names
    path = write_classes(out, names, classifier.names, found)
    say(f"the classes of {len(names)} pictures are in {path}")
    return {"schema": 1, "pictures": len(names), "classes": str(path)}
