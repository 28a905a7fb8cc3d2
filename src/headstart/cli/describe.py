"""The report of a check, for people: reading, two tables, contact sheet, findings."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from headstart.data.checks.classification import ClassReport
from headstart.data.checks.segmentation import Report
from headstart.errors import Finding, printable

_STYLES = {"error": "red", "warning": "yellow", "info": "none"}


def print_report(report: Report | ClassReport) -> None:
    """Print a report on stdout; the tables fit 80 columns."""
    if isinstance(report, ClassReport):
        tables = (_class_splits(report), _class_counts(report))
    else:
        tables = (_splits(report), _classes(report))
    _print(report.reading, tables, report.sheet, report.findings)


def _print(
    reading: tuple[str, ...],
    tables: tuple[Table, ...],
    sheet: Path | None,
    findings: tuple[Finding, ...],
) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    for sentence in reading:
        console.print(printable(sentence), soft_wrap=not console.is_terminal)
    console.print()
    for table in tables:
        console.print(table)
        console.print()
    if sheet is not None:
        console.print(printable(f"Contact sheet: {sheet}"), soft_wrap=True)
        console.print()
    for finding in findings:
        # A terminal wraps lines at words; a pipe gets each finding unwrapped, for grep.
        console.print(
            str(finding), style=_STYLES[finding.severity], soft_wrap=not console.is_terminal
        )
    if not findings:
        console.print("No problems found")


def _table(title: str) -> Table:
    return Table(title=title, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _splits(report: Report) -> Table:
    table = _table("Frames (width x height), and scores of the best constant prediction")
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
    table = _table("Share of pixels, and number of frames, by class")
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


def _class_splits(report: ClassReport) -> Table:
    table = _table("Pictures (width x height), and accuracy of the best constant prediction")
    table.add_column("split", no_wrap=True)
    for heading in ("pictures", "size", "accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("by predicting", overflow="fold", max_width=28)
    for name, split in report.splits.items():
        size, accuracy = _size(split.width, split.height), f"{split.trivial_accuracy:.4f}"
        table.add_row(name, str(split.pictures), size, accuracy, printable(split.most_frequent))
    return table


def _class_counts(report: ClassReport) -> Table:
    table = _table("Number of pictures, by class")
    table.add_column("class", overflow="fold", max_width=28)
    for heading in report.splits:
        table.add_column(heading, justify="right", no_wrap=True)
    for name in report.classes:
        counts = (str(split.classes[name]) for split in report.splits.values())
        table.add_row(printable(name), *counts)
    return table


def _size(width: int | None, height: int | None) -> str:
    return "vary" if width is None else f"{width} x {height}"
