"""The page: all sections, set by one template, with figures and pictures inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from headstart.errors import printable
from headstart.plots.overlay import colour
from headstart.report import charts, provenance, sections, verdict
from headstart.report.dataset import Seen
from headstart.report.measures import measures_of
from headstart.report.read import Records
from headstart.report.summary import Cell, line_names, point, trivial_score, verdict_classes
from headstart.report.words import listed, number, plural
from headstart.tasks.lookup import labelled_task
from headstart.training.config import PretextConfig, StudyConfig

_LARGE = 400_000  # bytes of a PNG, above which a JPEG shows the same


@dataclass(frozen=True)
class Figures:
    """What is drawn; None where there is nothing to draw."""

    label_efficiency: Figure | None
    losses: Figure | None
    pretext_losses: Figure | None


def draw(records: Records, cells: Sequence[Cell], seen: Seen) -> Figures:
    """The report's figures."""
    names = line_names(records)
    curves = None
    usable = verdict_classes(records)
    if usable is not None:
        score = labelled_task(records.config.task).score
        lines = [
            (name, [point(c, usable.classes, seen.groups, score) for c in cells if c.line == i])
            for i, name in enumerate(names)
        ]
        trivial = trivial_score(records.runs[0], usable.classes)
        split = records.runs[0].scores["split"]
        curves = charts.label_efficiency(
            lines, trivial, f"{measures_of(records).headline} ({split})"
        )
    panels = [
        charts.Panel(
            plural(labels, "label"),
            tuple((c.line, run.history) for c in cells if c.labels == labels for run in c.runs),
        )
        for labels in sorted({cell.labels for cell in cells})
    ]
    pretexts: list[charts.Panel] = []
    kinds = list(dict.fromkeys(p.pretext for p in records.pretexts))
    for kind in kinds:
        its = [p for p in records.pretexts if p.pretext == kind]
        line = names.index(kind) if kind in names else len(pretexts)
        trivial = max(p.scores["trivial"]["loss"] for p in its)
        runs = tuple((line, p.history) for p in its)
        pretexts.append(charts.Panel(kind, runs, trivial))
    return Figures(
        curves,
        charts.losses(panels, names, share=True) if panels else None,
        charts.losses(pretexts, [], share=False) if pretexts else None,
    )


def render(
    records: Records, cells: Sequence[Cell], seen: Seen, figures: Figures, pictures: bool
) -> str:
    """The whole page.

    Args:
        records: what it is about.
        cells: those of its runs.
        seen: the dataset.
        figures: as [`draw`][headstart.report.page.draw] gives them.
        pictures: whether frames of the dataset may stand in it.
    """
    template = files("headstart.report").joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["broken"] = _broken
    has_runs = bool(records.runs)
    return environment.from_string(template).render(
        title=_title(records),
        about=_about(records),
        verdict=verdict.verdict(records, cells),
        means=verdict.verdict_means(records, seen.groups is not None) if has_runs else "",
        figures=_drawn(figures),
        scores=sections.of_scores(records, cells) if has_runs else None,
        comparisons=sections.of_comparisons(records),
        classes=sections.of_classes(records, cells) if has_runs else None,
        pictures=pictures,
        predictions=_predictions(records, cells, pictures),
        legend=_legend(records.runs[0].frames.names[1:]) if has_runs else [],
        measures=measures_of(records),
        validation=records.runs[0].environment["labels"]["validation"] if has_runs else None,
        pretexts=sections.of_pretexts(records),
        restorations=_restorations(records, pictures),
        data=provenance.of_data(records, seen),
        grouped=seen.groups is not None,
        settings=provenance.of_settings(records),
        starts=provenance.of_starts(records),
        machines=provenance.of_machines(records),
    ) + "\n"  # fmt: skip


def _broken(text: str) -> Markup:
    """May be broken after an underscore: names of scores are long."""
    return Markup("_<wbr>").join(text.split("_"))


