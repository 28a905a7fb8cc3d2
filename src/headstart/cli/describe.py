"""What a check found, for people: two tables, then the findings."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from headstart.checks import Report

_STYLES = {"error": "red", "warning": "yellow", "info": "none"}


def describe(report: Report) -> None:
    """Print a report on stdout; the tables fit 80 columns."""
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(_splits(report))
    console.print()
    console.print(_classes(report))
    console.print()
    for finding in report.findings:
        # A terminal breaks lines at words; a pipe gets each line whole, for grep.
        console.print(
            str(finding), style=_STYLES[finding.severity], soft_wrap=not console.is_terminal
        )
    if not report.findings:
        console.print("nothing to remark")


def _splits(report: Report) -> Table:
    table = Table(
        title="Frames (width x height), and what a constant prediction scores",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column("split", no_wrap=True)
    for heading in ("frames", "size", "dice", "dice_frame", "dice_assignment"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, split in report.splits.items():
        scores = ["-" if score is None else f"{score:.4f}" for score in split.trivial.values()]
        table.add_row(name, str(split.frames), _size(split.width, split.height), *scores)
    for name, part in report.unlabelled.items():
        table.add_row(f"unlabelled {name}", str(part.frames), _size(part.width, part.height))
    return table


def _classes(report: Report) -> Table:
    table = Table(
        title="Share of the pixels, and number of frames with the class",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column("class", overflow="fold", max_width=28)
    for heading in ("grey", *report.splits):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, grey in report.classes.items():
        cells = []
        for split in report.splits.values():
            share = split.pixels[name]
            cells.append("-" if share is None else f"{share:.2%} {split.frames_with[name]:5}")
        table.add_row(name, str(grey), *cells)
    return table


def _size(width: int | None, height: int | None) -> str:
    return "differ" if width is None else f"{width} x {height}"
