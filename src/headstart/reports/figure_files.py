"""Figures as SVG for the page, and as PNG and PDF for other documents.

The same figure gives the same bytes: files carry no date and no program name, and SVG ids come from
a fixed salt.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from headstart.errors import printable
from headstart.plots import canvas
from headstart.reports.charts import LOOK


def png(figure: Figure) -> bytes:
    """Return the figure as PNG at 200 dots per inch."""
    return _saved(figure, "png", {"Software": None}, "")


def pdf(figure: Figure) -> bytes:
    """Return the figure as PDF with embedded fonts and no date."""
    return _saved(figure, "pdf", {"Creator": None, "Producer": None, "CreationDate": None}, "")


def svg(figure: Figure, name: str, alt: str) -> str:
    """Return the figure as an ``<svg>`` element that refers to nothing outside the page.

    Args:
        figure: the figure.
        name: makes the ids in it differ from those of the page's other figures.
        alt: a description for screen readers; HTML-escaped here.
    """
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = _saved(figure, "svg", nothing, name).decode()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # figure_1, axes_1: not unique
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r" font-family: [^;\"]*;", "", body)  # inherit the page's font
    body = body.replace("xlink:href=", "href=")
    look = 'stroke-linejoin="round" stroke-linecap="butt"'
    return f'<svg {box[0]} {look} role="img" aria-label="{html.escape(printable(alt))}">{body}'


def _saved(figure: Figure, kind: str, metadata: dict[str, Any], salt: str) -> bytes:
    """Draw once: ``savefig`` would draw every figure twice, once for the layout."""
    buffer = io.BytesIO()
    rules = {**LOOK, "svg.hashsalt": f"headstart {salt}"}
    with warnings.catch_warnings(), matplotlib.style.context(["default", rules]):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is drawn as a box
        if kind == "png":
            return canvas.png(figure, dpi=200)
        if kind == "pdf":
            figure.set_dpi(200)  # the resolution of pictures inside
            FigureCanvasPdf(figure).print_pdf(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
        else:
            FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
