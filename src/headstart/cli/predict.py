"""``headstart predict RUN INPUT``: masks and overlays, or classes."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def predict(
    run: Path = typer.Argument(..., help="A finished run, or the ONNX file of one."),
    source: Path = typer.Argument(
        ..., metavar="INPUT", help="A picture, a folder of pictures, or a dataset with --split."
    ),
    out: Path = typer.Option(..., help="Where masks/ and overlays/, or classes.csv, are written."),
    split: str | None = typer.Option(None, help="INPUT is a dataset: this split of it."),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
) -> None:
    """Write a mask and an overlay of every picture, at the picture's own size.

    Masks hold the grey levels of the dataset that the run was trained on. A classifier's classes
    and their probabilities stand in classes.csv.

    Example: headstart predict runs/first photos/ --out predictions
    """
    if _is_classifier(run):
        _classify(run, source, out, split, device)
        return
    from headstart.data.folders import find_pictures, frames_of, open_dataset
    from headstart.predict import open_segmenter
    from headstart.predict import predict as write_predictions

    if split is None:
        frames = find_pictures(source)
        root = source if source.is_dir() else source.parent
    else:
        dataset = open_dataset(source)
        frames, root = frames_of(dataset, split), dataset.root
    write_predictions(open_segmenter(run, device), frames, root, out)
    say(f"{len(frames)} masks written to {out / 'masks'}, overlays to {out / 'overlays'}")


def _is_classifier(run: Path) -> bool:
    from headstart.config import read_config
    from headstart.onnx_facts import is_onnx, read_onnx

    if is_onnx(run):
        return read_onnx(run).facts.task == "classification"
    its = run / "config.json"
    return its.exists() and read_config(its).task == "classification"


def _classify(run: Path, source: Path, out: Path, split: str | None, device: str) -> None:
    from headstart.classify import (
        classes_of_pictures,
        classes_of_split,
        open_classifier,
        write_classes,
    )
    from headstart.data.classes import open_classes
    from headstart.data.folders import find_pictures

    if split is None:
        frames = find_pictures(source)
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
