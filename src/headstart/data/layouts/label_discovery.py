"""Find the classes of a dataset: in ``mapping.json``, else in its mask files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.files import merged
from headstart.data.label_map import LabelMap, map_of_levels, read_label_map
from headstart.data.layouts.label_files import label_map_beside
from headstart.data.layouts.label_scale import check_scale
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.in_flight import in_order, pixels_in
from headstart.data.pictures.mask_levels import pixels_by_level
from headstart.data.pictures.reading import read_colours, read_mask
from headstart.errors import DataError, Finding

_SAMPLED = 2000  # masks
_MOST_LEVELS = 32
_MOST_COLOURS = 32
_RING = 2  # pixels: a level that is nowhere thicker lies along borders
_IN_A_RING = 0.98  # share of a level's pixels


def find_label_map(
    search: FrameSearch, masks: Sequence[Path], ignore: Sequence[int] = ()
) -> LabelMap | None:
    """Return the label map of a dataset.

    It is in ``mapping.json``, whose levels are compared with those of a few masks, or in another
    file that the dataset brings ([`headstart.data.layouts.label_files`][]). Without one the levels
    in the masks become classes, which the findings say, with the file to write.

    Args:
        search: gets findings, and a sentence of the reading.
        masks: mask files.
        ignore: levels of pixels that count nowhere, if there is no ``mapping.json``.

    Returns:
        The label map; None with an error among the findings.
    """
    path = search.root / "mapping.json"
    if os.path.lexists(path):
        label_map, findings = read_label_map(path)
        search.findings += findings
        listed = ", ".join(label_map.names)
        search.reading.append(f"Classes: {listed} (from mapping.json)")
        check_scale(search, label_map, masks)
        return label_map
    if (beside := label_map_beside(search.root)) is not None:
        label_map, sentence = beside
        search.reading.append(sentence)
        return label_map
    levels = _levels(search, masks, ignore)
    if levels is None:
        return None
    names = ["background", *(f"class_{k}" for k in range(1, len(levels)))]
    label_map = map_of_levels(dict(zip(names, levels, strict=True)), ignore)
    named = ", ".join(f"{level} {name}" for name, level in zip(names, levels, strict=True))
    search.reading.append(f"Classes: {named} (the levels in the masks; there is no mapping.json)")
    message = f"there is no mapping.json; the levels in the masks are the classes: {named}"
    hint = f"to name them, write mapping.json: {json.dumps(dict(zip(names, levels, strict=True)))}"
    search.add_finding("no-label-map", "info", message, hint)
    return label_map


@dataclass(frozen=True)
class _Seen:
    """What one mask holds.

    Attributes:
        pixels: number of pixels by level; None for a mask of colours.
        colours: the most frequent colours with their numbers of pixels.
        rings: levels that lie only along borders.
        faults: why the mask cannot be read.
    """

    pixels: Int64[np.ndarray, "256"] | None = None
    colours: tuple[tuple[int, int], ...] = ()
    rings: frozenset[int] = frozenset()
    faults: tuple[Finding, ...] = ()


def _levels(search: FrameSearch, masks: Sequence[Path], ignore: Sequence[int]) -> list[int] | None:
    """Return the levels in the masks, the lowest first; report masks that hold no classes."""
    sampled = masks[:: max(1, len(masks) // _SAMPLED)][:_SAMPLED]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        looks = in_order(
            pool,
            lambda path: _look(path, search.root),
            sampled,
            lambda path: pixels_in(path, search.root),
        )
        seen = list(looks)
    if faults := [finding for each in seen for finding in each.faults]:
        search.findings += merged(faults)
        return None
    if any(each.colours for each in seen):
        _report_colours(search, sampled, seen)
        return None
    pixels = [each.pixels for each in seen if each.pixels is not None]
    if not pixels:
        return None
    present = np.flatnonzero(np.sum(pixels, axis=0)).tolist()
    levels = [level for level in present if level not in ignore]
    if not 2 <= len(levels) <= _MOST_LEVELS:
        _report_levels(search, sampled, levels)
        return None
    _propose_ignore(search, levels, seen)
    return levels


def _look(path: Path, root: Path) -> _Seen:
    try:
        mask = read_mask(path, root)
    except DataError as error:
        if any(finding.code != "coloured-mask" for finding in error.findings):
            return _Seen(faults=error.findings)
        try:
            codes, counts = np.unique(read_colours(path, root), return_counts=True)
        except DataError as other:
            return _Seen(faults=other.findings)
        order = np.argsort(-counts)[: _MOST_COLOURS + 1]
        return _Seen(colours=tuple((int(codes[k]), int(counts[k])) for k in order))
    pixels = pixels_by_level(mask)
    return _Seen(pixels, rings=frozenset(_rings(mask, pixels)))


def _rings(mask: UInt8[np.ndarray, "h w"], pixels: Int64[np.ndarray, "256"]) -> list[int]:
    """Return levels that are nowhere thicker than a few pixels, if the mask has three or more."""
    levels = np.flatnonzero(pixels)
    if not 3 <= len(levels) <= _MOST_LEVELS:
        return []
    rings = []
    for level in levels[1:].tolist():
        inside = mask == level
        for _ in range(_RING):
            eroded = inside.copy()
            eroded[1:] &= inside[:-1]
            eroded[:-1] &= inside[1:]
            eroded[:, 1:] &= inside[:, :-1]
            eroded[:, :-1] &= inside[:, 1:]
            inside = eroded
        if inside.sum() <= (1 - _IN_A_RING) * pixels[level]:
            rings.append(int(level))
    return rings


def _propose_ignore(search: FrameSearch, levels: list[int], seen: Sequence[_Seen]) -> None:
    """Say which level may be void: it lies along borders in every mask that has it."""
    for level in levels[1:]:
        with_level = [each for each in seen if each.pixels is not None and each.pixels[level]]
        if with_level and all(level in each.rings for each in with_level):
            message = f"the level {level} lies only along the borders of other levels"
            hint = (
                f'if it is no class, add "ignore": {level} to mapping.json: it then counts nowhere'
            )
            search.add_finding("border-level", "warning", message, hint)


def _report_levels(search: FrameSearch, masks: Sequence[Path], levels: list[int]) -> None:
    if len(levels) < 2:
        message = f"the masks have only the level {levels[0]}, so there is nothing to learn"
        hint = "check that these are the masks, and that they show the classes"
        search.add_finding("one-level", "error", message, hint, masks[:1])
        return
    shown_levels = ", ".join(map(str, levels[:8]))
    message = (
        f"the masks have {len(levels)} grey levels ({shown_levels}, ...), expected at most "
        f"{_MOST_LEVELS} classes without a mapping.json"
    )
    hint = (
        "if levels in between come from soft edges, export the masks again without smoothing; "
        "otherwise write mapping.json, which names the class of each level"
    )
    search.add_finding("many-levels", "error", message, hint, masks[:3])


def _report_colours(search: FrameSearch, masks: Sequence[Path], seen: Sequence[_Seen]) -> None:
    """Report masks of colours, the most frequent colour first, with the mapping to complete."""
    totals: dict[int, int] = {}
    for each in seen:
        for code, count in each.colours:
            totals[code] = totals.get(code, 0) + count
    ordered = sorted(totals, key=lambda code: -totals[code])
    coloured = [path for path, each in zip(masks, seen, strict=True) if each.colours]
    if len(ordered) > _MOST_COLOURS:
        message = f"the masks have more than {_MOST_COLOURS} colours, so colours are not classes"
        hint = "export the masks again, without smoothing and as PNG"
        search.add_finding("many-colours", "error", message, hint, coloured[:3])
        return
    pixels = sum(totals.values())
    listed = ", ".join(f"#{code:06x} ({totals[code] / pixels:.1%})" for code in ordered)
    names = ["background", *(f"class_{k}" for k in range(1, len(ordered)))]
    mapping = {name: f"#{code:06x}" for name, code in zip(names, ordered, strict=True)}
    message = f"the masks are coloured, and no mapping.json names the colours: {listed}"
    hint = f"write mapping.json with your class names: {json.dumps(mapping)}"
    search.add_finding("no-label-map", "error", message, hint, coloured[:3])
