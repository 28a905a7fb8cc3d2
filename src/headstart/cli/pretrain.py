"""``headstart pretrain DATA``: one pretext, on pictures without labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import typer

from headstart.cli.progress import Display, say


def pretrain(
    data: Path = typer.Argument(..., help="A dataset, or any folder of pictures."),
    pretext: str = typer.Option(
        "colorization",
        help="colorization, chroma, masked-denoising, masked-colorization or vicreg; from the "
        "network's published weights: imagenet-colorization, ...",
    ),
    out: Path | None = typer.Option(None, help="The run's folder. [default: runs/PRETEXT]"),
    recipe: str | None = typer.Option(
        None, help="default, assignment, or a .toml or .json file. [default: default]"
    ),
    size: str | None = typer.Option(
        None,
        help="Train at HEIGHTxWIDTH, or one number for both. [default: auto: the pictures' shape, "
        "the longer side at most 320 on a CPU and 512 on a GPU]",
    ),
    tile: bool = typer.Option(
        False,
        "--tile",
        help="Train on tiles of --size, cut from the pictures at their own size. [default: as in "
        "train; default size: 128 on a CPU, 256 on a GPU]",
    ),
    squeeze: bool = typer.Option(
        False,
        "--squeeze",
        help="Resize pictures to --size without keeping their aspect ratio. [default: keep it, and "
        "pad the picture]",
    ),
    model: str | None = typer.Option(
        None,
        help="unet, or the classifier that becomes the encoder: vgg16, resnet18, squeezenet1_0, "
        "..., timm/NAME. [default: unet; for imagenet-..., timm/tf_efficientnet_lite0]",
    ),
    width: int | None = typer.Option(
        None, help="Channels of the network's finest level. [default: 32]"
    ),
    epochs: int | None = typer.Option(
        None, help="Maximum number of epochs, each a pass over the pictures.", min=1
    ),
    steps: int | None = typer.Option(
        None, help="Number of optimizer steps. [default: the recipe's]", min=1
    ),
    seed: int | None = typer.Option(
        None,
        help="Determines the order of the pictures, the augmentation, what is hidden and the "
        "random initial weights. [default: 0]",
    ),
    drop_leaks: bool = typer.Option(
        False, "--drop-leaks", help="Leave out pictures that are also validation or test frames."
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, or mps."),
    threads: int | None = typer.Option(None, help="CPU threads. [default: all that are available]"),
    precision: Literal["float32", "bfloat16"] | None = typer.Option(
        None,
        help="Precision of matrix products and convolutions in training. [default: bfloat16 on "
        "GPUs with bfloat16 arithmetic and, for segmentations, on CPUs with it; otherwise float32]",
    ),
    checkpoint_seconds: float = typer.Option(10.0, help="Seconds between checkpoints.", min=0),
    fresh: bool = typer.Option(
        False, "--fresh", help="If OUT exists, use a new folder next to it; overwrite nothing."
    ),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Show the time and disk space needed; train nothing.",
    ),
    json: bool = typer.Option(False, "--json", help="Print the scores as one JSON object."),
) -> None:
    """Pre-train a network on pictures without labels.

    To use it, give its folder to train as --start. The unlabelled pictures of a dataset are used;
    if there are none, the pictures of its training split.

    Example: headstart pretrain my-data --pretext masked-colorization --size 128x160 --width 16
    """
    from headstart.cli.show import print_json, show_forecast
    from headstart.verbs.pretrain import pretrain as pretrain_run

    with Display(pretext) as display:
        result = pretrain_run(
            data,
            pretext=pretext,
            out=out,
            recipe=recipe,
            size=size,
            tile=tile,
            squeeze=squeeze,
            model=model,
            width=width,
            epochs=epochs,
            steps=steps,
            seed=seed,
            drop_leaks=drop_leaks,
            device=device,
            threads=threads,
            precision=precision,
            checkpoint_seconds=checkpoint_seconds,
            fresh=fresh,
            dry_run=dry_run,
            forecast=display.forecast if sys.stderr.isatty() else None,
            listener=display,
        )
    if result.cost is not None:
        show_forecast(result.config, result.cost, json)
        return
    scores, folder = result.scores, result.folder
    if json:
        print_json(scores)
    say(
        f"Loss on {scores['pictures']} validation pictures: {scores['loss']:.5f} "
        f"(without learning: {scores['trivial']['loss']:.5f})"
    )
    say(f"Wrote {', '.join(path.name for path in result.files)} to {folder}")
    say(f"Next: headstart train DATA --start {folder} (with the same --model and --width)")
