"""Figures of the assignment report: losses of a training, scores of all seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from headstart.assignment.report.part1_records import CONSTANT, SEED, STEPLR, Pair
from headstart.reports.charts import FAINT, INK, LOOK, WIDTH, colour

_DASHED = (0, (4, 3))


def draw_losses(
    history: Sequence[dict[str, Any]], kept: int, label: str, trivial: float | None = None
) -> Figure:
    """Draw training and validation loss per epoch in one figure.

    Args:
        history: rows of ``metrics.jsonl``.
        kept: the epoch whose weights were kept; drawn as a mark.
        label: name of the loss.
        trivial: the loss of the trivial answer; drawn dashed.
    """
    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
        axes = figure.subplots()
        epochs = [row["epoch"] for row in history]
        entries = []
        for i, (key, name) in enumerate(
            (("train_loss", "training"), ("validation_loss", "validation"))
        ):
            line: dict[str, Any] = {
                "color": colour(i),
                "lw": 1.4,
                "marker": "o" if len(epochs) < 10 else "",
            }
            losses = [row[key] for row in history]
            axes.plot(epochs, losses, markersize=4, clip_on=False, zorder=3, **line)
            entries.append(Line2D([], [], label=name, **line))
        if trivial is not None:
            axes.axhline(trivial, color=FAINT, lw=1, ls=_DASHED)
            entries.append(Line2D([], [], color=FAINT, lw=1, ls=_DASHED, label="trivial answer"))
        axes.axvline(kept, color=FAINT, lw=1, ls=":")
        entries.append(Line2D([], [], color=FAINT, lw=1, ls=":", label=f"epoch {kept}, kept"))
        values = [row[key] for row in history for key in ("train_loss", "validation_loss")]
        if min(values) > 0 and max(values) > 20 * min(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        else:
            axes.set_ylim(0, 1.05 * max(*values, trivial or 0))
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + max(0.5, 0.02 * len(epochs)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        figure.legend(handles=entries, loc="outside upper left", ncols=2, borderpad=0)
        return figure


def draw_seeds(pairs: Sequence[Pair], trivial: dict[str, float | None]) -> Figure:
    """Draw (b) and (d) of every seed and schedule by both scores, joined by a line.

    Args:
        pairs: the pairs of both schedules.
        trivial: each score of the best constant prediction; drawn dashed.
    """
    with matplotlib.style.context(["default", LOOK]):
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        for axes, score in zip(figure.subplots(2, 1), ("dice_assignment", "dice"), strict=True):
            _strip(axes, pairs, score, trivial[score])
        entries = [
            Line2D([], [], color=colour(0), marker="o", lw=1, label="a seed"),
            Line2D([], [], color=INK, marker="o", lw=1.6, label="seed 1, the assignment’s own"),
            Line2D([], [], color=FAINT, lw=1, ls=_DASHED, label="one class everywhere"),
        ]
        figure.legend(handles=entries, loc="outside upper left", ncols=2, borderpad=0)
        return figure


def _strip(axes: Axes, pairs: Sequence[Pair], score: str, trivial: float | None) -> None:
    drawn = [] if trivial is None else [trivial]
    schedules = [s for s in (STEPLR, CONSTANT) if any(pair.schedule == s for pair in pairs)]
    for i, schedule in enumerate(schedules):
        of_schedule = [p for p in pairs if p.schedule == schedule]
        for pair in sorted(
            of_schedule, key=lambda p: p.seed == SEED
        ):  # the pair of the assignment on top
            y = [math.nan if (s := run.scores[score]) is None else s for run in (pair.b, pair.d)]
            own = pair.seed == SEED
            line: dict[str, Any] = {"color": INK if own else colour(0), "lw": 1.6 if own else 1.0}
            axes.plot([2.5 * i, 2.5 * i + 1], y, marker="o", ms=5, clip_on=False, **line)
            drawn += [value for value in y if not math.isnan(value)]
    if trivial is not None:
        axes.axhline(trivial, color=FAINT, lw=1, ls=_DASHED)
    if drawn:
        room = max(0.02, 0.08 * (max(drawn) - min(drawn)))
        axes.set_ylim(min(drawn) - room, max(drawn) + room)
    names = {STEPLR: "StepLR", CONSTANT: "constant"}
    axes.set_xlim(-0.5, 2.5 * len(schedules) - 1)
    axes.set_xticks(
        [2.5 * i + k for i in range(len(schedules)) for k in (0, 1)],
        [f"({part})\n{names[schedule]}" for schedule in schedules for part in "bd"],
    )
    axes.set_ylabel(score)
