"""The page ``report.html``: one template with figures and pictures embedded."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from headstart.errors import printable
from headstart.plots.overlay import colour
from headstart.reports import certainty, charts, figure_files, page_tables, provenance, sentences
from headstart.reports.arm_costs import ArmCost, best_section
from headstart.reports.arms import Arm, line_names, noun, point, trivial_score, verdict_classes
from headstart.reports.data_check import (
    DataCheck,
    data_section,
    groups_are_lost,
    groups_of_verdicts,
)
from headstart.reports.formatting import listed, number, plural
from headstart.reports.records import Records
from headstart.studies.side_by_side import Sheet, read_sheets
from headstart.studies.wording import called
from headstart.tasks.lookup import labelled_task, task_named

_LARGE = 400_000  # bytes of a PNG, above which a JPEG is embedded instead


@dataclass(frozen=True)
class Figures:
    """The figures of a report; None where there is nothing to draw."""

    label_efficiency: Figure | None = None
    differences: Figure | None = None
    costs: Figure | None = None
    losses: Figure | None = None
    reliability: Figure | None = None
    pretext_losses: Figure | None = None


def draw(
    records: Records, arms: Sequence[Arm], data: DataCheck, costs: Sequence[ArmCost]
) -> Figures:
    """Draw the report's figures."""
    names = line_names(records)
    panels = [
        charts.Panel(
            plural(labels, "label"),
            tuple((a.line, run.history) for a in arms if a.labels == labels for run in a.runs),
        )
        for labels in sorted({arm.labels for arm in arms})
    ]
    pretexts, reliability = _pretext_panels(records, names), certainty.reliability_lines(arms)
    return Figures(
        _label_efficiency(records, arms, data, names),
        _differences(records),
        _costs(records, costs),
        charts.losses(panels, names, share=True) if panels else None,
        charts.reliability(reliability) if reliability else None,
        charts.losses(pretexts, [], share=False) if pretexts else None,
    )


def _label_efficiency(
    records: Records, arms: Sequence[Arm], data: DataCheck, names: Sequence[str]
) -> Figure | None:
    usable = verdict_classes(records)
    if usable is None:
        return None
    pooled = labelled_task(records.config.task).score
    known = not groups_are_lost(records, data)
    points = [
        (a.line, point(a, usable.classes, data.groups, pooled, with_interval=known)) for a in arms
    ]
    lines = [(name, [p for line, p in points if line == i]) for i, name in enumerate(names)]
    measures, run = task_named(records.config.task).measures, records.runs[0]
    trivial = trivial_score(run, usable.classes, measures)
    score = f"{measures.headline} ({run.scores['split']})"
    return charts.label_efficiency(lines, trivial, score)


def _differences(records: Records) -> Figure | None:
    study = records.study
    if study is None or study.summary is None or not study.summary["comparisons"]:
        return None
    config = study.config
    lines = {arm: i for i, arm in enumerate(product(config.starts, config.tunes))}
    rows = []
    for c in study.summary["comparisons"]:
        tune = f", tune {c['tune']}" if len(config.tunes) > 1 else ""
        pair = f"{called(c['start'])}{tune} against {called(c['against'])}"
        name = f"{pair}, {plural(c['labels'], 'label')}"
        line = lines[c["start"], c["tune"]]
        rows.append(charts.Difference(line, name, c["difference"], c["low"], c["high"]))
    headline = task_named(config.task).measures.headline
    return charts.differences(rows, config.margin, headline)


def _costs(records: Records, rows: Sequence[ArmCost]) -> Figure | None:
    if not rows:
        return None
    drawn = [charts.Cost(r.arm.line, r.arm.name, r.seconds, r.point) for r in rows]
    return charts.costs(drawn, task_named(records.config.task).measures.headline)


def _pretext_panels(records: Records, names: list[str]) -> list[charts.Panel]:
    panels: list[charts.Panel] = []
    for kind in dict.fromkeys(p.pretext for p in records.pretexts):
        of_kind = [p for p in records.pretexts if p.pretext == kind]
        line = names.index(kind) if kind in names else len(panels)
        trivial = max(p.scores["trivial"]["loss"] for p in of_kind)
        panels.append(charts.Panel(kind, tuple((line, p.history) for p in of_kind), trivial))
    return panels


