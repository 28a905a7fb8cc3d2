"""``headstart train DATA``: one run."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import Display, say


def train(
    data: Path = typer.Argument(..., help="The dataset's folder."),
    out: Path | None = typer.Option(None, help="The run's folder. [default: runs/DATA's name]"),
    recipe: str = typer.Option(
        "default", help="default, assignment, assignment-augmented, or a .toml or .json file."
    ),
    size: str = typer.Option("256x320", help="Train at HEIGHTxWIDTH, or one number for both."),
    width: int = typer.Option(32, help="Channels of the network's first level."),
    epochs: int | None = typer.Option(None, help="At most this many. [default: the recipe's]"),
    labels: str = typer.Option("all", help="How many labelled training frames to use."),
    seed: int = typer.Option(0, help="Fixes subset, order, augmentation and new weights."),
    score: str = typer.Option(
        "test", help="The split scored once, at the end: test or validation."
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    threads: int | None = typer.Option(
        None, help="CPU threads. [default: all this process may use]"
    ),
    checkpoint_seconds: float = typer.Option(
        10.0, help="At most about this much work is lost by a kill.", min=0
    ),
    fresh: bool = typer.Option(
        False, "--fresh", help="Start beside OUT if it exists; never overwrite."
    ),
    json: bool = typer.Option(False, "--json", help="The scores as one JSON object on stdout."),
) -> None:
    """Train a network on DATA and score it once.

    The same command again continues a run that was stopped, exactly where it was; a finished run answers at once.

    Example: headstart train my-data --size 128x160 --width 16 --out runs/first
    """
    from headstart import config as configs

    # Everything the command line can be wrong about is said before torch takes its seconds to load.
    chosen = configs.read_recipe(recipe)
    settings = {
        "schema": 1,
        "data": str(data),
        "size": configs.parse_size(size),
        "labels": configs.parse_labels(labels),
        "width": width,
        "seed": seed,
        "score": score,
        "threads": threads or configs.available_threads(),
        "recipe": chosen if epochs is None else {**chosen.model_dump(), "epochs": epochs},
    }
    configs.make_run_config(**settings)

    from headstart.cli.show import show_scores
    from headstart.run import fresh_folder, pick_device
    from headstart.run import train as train_run

    config = configs.make_run_config(**settings, device=pick_device(device).type)
    out = out or Path("runs") / (data.resolve().name or "run")
    if fresh:
        out = fresh_folder(out)
    with Display(out.name) as display:
        scores = train_run(config, out, display, checkpoint_seconds)
    say(f"run written to {out}: curves.png, predictions.png, README.md, scores.json")
    show_scores(scores, json)
