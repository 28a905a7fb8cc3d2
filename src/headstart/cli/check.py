"""``headstart check DATA``: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import typer


def check(
    data: Path = typer.Argument(
        ...,
        help="The dataset's folder; of EndoVis 2017 also FOLDER/type-fold0; "
        "or the word fashion-mnist, which is fetched.",
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Describe DATA, masks or classes, and find its faults: pairs, sizes, labels, balance, copies.

    Ends with 1 if there are errors, with 65 if there is no dataset to look at. Writes nothing.

    Example: headstart check my-data
    """
    from headstart.data.checks.classification import check_classes
    from headstart.data.checks.segmentation import Report, check_dataset
    from headstart.data.question import task_of

    classes = task_of(data) == "classification"
    report = check_classes(data) if classes else check_dataset(data)
    if json:
        from json import dumps

        print(dumps(report.to_json()))  # noqa: T201
    else:
        from headstart.cli.describe import describe, describe_classes

        describe(report) if isinstance(report, Report) else describe_classes(report)
    if not report.ok:
        raise typer.Exit(1)
