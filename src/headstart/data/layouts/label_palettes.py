"""Masks with palettes: whether an index means the same colour in every file.

GIMP, Photoshop and others sort a palette by use or by brightness when they save a picture, so that
an index says nothing, while the colour does. Other tools write one palette for all masks, as Pascal
VOC does; the index is then the label.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.files import shown
from headstart.data.label_map import Colour, LabelMap
from headstart.data.layouts.classes_to_paste import hex_of, hex_of_colour, named, to_paste
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.palettes import colours_in_use, read_palette
from headstart.data.pictures.reading import read_colours
from headstart.errors import DataError

_SAMPLED = 200  # masks whose colours are counted for a hint


@dataclass(frozen=True)
class Palettes:
    """What the palettes of a dataset's masks say.

    Attributes:
        files: masks that have a palette, if any palette has colours; else empty.
        disagreement: where one index has two colours, or one colour two indices, in words; empty if
            the palettes agree.
        black_first: whether index 0 is black in all of them.
    """

    files: tuple[Path, ...] = ()
    disagreement: str = ""
    black_first: bool = True


def look_at_palettes(masks: Sequence[Path], root: Path) -> Palettes:
    """Read the palettes of all masks; decode pixels only where palettes differ."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read = zip(masks, pool.map(lambda path: read_palette(path, root), masks), strict=True)
        palettes = {path: palette for path, palette in read if palette}
        if not any(len(set(colour)) > 1 for palette in palettes.values() for colour in palette):
            return Palettes()
        files = tuple(palettes)
        black_first = all(palette[0] == (0, 0, 0) for palette in palettes.values())
        longest = max(palettes.values(), key=len)
        if all(palette == longest[: len(palette)] for palette in palettes.values()):
            return Palettes(files, "", black_first)
        # They differ, but perhaps only at indices that no pixel has.
        used = dict(
            zip(files, pool.map(lambda path: colours_in_use(path, root), files), strict=True)
        )
    return Palettes(files, _disagreement(used, root), black_first)


def check_palettes(
    search: FrameSearch, label_map: LabelMap, masks: Sequence[Path], file: str | None
) -> None:
    """Add an error if the classes are levels, and the masks' palettes disagree.

    Args:
        search: gets the finding.
        label_map: the classes.
        masks: mask files.
        file: what the user corrects to name classes by colour; None if the export of a tool names
            them by level only.
    """
    if label_map.colours:
        return
    palettes = look_at_palettes(masks, search.root)
    if not palettes.disagreement:
        return
    message = (
        f"the palettes of the masks disagree: {palettes.disagreement}. A program has sorted them, "
        "so the index of a pixel is no label"
    )
    hint = "save the masks without a palette, as the grey levels that the export names"
    if file is not None:
        colours = [hex_of(code) for code in colours_by_use(palettes.files, search.root)]
        hint = (
            "name the colours in place of levels. The files do not say which colour is which "
            "class: put your names into this list, which has the most frequent colour first: "
            f"{to_paste(named(colours), file)}"
        )
    search.add_finding("palettes-disagree", "error", message, hint, palettes.files[:3])


def colours_by_use(masks: Sequence[Path], root: Path) -> list[int]:
    """Return the colours in masks as numbers, the most frequent first."""
    totals: dict[int, int] = {}
    for path in masks[:: max(1, len(masks) // _SAMPLED)]:
        try:
            codes, counts = np.unique(read_colours(path, root), return_counts=True)
        except DataError:
            continue
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            totals[code] = totals.get(code, 0) + count
    return sorted(totals, key=lambda code: -totals[code])


def _disagreement(palettes: Mapping[Path, Mapping[int, Colour]], root: Path) -> str:
    """Say which index has two colours; else which colour has two indices; empty if none has.

    A colour that has several indices in one file has them in its palette: it says nothing.
    """
    colour_of: dict[int, tuple[Colour, Path]] = {}
    index_of: dict[Colour, tuple[int, Path]] = {}
    two_indices = ""
    repeated = {
        colour
        for palette in palettes.values()
        for colour, count in Counter(palette.values()).items()
        if count > 1
    }
    for path, palette in palettes.items():
        for index, colour in palette.items():
            other, there = colour_of.setdefault(index, (colour, path))
            if other != colour:
                return (
                    f"index {index} is {hex_of_colour(other)} in {shown(there, root)} and "
                    f"{hex_of_colour(colour)} in {shown(path, root)}"
                )
            before, there = index_of.setdefault(colour, (index, path))
            if before != index and not two_indices and colour not in repeated:
                two_indices = (
                    f"{hex_of_colour(colour)} has the index {before} in {shown(there, root)} and "
                    f"{index} in {shown(path, root)}"
                )
    return two_indices
