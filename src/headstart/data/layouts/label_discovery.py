"""Find the classes of a dataset: in ``mapping.json``, else in its mask files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from headstart.data.files import merged, shown
from headstart.data.label_map import LabelMap, label_map_of, map_of_levels, read_label_map
from headstart.data.layouts.classes_to_paste import (
    MAPPING,
    class_names,
    hex_of,
    named,
    to_paste,
)
from headstart.data.layouts.label_files import (
    classes_below,
    classes_sentence,
    disagreement,
    label_map_beside,
    together,
)
from headstart.data.layouts.label_palettes import Palettes, check_palettes, look_at_palettes
from headstart.data.layouts.label_scale import check_scale
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.in_flight import in_order, pixels_in
from headstart.data.pictures.mask_colours import flat_colours, lies_along_borders, plain_colours
from headstart.data.pictures.mask_levels import pixels_by_level
from headstart.data.pictures.reading import TRANSPARENT, read_colours, read_painted
from headstart.data.pictures.transparency import transparent_mask
from headstart.errors import DataError, Finding, Severity

_SAMPLED = 2000  # masks
_MOST_LEVELS = 32
_MOST_COLOURS = 32


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
        ignore: levels of pixels that are ignored, if there is no ``mapping.json``.

    Returns:
        The label map; None with an error among the findings.
    """
    path = search.root / MAPPING
    below = classes_below(search.root, masks, skip_broken=os.path.lexists(path))
    if (differing := disagreement(below)) is not None:
        message = f"{' and '.join(differing)} give their classes other levels or colours"
        hint = "export them together from the tool, so that a colour means one class everywhere"
        files = [search.root / name for name in below]
        search.add_finding("label-files-disagree", "error", message, hint, files)
        return None
    if os.path.lexists(path):
        label_map, findings = read_label_map(path)
        search.findings += findings
        listed = ", ".join(label_map.names)
        search.reading.append(f"Classes: {listed} (from mapping.json)")
        check_scale(search, label_map, masks)
        check_palettes(search, label_map, masks, MAPPING)
        return label_map
    if (beside := label_map_beside(search.root)) is not None:
        label_map, sentence = beside
        search.reading.append(sentence)
        check_palettes(search, label_map, masks, MAPPING)
        return label_map
    if below:
        source = ", ".join([*below][:4]) + (f" and {len(below) - 4} more" if len(below) > 4 else "")
        label_map = label_map_of(together(below), source)
        search.reading.append(classes_sentence(label_map, source))
        check_palettes(search, label_map, masks, MAPPING)
        return label_map
    levels = _levels(search, masks, ignore)
    if levels is None:
        return None
    classes = dict(zip(class_names(len(levels)), levels, strict=True))
    label_map = map_of_levels(classes, ignore)
    listed = ", ".join(f"{level} {name}" for name, level in classes.items())
    search.reading.append(f"Classes: {listed} (the levels in the masks; there is no mapping.json)")
    message = f"there is no mapping.json; the levels in the masks are the classes: {listed}"
    mapping = {**classes, **({"ignore": [*ignore]} if ignore else {})}
    severity: Severity = "info"
    if levels[0] != 0:  # as in trimaps, whose lowest level is an object
        severity = "warning"
        message += f". No mask has the level 0, so the lowest, {levels[0]}, is the background"
    search.add_finding("no-label-map", severity, message, f"to name them, {to_paste(mapping)}")
    return label_map


@dataclass(frozen=True)
class _Seen:
    """What one mask holds.

    Attributes:
        pixels: number of pixels by level; None for a mask of colours.
        colours: the most frequent colours with their numbers of pixels.
        flat: numbers of pixels by colour in flat areas, away from borders.
        lossy: why the file's colours are only nearly those of the labels; None if it is lossless.
        rings: levels that lie only along borders.
        transparent: whether it has transparent pixels, which are background.
        faults: why the mask cannot be read.
    """

    pixels: Int64[np.ndarray, "256"] | None = None
    colours: tuple[tuple[int, int], ...] = ()
    flat: dict[int, int] = field(default_factory=dict)
    lossy: Finding | None = None
    rings: frozenset[int] = frozenset()
    transparent: bool = False
    faults: tuple[Finding, ...] = ()