def _title(records: Records) -> str:
    data = printable(Path(records.config.data).resolve().name)
    if isinstance(records.config, StudyConfig):
        return f"Which start is better on {data}?"
    if isinstance(records.config, PretextConfig):
        return f"{records.config.pretext} on {data}"
    return f"One run on {data}"


def _about(records: Records) -> str:
    config = records.config
    size = f"{config.size[0]} × {config.size[1]}"
    if isinstance(config, PretextConfig):
        return f"A pretext without labels, {config.model} of width {config.width} at {size}."
    run = records.runs[0]
    classes = len(run.scores["classes"])
    width = "" if config.width is None else f" of width {config.width}"
    network = f"{config.model}{width} at {size}"
    task = config.task.capitalize()
    if not isinstance(config, StudyConfig):
        return (
            f"{task} into {classes} classes: {network}, {plural(run.labels, 'label')}, "
            f"start {printable(run.start)}, seed {run.seed}."
        )
    labels = listed([str(n) for n in config.labels])
    return (
        f"{task} into {classes} classes: {network}; {labels} labels, "
        f"{plural(len(config.seeds), 'seed')}."
    )


def _drawn(figures: Figures) -> dict[str, Markup | None]:
    """As SVG; what each shows is said in words too, for those who do not see it."""
    alts = {
        "label_efficiency": "The score over the number of labels, a line for each start; the "
        "numbers are in the table of scores.",
        "losses": "Training and validation loss per epoch of every run, a row for each number of "
        "labels.",
        "pretext_losses": "Training and validation loss per epoch of every pretext run, with the "
        "loss of having learned nothing.",
    }
    drawn: dict[str, Markup | None] = {}
    for name, alt in alts.items():
        figure = getattr(figures, name)
        # charts.svg escapes what comes from users: names in its texts, and the alt text.
        drawn[name] = None if figure is None else Markup(charts.svg(figure, name, alt))
    return drawn


def _predictions(records: Records, cells: Sequence[Cell], pictures: bool) -> list[dict[str, Any]]:
    """For each start the run with the median score, with the most labels."""
    its = measures_of(records)
    chosen = {cell.line: cell for cell in sorted(cells, key=lambda c: c.labels)}
    told = []
    for _, cell in sorted(chosen.items()):
        run = cell.median(its.headline)
        median = f", the median of {len(cell.runs)} seeds" if len(cell.runs) > 1 else ""
        told.append(
            {
                "name": printable(cell.name),
                "which": f"{plural(run.labels, 'label')}, seed {run.seed}: "
                f"{its.headline} {number(run.scores[its.headline])}{median}",
                "split": run.scores["split"],
                "picture": _embedded(run.folder / its.sheet)
                if pictures or its.unit == "picture"  # a confusion matrix shows nobody's picture
                else None,
            }
        )
    return told


def _legend(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Name and colour of the foreground classes, as in the pictures."""
    return [(printable(n), "rgb({}, {}, {})".format(*colour(k))) for k, n in enumerate(classes, 1)]


def _restorations(records: Records, pictures: bool) -> list[dict[str, Any]]:
    """For each pretext the sheet of its first seed."""
    first = {p.pretext: p for p in reversed(records.pretexts)}
    kinds = dict.fromkeys(p.pretext for p in records.pretexts)
    return [
        {
            "name": kind,
            "seed": first[kind].seed,
            "picture": _embedded(first[kind].folder / "restorations.png") if pictures else None,
        }
        for kind in kinds
    ]


def _embedded(path: Path) -> str | None:
    """A PNG as a data address, the large ones as JPEG; None where it has not travelled along."""
    if not path.exists():
        return None
    content, kind = path.read_bytes(), "png"
    if len(content) > _LARGE:
        buffer = io.BytesIO()
        with Image.open(path, formats=["PNG"]) as picture:
            picture.convert("RGB").save(buffer, "JPEG", quality=88, optimize=True)
        content, kind = buffer.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
