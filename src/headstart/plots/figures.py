"""Figures for reports: training curves, and predictions beside the truth.

Drawn on canvases of their own, without pyplot: no state is shared, nothing opens a window.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from headstart.errors import printable
from headstart.plots.overlay import colour, overlay

_INK, _FAINT = "#222222", "#999999"


def _png(figure: Figure, dpi: int = 150) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn for it
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _plain(text: str, longest: int = 80) -> str:
    """Text in one line, in which matplotlib finds no formula: names may hold dollar signs."""
    text = printable(text)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=8)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


@matplotlib.style.context("default")
def curves(history: Sequence[dict[str, Any]], best_epoch: int, title: str) -> bytes:
    """Training and validation loss per epoch in one picture, as PNG.

    Validation Dice or accuracy stands below them, where the rows have one.

    Args:
        history: rows of ``metrics.jsonl``.
        best_epoch: the epoch whose weights were kept; marked.
        title: above the picture.
    """
    epochs = [row["epoch"] for row in history]
    score = next((s for s in ("dice", "accuracy") if f"validation_{s}" in history[0]), None)
    figure = Figure(figsize=(6.4, 5.0 if score else 3.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2]) if score else None
    above = figure.subplots() if panels is None else panels[0]
    marker = "o" if len(epochs) < 10 else ""
    # Not clipped, so that a line at the very edge, where collapse has it, is seen whole.
    style: dict[str, Any] = {"marker": marker, "markersize": 4, "clip_on": False, "zorder": 3}
    for key, ink, label in (
        ("train_loss", "#0072b2", "training"),
        ("validation_loss", "#d55e00", "validation"),
    ):
        above.plot(epochs, [row[key] for row in history], ink, label=label, **style)
    above.set_ylim(bottom=0)
    above.set_ylabel("loss")
    above.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8, borderpad=0
    )
    lowest, kept = above, f"kept: epoch {best_epoch}"
    if panels is not None:
        lowest = panels[1]
        called = "Dice" if score == "dice" else score
        reached = [row[f"validation_{score}"] for row in history]
        lowest.plot(epochs, reached, "#009e73", **style)
        lowest.set_ylim(0, 1)
        lowest.set_ylabel(f"validation {called}")
        at_best = reached[epochs.index(best_epoch)]
        lowest.plot(best_epoch, at_best, "o", mfc="white", mec="#009e73", clip_on=False, zorder=4)
        kept = f"{kept}, {called} {at_best:.3f}"
    lowest.set_xlabel("epoch")
    lowest.set_title(kept, loc="left" if panels is None else "right", fontsize=8)
    room = max(0.5, 0.02 * len(epochs))
    lowest.set_xlim(epochs[0] - 0.5, epochs[-1] + room)
    lowest.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (above, lowest):
        _bare(axes)
        axes.axvline(best_epoch, color=_FAINT, linewidth=0.8, linestyle=":")
    figure.suptitle(_plain(title), fontsize=10)
    return _png(figure)


Restoration = tuple[
    str,
    Float[np.ndarray, "h w 3"],
    Float[np.ndarray, "h w 3"],
    Float[np.ndarray, "h w 3"],
]


@matplotlib.style.context("default")
def restorations(rows: Sequence[Restoration], title: str) -> bytes:
    """Rows of what a pretext's network sees, what it answers, and the picture itself, as PNG.

    Args:
        rows: the picture's name, and the three pictures in ``[0, 1]``; at least one row.
        title: above the sheet.
    """
    height, width = rows[0][1].shape[:2]
    row = 6.6 / 3 * min(height / width, 2.0) + 0.12  # inches
    figure = Figure(figsize=(7.2, row * len(rows) + 0.7), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes, (name, *pictures) in zip(grid, rows, strict=True):
        for ax, picture in zip(axes, pictures, strict=True):
            ax.imshow(picture, interpolation="auto")
            _frameless(ax)
        axes[0].set_ylabel(_plain(name, int(14 * row)), fontsize=8)
    for ax, heading in zip(grid[0], ("seen", "answered", "true"), strict=True):
        ax.set_title(heading, fontsize=9)
    figure.suptitle(_plain(title), fontsize=10)
    return _png(figure)


def _frameless(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


@dataclass(frozen=True)
class Example:
    """One frame of a sheet: its caption, picture, and class maps."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"]
    truth: UInt8[np.ndarray, "h w"]
    prediction: UInt8[np.ndarray, "h w"]