def render(
    records: Records,
    arms: Sequence[Arm],
    data: DataCheck,
    figures: Figures,
    costs: Sequence[ArmCost],
    pictures: bool,
    out: Path,
) -> str:
    """Return the page.

    Args:
        records: what the page reports on.
        arms: the runs in the records, grouped.
        data: the result of checking the dataset.
        figures: from [`draw`][headstart.reports.page.draw].
        costs: scores and costs of the arms of a study.
        pictures: whether the page may show pictures of the dataset.
        out: the folder that it is written to.
    """
    template = files("headstart.reports").joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = breakable
    of_study = records.study is not None and records.study.summary is not None
    grouped = (groups_of_verdicts(records) if of_study else data.groups) is not None
    content: dict[str, Any] = {
        "title": _title(records),
        "about": _about(records),
        "opening": sentences.opening(records, arms),
        "figures": _embed_figures(figures),
        "best": best_section(records, costs),
        "comparisons": page_tables.comparisons_table(records),
        "compared": records.study is not None and records.study.summary is not None,
        "margin": records.study.config.margin if records.study else None,
        "left_out": sentences.left_out_of_verdicts(records) if records.runs else "",
        "measures": task_named(records.config.task).measures,
        "pictures": pictures,
        "grouped": grouped,
        "pretexts": page_tables.pretexts_section(records),
        "restorations": _restorations(records, pictures),
        "data": data_section(records, data),
        "settings": provenance.settings_section(records),
        "starts": provenance.starts_section(records),
        "machines": provenance.machines_section(records, out),
        "scores": None,
        "classes": None,
        "certainty": None,
    }
    if records.runs:
        run = records.runs[0]
        content |= {
            "scope": sentences.verdict_scope(records, grouped),
            "scores": page_tables.scores_section(records, arms),
            "classes": page_tables.classes_section(records, arms),
            "certainty": certainty.certainty_section(records, arms),
            "predictions": _predictions(records, arms, pictures),
            "legend": _legend(run.frames.names[1:]),
            "validation": run.labelled.validation,
            "folds": records.config.crossed,
        }
    return environment.from_string(template).render(content) + "\n"


def breakable(text: str) -> Markup:
    """Return text that may break after an underscore, for the long names of scores."""
    return Markup("_<wbr>").join(text.split("_"))


def _title(records: Records) -> str:
    data = printable(Path(records.config.data).resolve().name)
    if records.study is not None:
        return f"Which start is better on {data}?"
    if records.pretext is not None:
        return f"{records.pretext.pretext} on {data}"
    return f"One run on {data}"


def _about(records: Records) -> str:
    config = records.config
    width = "" if config.width is None else f" of width {config.width}"
    at = "in tiles of" if config.framing == "tile" else "at"
    network = f"{config.model}{width} {at} {config.size[0]} × {config.size[1]}"
    if not records.runs:
        return f"A pretext without labels: {network}."
    run = records.runs[0]
    task = f"{config.task.capitalize()} into {len(run.scores['classes'])} classes: {network}"
    if records.study is None:
        return (
            f"{task}, {plural(run.labels, 'label')}, start {printable(run.start)}, seed {run.seed}."
        )
    labels = listed([str(n) for n in records.study.config.labels])
    return f"{task}; {labels} labels, {plural(len(records.study.config.seeds), 'seed')}."


def _embed_figures(figures: Figures) -> dict[str, Markup | None]:
    """Return the figures as SVG with a description for screen readers."""
    alts = {
        "label_efficiency": "The score over the number of labels, with a line for each start; the "
        "table of scores has the numbers.",
        "differences": "The differences between starts with their intervals, and the margin around "
        "0; the table above has the numbers.",
        "costs": "The score over the time that a seed takes, with a row for each number of labels; "
        "the table above has the numbers.",
        "losses": "Training and validation loss per epoch of every run, with a row for each number "
        "of labels.",
        "reliability": "The share of right predictions over their confidence, before and after "
        "calibration; the table above has the errors.",
        "pretext_losses": "Training and validation loss per epoch of every pretext run, with the "
        "loss of the trivial answer.",
    }
    embedded: dict[str, Markup | None] = {}
    for name, alt in alts.items():
        figure = getattr(figures, name)
        # figure_files.svg escapes all text: the names in the figure and the description.
        embedded[name] = None if figure is None else Markup(figure_files.svg(figure, name, alt))
    return embedded


