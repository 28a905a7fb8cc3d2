"""``headstart check DATA``: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import typer


def check(
    data: Path = typer.Argument(
        ..., help="The dataset's folder; of EndoVis 2017 also FOLDER/type-fold0."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Describe DATA and find its faults: pairs, sizes, labels, balance, duplicates.

    Ends with 1 if there are errors, with 65 if there is no dataset to look at. Writes nothing.

    Example: headstart check my-data
    """
    from headstart.checks import check_dataset

    report = check_dataset(data)
    if json:
        from json import dumps

        print(dumps(report.to_json()))  # noqa: T201
    else:
        from headstart.cli.describe import describe

        describe(report)
    if not report.ok:
        raise typer.Exit(1)
