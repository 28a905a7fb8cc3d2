"""``headstart homework``: the assignment, all of it, with its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from headstart.cli.progress import Display, say

if TYPE_CHECKING:
    from headstart.verbs.homework import HomeworkResult


def homework(
    data: Path = typer.Option(..., help="The assignment's folder (hw6), or any dataset."),
    out: Path = typer.Option(Path("homework"), help="Where everything is written."),
    fashion_mnist: str | None = typer.Option(
        None,
        help="Part 2: the folder with Fashion-MNIST's four idx files, or a dataset with one folder "
        "per class; the word fashion-mnist downloads the files.",
    ),
    new_data: str | None = typer.Option(
        None, help="2(c): an entirely new dataset, with one folder per class."
    ),
    model: str | None = typer.Option(
        None, help="The classifier, any of torchvision's. [default: vgg16]"
    ),
    weights: str | None = typer.Option(
        None, help="The classifier's file of ImageNet weights. [default: torchvision's, downloaded]"
    ),
    scale: Literal["full", "small", "tiny"] = typer.Option(
        "full",
        help="full: part 1 at 256x320 and width 32, part 2 at 224x224, as in the assignment; "
        "small: part 1 at 64x80 and width 16, part 2 at 64x64 with 3000 labels; tiny: a few "
        "steps, to see that it works.",
    ),
    hours: float | None = typer.Option(
        None,
        help="How long everything may take. headstart chooses the largest sizes that fit, at most "
        "those of --scale. Later commands with the same OUT use the same sizes. The report says "
        "what was asked for and what was run.",
    ),
    parts: str | None = typer.Option(
        None,
        help="The parts to run, of 1a,1b,1c,1d,2a,2b,2c. Parts that they need are run, too: 1b and "
        "1c for 1d, 2a and 2b for 2c. [default: all]",
    ),
    seeds: int | None = typer.Option(
        None, help="Number of seeds; a verdict needs 5. [default: 5; tiny: 1]", min=1, max=1000
    ),
    jobs: int | None = typer.Option(
        None,
        help="Number of runs at a time, each in its own process, spread over the devices. "
        "[default: one for each device that --device lists, such as cuda:0,cuda:1; otherwise 1]",
        min=1,
    ),
    device: str = typer.Option(
        "auto",
        help="auto, cpu, cuda, mps, or one or several of cuda:0,cuda:1,... With several --jobs, "
        "auto and cuda mean all CUDA devices that are visible.",
    ),
    threads: int | None = typer.Option(
        None,
        help="CPU threads of a run. [default: all that are available, shared by the jobs]",
        min=1,
    ),
    without_pictures: bool = typer.Option(
        False,
        "--without-pictures",
        help="Show no frames of the dataset: they may be patients' pictures.",
    ),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Show the planned runs, and the time and disk space they need; train nothing.",
    ),
    json: bool = typer.Option(
        False,
        "--json",
        help="Print homework.json, or with --dry-run the cost, as one JSON object.",
    ),
) -> None:
    """Do the assignment.

    Trains its networks, draws its figures and answers its questions. 1(b) and 1(d), and 2(c), are
    run with several seeds, so that differences have intervals. The report is OUT/report.html,
    report.tex and, if LaTeX is installed, report.pdf. A part whose data or weights are missing is
    marked "not run", with what it needs. The same command resumes; more --seeds, and part 2, may be
    added later.

    Example: headstart homework --data hw6 --fashion-mnist fashion-mnist --out handin
    """
    from headstart.cli.show import print_json
    from headstart.verbs.homework import homework as do

    with Display("homework", epochs=False) as display:
        result = do(
            data,
            out=out,
            fashion_mnist=fashion_mnist,
            new_data=new_data,
            model=model,
            weights=weights,
            scale=scale,
            hours=hours,
            parts=parts,
            seeds=seeds,
            jobs=jobs,
            device=device,
            threads=threads,
            without_pictures=without_pictures,
            dry_run=dry_run,
            listener=display,
            tell=display.tell,
        )
    if result.record is None:
        _show_costs(result, json)
        return
    if json:
        print_json(result.record)
    else:
        for answer in result.record["answers"]:
            print(answer)  # noqa: T201
    say(f"Report: {', '.join(map(str, result.files))}")
    if result.no_pdf:
        say(f"No report.pdf: {result.no_pdf}; make it elsewhere from report.tex and figures/")


def _show_costs(result: HomeworkResult, json: bool) -> None:
    if json:
        from dataclasses import asdict

        from headstart.cli.show import print_json

        todo = {part: asdict(cost) for part, cost in result.costs.items()}
        print_json({"schema": 1, "todo": todo, "not_run": result.not_run})
    for line, cost in zip(result.lines, result.costs.values(), strict=False):
        steps = cost.steps + cost.pretext_steps
        say(f"{line}, at most {steps:,} steps, {cost.size / 1e6:.0f} MB" if steps else line)
    for line in result.lines[len(result.costs) :]:
        say(line)
    for part, reason in result.not_run.items():
        say(f"{part}: not run. {reason}")
