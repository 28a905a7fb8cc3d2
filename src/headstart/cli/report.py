"""``headstart report RUN_OR_STUDY``: one page, with its tables and figures."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.progress import say


def report(
    run_or_study: Path = typer.Argument(..., help="The folder of a run or a study."),
    out: Path | None = typer.Option(
        None,
        "--out",
        help="Write into this folder instead.",
        show_default="the folder of the run or study",
    ),
    without_pictures: bool = typer.Option(
        False,
        "--without-pictures",
        help="Show no frames of the dataset: they may be patients' pictures.",
    ),
    json: bool = typer.Option(
        False, "--json", help="Print the paths of the files written, as one JSON object."
    ),
) -> None:
    """Write report.html into the folder of a run or a study.

    It is one self-contained page. Tables (CSV, LaTeX) and figures (PNG, PDF) go into report/ beside
    it. For an unfinished study, the report covers the runs finished so far.

    Example: headstart report studies/my-data
    """
    from headstart.cli.show import print_json
    from headstart.verbs.report import report as write

    result = write(run_or_study, out=out, without_pictures=without_pictures)
    if json:
        print_json({"page": str(result.page), "files": [str(path) for path in result.files]})
    say(f"Report: {result.page}; tables and figures: {result.page.parent / 'report'}")
