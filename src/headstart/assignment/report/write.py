"""From a homework's folder to its report, written beside its parts."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from headstart.assignment.report import (
    figures,
    latex,
    new_data,
    page,
    parts,
    sections,
    transfer,
    words,
)
from headstart.assignment.report.parts import Section
from headstart.assignment.report.results import Results, kept, read_results, to_json
from headstart.assignment.report.transfer import Transfer, read_transfer
from headstart.errors import printable
from headstart.report import charts
from headstart.report.words import listed
from headstart.system.disk import disk_errors, write_atomic, write_json


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        record: the content of ``homework.json``.
        files: the page, the document, and the PDF where there is one.
        no_pdf: why there is none; empty where there is.
    """

    record: dict[str, Any]
    files: tuple[Path, ...]
    no_pdf: str


def write_homework(out: Path, command: str, pictures: bool, not_run: Mapping[str, str]) -> Written:
    """Writes ``report.html``, ``report.tex``, ``report.pdf``, ``homework.json`` and ``figures/``.

    The same records give the same bytes. Pictures of an earlier report are removed where this one
    has none.

    Args:
        out: the homework's folder, its parts finished.
        command: the command that makes it.
        pictures: whether frames of the dataset may stand in it.
        not_run: what it takes to run the parts that were not run, by folder.

    Raises:
        DataError: a part is not finished, or a record is damaged.
        DiskError: a file could not be written; what was there before still is.
    """
    results, second = read_results(out), read_transfer(out, not_run)
    content = contents(results, second, command, pictures)
    drawn = {**_draw(results), **transfer.draw(second)}
    both = (*content["sections"], *content["transfer"])
    sheets = _pictures([s for s in both if pictures or not s.private])
    beside = out / "figures"
    with disk_errors(beside):
        beside.mkdir(exist_ok=True)
        for section in both:
            if section.picture and section.picture not in sheets:
                (beside / f"{section.picture}.jpg").unlink(missing_ok=True)
    for name, figure in drawn.items():
        write_atomic(beside / f"{name}.png", charts.png(figure))
        write_atomic(beside / f"{name}.pdf", charts.pdf(figure))
    for name, picture in sheets.items():
        write_atomic(beside / f"{name}.jpg", picture)
    record = to_json(
        results,
        parts.record(results),
        sections.in_order(content["answers"], content["headline"]) + transfer.answers(second),
        transfer.record(second),
    )
    write_json(out / "homework.json", record)
    write_atomic(out / "report.html", page.render(content, drawn, sheets))
    write_atomic(out / "report.tex", latex.render(content, sheets))
    pdf, no_pdf = latex.make_pdf(out)
    there = [out / "report.html", out / "report.tex"]
    if pdf is None:
        (out / "report.pdf").unlink(missing_ok=True)  # it would be of an earlier report
    else:
        write_atomic(out / "report.pdf", pdf)
        there.append(out / "report.pdf")
    return Written(record, tuple(there), no_pdf)


def contents(results: Results, second: Transfer, command: str, pictures: bool) -> dict[str, Any]:
    """What both documents are made of."""
    verdicts = {e.told.verdict for e in results.effects if e.of == "colorization"}
    data = [results.steplr.config.data]
    data += [second.configs["2a"].data] if second.configs else []
    names = [printable(Path(path).resolve().name) for path in data]
    deviations = sections.deviations(results) + transfer.deviations(second)
    return {
        "title": f"The assignment, on {listed(names)}",
        "about": sections.about(results),
        "headline": words.headline(results.effects, results.no_effects),
        "kind": verdicts.pop() if len(verdicts) == 1 else "open",
        "single": words.single(
            results.b.scores["dice_assignment"], results.d.scores["dice_assignment"]
        ),
        "deviations": f"This is not the assignment’s own scale: {'; '.join(deviations)}."
        if deviations
        else "",
        "summary": sections.summary(results),
        "network": parts.network(results),
        "sections": parts.of_parts(results),
        "answers": sections.answers(results),
        "effects": sections.of_effects(results),
        "seeds": sections.of_seeds(results),
        "classes": sections.of_classes(results),
        "transfer": transfer.of_parts(second),
        "transfer_summary": transfer.summary(second),
        "chosen": new_data.preferred(second.new) if second.new else [],
        "limits": sections.limits(results),
        "machines": sections.machines(
            results, [*second.runs.values(), *(second.new.runs if second.new else ())]
        ),
        "command": printable(command),
        "with_pictures": pictures,
    }


def _draw(results: Results) -> dict[str, Any]:
    drawn = {}
    for letter in parts.PARTS:
        part = getattr(results, letter)
        trivial = part.scores["trivial"]["loss"] if letter == "c" else None
        label = "mean squared error" if letter == "c" else "soft Dice loss"
        drawn[f"1{letter}-losses"] = figures.losses(part.history, kept(part), label, trivial)
    drawn["1d-seeds"] = figures.seeds(results.pairs, results.a.scores["trivial"])
    return drawn


def _pictures(sections: list[Section]) -> dict[str, bytes]:
    """The sheets of the assignment's own runs as JPEG, a tenth as large; those that are there."""
    found = {}
    for section in sections:
        if section.sheet is not None and section.sheet.exists():
            buffer = io.BytesIO()
            with Image.open(section.sheet, formats=["PNG"]) as picture:
                picture.convert("RGB").save(buffer, "JPEG", quality=90, optimize=True)
            found[section.picture] = buffer.getvalue()
    return found
