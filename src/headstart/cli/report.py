"""``headstart report RUN_OR_STUDY``: one page, with its tables and figures."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def report(
    run_or_study: Path = typer.Argument(..., help="The folder of a run or a study."),
    without_pictures: bool = typer.Option(
        False, "--without-pictures", help="No frames of the dataset: they may be patients'."
    ),
    json: bool = typer.Option(False, "--json", help="The files written, as one JSON object."),
) -> None:
    """Write report.html into the folder of a run or a study: one page that needs nothing else.

    Tables (CSV, LaTeX) and figures (PNG, PDF) are written into report/ beside it. A study that
    is not complete is reported as far as it is.

    Example: headstart report studies/my-data
    """
    from headstart.report.write import write_report

    page, *files = write_report(run_or_study, pictures=not without_pictures)
    if json:
        from json import dumps

        print(dumps({"page": str(page), "files": [str(f) for f in files]}))  # noqa: T201
    say(f"the report is {page}; tables and figures are in {page.parent / 'report'}")
