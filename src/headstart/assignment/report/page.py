"""The report as one page that needs nothing else, in the look of ``headstart report``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from headstart.report import charts

_ALTS = {
    "losses": "Training and validation loss per epoch.",
    "labels": "Accuracy over the number of labels, a line for each start and tuning; the numbers "
    "are in the table below.",
    "seeds": "Both scores of (b) and (d) for every seed and schedule; the numbers are in the "
    "tables below.",
}


def render(
    content: Mapping[str, Any], figures: Mapping[str, Figure], pictures: Mapping[str, bytes]
) -> str:
    """The whole page.

    Args:
        content: what both documents are made of.
        figures: by name.
        pictures: JPEG files by name.
    """
    environment = Environment(
        loader=DictLoader(_parts()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["broken"] = lambda text: Markup("_<wbr>").join(text.split("_"))
    drawn = {
        # charts.svg escapes what comes from users
        name: Markup(charts.svg(figure, name, _ALTS[name.rsplit("-", 1)[-1]]))
        for name, figure in figures.items()
    }
    embedded = {
        name: f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        for name, picture in pictures.items()
    }
    both = (*content["sections"], *content["transfer"])
    names = {s.picture: embedded.get(s.picture) for s in both}
    page = environment.get_template("page.html")
    return page.render({**content, "figures": drawn, "pictures": names}) + "\n"


def _parts() -> dict[str, str]:
    """This page's template, and what it shares with the other: its tables and its style."""
    other = files("headstart.report").joinpath("page.html.j2").read_text("utf-8")
    macros, rest = other.split("<!DOCTYPE html>")
    style = rest[rest.index("<style>") : rest.index("</style>")] + "</style>"
    own = files("headstart.assignment.report").joinpath("page.html.j2").read_text("utf-8")
    return {"macros.html": macros, "style.html": style, "page.html": own}
