"""``headstart check DATA``: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from headstart.checks import Report


def check(
    data: Path = typer.Argument(..., help="The dataset's folder."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Describe DATA and find its faults: pairs, sizes, labels, balance, duplicates.

    Ends with 1 if there are errors, with 65 if there is no dataset to look at. Writes nothing.

    Example: headstart check my-data
    """
    from headstart.checks import check_dataset

    report = check_dataset(data)
    if json:
        import json as encoder

        print(encoder.dumps(report.to_json()))  # noqa: T201
    else:
        from rich.console import Console

        _show(report, Console(highlight=False, emoji=False, markup=False))
    if not report.ok:
        raise typer.Exit(1)


def _show(report: Report, console: Console) -> None:
    from rich import box
    from rich.table import Table

    splits = Table(title="Frames, and what a constant prediction scores", box=box.SIMPLE_HEAD)
    splits.add_column("split")
    for heading in ("frames", "width x height", "dice", "dice_frame", "dice_assignment"):
        splits.add_column(heading, justify="right")
    for name, split in report.splits.items():
        scores = ["-" if score is None else f"{score:.4f}" for score in split.trivial.values()]
        splits.add_row(name, str(split.frames), _size(split.width, split.height), *scores)
    for name, part in report.unlabelled.items():
        splits.add_row(f"unlabelled {name}", str(part.frames), _size(part.width, part.height))
    console.print(splits)

    classes = Table(title="Share of the pixels, and number of frames", box=box.SIMPLE_HEAD)
    classes.add_column("class", overflow="fold", max_width=28)
    for heading in ("grey", *report.splits):
        classes.add_column(heading, justify="right")
    for name, grey in report.classes.items():
        cells = [
            "-" if (share := s.pixels[name]) is None else f"{share:.2%} {s.frames_with[name]:5}"
            for s in report.splits.values()
        ]
        classes.add_row(name, str(grey), *cells)
    console.print(classes)

    styles = {"error": "red", "warning": "yellow", "info": "none"}
    for finding in report.findings:
        # A terminal breaks lines at words; a pipe gets each line whole, for grep.
        console.print(
            str(finding), style=styles[finding.severity], soft_wrap=not console.is_terminal
        )
    if not report.findings:
        console.print("nothing to remark")


def _size(width: int | None, height: int | None) -> str:
    return "differ" if width is None else f"{width} x {height}"
