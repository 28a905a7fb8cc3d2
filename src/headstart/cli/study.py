"""``headstart study DATA``: which start is better, for how many labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import typer

from headstart.cli.progress import Display, say
from headstart.errors import Finding, UsageError


def study(
    data: Path = typer.Argument(..., help="The dataset's folder."),
    task: Literal["segmentation", "classification"] | None = typer.Option(
        None, help="What is learned. [default: what the data have: masks, or classes]"
    ),
    model: str | None = typer.Option(
        None,
        help="One of torchvision's classifiers: vgg16, resnet18, squeezenet1_0, ...; of a "
        "segmentation it is the encoder. [default: unet; classification: resnet18]",
    ),
    starts: str | None = typer.Option(
        None,
        help="scratch, colorization, chroma, masked-denoising, masked-colorization, "
        "scratch-longer, imagenet, runs or files of weights; with commas. "
        "[default: scratch,colorization; classification: scratch,imagenet]",
    ),
    against: str | None = typer.Option(
        None, help="The start to compare with. [default: scratch, else the first]"
    ),
    tunes: str = typer.Option(
        "all", help="Which layers train: all, head, last:N, staged; with commas."
    ),
    labels: str = typer.Option("all", help="Label budgets, for example 30,75,all."),
    seeds: str = typer.Option("5", help="How many, or which: 5 is 1,2,3,4,5."),
    out: Path | None = typer.Option(
        None, help="The study's folder. [default: studies/NAME-OF-DATA]"
    ),
    recipe: str = typer.Option(
        "default", help="default, assignment, assignment-augmented, or a .toml or .json file."
    ),
    epochs: int | None = typer.Option(
        None, help="At most this many. [default: the recipe's]", min=1
    ),
    pretext_recipe: str | None = typer.Option(
        None, help="Of the pretexts. [default: default, or assignment]"
    ),
    pretext_epochs: int | None = typer.Option(
        None, help="At most this many. [default: the pretext recipe's]", min=1
    ),
    size: str | None = typer.Option(
        None,
        help="Train at HEIGHTxWIDTH, or one number for both. [default: 256x320; classification: "
        "224]",
    ),
    width: int | None = typer.Option(
        None, help="Channels of a segmentation network's finest level. [default: 32]"
    ),
    score: str = typer.Option("test", help="The split scored once per run: test or validation."),
    drop_leaks: bool = typer.Option(
        False, "--drop-leaks", help="Leave pictures out of pretexts that are validation or test."
    ),
    jobs: int = typer.Option(1, help="Runs at a time, each in its own process.", min=1),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    threads: int | None = typer.Option(
        None,
        help="CPU threads of a run. [default: all this process may use, shared by the jobs]",
        min=1,
    ),
    checkpoint_seconds: float = typer.Option(
        10.0, help="At most about this much work is lost by a kill.", min=0
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what would be done, how long and how large; do nothing."
    ),
    json: bool = typer.Option(
        False, "--json", help="study.json on stdout; of --dry-run what it would cost."
    ),
) -> None:
    """Compare starts over label budgets and seeds, everything else held fixed.

    The same command again continues; seeds, budgets and starts may be added. A finished run is
    never run again.

    Example: headstart study my-data --starts scratch,colorization --labels 30,all --seeds 5
    """
    from headstart.data.question import sizes_of, task_of, warnings_of
    from headstart.training import config as configs
    from headstart.training import recipes

    out = out or Path("studies") / (data.resolve().name or "study")
    its_task = task or task_of(data)
    whole = sizes_of(data, its_task).pictures["train"]
    chosen = configs.read_recipe_for(its_task, model, recipe)
    # A classification has no pretexts, so its model says nothing of them.
    network = (model if its_task == "segmentation" else None) or configs.UNET
    its = (
        configs.pretext_recipe_for(chosen, network)
        if pretext_recipe is None
        else recipes.read_pretext_recipe(pretext_recipe, network != configs.UNET)
    )
    settings: dict[str, Any] = {
        "schema": 1,
        **configs.defaults_for(its_task, model),
        "data": str(data),
        "starts": _listed(starts or _STARTS[its_task]),
        "against": against,
        "tunes": _listed(tunes),
        "labels": sorted({configs.parse_labels(n) or whole for n in _listed(labels)}),
        "seeds": _seeds(seeds),
        "score": score,
        "drop_leaks": drop_leaks,
        "threads": threads or max(1, configs.available_threads() // jobs),
        "recipe": {**chosen.model_dump(), "epochs": epochs or chosen.epochs},
        "pretext_recipe": {**its.model_dump(), "epochs": pretext_epochs or its.epochs},
    }
    given = {"model": model, "width": width, "size": size and configs.parse_size(size)}
    settings |= {name: value for name, value in given.items() if value is not None}
    begun = out / "config.json"
    if begun.exists():  # going on elsewhere, with other cores or devices
        before = configs.read_study_config(begun)
        settings["threads"] = threads or before.threads
        device = before.device if device == "auto" else device
    config = configs.make_study_config(**settings)
    for finding in warnings_of(data, its_task):
        say(str(finding))

    from headstart.cli.show import print_json, show_study
    from headstart.studies.plan import plan
    from headstart.studies.study import study as run_study
    from headstart.system.devices import pick_device

    config = config.model_copy(update={"device": pick_device(device).type})
    if dry_run:
        _show_plan(plan(config, out), jobs, json)
        return
    with Display("study", epochs=False) as display:
        record = run_study(config, out, display, display.tell, jobs, checkpoint_seconds)
    if json:
        print_json(record)
    else:
        show_study(record)
    say(f"in {out}: study.json; next: headstart report {out}")


_STARTS = {"segmentation": "scratch,colorization", "classification": "scratch,imagenet"}


def _listed(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts) or len(set(parts)) != len(parts):
        message = f"{text!r} is not understood; expected different values with commas between them"
        raise UsageError(Finding("bad-list", "error", message))
    return parts


def _seeds(text: str) -> list[int]:
    """``"5"`` as 1 to 5, ``"2,7"`` as itself, ``"7,"`` as 7 alone."""
    parts = _listed(text.removesuffix(","))
    if not all(re.fullmatch(r"\d{1,18}", part, re.ASCII) for part in parts):
        message = f"--seeds {text} is not understood; expected a number, or several with commas"
        raise UsageError(Finding("bad-seeds", "error", message, "for example --seeds 5"))
    numbers = [int(part) for part in parts]
    if "," in text:
        return numbers
    if not 1 <= numbers[0] <= 1000:
        message = f"--seeds {text}: expected 1 to 1000 of them"
        raise UsageError(Finding("bad-seeds", "error", message))
    return list(range(1, numbers[0] + 1))


def _show_plan(plan: Any, jobs: int, json: bool) -> None:
    from dataclasses import asdict

    from headstart.cli.show import print_json
    from headstart.studies.costs import NOTHING, cost_of_study

    config = plan.config
    cost = cost_of_study(plan) if plan.todo else NOTHING
    if json:
        print_json({"schema": 1, "done": len(plan.done), "todo": asdict(cost)})
    crossed = "starts x tunings x budgets x seeds"
    say(f"{len(plan.done)} runs are done, {len(plan.todo)} are to do: {crossed}")
    say(f"  starts  {', '.join(config.starts)}")
    say(f"  tunes   {', '.join(config.tunes)}")
    say(f"  labels  {', '.join(map(str, config.labels))}")
    say(f"  seeds   {', '.join(map(str, config.seeds))}")
    if not plan.todo:
        return
    pretexts = f", and {cost.pretext_steps} of {cost.pretexts} pretexts"
    say(f"  at most {cost.steps} steps of runs{pretexts if cost.pretexts else ''}")
    say(f"  about {cost.seconds / 3600 / jobs:.1f} hours here, and {cost.size / 1e6:.0f} MB")
