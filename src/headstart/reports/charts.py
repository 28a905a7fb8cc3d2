"""The figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import offset_copy

from headstart.errors import printable
from headstart.plots.overlay import COLOURS
from headstart.reports.arms import Point
from headstart.scores.calibration import Bins

# A phone shows a figure about 358 px wide; at 400 points its text is then at least 9 px high.
WIDTH = 400 / 72  # inches
_TEXT = 10.5  # points
_APART = 9.0  # points between neighbouring lines of a figure
_LEAST_SPAN = 0.1  # of an axis of scores, or it would make differences look large that are not
INK, FAINT, GRID = "#222222", "#767676", "#e5e5e5"
# The colours of the palette that show as thin lines on white; marks tell them apart in grey.
_LINES = tuple("#{:02x}{:02x}{:02x}".format(*COLOURS[i]) for i in (6, 4, 2, 5, 0, 8, 1, 10))
_MARKS = "osD^vPX*"
LOOK: dict[str, Any] = {
    "font.size": _TEXT,
    "text.parse_math": False,  # names may hold dollar signs
    "svg.fonttype": "none",  # text stays text, for screen readers, search and copying
    "pdf.fonttype": 42,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Panel:
    """Losses that share a row of the figure.

    Attributes:
        title: title of the row.
        runs: for each run the index of its colour, and its rows of ``metrics.jsonl``.
        trivial: the loss of the trivial answer; drawn dashed.
    """

    title: str
    runs: tuple[tuple[int, Sequence[dict[str, Any]]], ...]
    trivial: float | None = None


@dataclass(frozen=True)
class ReliabilityLine:
    """The predictions of a start by confidence.

    Attributes:
        line: index of its colour and mark.
        name: its name.
        before: bins with temperature 1, see [`Bins`][headstart.scores.calibration.Bins].
        after: bins with the fitted temperature.
    """

    line: int
    name: str
    before: Bins
    after: Bins


@dataclass(frozen=True)
class Difference:
    """One comparison of a study.

    Attributes:
        line: index of the start's colour and mark.
        name: what is compared.
        value: the difference in the score.
        low, high: ends of its interval; None without one.
    """

    line: int
    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Cost:
    """What an arm reaches with some labels, and at what cost.

    Attributes:
        line: index of its colour and mark.
        name: its name.
        seconds: of one seed.
        point: its score.
    """

    line: int
    name: str
    seconds: float
    point: Point


def colour(i: int) -> str:
    """Return the colour of line ``i``, the same in every figure; colours repeat after eight."""
    return _LINES[i % len(_LINES)]


def label_efficiency(
    lines: Sequence[tuple[str, Sequence[Point]]], trivial: float | None, score: str
) -> Figure:
    """Draw a score over the number of labels, with a line for each start.

    Args:
        lines: name and points of each line.
        trivial: the score of the best constant prediction; drawn dashed.
        score: label of the vertical axis.
    """
    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
        axes = figure.subplots()
        budgets = sorted({p.labels for _, points in lines for p in points})
        for i, (_, points) in enumerate(lines):
            _draw_line(axes, points, i, _APART * (i - (len(lines) - 1) / 2))
        if trivial is not None:
            axes.axhline(trivial, color=FAINT, lw=1, ls=(0, (4, 3)))
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(budgets))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(budgets, [str(b) for b in budgets])
        axes.set_xlim(budgets[0] / 1.25, budgets[-1] * 1.25)
        axes.set_ylim(0, 1)
        axes.set_xlabel("labels to train on")
        axes.set_ylabel(score)
        entries = _entries([(i, name) for i, (name, _) in enumerate(lines)])
        _legend(figure, entries, trivial is not None, "best constant prediction")
        return figure


def _draw_line(axes: Axes, points: Sequence[Point], i: int, shift: float) -> None:
    """Draw a line and, beside it, its seeds; shifted so that intervals do not hide each other."""
    assert isinstance(axes.figure, Figure)
    at = offset_copy(axes.transData, axes.figure, shift, units="points")
    beside = offset_copy(axes.transData, axes.figure, shift + 0.45 * _APART, units="points")
    style: dict[str, Any] = {"color": colour(i), "marker": _MARKS[i % len(_MARKS)]}
    for p in points:
        x = [p.labels] * len(p.seeds)
        axes.plot(
            x, p.seeds, ls="", clip_on=False, alpha=0.45, ms=3.5, mew=0, transform=beside, **style
        )
        if p.low is not None and p.high is not None:
            axes.plot([p.labels] * 2, [p.low, p.high], color=colour(i), lw=1.6, transform=at)
    x, y = [p.labels for p in points], [p.mean for p in points]
    axes.plot(x, y, lw=1.4, ms=6, zorder=3, transform=at, **style)


def differences(rows: Sequence[Difference], margin: float | None, score: str) -> Figure:
    """Draw differences with their intervals below each other, and the margin around 0.

    Args:
        rows: at least one, from top to bottom.
        margin: the smallest difference that matters, shaded on both sides of 0; None in old
            studies.
        score: what differs.
    """
    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(WIDTH, 0.42 * len(rows) + 0.95), layout="constrained")
        axes = figure.subplots()
        if margin is not None:
            axes.axvspan(-margin, margin, color=GRID, lw=0)
            patch = Patch(color=GRID, label=f"smaller than the margin, {margin:g}")
            figure.legend(handles=[patch], loc="outside upper left", borderpad=0)
        axes.grid(visible=False)
        for y, row in enumerate(rows):
            axes.vlines(0, y - 0.22, y + 0.22, color=FAINT, lw=1)  # not through the names
            style: dict[str, Any] = {"color": colour(row.line), "clip_on": False}
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [y, y], lw=1.6, **style)
            axes.plot([row.value], [y], ms=6, marker=_MARKS[row.line % len(_MARKS)], **style)
            axes.annotate(
                _plain(row.name, 60), (0, y - 0.28), xycoords=("axes fraction", "data"),
                color=INK, va="bottom", in_layout=False,
            )  # fmt: skip
        axes.set_ylim(len(rows) - 0.5, -0.9)
        axes.yaxis.set_major_locator(NullLocator())
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.set_xlabel(f"difference in {score}")
        return figure


def costs(rows: Sequence[Cost], score: str) -> Figure:
    """Draw a score over the time that a seed takes, a row for each number of labels.

    Args:
        rows: at least one.
        score: label of the vertical axes.
    """
    budgets = sorted({row.point.labels for row in rows})
    times = [row.seconds for row in rows]
    apart = max(times) > 10 * min(times)  # else 1, 2 and 5 would leave a single tick
    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(WIDTH, 1.8 * len(budgets) + 0.75), layout="constrained")
        grid = figure.subplots(len(budgets), 1, squeeze=False, sharex=True)[:, 0]
        for axes, labels in zip(grid, budgets, strict=True):
            for row in rows:
                if row.point.labels != labels:
                    continue
                style: dict[str, Any] = {"color": colour(row.line), "clip_on": False}
                minutes, p = row.seconds / 60, row.point
                if p.low is not None and p.high is not None:
                    axes.plot([minutes] * 2, [p.low, p.high], lw=1.6, **style)
                axes.plot([minutes], [p.mean], ms=6, marker=_MARKS[row.line % len(_MARKS)], **style)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
            if apart:
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
            axes.margins(x=0.1)
            low, high = axes.get_ylim()
            if high - low < _LEAST_SPAN:
                middle = (low + high) / 2
                axes.set_ylim(middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2)
            axes.set_title(f"{labels} labels", loc="left", fontsize=_TEXT)
            axes.set_ylabel(_plain(score))
        grid[-1].set_xlabel("minutes for one seed")
        if not apart:
            grid[-1].set_xlim(0, 1.1 * max(times) / 60)
        names = sorted({(row.line, row.name) for row in rows})
        _legend(figure, _entries(names), False, "")
        return figure


def losses(panels: Sequence[Panel], names: Sequence[str], share: bool) -> Figure:
    """Draw training loss beside validation loss per epoch, a row for each panel.

    Args:
        panels: at least one.
        names: what the colours stand for; with fewer than two names they get no legend.
        share: whether all rows share their axes.
    """
    with matplotlib.style.context(["default", LOOK]):
        height = 1.65 * len(panels) + 0.75
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = figure.subplots(
            len(panels), 2, squeeze=False, sharex=share, sharey=True if share else "row"
        )
        for (left, right), panel in zip(grid, panels, strict=True):
            for axes, key in ((left, "train_loss"), (right, "validation_loss")):
                _loss_lines(axes, panel, key)
            left.set_title(f"{_plain(panel.title)}: training", loc="left", fontsize=_TEXT)
            right.set_title("validation", loc="left", fontsize=_TEXT)
            left.set_ylabel("loss")
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        shown = sorted({i for panel in panels for i, _ in panel.runs}) if len(names) > 1 else []
        entries = [Line2D([], [], color=colour(i), label=_plain(names[i])) for i in shown]
        trivial = any(panel.trivial is not None for panel in panels)
        _legend(figure, entries, trivial, "loss of the trivial answer")
        return figure


def _loss_lines(axes: Axes, panel: Panel, key: str) -> None:
    for i, history in panel.runs:
        epochs = [row["epoch"] for row in history]
        marker = "." if len(epochs) < 5 else ""
        values = [row[key] for row in history]
        axes.plot(epochs, values, color=colour(i), lw=0.9, alpha=0.8, marker=marker)
    if panel.trivial is not None:
        axes.axhline(panel.trivial, color=FAINT, lw=1, ls=(0, (4, 3)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    if all(row[key] > 0 for _, history in panel.runs for row in history):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def reliability(lines: Sequence[ReliabilityLine]) -> Figure:
    """Draw accuracy over confidence, before and after calibration.

    Bins with less than one per cent of the predictions have pale marks.

    Args:
        lines: at least one.
    """
    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, title, after in zip(panels, ("before", "after"), (False, True), strict=True):
            axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (4, 3)))
            for line in lines:
                _reliability_line(axes, line.after if after else line.before, line.line)
            axes.set_title(f"{title} calibration", loc="left", fontsize=_TEXT)
            axes.set_xlabel("confidence")
            axes.set_aspect("equal")
            axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
        panels[0].set_ylabel("share that is right")
        names = [(line.line, line.name) for line in lines] if len(lines) > 1 else []
        _legend(figure, _entries(names), True, "perfectly calibrated")
        return figure


def _reliability_line(axes: Axes, bins: Bins, i: int) -> None:
    total = bins[:, 0].sum()
    used = bins[bins[:, 0] > 0]
    confidence, right = used[:, 2] / used[:, 0], used[:, 1] / used[:, 0]
    axes.plot(confidence, right, color=colour(i), lw=1, alpha=0.5)
    many = used[:, 0] >= 0.01 * total
    style: dict[str, Any] = {"color": colour(i), "marker": _MARKS[i % len(_MARKS)], "ls": ""}
    for shown, alpha in ((many, 1.0), (~many, 0.35)):
        if not shown.any():  # unclipped, it would have no extent for the layout
            continue
        at = confidence[shown], right[shown]
        axes.plot(*at, ms=4.5, mew=0, alpha=alpha, clip_on=False, **style)


def _entries(names: Sequence[tuple[int, str]]) -> list[Line2D]:
    """Return the legend's entries of lines with marks, from their indices and names."""
    return [
        Line2D([], [], color=colour(i), marker=_MARKS[i % len(_MARKS)], label=_plain(name))
        for i, name in names
    ]


def _legend(figure: Figure, entries: list[Line2D], trivial: bool, trivial_name: str) -> None:
    if trivial:
        entries.append(Line2D([], [], color=FAINT, lw=1, ls=(0, (4, 3)), label=trivial_name))
    if not entries:
        return
    longest = max(len(str(entry.get_label())) for entry in entries)
    columns = max(1, min(3, len(entries), 60 // (longest + 6)))
    figure.legend(handles=entries, loc="outside upper left", ncols=columns, borderpad=0)


def _plain(text: str, longest: int = 44) -> str:
    """Return text in one line, cut where it is too long."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
