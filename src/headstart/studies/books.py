"""What a study writes of itself, where several processes write it: ledger and ``study.json``.

Whoever writes claims the study's folder for a moment, reads what is there, and adds to it. So no
line that another process has written is lost.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from headstart.config.files import read_study_config, study_to_json
from headstart.records.run_records import ENSEMBLES
from headstart.records.vouching import CONFIG, LEDGER, STUDY, UNITS
from headstart.studies.cells import Cell, cells
from headstart.studies.counts_of_runs import Arms
from headstart.studies.ensembles import missing, read_ensembles
from headstart.studies.ledger import Ledger, line_of, read_lines, write_ledger
from headstart.studies.plan import Plan, replanned, scored_groups
from headstart.studies.slurm import FOLDER as SLURM_JOBS
from headstart.studies.slurm import SUBMITTING
from headstart.studies.summary import is_written, write_summary
from headstart.studies.units import read_units, units_of, write_units
from headstart.studies.verdicts import compare
from headstart.system.attempts import CLAIMS
from headstart.system.claims import alone
from headstart.system.disk import disk_errors, sweep, write_atomic
from headstart.tasks.lookup import labelled_task

WRITING = "writing"
"""The claim on the records of the study itself."""


def begin(planned: Plan, out: Path) -> Plan:
    """Write what workers and other coordinators read; return the plan with what others wrote.

    Raises:
        HeadstartError: as [`plan`][headstart.studies.plan.plan]; or a file cannot be written.
    """
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with alone(out, WRITING):
        planned = replanned(planned, out)
        with disk_errors(out):
            for name in (CONFIG, LEDGER, STUDY, UNITS):  # only these are written by claim holders
                sweep(out, name)
        write_atomic(out / CONFIG, study_to_json(planned.config))
        write_units(out, units_of(planned, cells(planned.config)))
        # a study that an older version finished stays as it is
        if planned.todo:
            with disk_errors(out):
                (out / ENSEMBLES).mkdir(exist_ok=True)
        write_ledger(out, planned.done, [cell.run for cell in cells(planned.config)])
    return planned


def has_grown(planned: Plan, out: Path) -> bool:
    """Return whether another process has added to the study since it was planned."""
    with disk_errors(out):
        return (out / CONFIG).read_bytes() != study_to_json(planned.config).encode()


def note(cell: Cell, out: Path, planned: Plan) -> tuple[Ledger, int]:
    """Add a finished run to the ledger; return the ledger, and how many runs the study has.

    Raises:
        DataError: a record of the run is missing or damaged.
    """
    task = labelled_task(planned.config.task)
    with alone(out, WRITING):
        ledger = read_lines(out)
        if cell.run not in ledger:
            ledger[cell.run] = line_of(cell.run, out / cell.run, asdict(cell), task)
            order = [each.run for each in cells(read_study_config(out / CONFIG))]
            write_ledger(out, ledger, order)
    return ledger, len(cells(planned.config))


def finished_study(out: Path, planned: Plan) -> dict[str, Any] | None:
    """Return the record of a finished study if no file of it would change, else None.

    Reading needs no claim: the disk may be read-only.
    """
    if planned.todo or planned.files[0] != study_to_json(planned.config).encode():
        return None
    if missing(planned, out, planned.done):
        return None
    record = _record(out, planned, planned.done)
    return record if is_written(out, record) else None


def write_study(out: Path, planned: Plan, failed: Arms = frozenset()) -> dict[str, Any]:
    """Compare the starts on all finished runs, and write ``study.json``.

    Args:
        out: folder of the study.
        planned: its plan.
        failed: the arms with runs that failed, which get no verdict.
    """
    with alone(out, WRITING):
        planned = replace(planned, config=read_study_config(out / CONFIG))
        record = _record(out, planned, read_lines(out), failed)
        write_summary(out, record)
    return record


def _record(out: Path, planned: Plan, ledger: Ledger, failed: Arms = frozenset()) -> dict[str, Any]:
    task = labelled_task(planned.config.task)
    records = [
        {**asdict(cell), "run": cell.run, "scores": task.read_scores(out / cell.run)}
        for cell in cells(planned.config)
        if cell.run in ledger
    ]
    groups = scored_groups(planned.config, planned.dataset)
    compared = compare(records, out, planned.config, groups, failed)
    record = {"schema": 1, "records": records, **compared}
    classes = (compared["classes"] or {}).get("classes")
    finished = {record["run"]: ledger[record["run"]] for record in records}
    if classes and (together := read_ensembles(out, finished, task.name, list(classes), groups)):
        record["together"] = together
    return record


def clear_claims(out: Path) -> None:
    """Remove what is left of the claims on a study, if all of its runs are finished.

    Claims of others that begin to add to it meanwhile stay.
    """
    ledger = read_lines(out)
    if any(cell.run not in ledger for cell in cells(read_study_config(out / CONFIG))):
        return
    claims = out / CLAIMS
    units = (unit.name for unit in read_units(out))
    for name in (ENSEMBLES, *units, WRITING, SUBMITTING, SLURM_JOBS):
        shutil.rmtree(claims / name, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty, or not there
        for folder in (claims / "runs", claims / "starts"):
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
        claims.rmdir()


def without_checkpoints(run: Path) -> None:
    """Remove the checkpoints of a finished run, which can take gigabytes."""
    for folder in list(run.rglob("checkpoint")):
        shutil.rmtree(folder, ignore_errors=True)