@matplotlib.style.context("default")
def predictions(examples: Sequence[Example], names: Sequence[str], title: str) -> bytes:
    """Rows of picture, truth and prediction, with a legend of the classes to be seen, as PNG.

    Args:
        examples: the rows, at least one.
        names: of all classes, background first.
        title: above the sheet.
    """
    maps = [m for example in examples for m in (example.truth, example.prediction)]
    labels = {
        int(k): _plain(names[k].replace("_", " "), 50)
        for k in np.unique(np.concatenate([np.unique(m) for m in maps]))
        if k
    }
    columns = max(1, min(4, int(7.2 / (0.6 + 0.07 * max(map(len, labels.values()), default=0)))))
    steepest = max(example.image.shape[0] / example.image.shape[1] for example in examples)
    row = 6.6 / 3 * min(steepest, 2.0) + 0.12  # inches
    around = 0.7 + 0.2 * -(-len(labels) // columns)
    figure = Figure(figsize=(7.2, row * len(examples) + around), layout="constrained")
    grid = figure.subplots(len(examples), 3, squeeze=False)
    for axes, example in zip(grid, examples, strict=True):
        pictures = (
            example.image,
            overlay(example.image, example.truth),
            overlay(example.image, example.prediction),
        )
        for ax, picture in zip(axes, pictures, strict=True):
            ax.imshow(picture, interpolation="auto")
            _frameless(ax)
        axes[0].set_ylabel(_plain(example.caption, int(14 * row)), fontsize=8)
    for ax, heading in zip(grid[0], ("picture", "truth", "prediction"), strict=True):
        ax.set_title(heading, fontsize=9)
    if labels:
        figure.legend(
            handles=[
                Patch(color="#{:02x}{:02x}{:02x}".format(*colour(k)), label=label)
                for k, label in labels.items()
            ],
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=8,
        )
    figure.suptitle(_plain(title), fontsize=10)
    return _png(figure)


@matplotlib.style.context("default")
def areas(
    seconds: Float[np.ndarray, "n 2"],
    shares: Float[np.ndarray, "n k"],
    names: Sequence[str],
    title: str,
) -> bytes:
    """How much of a clip's frames each foreground class covers over time, a lane each, as PNG.

    Args:
        seconds: begin and end of each stretch of time, rising.
        shares: of the pixels of each class in it, in ``[0, 1]``.
        names: of all classes, background first; twelve at most get a lane, the largest.
        title: above the picture.
    """
    seen = [k for k in np.argsort(-shares.sum(0), kind="stable") if k and shares[:, k].any()]
    lanes = sorted(seen[:12])
    figure = Figure(figsize=(7.2, 0.9 + 0.62 * max(len(lanes), 1)), layout="constrained")
    grid = figure.subplots(max(len(lanes), 1), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    top = 100 * shares[:, lanes].max() if lanes else 100
    for axes, k in zip(grid, lanes, strict=False):
        ink = "#{:02x}{:02x}{:02x}".format(*colour(int(k)))
        height = np.repeat(100 * shares[:, k], 2)
        axes.fill_between(seconds.ravel(), height, facecolor=ink, edgecolor=ink, linewidth=0.6)
        axes.set_title(_plain(names[k].replace("_", " "), 60), loc="left", fontsize=8, pad=2)
    for axes in grid:
        _bare(axes)
        axes.set_ylim(0, 1.05 * top)
        axes.set_xlim(seconds[0, 0], seconds[-1, 1])
        axes.yaxis.set_major_locator(MaxNLocator(2))
    if not lanes:
        grid[0].set_title("background only", loc="left", fontsize=8)
    figure.supylabel("share of the frame, %", fontsize=8)
    grid[-1].set_xlabel("seconds", fontsize=8)
    left = f"; {len(seen) - 12} smaller classes are left out" if len(seen) > 12 else ""
    figure.suptitle(_plain(title) + left, fontsize=10)
    return _png(figure)


def choose_examples(dice_per_frame: Float[np.ndarray, "n"], each: int = 2) -> list[tuple[str, int]]:
    """Frames for a sheet: the best, the most typical (about the median) and the worst.

    Args:
        dice_per_frame: NaN where a frame has no foreground in truth and prediction; those are
            not chosen unless there is nothing else.
        each: how many of each kind.

    Returns:
        Pairs of ``"best"``, ``"typical"`` or ``"worst"`` and the frame's index; none twice.
    """
    order = np.argsort(-dice_per_frame, kind="stable")
    order = order[~np.isnan(dice_per_frame[order])]
    if len(order) == 0:
        return [("no foreground", i) for i in range(min(len(dice_per_frame), 3 * each))]
    if len(order) <= 3 * each:
        return [("frame", int(i)) for i in order]
    middle = (len(order) - each) // 2
    return [
        *(("best", int(i)) for i in order[:each]),
        *(("typical", int(i)) for i in order[middle : middle + each]),
        *(("worst", int(i)) for i in order[-each:]),
    ]


@matplotlib.style.context("default")
def confusion(matrix: Int64[np.ndarray, "k k"], names: Sequence[str], title: str) -> bytes:
    """A confusion matrix as PNG: of the pictures of each true class, the share taken for each.

    Args:
        matrix: pictures by true class (row) and predicted class (column).
        names: of the classes.
        title: above the picture.
    """
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = min(1.6 + 0.46 * len(names), 14.0)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= 20:
        for (t, p), count in np.ndenumerate(matrix):
            if count:
                shown = f"{share[t, p]:.2f}".removeprefix("0")
                ink = "white" if share[t, p] > 0.5 else _INK
                axes.text(p, t, shown, ha="center", va="center", fontsize=7, color=ink)
    labels = [_plain(name, 24) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90)
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(labelsize=8 if len(names) <= 20 else 5, length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.set_title(_plain(title), loc="left", fontsize=9)
    return _png(figure)
