"""``headstart check DATA``: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import typer


def check(
    data: Path = typer.Argument(
        ...,
        help="The dataset's folder, or a dataset.toml; for EndoVis 2017 also "
        "FOLDER/TARGET-foldN, such as endovis/type-fold0 (TARGET: binary, parts or type; N: 0 to "
        "3); or fashion-mnist, which is downloaded.",
    ),
    out: Path | None = typer.Option(
        None,
        help="Write contact-sheet.png to this folder: pictures with their masks over them, or a "
        "row of pictures of each class.",
    ),
    describe: Path | None = typer.Option(
        None, help="Write to this new file how DATA is read, as a dataset.toml to edit."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Describe DATA and find its faults.

    It looks at pairs, sizes, labels, balance and duplicates. Says first how it reads the folder.
    Exits with 1 if there are errors, with 65 if no frame can be read at all.

    Example: headstart check my-data --out looked-at
    """
    from headstart.verbs.check import check as check_data

    report = check_data(data, out=out, describe=describe)
    if json:
        from headstart.cli.show import print_json

        print_json(report.to_json())
    else:
        from headstart.cli.describe import print_report

        print_report(report)
    if not report.ok:
        raise typer.Exit(1)
