"""``headstart train DATA``: one run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import typer

from headstart.cli.progress import Display, say


def train(
    data: Path = typer.Argument(..., help="The dataset's folder, or a dataset.toml."),
    out: Path | None = typer.Option(None, help="The run's folder. [default: runs/NAME-OF-DATA]"),
    task: Literal["segmentation", "classification"] | None = typer.Option(
        None, help="What to learn. [default: segmentation if DATA has masks, else classification]"
    ),
    model: str | None = typer.Option(
        None,
        help="unet, one of torchvision's classifiers (vgg16, resnet18, squeezenet1_0, ...), or one "
        "of timm's (timm/NAME); for segmentation, one with feature maps at three "
        "scales or a plain vision transformer of timm's, which becomes the encoder. [default: the "
        "network of a run in --start; else timm/tf_efficientnet_lite0 if --start is imagenet, or "
        "if neither --start nor another recipe is given, its ImageNet weights are installed and no "
        "side of --size is below 64; else unet; classification: resnet18]",
    ),
    start: str | None = typer.Option(
        None,
        help="Where the initial weights come from: scratch, imagenet (the classifier's published "
        "weights), a run's folder, a file of weights, or, for segmentation, a pretext: "
        "colorization, chroma, masked-denoising, masked-colorization or vicreg, or the same from "
        "published weights, imagenet-colorization, ... [default: "
        "imagenet if headstart chooses timm/tf_efficientnet_lite0; else scratch]",
    ),
    tune: str | None = typer.Option(
        None,
        help="Which layers to train: all, head, last:N, or staged (head first, then all). "
        "In a segmentation, head is everything but the encoder. [default: all]",
    ),
    recipe: str | None = typer.Option(
        None,
        help="default, assignment, assignment-augmented, or a .toml or .json file. "
        "[default: default]",
    ),
    size: str | None = typer.Option(
        None,
        help="Train at HEIGHTxWIDTH, or one number for both. [default: auto: the pictures' shape, "
        "the longer side at most 320 on a CPU and 512 on a GPU; classification: 224]",
    ),
    tile: bool = typer.Option(
        False,
        "--tile",
        help="Train on tiles of --size, cut from the pictures at their own size, and predict by "
        "overlapping tiles. [default: where smaller pictures would hide thin objects and --size is "
        "not given; default size: 128 on a CPU, 256 on a GPU]",
    ),
    squeeze: bool = typer.Option(
        False,
        "--squeeze",
        help="Resize pictures to --size without keeping their aspect ratio. [default: keep it, and "
        "pad the picture; classification always squeezes]",
    ),
    width: int | None = typer.Option(
        None, help="Channels of a segmentation network's finest level. [default: 32]"
    ),
    epochs: int | None = typer.Option(
        None,
        help="Maximum number of epochs. An epoch has as many steps as a pass over the whole "
        "training split, even with fewer --labels. With the assignment's recipes, it is one pass "
        "over the labelled pictures that are used.",
    ),
    steps: int | None = typer.Option(
        None, help="Number of optimizer steps. [default: the recipe's]"
    ),
    minutes: float | None = typer.Option(
        None,
        help="Train for about this many minutes on this machine, the pretext included: sets the "
        "number of optimizer steps in place of --epochs or --steps, and fits the "
        "learning-rate schedule to it. A run that has begun keeps its number of steps.",
    ),
    method: Literal["supervised", "semi-supervised"] | None = typer.Option(
        None,
        help="semi-supervised (segmentation only): also learn from pictures without labels. "
        "[default: supervised]",
    ),
    labels: str | None = typer.Option(
        None,
        help="Number of labelled training frames to use, or a .txt file with their names, one per "
        "line. [default: all]",
    ),
    folds: int | None = typer.Option(
        None,
        help="Cross-validate: train this many networks, each scored on labelled pictures that it "
        "has not seen, so that every labelled picture is tested once. [default: DATA's splits]",
        min=2,
    ),
    fold: int | None = typer.Option(None, help="Train only this fold of --folds (1, 2, ...)."),
    seed: int | None = typer.Option(
        None,
        help="Determines the folds, which labelled frames --labels selects, their order, the "
        "augmentation and the random initial weights. [default: 0]",
    ),
    score: str | None = typer.Option(
        None, help="Split to score once, at the end: test or validation. [default: test]"
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, or mps."),
    threads: int | None = typer.Option(None, help="CPU threads. [default: all that are available]"),
    precision: Literal["float32", "bfloat16"] | None = typer.Option(
        None,
        help="Precision of matrix products and convolutions in training. [default: bfloat16 on "
        "GPUs with bfloat16 arithmetic and, for segmentations, on CPUs with it; otherwise float32]",
    ),
    pretext_recipe: str | None = typer.Option(
        None,
        help="Recipe of the pretext that --start names. [default: assignment if --recipe is one of "
        "the assignment's, otherwise default]",
    ),
    pretext_epochs: int | None = typer.Option(
        None, help="Maximum number of pretext epochs.", min=1
    ),
    pretext_steps: int | None = typer.Option(
        None,
        help="Number of optimizer steps of the pretext. [default: the pretext recipe's]",
        min=1,
    ),
    drop_leaks: bool | None = typer.Option(
        None,
        "--drop-leaks/--keep-leaks",
        help="Leave out of the pretext all pictures that are also validation or test frames.",
    ),
    config: Path | None = typer.Option(
        None, help="A run's config.json; the options given here override it."
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
    """Train a network on DATA and score it once.

    The same command resumes a run that was stopped; if the run is finished, it prints the scores
    without training again.

    Example: headstart train my-data --size 128x160 --width 16 --out runs/first
    """
    from headstart.cli.show import show_forecast, show_scores
    from headstart.verbs.train import train as train_run

    with Display("train") as display:
        result = train_run(
            data,
            out=out,
            task=task,
            model=model,
            start=start,
            tune=tune,
            recipe=recipe,
            size=size,
            tile=tile,
            squeeze=squeeze,
            width=width,
            epochs=epochs,
            steps=steps,
            minutes=minutes,
            method=method,
            labels=labels,
            folds=folds,
            fold=fold,
            seed=seed,
            score=score,
            device=device,
            threads=threads,
            precision=precision,
            pretext_recipe=pretext_recipe,
            pretext_epochs=pretext_epochs,
            pretext_steps=pretext_steps,
            drop_leaks=drop_leaks,
            config=config,
            checkpoint_seconds=checkpoint_seconds,
            fresh=fresh,
            dry_run=dry_run,
            forecast=display.forecast if sys.stderr.isatty() else None,
            listener=display,
            tell=display.tell,
        )
    if result.cost is not None:
        show_forecast(result.config, result.cost, json)
        return
    show_scores(result.scores, json)
    say(f"Wrote {', '.join(path.name for path in result.files)} to {result.folder}")
