"""Classes whose levels fit the masks only after a factor or a shift.

Tools write the same classes as 0 and 1 or as 0 and 255, from 0 or from 1, next to each other or far
apart to be seen. The corrected mapping is found from the levels in some masks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from headstart.data.label_map import LabelMap
from headstart.data.layouts.classes_to_paste import MAPPING, to_paste
from headstart.data.layouts.pairing import FrameSearch
from headstart.data.pictures.reading import read_mask
from headstart.errors import DataError

_FIRST = 3  # masks that are decoded always
_SAMPLED = 200  # masks that are decoded where the first ones have unknown levels

_Correction = tuple[str, dict[int, int]]  # in words, and the new level of each level


def check_scale(
    search: FrameSearch, label_map: LabelMap, masks: Sequence[Path], file: str = MAPPING
) -> None:
    """Add an error if the masks have the levels of the label map times a factor or shifted.

    Masks that cannot be decoded say nothing here; they are reported where all are decoded.

    Args:
        search: gets the finding.
        label_map: the classes.
        masks: mask files.
        file: where the classes are from: ``mapping.json`` or ``dataset.toml``.
    """
    if label_map.colours:
        return
    known = {*label_map.greys, *label_map.ignore}
    background = label_map.greys[0]
    if not _levels(masks[:_FIRST], search.root, background) - known:
        return
    sampled = masks[:: max(1, -(-len(masks) // _SAMPLED))]
    levels = _levels(sampled, search.root, background) - set(label_map.ignore)
    if (correction := corrected(label_map.greys, levels, label_map.ignore)) is None:
        return
    words, new = correction
    named = zip(label_map.names, label_map.greys, strict=True)
    mapping: dict[str, object] = {name: new[grey] for name, grey in named}
    if label_map.ignore and file == MAPPING:
        one, *others = label_map.ignore
        mapping["ignore"] = [one, *others] if others else one
    message = (
        f"the masks have the grey levels {_listed(levels)}, {file} has "
        f"{_listed(label_map.greys)}: they fit {words}"
    )
    where = [search.root / MAPPING] if file == MAPPING else []
    search.add_finding(
        "label-map-scale", "error", message, to_paste(mapping, file), [*where, *sampled[:1]]
    )


def _levels(masks: Iterable[Path], root: Path, background: int) -> set[int]:
    levels: set[int] = set()
    for path in masks:
        try:
            mask = read_mask(path, root, background)
        except DataError:
            continue
        levels.update(np.unique(mask).tolist())
    return levels


def corrected(
    greys: Sequence[int], levels: Iterable[int], ignore: Sequence[int] = ()
) -> _Correction | None:
    """Return how levels of a mapping become those in masks; None if no factor or shift does it.

    A correction that leaves no class without pixels is preferred. Otherwise the first of these
    decides: the step between levels, a shift by one, other shifts, a rounded factor. Three levels
    must confirm a rounded factor, because any two levels fit one.

    Args:
        greys: the levels of the mapping.
        levels: the levels in the masks, without ignored ones; at least two.
        ignore: levels of pixels that are ignored, which stay as they are.

    >>> corrected((0, 1), (0, 255))
    ('after a factor of 255', {0: 0, 1: 255})
    >>> corrected((0, 1, 2), (1, 2, 3))[0]
    'after adding 1'
    """
    present = set(levels)
    if not 2 <= len(present) <= len(greys):
        return None
    fitting = [
        (words, dict(zip(greys, after, strict=True)))
        for words, after in _candidates(greys, present)
        if _fits(after, present, ignore)
    ]
    complete = [each for each in fitting if set(each[1].values()) == present]
    return next(iter(complete or fitting), None)


def _fits(after: Sequence[int], present: set[int], ignore: Sequence[int]) -> bool:
    levels = set(after)
    return (
        present <= levels <= set(range(256))
        and len(levels) == len(after)
        and not levels & set(ignore)
    )


def _candidates(greys: Sequence[int], present: set[int]) -> Iterator[tuple[str, list[int]]]:
    """Yield the possible corrections in words, and the levels after them; the most likely first."""
    step = Fraction(math.gcd(*present), math.gcd(*greys))
    if all((grey * step).denominator == 1 for grey in greys):
        yield f"after a factor of {step}", [int(grey * step) for grey in greys]
    for shift in (1, -1, min(present) - min(greys), max(present) - max(greys)):
        words = f"after adding {shift}" if shift > 0 else f"after subtracting {-shift}"
        yield words, [grey + shift for grey in greys]
    if len(present) > 2:
        for factor in (Fraction(max(present), max(greys)), Fraction(255, max(greys))):
            words = f"after a factor of {float(factor):.4g}, rounded"
            yield words, [math.floor(grey * factor + Fraction(1, 2)) for grey in greys]
            yield f"{words} down", [math.floor(grey * factor) for grey in greys]


def _listed(levels: Iterable[int], limit: int = 12) -> str:
    ordered = sorted(levels)
    return ", ".join(map(str, ordered[:limit])) + (", ..." if len(ordered) > limit else "")
