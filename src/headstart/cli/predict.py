"""``headstart predict RUN INPUT``: masks and overlays."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def predict(
    run: Path = typer.Argument(..., help="A finished run."),
    source: Path = typer.Argument(
        ..., metavar="INPUT", help="A picture, a folder of pictures, or a dataset with --split."
    ),
    out: Path = typer.Option(..., help="Where masks/ and overlays/ are written."),
    split: str | None = typer.Option(None, help="INPUT is a dataset: this split of it."),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
) -> None:
    """Write a mask and an overlay of every picture, at the picture's own size.

    Masks hold the grey levels of the dataset that the run was trained on.

    Example: headstart predict runs/first photos/ --out predictions
    """
    from headstart.data.folders import find_pictures, open_dataset
    from headstart.predict import frames_of
    from headstart.predict import predict as write_predictions
    from headstart.segmenter import load_segmenter, pick_device

    if split is None:
        frames = find_pictures(source)
        root = source if source.is_dir() else source.parent
    else:
        dataset = open_dataset(source)
        frames, root = frames_of(dataset, split), dataset.root
    chosen = pick_device(device)
    write_predictions(load_segmenter(run, chosen), frames, root, out, chosen)
    say(f"{len(frames)} masks written to {out / 'masks'}, overlays to {out / 'overlays'}")
