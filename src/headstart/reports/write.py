"""``headstart report``: writes the page, tables and figures of a folder into it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from headstart.errors import Finding, UsageError
from headstart.reports import certainty, csv_tables, figure_files, latex_tables
from headstart.reports.arm_costs import ArmCost, arm_costs
from headstart.reports.arms import Arm, arms_of
from headstart.reports.command import reproduce_command
from headstart.reports.data_check import check_data
from headstart.reports.page import Figures, draw, render
from headstart.reports.records import Records, read_records
from headstart.system.disk import disk_errors, sweep, write_atomic

PAGE = "report.html"
_SOURCE = "made-from.txt"  # beside the tables of a report that lies in another folder


def write_report(folder: Path, pictures: bool = True, out: Path | None = None) -> list[Path]:
    """Write ``report.html`` into a folder, and tables and figures into its ``report/``.

    The same records give the same bytes.

    Args:
        folder: of a study, a run or a pretext run.
        pictures: whether the page may show pictures of the dataset.
        out: where to write; by default ``folder``.

    Returns:
        The files, the page first.

    Raises:
        DataError: there is nothing to report on, or a record is damaged.
        UsageError: ``out`` holds other files, another run or study, or the report of one.
        DiskError: a file could not be written; existing files are unchanged.
    """
    out = folder if out is None else out
    _refuse_other_files(out, folder)
    records = read_records(folder)
    arms, data = arms_of(records), check_data(records)
    costs = arm_costs(records, arms, data)
    figures = draw(records, arms, data, costs)
    page = render(records, arms, data, figures, costs, pictures, out)
    directory = out / "report"
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        sweep(directory)
        sweep(out, PAGE)
    contents = _tables_and_figures(records, arms, figures, costs, out)
    if out.resolve() != folder.resolve():
        write_atomic(directory / _SOURCE, _identity(folder))
    for name, content in contents.items():
        write_atomic(directory / name, content)
    write_atomic(out / PAGE, page)
    return [out / PAGE, *(directory / name for name in contents)]


def _refuse_other_files(out: Path, folder: Path) -> None:
    with disk_errors(out):
        if out.resolve() == folder.resolve() or not out.exists():
            return
        report = out / "report"
        others = report.is_dir() and any(".tmp-" not in path.name for path in report.iterdir())
        names = tuple(p.name for p in out.iterdir() if p.name != report.name or others)
        source = report / _SOURCE
        same = source.is_file() and source.read_text() == _identity(folder)
    if "config.json" in names:
        what = "is itself a run or a study"
    elif names and not same:
        what = "holds the report of another folder" if PAGE in names else "is not empty"
    else:
        return
    hint = "choose a new folder for --out"
    raise UsageError(Finding("not-empty", "error", f"{out} {what}", hint, names[:5]))


def _identity(folder: Path) -> str:
    """Return the SHA-256 of a folder's settings, which tells it from others."""
    with disk_errors(folder):
        settings = folder / "config.json"
        content = settings.read_bytes() if settings.is_file() else b""
    return f"{hashlib.sha256(content).hexdigest()}\n"


def _tables_and_figures(
    records: Records, arms: Sequence[Arm], figures: Figures, costs: Sequence[ArmCost], out: Path
) -> dict[str, bytes | str]:
    """Return the contents of the files in ``report/``, by name."""
    contents: dict[str, bytes | str] = {}
    if records.runs:
        contents["scores.csv"] = csv_tables.scores_csv(records)
        contents["classes.csv"] = csv_tables.classes_csv(records)
        contents["scores.tex"] = latex_tables.scores_tex(records, arms)
        if (table := certainty.calibration_csv(records)) is not None:
            contents["calibration.csv"] = table
    if records.study is not None and records.study.summary is not None:
        summary = records.study.summary
        contents["comparisons.csv"] = csv_tables.comparisons_csv(summary)
        contents["comparisons.tex"] = latex_tables.comparisons_tex(summary)
        contents["arms.csv"] = csv_tables.arms_csv(costs)
        contents["labels-saved.csv"] = csv_tables.labels_saved_csv(summary)
    drawn = {
        "label-efficiency": figures.label_efficiency,
        "differences": figures.differences,
        "costs": figures.costs,
        "losses": figures.losses,
        "reliability": figures.reliability,
        "pretext-losses": figures.pretext_losses,
    }
    for name, figure in drawn.items():
        if figure is not None:
            contents[f"{name}.png"] = figure_files.png(figure)
            contents[f"{name}.pdf"] = figure_files.pdf(figure)
    _, files = reproduce_command(records, out)
    return contents | files
