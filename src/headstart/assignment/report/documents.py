"""Write the report as an HTML page, a LaTeX document and a PDF."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from headstart.reports import figure_files
from headstart.reports.latex import Tex, captioned, typeset
from headstart.reports.page import breakable

_ALTS = {
    "losses": "Training and validation loss per epoch.",
    "labels": "Accuracy over the number of labels, with a line for each start and tuning; the "
    "table below has the numbers.",
    "seeds": "Both scores of (b) and (d) for every seed and schedule; the tables below have the "
    "numbers.",
}
_ENGINES = ("pdflatex", "lualatex")
_SECONDS = 300


def render_page(
    content: Mapping[str, Any], figures: Mapping[str, Figure], pictures: Mapping[str, bytes]
) -> str:
    """Return the page, with figures and pictures embedded.

    Args:
        content: what both documents contain.
        figures: the figures, by name.
        pictures: JPEG files, by name.
    """
    environment = Environment(
        loader=DictLoader(_templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    drawn = {
        # figure_files.svg escapes all text in the figure
        name: Markup(figure_files.svg(figure, name, _ALTS[name.rsplit("-", 1)[-1]]))
        for name, figure in figures.items()
    }
    embedded = {
        name: f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        for name, picture in pictures.items()
    }
    by_name = {name: embedded.get(name) for name in _picture_names(content)}
    page = environment.get_template("page.html")
    return page.render({**content, "figures": drawn, "pictures": by_name}) + "\n"


def _templates() -> dict[str, str]:
    """Return the template of the page, and the tables and the style of ``headstart report``."""
    shared = files("headstart.reports").joinpath("page.html.j2").read_text("utf-8")
    macros, page = shared.split("<!DOCTYPE html>")
    style = page[page.index("<style>") : page.index("</style>")] + "</style>"
    return {"macros.html": macros, "style.html": style, "page.html": _template("page.html.j2")}


def _template(name: str) -> str:
    return files("headstart.assignment.report").joinpath(name).read_text("utf-8")


def _picture_names(content: Mapping[str, Any]) -> list[str]:
    return [section.picture for section in (*content["part1"], *content["part2"])]


def render_latex(content: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the LaTeX document, with every value in it escaped.

    Args:
        content: what both documents contain.
        pictures: the pictures in ``figures/``, by name.
    """
    environment = Environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        autoescape=False,
        finalize=typeset,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_name = {name: name in pictures for name in _picture_names(content)}
    document = environment.from_string(_template("report.tex.j2"))
    values = {**content, "pictures": by_name, "captioned": captioned, "Tex": Tex}
    return document.render(values) + "\n"


def make_pdf(folder: Path) -> tuple[bytes | None, str]:
    """Typeset ``folder/report.tex``.

    Returns:
        The PDF and an empty text, or ``None`` and the reason. A missing PDF is not an error,
        because the report is complete without it.
    """
    engine = next(filter(shutil.which, _ENGINES), None)
    if engine is None:
        return None, f"neither {' nor '.join(_ENGINES)} is installed"
    with tempfile.TemporaryDirectory() as directory:
        options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
        command = [engine, *options, f"-output-directory={directory}", "report.tex"]
        fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "TEXMFVAR": directory}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, **fixed},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, f"{engine} failed: {error}"
        pdf = Path(directory, "report.pdf")
        if done.returncode == 0 and pdf.exists():
            return pdf.read_bytes(), ""
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        error_line = next((line for line in lines if line.startswith("!")), "no message")
        return None, f"{engine} rejected report.tex: {error_line}"
