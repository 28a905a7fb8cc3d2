"""Sheets of pictures as PNG: predictions next to the truth, and restored pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.style
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from headstart.plots.canvas import frameless, one_line, png
from headstart.plots.overlay import colour, overlay

Restoration = tuple[
    str,
    Float[np.ndarray, "h w 3"],
    Float[np.ndarray, "h w 3"],
    Float[np.ndarray, "h w 3"],
]


@matplotlib.style.context("default")
def restorations(rows: Sequence[Restoration], title: str) -> bytes:
    """Draw rows of a pretext's input, its output and the original picture.

    Args:
        rows: each with the picture's name, and the three pictures in ``[0, 1]``; at least one.
        title: the sheet's title.

    Returns:
        The sheet as PNG.
    """
    height, width = rows[0][1].shape[:2]
    row = 6.6 / 3 * min(height / width, 2.0) + 0.12  # inches
    figure = Figure(figsize=(7.2, row * len(rows) + 0.7), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes, (name, *pictures) in zip(grid, rows, strict=True):
        for ax, picture in zip(axes, pictures, strict=True):
            ax.imshow(picture, interpolation="auto")
            frameless(ax)
        axes[0].set_ylabel(one_line(name, int(14 * row)), fontsize=8)
    for ax, heading in zip(grid[0], ("input", "output", "original"), strict=True):
        ax.set_title(heading, fontsize=9)
    figure.suptitle(one_line(title), fontsize=10)
    return png(figure)


@dataclass(frozen=True)
class Example:
    """One row of a sheet: caption, picture, and class maps."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"]
    truth: UInt8[np.ndarray, "h w"]
    prediction: UInt8[np.ndarray, "h w"]


@matplotlib.style.context("default")
def predictions(examples: Sequence[Example], names: Sequence[str], title: str) -> bytes:
    """Draw rows of picture, truth and prediction, with a legend of the visible classes.

    Args:
        examples: the rows; at least one.
        names: names of all classes, background first.
        title: the sheet's title.

    Returns:
        The sheet as PNG.
    """
    maps = [m for example in examples for m in (example.truth, example.prediction)]
    labels = {
        int(k): one_line(names[k].replace("_", " "), 50)
        for k in np.unique(np.concatenate([np.unique(m) for m in maps]))
        if k
    }
    columns = max(1, min(4, int(7.2 / (0.6 + 0.07 * max(map(len, labels.values()), default=0)))))
    tallest = max(example.image.shape[0] / example.image.shape[1] for example in examples)
    row = 6.6 / 3 * min(tallest, 2.0) + 0.12  # inches
    margins = 0.7 + 0.2 * -(-len(labels) // columns)
    figure = Figure(figsize=(7.2, row * len(examples) + margins), layout="constrained")
    grid = figure.subplots(len(examples), 3, squeeze=False)
    for axes, example in zip(grid, examples, strict=True):
        pictures = (
            example.image,
            overlay(example.image, example.truth),
            overlay(example.image, example.prediction),
        )
        for ax, picture in zip(axes, pictures, strict=True):
            ax.imshow(picture, interpolation="auto")
            frameless(ax)
        axes[0].set_ylabel(one_line(example.caption, int(14 * row)), fontsize=8)
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
    figure.suptitle(one_line(title), fontsize=10)
    return png(figure)


def choose_examples(dice_per_frame: Float[np.ndarray, "n"], each: int = 2) -> list[tuple[str, int]]:
    """Choose the best, typical (around the median) and worst frames for a sheet.

    Args:
        dice_per_frame: NaN for frames without foreground in truth and prediction; they are
            chosen only if there are no others.
        each: number of frames of each kind.

    Returns:
        Pairs of a label (``"best"``, ``"typical"``, ``"worst"``; ``"frame"`` if too few to
        rank, ``"no foreground"``) and the index of the frame, each frame at most once.
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
