"""``headstart report``: from a folder to its page, tables and figures, written beside it."""

from __future__ import annotations

from pathlib import Path

from headstart.report import charts, tables
from headstart.report.dataset import look
from headstart.report.page import Figures, draw, render
from headstart.report.provenance import of_machines
from headstart.report.read import Records, read_records
from headstart.report.summary import Cell, cells
from headstart.system.disk import disk_errors, write_atomic


def write_report(folder: Path, pictures: bool = True) -> list[Path]:
    """Writes ``report.html`` into a folder, and tables and figures into its ``report/``.

    The same records give the same bytes.

    Args:
        folder: of a study, a run or a pretext run.
        pictures: whether frames of the dataset may stand in the page.

    Returns:
        The files, the page first.

    Raises:
        DataError: there is nothing to report on, or a record is damaged.
        DiskError: a file could not be written; what was there before still is.
    """
    records = read_records(folder)
    its = cells(records)
    seen = look(records)
    figures = draw(records, its, seen)
    page = render(records, its, seen, figures, pictures)
    beside = folder / "report"
    with disk_errors(beside):
        beside.mkdir(exist_ok=True)
    written = []
    for name, content in _beside(records, its, figures).items():
        write_atomic(beside / name, content)
        written.append(beside / name)
    write_atomic(folder / "report.html", page)
    return [folder / "report.html", *written]


def _beside(records: Records, its: list[Cell], figures: Figures) -> dict[str, bytes | str]:
    """What stands in ``report/``, by name."""
    content: dict[str, bytes | str] = {}
    if records.runs:
        content["scores.csv"] = tables.scores_csv(records)
        content["classes.csv"] = tables.classes_csv(records)
        content["scores.tex"] = tables.scores_tex(records, its)
    if records.study is not None:
        content["comparisons.csv"] = tables.comparisons_csv(records.study)
        content["comparisons.tex"] = tables.comparisons_tex(records.study)
        content["labels-saved.csv"] = tables.labels_saved_csv(records.study)
    drawn = {
        "label-efficiency": figures.label_efficiency,
        "losses": figures.losses,
        "pretext-losses": figures.pretext_losses,
    }
    for name, figure in drawn.items():
        if figure is not None:
            content[f"{name}.png"] = charts.png(figure)
            content[f"{name}.pdf"] = charts.pdf(figure)
    content |= of_machines(records)["files"]
    return content