def _levels(search: FrameSearch, masks: Sequence[Path], ignore: Sequence[int]) -> list[int] | None:
    """Return the levels in the masks, the lowest first; report masks that hold no classes."""
    sampled = masks[:: max(1, len(masks) // _SAMPLED)][:_SAMPLED]
    palettes = look_at_palettes(masks, search.root)
    sorted_palettes = bool(palettes.disagreement) or not palettes.black_first
    seen = _look_at_all(sampled, search.root, of_colours=sorted_palettes)
    if palettes.files and any(each.colours for each in seen) and not sorted_palettes:
        seen = _look_at_all(sampled, search.root, of_colours=True)  # some masks have no palette
    if faults := [finding for each in seen for finding in each.faults]:
        search.findings += merged(faults)
        return None
    if any(each.colours for each in seen):
        _report_colours(search, sampled, seen, palettes)
        return None
    pixels = [each.pixels for each in seen if each.pixels is not None]
    if not pixels:
        return None
    present = np.flatnonzero(np.sum(pixels, axis=0)).tolist()
    levels = [level for level in present if level not in ignore]
    if not 2 <= len(levels) <= _MOST_LEVELS:
        _report_levels(search, sampled, levels, [level for level in present if level in ignore])
        return None
    _propose_ignore(search, levels, seen)
    if any(each.transparent for each in seen):
        search.reading.append("Where a mask is transparent, it shows the background")
    return levels


def _look_at_all(masks: Sequence[Path], root: Path, *, of_colours: bool) -> list[_Seen]:
    """Decode masks: as levels where they have any, or all as colours."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        looks = in_order(
            pool,
            lambda path: _look(path, root, of_colours),
            masks,
            lambda path: pixels_in(path, root),
        )
        return list(looks)


def _look(path: Path, root: Path, of_colours: bool) -> _Seen:
    mask = lossy = None
    try:
        mask, unpainted = (None, None) if of_colours else read_painted(path, root)
    except DataError as error:
        (finding,) = error.findings
        if finding.code not in ("coloured-mask", "lossy-mask"):
            return _Seen(faults=error.findings)
        lossy = finding if finding.code == "lossy-mask" else None
    if mask is None:
        try:
            codes = read_colours(path, root, lossy_too=lossy is not None)
        except DataError as error:
            return _Seen(faults=error.findings)
        present, counts = np.unique(codes, return_counts=True)
        order = np.argsort(-counts, kind="stable")[: _MOST_COLOURS + 1]
        colours = tuple((int(present[k]), int(counts[k])) for k in order)
        return _Seen(colours=colours, flat=flat_colours(codes), lossy=lossy)
    if unpainted is not None and not mask[~unpainted].all():
        message = "the mask has transparent pixels and black ones: either could be the background"
        return _Seen(faults=transparent_mask(shown(path, root), message).findings)
    pixels = pixels_by_level(mask)
    return _Seen(pixels, rings=frozenset(_rings(mask, pixels)), transparent=unpainted is not None)


def _rings(mask: UInt8[np.ndarray, "h w"], pixels: Int64[np.ndarray, "256"]) -> list[int]:
    """Return levels that are nowhere thicker than a few pixels, if the mask has three or more."""
    levels = np.flatnonzero(pixels)
    if not 3 <= len(levels) <= _MOST_LEVELS:
        return []
    return [level for level in levels[1:].tolist() if lies_along_borders(mask == level)]


def _propose_ignore(search: FrameSearch, levels: list[int], seen: Sequence[_Seen]) -> None:
    """Say which level may be void: it lies along borders in every mask that has it."""
    for level in levels[1:]:
        with_level = [each for each in seen if each.pixels is not None and each.pixels[level]]
        if with_level and all(level in each.rings for each in with_level):
            message = f"the level {level} lies only along the borders of other levels"
            hint = (
                f'if it is not a class, add "ignore": {level} to mapping.json: it is then ignored'
            )
            search.add_finding("border-level", "warning", message, hint)


def _report_levels(
    search: FrameSearch, masks: Sequence[Path], levels: list[int], ignored: list[int]
) -> None:
    if len(levels) < 2:
        found = f"the level {levels[0]}" if levels else "ignored pixels"
        if ignored:
            found += f" (ignored: {', '.join(map(str, ignored))})"
        message = f"the masks have only {found}, so there is nothing to learn"
        hint = "check that these are the masks, and that they show the classes"
        if ignored:
            hint += "; or ignore other levels"
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


def _report_colours(
    search: FrameSearch, masks: Sequence[Path], seen: Sequence[_Seen], palettes: Palettes
) -> None:
    """Report masks of colours, the most frequent colour first, with the mapping to complete."""
    totals, background = _totals(dict(each.colours) for each in seen)
    ordered = sorted(totals, key=lambda code: (code != background, -totals[code]))
    coloured = [path for path, each in zip(masks, seen, strict=True) if each.colours]
    if len(ordered) > _MOST_COLOURS or any(each.lossy for each in seen):
        _report_mixed_colours(search, coloured, seen)
        return
    if len(ordered) < 2:
        message = (
            f"the masks have only the colour {hex_of(ordered[0])}, so there is nothing to learn"
        )
        hint = "check that these are the masks, and that they show the classes"
        search.add_finding("one-level", "error", message, hint, coloured[:1])
        return
    pixels = sum(totals.values())
    listed = ", ".join(
        f"{'transparent' if code == background else hex_of(code)} ({totals[code] / pixels:.1%})"
        for code in ordered
    )
    why = "no mapping.json names the colours"
    if palettes.disagreement:
        why += ", and the palettes disagree, so that an index is no label "
        why += f"({palettes.disagreement})"
    message = f"the masks are coloured, and {why}. The colours are {listed}"
    first = "the most frequent colour" if background is None else "what is transparent"
    hint = (
        f"with {first} as the background, and your class names, "
        f"{to_paste(named([hex_of(code) for code in ordered]))}"
    )
    search.add_finding("no-label-map", "error", message, hint, coloured[:3])


def _totals(of_masks: Iterable[Mapping[int, int]]) -> tuple[dict[int, int], int | None]:
    """Add up pixels by colour; transparent ones get a colour that no pixel has, also returned."""
    totals: dict[int, int] = {}
    for one in of_masks:
        for code, count in one.items():
            totals[code] = totals.get(code, 0) + count
    if TRANSPARENT not in totals:
        return totals, None
    background = next(code for code in range(1 << 24) if code not in totals)
    totals[background] = totals.pop(TRANSPARENT)
    return totals, background


def _report_mixed_colours(
    search: FrameSearch, masks: Sequence[Path], seen: Sequence[_Seen]
) -> None:
    """Report masks whose edges or whose compression have mixed colours, with the plain colours."""
    totals, _ = _totals(each.flat for each in seen)
    plain = plain_colours(totals, _MOST_COLOURS + 1)
    lossy = [each.lossy for each in seen if each.lossy]
    message = lossy[0].message if lossy else f"the masks have more than {_MOST_COLOURS} colours"
    hint = "export the masks again as PNG, without smoothing"
    if 2 <= len(plain) <= _MOST_COLOURS:
        listed = [hex_of(each) for each in plain]
        message += f"; flat areas have {len(plain)} colours: {', '.join(listed)}"
        hint += (
            "; or read each pixel as the nearest of these colours: with your class names (most "
            f"frequent colour first) {to_paste(named(listed))}, and check again"
        )
    if lossy:
        search.add_finding("lossy-mask", "error", message, hint, masks[:3])
    else:
        search.add_finding("many-colours", "error", message, hint, masks[:3])
