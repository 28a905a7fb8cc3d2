"""``headstart train DATA``: one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import typer

from headstart.cli.progress import Display, say


def train(
    data: Path = typer.Argument(..., help="The dataset's folder."),
    out: Path | None = typer.Option(None, help="The run's folder. [default: runs/NAME-OF-DATA]"),
    task: Literal["segmentation", "classification"] | None = typer.Option(
        None, help="What is learned. [default: what the data have: masks, or classes]"
    ),
    model: str | None = typer.Option(
        None,
        help="One of torchvision's classifiers: vgg16, resnet18, squeezenet1_0, ...; of a "
        "segmentation it is the encoder. [default: unet; classification: resnet18]",
    ),
    start: str | None = typer.Option(
        None,
        help="Where the initial weights come from: scratch, a pretext (colorization, chroma, "
        "masked-denoising, masked-colorization), imagenet (the classifier's published weights), a "
        "run's folder, or a file of weights. [default: scratch]",
    ),
    tune: str | None = typer.Option(
        None,
        help="Which layers train: all, head, last:N, or staged (the head first); other than all "
        "for classifiers. [default: all]",
    ),
    recipe: str | None = typer.Option(
        None,
        help="default, assignment, assignment-augmented, or a .toml or .json file. "
        "[default: default]",
    ),
    size: str | None = typer.Option(
        None,
        help="Train at HEIGHTxWIDTH, or one number for both. [default: 256x320; classification: "
        "224]",
    ),
    width: int | None = typer.Option(
        None, help="Channels of a segmentation network's finest level. [default: 32]"
    ),
    epochs: int | None = typer.Option(None, help="At most this many. [default: the recipe's]"),
    labels: str | None = typer.Option(
        None,
        help="How many labelled training frames to use; or a .txt file with the names of those "
        "frames, one a line. [default: all]",
    ),
    seed: int | None = typer.Option(
        None, help="Fixes subset, order, augmentation and new weights. [default: 0]"
    ),
    score: str | None = typer.Option(
        None, help="The split scored once, at the end: test or validation. [default: test]"
    ),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    threads: int | None = typer.Option(
        None, help="CPU threads. [default: all this process may use]"
    ),
    pretext_recipe: str | None = typer.Option(
        None, help="Of a pretext that is the start. [default: default, or assignment]"
    ),
    pretext_epochs: int | None = typer.Option(
        None, help="At most this many. [default: the pretext recipe's]", min=1
    ),
    drop_leaks: bool | None = typer.Option(
        None,
        "--drop-leaks/--keep-leaks",
        help="Leave pictures out of the pretext that are validation or test frames too.",
    ),
    config: Path | None = typer.Option(
        None, help="A run's config.json: its settings, where no option here says otherwise."
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

    The same command again continues a run that was stopped, exactly where it was; a finished run
    answers at once.

    Example: headstart train my-data --size 128x160 --width 16 --out runs/first
    """
    from headstart.data.question import task_of, warnings_of
    from headstart.training import config as configs
    from headstart.training import recipes

    # All that a command line can be wrong about is said before torch takes its seconds to load.
    out = out or Path("runs") / (data.resolve().name or "run")
    settings: dict[str, Any] = {"schema": 1, "threads": configs.available_threads()}
    begun = None if fresh else out / "config.json"
    if config is not None:
        settings = configs.read_run_config(config).model_dump(by_alias=True)
        device = settings["device"] if device == "auto" else device
    elif begun is not None and begun.exists():  # going on elsewhere, with other cores or devices
        settings["threads"] = configs.read_run_config(begun).threads
        device = configs.read_run_config(begun).device if device == "auto" else device
    before = settings.pop("pretext", None)
    its_task = task or settings.get("task") or task_of(data)
    network = model or settings.get("model")
    if config is not None and recipe is None and its_task == "segmentation":
        configs.refuse_other_recipe(config, settings["model"], network or configs.UNET)
    settings = {**configs.defaults_for(its_task, network), **settings}
    given = {
        "data": str(data),
        "task": its_task,
        "model": model,
        "tune": tune,
        "recipe": None if recipe is None else configs.read_recipe_for(its_task, network, recipe),
        "size": None if size is None else configs.parse_size(size),
        "width": width,
        "seed": seed,
        "score": score,
        "threads": threads,
    }
    settings |= {name: value for name, value in given.items() if value is not None}
    if labels is not None:
        named = configs.read_frame_names(Path(labels)) if labels.endswith(".txt") else None
        settings["frames"] = named
        settings["labels"] = len(named) if named else configs.parse_labels(labels)
    begin_with = start or settings.pop("start", configs.SCRATCH)
    chosen = configs.make_run_config(**settings)
    if epochs is not None:
        settings["recipe"] = {**chosen.recipe.model_dump(), "epochs": epochs}
    if begin_with in configs.PRETEXTS and its_task == "segmentation":
        its = configs.pretext_recipe_for(chosen.recipe, chosen.model)
        if before is not None and before["pretext"] == begin_with:
            its = recipes.PretextRecipe.model_validate(before["recipe"])
            drop_leaks = before["drop_leaks"] if drop_leaks is None else drop_leaks
        if pretext_recipe is not None:
            encoder = chosen.model != configs.UNET
            its = recipes.read_pretext_recipe(pretext_recipe, encoder)
        settings["pretext"] = {
            **configs.pretext_settings({**chosen.model_dump(by_alias=True), **settings}),
            "pretext": begin_with,
            "drop_leaks": bool(drop_leaks),
            "recipe": {**its.model_dump(), "epochs": pretext_epochs or its.epochs},
        }
    elif begin_with not in (configs.SCRATCH, configs.IMAGENET, *configs.PRETEXTS):
        configs.weights_file(begin_with)  # an error if there is none
    chosen = configs.make_run_config(**{**settings, "start": begin_with})
    for finding in warnings_of(data, its_task):
        say(str(finding))

    from headstart.cli.show import show_scores
    from headstart.runs.folder import fresh_folder
    from headstart.runs.run import train as train_run
    from headstart.system.devices import pick_device

    chosen = configs.on_device(chosen, pick_device(device).type)
    if fresh:
        out = fresh_folder(out)
    with Display(out.name) as display:
        scores = train_run(chosen, out, display, checkpoint_seconds)
    show_scores(scores, json)
    sheet = "confusion.png" if its_task == "classification" else "predictions.png"
    say(f"in {out}: curves.png, {sheet}, README.md, scores.json")
