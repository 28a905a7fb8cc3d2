"""Sheets of pictures as PNG: predictions next to the truth, and restored pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import matplotlib.style
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from headstart.plots.canvas import one_line, png
from headstart.plots.overlay import IGNORED, colour, label, overlay

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
    figure = _sheet([(name, pictures) for name, *pictures in rows], ("input", "output", "original"))
    figure.suptitle(one_line(title), fontsize=10)
    return png(figure)


def _sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], headings: Sequence[str], below: float = 0.0
) -> Figure:
    """Return a figure of captioned rows of pictures, three columns wide.

    All pictures lie in one ``Axes``: an ``Axes`` each takes three times as long to draw.

    Args:
        rows: caption and pictures of each row; pictures are scaled to fit their cell.
        headings: a heading for each column.
        below: height in inches kept free below the rows, for a legend.
    """
    tallest = max(picture.shape[0] / picture.shape[1] for _, row in rows for picture in row)
    width, gap = 6.6 / 3, 0.06  # inches
    height = width * min(tallest, 2.0)
    figure = Figure(
        figsize=(7.2, (height + 2 * gap) * len(rows) + 0.7 + below), layout="constrained"
    )
    axes = figure.subplots()
    middles = [r * (height + 2 * gap) for r in range(len(rows))]
    columns = [c * (width + 2 * gap) for c in range(len(headings))]
    for y, (_, row) in zip(middles, rows, strict=True):
        for x, picture in zip(columns, row, strict=True):
            scale = min(width / picture.shape[1], height / picture.shape[0]) / 2
            w, h = picture.shape[1] * scale, picture.shape[0] * scale
            axes.imshow(picture, interpolation="auto", extent=(x - w, x + w, y + h, y - h))
    axes.set_xlim(-width / 2, columns[-1] + width / 2)
    axes.set_ylim(middles[-1] + height / 2, -height / 2)
    axes.xaxis.tick_top()
    axes.set_xticks(columns, headings, fontsize=9)
    captions = [one_line(caption, int(14 * height)) for caption, _ in rows]
    axes.set_yticks(middles, captions, fontsize=8, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


@dataclass(frozen=True)
class Example:
    """One row of a sheet: caption, picture, and class maps; ignored pixels have the index 255."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"]
    truth: UInt8[np.ndarray, "h w"]
    prediction: UInt8[np.ndarray, "h w"]


@matplotlib.style.context("default")
def predictions(examples: Sequence[Example], names: Sequence[str], title: str) -> bytes:
    """Draw rows of picture, truth and prediction, with a legend of the visible classes.

    Pixels that the truth ignores are grey in the prediction, too: nothing is said about them.

    Args:
        examples: the rows; at least one.
        names: names of all classes, background first.
        title: the sheet's title.

    Returns:
        The sheet as PNG.
    """
    examples = [
        replace(e, prediction=np.where(e.truth == IGNORED, np.uint8(IGNORED), e.prediction))
        for e in examples
    ]
    maps = [m for example in examples for m in (example.truth, example.prediction)]
    labels = {
        int(k): one_line(label(int(k), names), 50)
        for k in np.unique(np.concatenate([np.unique(m) for m in maps]))
        if k
    }
    columns = max(1, min(4, int(7.2 / (0.6 + 0.07 * max(map(len, labels.values()), default=0)))))
    rows = [
        (e.caption, (e.image, overlay(e.image, e.truth), overlay(e.image, e.prediction)))
        for e in examples
    ]
    legend_rows = -(-len(labels) // columns)
    figure = _sheet(rows, ("picture", "truth", "prediction"), below=0.2 * legend_rows)
    if labels:
        figure.legend(
            handles=[
                Patch(color="#{:02x}{:02x}{:02x}".format(*colour(k)), label=text)
                for k, text in labels.items()
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
