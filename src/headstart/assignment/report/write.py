"""Write the homework report next to its parts."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from headstart.assignment.report import (
    answers,
    documents,
    figures,
    part1_comparison,
    part1_sections,
    part2_classifiers,
    part2_new_data,
    sizes_table,
)
from headstart.assignment.report.part1_records import (
    CONSTANT,
    Part1,
    kept_epoch,
    part1_json,
    read_part1,
)
from headstart.assignment.report.part1_sections import Section
from headstart.assignment.report.part2_classifiers import Part2, read_part2
from headstart.errors import printable
from headstart.reports import figure_files
from headstart.reports.formatting import listed
from headstart.system.disk import disk_errors, sweep, write_atomic, write_json


@dataclass(frozen=True)
class WrittenHomework:
    """The written report.

    Attributes:
        record: content of ``homework.json``.
        files: the page, the LaTeX document, and the PDF if there is one.
        no_pdf: why there is no PDF; empty if there is one.
    """

    record: dict[str, Any]
    files: tuple[Path, ...]
    no_pdf: str


def write_homework(
    out: Path,
    command: str,
    pictures: bool,
    not_run: Mapping[str, str],
    test_groups: Sequence[str | None],
    why: str = "the settings of the command",
) -> WrittenHomework:
    """Write ``report.html``, ``report.tex``, ``report.pdf``, ``homework.json`` and ``figures/``.

    Equal records give equal bytes. Pictures of an earlier report are removed if the new report has
    none.

    Args:
        out: the homework folder, with finished parts.
        command: the command that reproduces the folder.
        pictures: whether the report may show frames of the dataset.
        not_run: why the other parts were not run, by part or, in part 2, by folder.
        test_groups: video or patient of each test frame of part 1; None if unknown.
        why: why sizes differ from the assignment's.

    Raises:
        DataError: a part is not finished, or a record is damaged.
        DiskError: a file could not be written; existing files are unchanged.
    """
    part1, part2 = read_part1(out, test_groups, not_run), read_part2(out, not_run)
    content = report_content(part1, part2, command, pictures, why)
    drawn = {**_draw_part1(part1), **part2_classifiers.draw_part2(part2)}
    sections = (*content["part1"], *content["part2"])
    sheets = _sheets([section for section in sections if pictures or not section.private])
    _write_figures(out / "figures", sections, drawn, sheets)
    record = {
        "schema": 1,
        "parts": part1_sections.parts_json(part1),
        **part1_json(part1),
        "answers": _answer_lines(content) + part2_classifiers.part2_answers(part2),
        "part2": part2_classifiers.part2_json(part2),
    }
    write_json(out / "homework.json", record)
    write_atomic(out / "report.html", documents.render_page(content, drawn, sheets))
    write_atomic(out / "report.tex", documents.render_latex(content, sheets))
    pdf, no_pdf = documents.make_pdf(out)
    written = [out / "report.html", out / "report.tex"]
    if pdf is None:
        (out / "report.pdf").unlink(missing_ok=True)  # left by an earlier report
    else:
        write_atomic(out / "report.pdf", pdf)
        written.append(out / "report.pdf")
    return WrittenHomework(record, tuple(written), no_pdf)


def _write_figures(
    folder: Path,
    sections: Sequence[Section],
    drawn: Mapping[str, Figure],
    sheets: Mapping[str, bytes],
) -> None:
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
        sweep(folder)
        for section in sections:
            if section.picture and section.picture not in sheets:
                (folder / f"{section.picture}.jpg").unlink(missing_ok=True)
    for name, figure in drawn.items():
        write_atomic(folder / f"{name}.png", figure_files.png(figure))
        write_atomic(folder / f"{name}.pdf", figure_files.pdf(figure))
    for name, picture in sheets.items():
        write_atomic(folder / f"{name}.jpg", picture)


def report_content(
    part1: Part1, part2: Part2, command: str, pictures: bool, why: str
) -> dict[str, Any]:
    """Return what both documents contain."""
    verdicts = {e.comparison.verdict for e in part1.effects if e.of == "colorization"}
    data = [part1.data] if part1.data else []
    data += [config.data for config in list(part2.configs.values())[:1]]
    names = [printable(Path(path).resolve().name) for path in data]
    deviations = part1_comparison.deviations(part1) + part2_classifiers.deviations(part2)
    single = ""
    if part1.runs.keys() >= {"b", "d"}:
        b, d = (part1.runs[letter].scores["dice_assignment"] for letter in "bd")
        single = answers.single(b, d)
    return {
        "title": f"The assignment, on {listed(names)}" if names else "The assignment",
        "about": part1_comparison.about(part1),
        "headline": answers.headline(part1.effects, part1.no_effects),
        "kind": verdicts.pop() if len(verdicts) == 1 else "open",
        "single": single,
        "sizes": sizes_table.sizes_table(part1, part2, why),
        "compared": bool(part1.pairs),
        "deviations": f"The scale differs from the assignment’s: {'; '.join(deviations)}."
        if deviations
        else "",
        "part1_summary": part1_comparison.summary_table(part1),
        "network": part1_sections.network(part1),
        "part1": part1_sections.part1_sections(part1),
        "answers": part1_comparison.comparison_answers(part1) if part1.pairs else [],
        "effects": part1_comparison.effects_table(part1),
        "seeds": part1_comparison.seed_tables(part1),
        "classes": part1_comparison.classes_table(part1) if part1.runs else None,
        "part2": part2_classifiers.part2_sections(part2),
        "part2_summary": part2_classifiers.summary_table(part2),
        "better_start": part2_new_data.better_start(part2.new_data) if part2.new_data else [],
        "with_constant": bool(part1.pairs_of(CONSTANT)),
        "limits": part1_comparison.limits(part1),
        "machines": part1_comparison.machines_table(part1, part2.all_runs),
        "command": printable(command),
        "with_pictures": pictures,
    }


def _answer_lines(content: Mapping[str, Any]) -> list[str]:
    """Return the answers of part 1, one line each."""
    return [content["headline"], *(f"{name}: {text}" for name, text in content["answers"])]


def _draw_part1(part1: Part1) -> dict[str, Figure]:
    drawn = {
        f"1{letter}-losses": figures.draw_losses(run.history, kept_epoch(run), "soft Dice loss")
        for letter, run in part1.runs.items()
    }
    if part1.colorization is not None:
        pretext = part1.colorization
        trivial = pretext.scores["trivial"]["loss"]
        drawn["1c-losses"] = figures.draw_losses(
            pretext.history, kept_epoch(pretext), "mean squared error", trivial
        )
    if part1.pairs:
        drawn["1d-seeds"] = figures.draw_seeds(part1.pairs, part1.trivial)
    return drawn


def _sheets(sections: Sequence[Section]) -> dict[str, bytes]:
    """Return the existing sheets as JPEG, which takes a tenth of the space."""
    sheets = {}
    for section in sections:
        if section.sheet is not None and section.sheet.exists():
            buffer = io.BytesIO()
            with Image.open(section.sheet, formats=["PNG"]) as picture:
                picture.convert("RGB").save(buffer, "JPEG", quality=90, optimize=True)
            sheets[section.picture] = buffer.getvalue()
    return sheets
