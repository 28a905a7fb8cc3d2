"""``headstart status STUDY``: how far along a study is, while it runs anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from headstart.studies.status import StudyStatus, UnitStatus


def status(
    study: Path = typer.Argument(..., help="The study's folder."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Show how far along a study is.

    Says which runs are done, running (and where), waiting or failed, and the time left. Works on
    any machine that sees the folder, while others train. Writes nothing.

    Example: headstart status studies/my-data
    """
    from headstart.cli.show import print_json
    from headstart.verbs.status import status as read

    result = read(study)
    if json:
        print_json(result.to_json())
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in _lines(result):
        console.print(line)


def _lines(status: StudyStatus) -> list[str]:
    from headstart.errors import printable
    from headstart.studies.wording import lasting

    running, failed = status.in_state("running", "silent"), status.in_state("failed")
    waiting = status.in_state("waiting")
    lines = [
        f"{status.done} of {status.runs} runs done, {len(running)} running, {len(waiting)} "
        f"waiting, {len(failed)} failed"
    ]
    for heading, units in (("running", running), ("failed", failed), ("waiting", waiting)):
        lines += [f"{heading}:"] if units else []
        lines += [printable(f"  {_line(unit)}") for unit in units]
    if failed:
        lines.append("the study's command tries failed runs again")
    if status.done < status.runs:
        left = status.seconds_left
        lines.append("time left: unknown" if left is None else f"time left: about {lasting(left)}")
    return lines


def _line(unit: UnitStatus) -> str:
    words = unit.about
    if unit.state in ("running", "silent"):
        where = f" on {unit.host} ({unit.executor}{f' {unit.job}' if unit.job else ''})"
        words += where if unit.host else ""
        words += f", step {unit.step} of at most {unit.steps}" if unit.steps > 1 else ""
        words += f", since {unit.since}" if unit.since else ""
        if unit.state == "silent":
            words += ": no sign of life; a coordinator at work takes it over"
    if unit.state == "failed":
        words += f": [{unit.code}] {unit.reason}"
    if unit.tries > 1:
        words += f" (tried {unit.tries} times)"
    return words
