"""``headstart study DATA``: which start is better, for how many labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from headstart.cli.progress import Display, say

if TYPE_CHECKING:
    from headstart.verbs.study import StudyResult


def study(
    data: Path = typer.Argument(..., help="The dataset's folder, or a dataset.toml."),
    task: Literal["segmentation", "classification"] | None = typer.Option(
        None, help="What to learn. [default: segmentation if DATA has masks, else classification]"
    ),
    model: str | None = typer.Option(
        None,
        help="unet, one of torchvision's classifiers (vgg16, resnet18, squeezenet1_0, ...), or one "
        "of timm's (timm/NAME); for segmentation, one with feature maps at three scales or a "
        "plain vision transformer of timm's, which becomes the encoder. "
        "[default: the network of a run in --starts; else timm/tf_efficientnet_lite0 if --starts "
        "names imagenet, or if neither --starts nor another recipe is given, its ImageNet weights "
        "are installed and no side of --size is below 64; else unet; classification: resnet18]",
    ),
    starts: str | None = typer.Option(
        None,
        help="Comma-separated: scratch, imagenet, folders of runs, files of weights; for "
        "segmentation also colorization, chroma, masked-denoising, masked-colorization, vicreg "
        "(pretexts; from the network's published weights: imagenet-colorization, ...), and "
        "scratch-longer, their control. "
        "[default: scratch,colorization; if headstart chooses timm/tf_efficientnet_lite0, "
        "scratch,imagenet, and a pretext if there are pictures without labels; classification: "
        "scratch,imagenet]",
    ),
    methods: str | None = typer.Option(
        None,
        help="Comma-separated: supervised; semi-supervised, which also learns from pictures "
        "without labels; supervised-longer, the control for semi-supervised: it sees as many "
        "pictures, all of them labelled. Each method is trained from each start. "
        "[default: supervised]",
    ),
    against: str | None = typer.Option(
        None, help="The start that the others are compared with. [default: scratch, else the first]"
    ),
    tunes: str | None = typer.Option(
        None,
        help="Comma-separated: which layers to train: all, head, last:N, staged. A segmentation "
        "takes all and head, which is everything but the encoder. [default: all]",
    ),
    labels: str | None = typer.Option(
        None, help="Label budgets, for example 30,75,all. [default: all]"
    ),
    seeds: str | None = typer.Option(
        None,
        help="How many seeds, or which: 5 means 1,2,3,4,5. [default: 5, or as many as the first of "
        "--looks]",
    ),
    looks: str | None = typer.Option(
        None,
        help="Numbers of seeds at which to compare the starts, such as 5,10,20, if you might add "
        "seeds after a look. All looks together give a wrong verdict as rarely as one look would. "
        "The numbers cannot change once a study has begun. [default: one look, at all seeds]",
    ),
    folds: int | None = typer.Option(
        None,
        help="Cross-validate in this many folds: each labelled picture is tested once per seed. "
        "For data with few test pictures. [default: DATA's splits]",
        min=2,
    ),
    out: Path | None = typer.Option(
        None, help="The study's folder. [default: studies/NAME-OF-DATA]"
    ),
    recipe: str | None = typer.Option(
        None,
        help="default, assignment, assignment-augmented, or a .toml or .json file. "
        "[default: default]",
    ),
    epochs: int | None = typer.Option(
        None,
        help="Maximum number of epochs. An epoch has as many steps as a pass over the whole "
        "training split, even with fewer --labels. With the assignment's recipes, it is one pass "
        "over the labelled pictures that are used.",
        min=1,
    ),
    steps: int | None = typer.Option(
        None, help="Number of optimizer steps. [default: the recipe's]", min=1
    ),
    pretext_recipe: str | None = typer.Option(
        None,
        help="Recipe of the pretexts. [default: assignment if --recipe is one of the assignment's, "
        "otherwise default]",
    ),
    pretext_epochs: int | None = typer.Option(
        None, help="Maximum number of pretext epochs.", min=1
    ),
    pretext_steps: int | None = typer.Option(
        None,
        help="Number of optimizer steps of each pretext. [default: the pretext recipe's]",
        min=1,
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
    score: str | None = typer.Option(
        None, help="Split to score once per run: test or validation. [default: test]"
    ),
    drop_leaks: bool = typer.Option(
        False,
        "--drop-leaks",
        help="Leave out of the pretexts all pictures that are also validation or test frames.",
    ),
    margin: float | None = typer.Option(
        None,
        help="The smallest difference in score that matters: starts whose interval lies within it "
        "are practically equal. It cannot change once a study has begun. [default: 0.02]",
    ),
    jobs: int | None = typer.Option(
        None,
        help="Number of runs at a time, each in its own process, spread over the devices. "
        "[default: one for each device that --device lists, such as cuda:0,cuda:1; otherwise 1. "
        "On a CPU without --threads, a study that is chosen for some hours, or resumed, has as "
        "many as there are threads for. With --on slurm or ray, as many as the cluster has room "
        "for]",
        min=1,
    ),
    on: Literal["local", "slurm", "ray"] = typer.Option(
        "local",
        help="Where to train: local, on this machine; slurm, as jobs of SLURM; ray, as tasks of a "
        "Ray cluster.",
    ),
    slurm: str | None = typer.Option(
        None,
        help="sbatch's options, by their long names: partition=gpu,time=2:00:00."
        " With --dry-run, the job script is shown.",
    ),
    ray: str | None = typer.Option(
        None,
        help="Address of the Ray cluster: auto, or HOST:PORT, such as 10.0.0.1:6379. [default: "
        "start Ray on this machine, for this command]",
    ),
    hours: float | None = typer.Option(
        None,
        help="How long a new study may take. headstart chooses the starts, folds, seeds, size, "
        "width and steps that you do not give, and shows each choice. [default: 8 if you give "
        "none of --starts, --methods, --labels, --seeds, --looks, --folds, --score validation, "
        "--size, --tile, --width, --steps and --epochs; if you give any of them without --hours, "
        "nothing is chosen]",
    ),
    device: str = typer.Option(
        "auto",
        help="auto, cpu, cuda, mps, or one or several of cuda:0,cuda:1,... With several --jobs, "
        "auto and cuda mean all CUDA devices that are visible.",
    ),
    threads: int | None = typer.Option(
        None,
        help="CPU threads of a run. [default: all that are available, shared by the jobs; with "
        "--on slurm: what cpus-per-task says, else 1; with --on ray: 1]",
        min=1,
    ),
    precision: Literal["float32", "bfloat16"] | None = typer.Option(
        None,
        help="Precision of matrix products and convolutions in training. [default: bfloat16 on "
        "GPUs with bfloat16 arithmetic and, for segmentations, on CPUs with it; otherwise float32]",
    ),
    checkpoint_seconds: float = typer.Option(10.0, help="Seconds between checkpoints.", min=0),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Show the planned runs, and the time and disk space they need; train nothing.",
    ),
    json: bool = typer.Option(
        False, "--json", help="Print study.json, or with --dry-run the cost, as one JSON object."
    ),
) -> None:
    """Compare starts over label budgets and seeds.

    Everything else is held fixed. Given only DATA, headstart chooses a study that suits it and
    takes a night (see --hours); --dry-run shows it. The same command resumes a study; seeds,
    budgets and starts may be added. A finished run is never run again.

    Example: headstart study my-data --starts scratch,colorization --labels 30,all --seeds 5
    """
    from headstart.cli.show import print_json, show_study
    from headstart.verbs.study import study as run_study

    with Display("study", epochs=False) as display:
        result = run_study(
            data,
            task=task,
            model=model,
            starts=starts,
            methods=methods,
            against=against,
            tunes=tunes,
            labels=labels,
            seeds=seeds,
            looks=looks,
            folds=folds,
            out=out,
            recipe=recipe,
            epochs=epochs,
            steps=steps,
            pretext_recipe=pretext_recipe,
            pretext_epochs=pretext_epochs,
            pretext_steps=pretext_steps,
            size=size,
            tile=tile,
            squeeze=squeeze,
            width=width,
            score=score,
            drop_leaks=drop_leaks,
            margin=margin,
            jobs=jobs,
            on=on,
            slurm=slurm,
            ray=ray,
            hours=hours,
            device=device,
            threads=threads,
            precision=precision,
            checkpoint_seconds=checkpoint_seconds,
            dry_run=dry_run,
            listener=display,
            tell=display.tell,
        )
    if result.study is None:
        _show_plan(result, json)
        return
    if json:
        print_json(result.study)
    else:
        show_study(result.study)
    say(f"Wrote study.json to {result.folder}")
    say(f"Next: headstart report {result.folder}")


def _show_plan(planned: StudyResult, json: bool) -> None:
    from dataclasses import asdict

    from headstart.cli.show import print_json
    from headstart.studies.wording import called, lasting, would_show

    config, cost = planned.config, planned.cost
    assert cost is not None
    if json:
        could_show = list(planned.prospects)
        todo = asdict(cost)
        if math.isnan(cost.seconds):  # which JSON does not have
            todo["seconds"] = None
        result = {"schema": 1, "done": planned.done, "todo": todo, "could_show": could_show}
        if planned.proposal is not None:
            result["chosen"] = list(planned.proposal.lines)
        if planned.script is not None:
            result["script"] = planned.script
        print_json(result)
    say(f"{planned.done} runs finished, {cost.runs} runs left (starts x tunes x labels x seeds)")
    say(f"  starts  {', '.join(config.starts)}")
    say(f"  tunes   {', '.join(config.tunes)}")
    say(f"  labels  {', '.join(map(str, config.labels))}")
    say(f"  seeds   {', '.join(map(str, config.seeds))}")
    if config.looks is not None:
        say(f"  looks   at {', '.join(map(str, config.looks))} seeds")
    if config.folds is not None:
        say(
            f"  folds   {config.folds} for each seed, so that every labelled picture is tested once"
        )
    for row in planned.prospects:
        start, against = called(row["start"]), called(row["against"])
        say(
            f"  with {row['labels']} labels and {row['seeds']} seeds, a difference of "
            f"{row['difference']:.3f} between {start} and {against} would probably be shown"
        )
        if "margin" in row:
            say(f"    {would_show(row, row['groups'])}")
    if planned.script is not None:
        say("The script of the first jobs:")
        say(planned.script)
    if not cost.runs:
        return
    pretexts = f", {cost.pretext_steps} steps of {cost.pretexts} pretexts" if cost.pretexts else ""
    say(f"  at most {cost.steps} training steps{pretexts}")
    if math.isnan(cost.seconds):
        say(f"  {cost.size / 1e6:.0f} MB; how long it takes, a machine without a GPU cannot tell")
        return
    say(f"  about {lasting(cost.elapsed(planned.jobs))} on this machine, {cost.size / 1e6:.0f} MB")
