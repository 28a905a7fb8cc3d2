"""``headstart homework``: the assignment, all of it, with its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import typer

from headstart.cli.progress import Display, say


def homework(
    data: Path = typer.Option(..., help="The assignment's folder (hw6), or any dataset."),
    out: Path = typer.Option(Path("homework"), help="Where everything is written."),
    scale: Literal["full", "small", "tiny"] = typer.Option(
        "full",
        help="full: 256x320, width 32, as the assignment has it; small: 64x80, width 16; tiny: a "
        "few steps, to see that it works.",
    ),
    seeds: int | None = typer.Option(
        None, help="How many; a verdict needs 5. [default: 5; tiny: 1]", min=1, max=1000
    ),
    jobs: int = typer.Option(1, help="Runs at a time, each in its own process.", min=1),
    device: str = typer.Option("auto", help="cpu, cuda, or auto."),
    threads: int | None = typer.Option(
        None, help="CPU threads of a run. [default: all this process may use, shared by the jobs]"
    ),
    without_pictures: bool = typer.Option(
        False, "--without-pictures", help="No frames of the dataset: they may be patients'."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what would be done, how long and how large; do nothing."
    ),
    json: bool = typer.Option(False, "--json", help="homework.json on stdout."),
) -> None:
    """Do part 1 of the assignment: its four trainings, its figures, its questions answered.

    (b) and (d) are run with several seeds, with and without StepLR, so that their difference has
    an interval. The report is OUT/report.html, report.tex and, where a LaTeX is installed,
    report.pdf. The same command again continues; more --seeds may be given later.

    Example: headstart homework --data hw6 --scale small --out handin
    """
    from headstart.config import available_threads
    from headstart.homework import SCALES, Homework, begun_with, costs, do_homework
    from headstart.segmenter import pick_device

    begun = begun_with(out)
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
    )
    if dry_run:
        _show_costs(costs(chosen, out), jobs)
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


def _show_costs(costs: Any, jobs: int) -> None:
    for cost in costs:
        hours = cost.seconds / 3600 / (1 if cost.part == "1(a)" else jobs)
        say(
            f"{cost.part:<16} {cost.runs:3d} training{'s' * (cost.runs != 1)}, at most "
            f"{cost.steps} steps, about {hours:.1f} hours here, {cost.size / 1e6:.0f} MB"
        )
    say("a training that stops early, as the assignment's do, costs less")