def _predictions(records: Records, arms: Sequence[Arm], pictures: bool) -> list[dict[str, Any]]:
    """Return the sheets of answers: of all arms side by side, else of each arm's median run.

    Studies that an older version finished, or that are not finished, have the latter. Confusion
    matrices are always shown.
    """
    sheets: list[Sheet] = []
    if records.study is not None and pictures:
        budgets = sorted(records.study.config.labels, reverse=True)
        sheets = read_sheets(records.folder, budgets)
    sections = [_side_by_side(sheet, records) for sheet in sheets]
    if not sections or not task_named(records.config.task).measures.sheet.private:
        sections += _sheet_of_each_arm(records, arms, pictures)
    return sections


def _side_by_side(sheet: Sheet, records: Records) -> dict[str, Any]:
    split = records.runs[0].scores["split"]
    runs = listed([f"{printable(name)} {printable(run)}" for name, run in sheet.arms])
    first, unit = printable(sheet.arms[0][0]), task_named(records.config.task).measures.unit
    return {
        "name": f"With {plural(sheet.labels, 'label')}",
        "which": f"the {unit}s of the {split} split on which {first} is furthest ahead of the "
        f"others and furthest behind them, and typical ones",
        "alt": f"Pictures of the {split} split, their truth, and the answers of each "
        f"{noun(records)}.",
        "caption": f"Each {noun(records)} is shown by its run with the median score: {runs}.",
        "picture": _embed(sheet.png),
        "legend": False,
    }


def _sheet_of_each_arm(
    records: Records, arms: Sequence[Arm], pictures: bool
) -> list[dict[str, Any]]:
    """Return the answer sheet of each start: of its median run with the most labels."""
    measures = task_named(records.config.task).measures
    sheet, headline = measures.sheet, measures.headline
    chosen = {arm.line: arm for arm in sorted(arms, key=lambda arm: arm.labels)}
    sections = []
    for _, arm in sorted(chosen.items()):
        run = arm.median(headline)
        name, split = printable(arm.name), run.scores["split"]
        score = f"{headline} {number(run.scores[headline])}"
        median = f", the median of {len(arm.runs)} seeds" if len(arm.runs) > 1 else ""
        allowed = pictures or not sheet.private
        sections.append(
            {
                "name": name,
                "which": f"{plural(run.labels, 'label')}, seed {run.seed}: {score}{median}",
                "alt": sheet.alt.format(name=name, split=split),
                "caption": sheet.caption.format(split=split),
                "picture": _embed_png(run.folder / sheet.file) if allowed else None,
                "legend": True,
            }
        )
    return sections


def _legend(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and colour of the foreground classes, as in the pictures."""
    return [(printable(n), "rgb({}, {}, {})".format(*colour(k))) for k, n in enumerate(classes, 1)]


def _restorations(records: Records, pictures: bool) -> list[dict[str, Any]]:
    """Return the sheet of each pretext's first seed."""
    first = {p.pretext: p for p in reversed(records.pretexts)}
    file = task_named("pretext").measures.sheet.file
    return [
        {
            "name": kind,
            "seed": first[kind].seed,
            "picture": _embed_png(first[kind].folder / file) if pictures else None,
        }
        for kind in dict.fromkeys(p.pretext for p in records.pretexts)
    ]


def _embed_png(path: Path) -> str | None:
    """Return a PNG as a data URL, a large one as JPEG; None where the file is missing."""
    if not path.exists():
        return None
    return _embed(path.read_bytes())


def _embed(content: bytes) -> str:
    kind = "png"
    if len(content) > _LARGE:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            picture.convert("RGB").save(buffer, "JPEG", quality=88, optimize=True)
        content, kind = buffer.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
