"""``headstart.report``: one page of a run or a study, with its tables and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ReportResult:
    """What was written.

    Attributes:
        page: ``report.html``, which needs nothing else.
        files: tables (CSV, LaTeX) and figures (PNG, PDF).
    """

    page: Path
    files: tuple[Path, ...]


def report(
    run_or_study: Path | str, *, out: Path | str | None = None, without_pictures: bool = False
) -> ReportResult:
    """Write ``report.html``, and tables and figures into ``report/``, as ``headstart report`` does.

    Args:
        run_or_study: the folder of a run or a study; one that is not finished is reported as far
            as it is.
        out: where to write; by default the folder of the run or study.
        without_pictures: show no frames of the dataset, which may be patients' pictures.

    Raises:
        UsageError: ``out`` holds other files.
        DataError: there is nothing to report on, or a record is damaged.
        DiskError: a file cannot be written.
    """
    from headstart.reports.write import write_report

    other = None if out is None else Path(out)
    page, *files = write_report(Path(run_or_study), pictures=not without_pictures, out=other)
    return ReportResult(page, tuple(files))
