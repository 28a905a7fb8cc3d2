"""Contact sheets: rows of small pictures with captions, above a legend of classes.

Imports neither torch nor matplotlib, which take seconds to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from headstart.errors import printable
from headstart.plots.overlay import colour, label, overlay

_GAP, _TEXT = 12, 15  # pixels between cells; height of letters
_LINE = round(1.4 * _TEXT)
_INK, _FAINT = "#222222", "#666666"

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Tile:
    """A small picture with lines of text below; the first line is darker than the others."""

    picture: UInt8[np.ndarray, "_ _ 3"]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """Cells side by side, with a heading above them unless it is empty."""

    cells: tuple[Tile, ...]
    heading: str = ""


def in_rows(cells: Sequence[Tile], columns: int, heading: str = "") -> list[Row]:
    """Return cells in rows of ``columns``, with a heading above the first row."""
    rows = [tuple(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return [Row(row, "" if k else heading) for k, row in enumerate(rows)]


def contact_sheet(
    rows: Sequence[Row], classes: Sequence[int], names: Sequence[str], side: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a sheet of rows above a legend.

    Args:
        rows: at least one, with pictures of at most ``side`` by ``side`` pixels.
        classes: indices of the classes in the legend; without any there is no legend.
        names: names of all classes, background first.
        side: width of a cell.
    """
    font = ImageFont.load_default(size=_TEXT)
    width = max(len(row.cells) for row in rows) * (side + _GAP) + _GAP
    below = _legend(classes, names, width - 2 * _GAP, font) if classes else None
    height = sum(map(_height, rows)) + _GAP + (below.height + _GAP if below else 0)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    y = _GAP
    for row in rows:
        top = y
        if row.heading:
            heading = _fitted(printable(row.heading), width - 2 * _GAP, font)
            draw.text((_GAP, top), heading, fill=_INK, font=font)
            top += _LINE + 4
        for k, cell in enumerate(row.cells):
            x = _GAP + k * (side + _GAP)
            sheet.paste(Image.fromarray(cell.picture), (x, top))
            for line, text in enumerate(cell.lines):
                place = (x, top + cell.picture.shape[0] + 4 + line * _LINE)
                words = _fitted(printable(text), side, font)
                draw.text(place, words, fill=_FAINT if line else _INK, font=font)
        y += _height(row)
    if below:
        sheet.paste(below, (_GAP, y))
    return np.asarray(sheet)


def thumbnail(image: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the picture with its longer side ``side`` pixels long, its aspect kept.

    Smaller pictures are enlarged without smoothing, so that their own pixels are seen.
    """
    height, width = _fitting(image.shape, side)
    shrinks = width < image.shape[1]
    filter_ = Image.Resampling.BILINEAR if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((width, height), filter_))


def overlay_thumbnail(
    image: UInt8[np.ndarray, "h w 3"], classes: UInt8[np.ndarray, "h w"], side: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the small picture with its classes over it, outlined at its own small size.

    A class that is too small to survive the scaling is drawn as a dot at its place.
    """
    (height, width), (tall, wide) = _fitting(image.shape, side), classes.shape
    rows = (np.arange(height) * 2 + 1) * tall // (2 * height)
    columns = (np.arange(width) * 2 + 1) * wide // (2 * width)
    small = classes[rows[:, None], columns]
    for k in np.setdiff1d(np.unique(classes), np.unique(small)):
        if k:
            y, x = np.nonzero(classes == k)
            small[y * height // tall, x * width // wide] = k
    return overlay(thumbnail(image, side), small)


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    factor = side / max(shape[:2])
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _height(row: Row) -> int:
    cells = max(len(cell.picture) + 4 + len(cell.lines) * _LINE for cell in row.cells)
    return cells + _GAP + (_LINE + 4 if row.heading else 0)


def _fitted(text: str, width: int, font: _Font) -> str:
    """Return the text, shortened if it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _legend(classes: Sequence[int], names: Sequence[str], width: int, font: _Font) -> Image.Image:
    """Return classes with their colours, in as many lines as needed."""
    line = round(1.6 * _TEXT)
    places, x, y = [], 0, 0
    for k in classes:
        text = _fitted(printable(label(k, names)), width - 3 * _TEXT, font)
        wide = round(font.getlength(text)) + 3 * _TEXT
        if x and x + wide > width:
            x, y = 0, y + line
        places.append((x, y, k, text))
        x += wide
    legend = Image.new("RGB", (width, y + line), "white")
    draw = ImageDraw.Draw(legend)
    for x, y, k, text in places:
        draw.rectangle((x, y + 2, x + _TEXT, y + _TEXT + 2), fill=colour(k))
        draw.text((x + 1.5 * _TEXT, y), text, fill=_INK, font=font)
    return legend
