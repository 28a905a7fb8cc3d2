"""Canvas, axes and labels shared by curves and sheets.

Figures are drawn without pyplot: there is no shared state, and no window opens.
"""

from __future__ import annotations

import io
import warnings

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from headstart.errors import printable

INK, FAINT = "#222222", "#999999"


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Return the figure as PNG without a date or program name: same figure, same bytes.

    Gives the bytes of ``figure.savefig`` in about half the time: ``savefig`` draws every figure
    twice, once for the layout.
    """
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # drawn as a box
        canvas.draw()  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    imsave(
        buffer,
        canvas.buffer_rgba(),  # type: ignore[no-untyped-call]
        format="png",
        origin="upper",
        dpi=dpi,
        metadata={"Software": None},  # type: ignore[dict-item]
    )
    return buffer.getvalue()


def one_line(text: str, longest: int = 80) -> str:
    """Return the text on one line, shortened, with dollar signs escaped (no TeX formulas)."""
    text = printable(text)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def bare(axes: Axes) -> None:
    """Keep only the left and bottom spines, small ticks and a faint horizontal grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
