"""``headstart pretrain DATA``: one pretext, on pictures without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from headstart.cli.progress import Display, say


def pretrain(
    data: Path = typer.Argument(..., help="A dataset, or any folder of pictures."),
    pretext: str = typer.Option(
        "colorization", help="colorization, chroma, masked-denoising or masked-colorization."
    ),
    out: Path | None = typer.Option(None, help="The run's folder. [default: runs/PRETEXT]"),
    recipe: str = typer.Option("default", help="default, assignment, or a .toml or .json file."),
    size: str | None = typer.Option(
        None, help="Train at HEIGHTxWIDTH, or one number for both. [default: 256x320]"
    ),
    model: str | None = typer.Option(
        None,
        help="The torchvision classifier that is the network's encoder: vgg16, resnet18, "
        "squeezenet1_0, ... [default: unet]",
    ),
    width: int | None = typer.Option(
        None, help="Channels of the network's finest level. [default: 32]"
    ),
    epochs: int | None = typer.Option(None, help="At most this many. [default: the recipe's]"),
    seed: int | None = typer.Option(
        None, help="Fixes order, augmentation, what is hidden, and new weights. [default: 0]"
    ),
    drop_leaks: bool = typer.Option(
        False, "--drop-leaks", help="Leave out pictures that are validation or test frames too."
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
    """Pre-train a network on pictures without labels: the weights are a start for train.

    Of a dataset its unlabelled pictures are used, else the pictures of its training split.

    Example: headstart pretrain my-data --pretext masked-colorization --size 128x160 --width 16
    """
    from headstart.training import config as configs
    from headstart.training.recipes import read_pretext_recipe

    out = out or Path("runs") / pretext
    settings: dict[str, Any] = {"schema": 1, "threads": configs.available_threads()}
    begun = out / "config.json"
    if not fresh and begun.exists():  # going on elsewhere, with other cores or devices
        before = configs.read_config(begun)
        settings["threads"] = before.threads
        device = before.device if device == "auto" else device
    given = {
        "data": str(data),
        "pretext": pretext,
        "size": None if size is None else configs.parse_size(size),
        "model": model,
        "width": width,
        "seed": seed,
        "threads": threads,
        "drop_leaks": drop_leaks,
    }
    settings |= {name: value for name, value in given.items() if value is not None}
    its = read_pretext_recipe(recipe, model not in (None, configs.UNET)).model_dump()
    settings["recipe"] = its if epochs is None else {**its, "epochs": epochs}
    chosen = configs.make_pretext_config(**settings)

    from headstart.cli.show import print_json
    from headstart.runs.folder import fresh_folder
    from headstart.runs.run import train
    from headstart.system.devices import pick_device

    chosen = chosen.model_copy(update={"device": pick_device(device).type})
    if fresh:
        out = fresh_folder(out)
    with Display(pretext) as display:
        scores = train(chosen, out, display, checkpoint_seconds)
    if json:
        print_json(scores)
    say(
        f"loss on {scores['pictures']} validation pictures {scores['loss']:.5f}; without having "
        f"learned anything {scores['trivial']['loss']:.5f}"
    )
    say(f"in {out}: restorations.png, curves.png, README.md, weights.safetensors")
    say(f"next: headstart train DATA --start {out} (with the same --model and --width)")
