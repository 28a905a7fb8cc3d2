"""``headstart report``: writes the page, tables and figures of a folder into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.reports import charts, csv_tables, latex_tables
from headstart.reports.arms import Arm, arms_of
from headstart.reports.command import reproduce_command
from headstart.reports.data_check import check_data
from headstart.reports.page import Figures, draw, render
from headstart.reports.records import Records, read_records
from headstart.system.disk import disk_errors, write_atomic


def write_report(folder: Path, pictures: bool = True) -> list[Path]:
    """Write ``report.html`` into a folder, and tables and figures into its ``report/``.

    The same records give the same bytes.

    Args:
        folder: of a study, a run or a pretext run.
        pictures: whether the page may show pictures of the dataset.

    Returns:
        The files, the page first.

    Raises:
        DataError: there is nothing to report on, or a record is damaged.
        DiskError: a file could not be written; existing files are unchanged.
    """
    records = read_records(folder)
    arms, data = arms_of(records), check_data(records)
    figures = draw(records, arms, data)
    page = render(records, arms, data, figures, pictures)
    directory = folder / "report"
    with disk_errors(directory):
        directory.mkdir(exist_ok=True)
    contents = _tables_and_figures(records, arms, figures)
    for name, content in contents.items():
        write_atomic(directory / name, content)
    write_atomic(folder / "report.html", page)
    return [folder / "report.html", *(directory / name for name in contents)]


def _tables_and_figures(
    records: Records, arms: Sequence[Arm], figures: Figures
) -> dict[str, bytes | str]:
    """Return the contents of the files in ``report/``, by name."""
    contents: dict[str, bytes | str] = {}
    if records.runs:
        contents["scores.csv"] = csv_tables.scores_csv(records)
        contents["classes.csv"] = csv_tables.classes_csv(records)
        contents["scores.tex"] = latex_tables.scores_tex(records, arms)
    if records.study is not None and records.study.summary is not None:
        summary = records.study.summary
        contents["comparisons.csv"] = csv_tables.comparisons_csv(summary)
        contents["comparisons.tex"] = latex_tables.comparisons_tex(summary)
        contents["labels-saved.csv"] = csv_tables.labels_saved_csv(summary)
    drawn = {
        "label-efficiency": figures.label_efficiency,
        "losses": figures.losses,
        "pretext-losses": figures.pretext_losses,
    }
    for name, figure in drawn.items():
        if figure is not None:
            contents[f"{name}.png"] = charts.png(figure)
            contents[f"{name}.pdf"] = charts.pdf(figure)
    _, files = reproduce_command(records)
    return contents | files
