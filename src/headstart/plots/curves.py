"""Charts as PNG: training curves, class areas over time, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Float, Int64
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from headstart.plots.canvas import FAINT, INK, bare, one_line, png
from headstart.plots.overlay import colour


@matplotlib.style.context("default")
def curves(history: Sequence[dict[str, Any]], best_epoch: int, title: str) -> bytes:
    """Draw training and validation loss per epoch.

    Validation Dice or accuracy is drawn below them if the rows contain it.

    Args:
        history: rows of ``metrics.jsonl``.
        best_epoch: the epoch whose weights were kept; it is marked.
        title: the figure's title.

    Returns:
        The figure as PNG.
    """
    epochs = [row["epoch"] for row in history]
    score = next((s for s in ("dice", "accuracy") if f"validation_{s}" in history[0]), None)
    figure = Figure(figsize=(6.4, 5.0 if score else 3.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2]) if score else None
    above = figure.subplots() if panels is None else panels[0]
    marker = "o" if len(epochs) < 10 else ""
    # Unclipped, so that a line on the edge of the axes, as after a collapse, is fully visible.
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
        score_name = "Dice" if score == "dice" else score
        scores = [row[f"validation_{score}"] for row in history]
        lowest.plot(epochs, scores, "#009e73", **style)
        lowest.set_ylim(0, 1)
        lowest.set_ylabel(f"validation {score_name}")
        at_best = scores[epochs.index(best_epoch)]
        lowest.plot(best_epoch, at_best, "o", mfc="white", mec="#009e73", clip_on=False, zorder=4)
        kept = f"{kept}, {score_name} {at_best:.3f}"
    lowest.set_xlabel("epoch")
    lowest.set_title(kept, loc="left" if panels is None else "right", fontsize=8)
    margin = max(0.5, 0.02 * len(epochs))
    lowest.set_xlim(epochs[0] - 0.5, epochs[-1] + margin)
    lowest.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (above, lowest):
        bare(axes)
        axes.axvline(best_epoch, color=FAINT, linewidth=0.8, linestyle=":")
    figure.suptitle(one_line(title), fontsize=10)
    return png(figure)


@matplotlib.style.context("default")
def areas(
    seconds: Float[np.ndarray, "n 2"],
    shares: Float[np.ndarray, "n k"],
    names: Sequence[str],
    title: str,
) -> bytes:
    """Draw the share of the frame that each foreground class covers over time, one lane each.

    Args:
        seconds: start and end of each interval, increasing.
        shares: share of pixels per interval and class, in ``[0, 1]``.
        names: names of all classes, background first. The twelve largest classes get a lane.
        title: the figure's title.

    Returns:
        The figure as PNG.
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
        axes.set_title(one_line(names[k].replace("_", " "), 60), loc="left", fontsize=8, pad=2)
    for axes in grid:
        bare(axes)
        axes.set_ylim(0, 1.05 * top)
        axes.set_xlim(seconds[0, 0], seconds[-1, 1])
        axes.yaxis.set_major_locator(MaxNLocator(2))
    if not lanes:
        grid[0].set_title("background only", loc="left", fontsize=8)
    figure.supylabel("share of the frame, %", fontsize=8)
    grid[-1].set_xlabel("seconds", fontsize=8)
    left = f"; {len(seen) - 12} smaller classes are left out" if len(seen) > 12 else ""
    figure.suptitle(one_line(title) + left, fontsize=10)
    return png(figure)


@matplotlib.style.context("default")
def confusion(matrix: Int64[np.ndarray, "k k"], names: Sequence[str], title: str) -> bytes:
    """Draw a confusion matrix: the share of each true class predicted as each class.

    Args:
        matrix: pictures by true class (row) and predicted class (column).
        names: class names.
        title: the figure's title.

    Returns:
        The figure as PNG.
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
                ink = "white" if share[t, p] > 0.5 else INK
                axes.text(p, t, shown, ha="center", va="center", fontsize=7, color=ink)
    labels = [one_line(name, 24) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90)
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(labelsize=8 if len(names) <= 20 else 5, length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.set_title(one_line(title), loc="left", fontsize=9)
    return png(figure)
