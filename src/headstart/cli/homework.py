"""``headstart homework``: the assignment, all of it, with its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from headstart.cli.progress import Display, say

if TYPE_CHECKING:
    from headstart.studies.costs import Cost


def homework(
    data: Path = typer.Option(..., help="The assignment's folder (hw6), or any dataset."),
    out: Path = typer.Option(Path("homework"), help="Where everything is written."),
    fashion_mnist: str | None = typer.Option(
        None,
        help="Part 2: the folder with Fashion-MNIST's four idx files (the word fashion-mnist "
        "fetches them), or any folder of pictures with a class.",
    ),
    new_data: str | None = typer.Option(
        None, help="2(c): an entirely new dataset, one folder a class."
    ),
    model: str | None = typer.Option(
        None, help="The classifier, any of torchvision's. [default: vgg16]"
    ),
    weights: str | None = typer.Option(
        None, help="Its ImageNet weights, a file. [default: those that torchvision publishes]"
    ),
    scale: Literal["full", "small", "tiny"] = typer.Option(
        "full",
        help="full: 256x320, width 32, and 224x224, as the assignment has it; small: 64x80, width "
        "16, and 64x64 with 3000 labels; tiny: a few steps, to see that it works.",
    ),
    seeds: int | None = typer.Option(
        None, help="How many; a verdict needs 5. [default: 5; tiny: 1]", min=1, max=1000
    ),
    jobs: int = typer.Option(1, help="Runs at a time, each in its own process.", min=1),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    threads: int | None = typer.Option(
        None,
        help="CPU threads of a run. [default: all this process may use, shared by the jobs]",
        min=1,
    ),
    without_pictures: bool = typer.Option(
        False, "--without-pictures", help="No frames of the dataset: they may be patients'."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what would be done, how long and how large; do nothing."
    ),
    json: bool = typer.Option(
        False, "--json", help="homework.json on stdout; of --dry-run what it would cost."
    ),
) -> None:
    """Do the assignment: its trainings, its figures, its questions answered.

    1(b) and 1(d), and 2(c), are run with several seeds, so that differences have intervals. The
    report is OUT/report.html, report.tex and, where a LaTeX is installed, report.pdf. A part whose
    data or weights are not there is marked "not run", with what it takes. The same command again
    continues; more --seeds, and part 2, may be given later.

    Example: headstart homework --data hw6 --fashion-mnist fashion-mnist --out handin
    """
    from headstart.assignment.run import costs, do_homework
    from headstart.assignment.settings import (
        SCALES,
        Homework,
        recorded_part_a,
        with_recorded_part2,
    )
    from headstart.system.devices import pick_device
    from headstart.training.config import available_threads

    begun = recorded_part_a(out)
    if begun is not None:  # going on elsewhere, with other cores or devices
        threads = threads or begun.threads
        device = begun.device if device == "auto" else device
    its: Any = pick_device(device).type
    chosen = Homework(
        str(data),
        scale,
        seeds or SCALES[scale].seeds,
        its,
        threads or max(1, available_threads() // jobs),
        fashion_mnist,
        new_data,
        model,
        weights,
    )
    chosen = with_recorded_part2(chosen, out)
    if dry_run:
        _show_costs(costs(chosen, out), jobs, json)
        return
    with Display("homework", epochs=False) as display:
        written = do_homework(chosen, out, display, display.tell, jobs, not without_pictures)
    if json:
        from headstart.cli.show import print_json

        print_json(written.record)
    else:
        for line in written.record["answers"]:
            print(line)  # noqa: T201
    say(f"the report is {', '.join(map(str, written.files))}")
    if written.no_pdf:
        say(f"no report.pdf: {written.no_pdf}; report.tex and figures/ make it elsewhere")


def _show_costs(costs: dict[str, Cost], jobs: int, json: bool) -> None:
    if json:
        from dataclasses import asdict

        from headstart.cli.show import print_json

        print_json({"schema": 1, "todo": {part: asdict(cost) for part, cost in costs.items()}})
    for part, cost in costs.items():
        hours = cost.seconds / 3600 / (1 if part == "1(a)" else jobs)
        count = cost.runs + cost.pretexts
        say(
            f"{part:<16} {count:3d} training{'s' * (count != 1)}, at most "
            f"{cost.steps + cost.pretext_steps} steps, about {hours:.1f} hours here, "
            f"{cost.size / 1e6:.0f} MB"
        )
    say("a training that stops early, as those of part 1 do, costs less")
