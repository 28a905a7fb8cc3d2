"""How the files of a folder belong together: which differ only in one folder, or in one affix.

A *kind* is what tells the files of one picture apart: ``images`` and ``masks`` in
``train/images/7.png`` and ``train/masks/7.png``; nothing and ``_mask`` in ``7.png`` and
``7_mask.png``. The rest of the path, without what all names of a kind share, says which files
belong together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from headstart.data.layouts.arranged_files import (
    CLEAR,
    Arrangement,
    FolderFiles,
    Part,
    matched_pictures,
)
from headstart.data.layouts.name_patterns import constant_affixes, without_affixes
from headstart.data.layouts.side_by_side import by_affix

_MOST_KINDS = 8  # of which one may be masks of objects
_OBJECT = re.compile(r"[_\- ]+\(?\d+\)?$")  # the number of an object, at the end of a mask's name


def arrangements(places: list[FolderFiles]) -> Iterable[Arrangement]:
    """Yield the arrangements that pair files, the one that pairs most first.

    Arrangements by affix are tried only if those by folder leave files over: it takes longer.
    """
    files = sum(len(place.files) for place in places)
    candidates = _by_folder(places)
    by_folder = []
    for candidate in candidates:
        by_folder.append(candidate)
        if len(candidate.kinds) == 2 and 2 * candidate.matched == files:
            yield candidate  # no other can pair more; the others are seldom asked for
            break
    by_folder += candidates
    clear = any(2 * a.matched >= CLEAR * files for a in by_folder)
    if clear:
        yield from _ordered(by_folder)
    side_by_side = list(by_affix(places))
    yield from _ordered(side_by_side if clear else [*by_folder, *side_by_side])


def _ordered(candidates: list[Arrangement]) -> list[Arrangement]:
    pairing = [candidate for candidate in candidates if candidate.matched]
    return sorted(pairing, key=lambda a: (-a.matched, not a.by_folder, len(a.kinds)))


def _by_folder(places: list[FolderFiles]) -> Iterator[Arrangement]:
    """Yield an arrangement for each folder of a path that may be the kind."""
    deepest = max((len(place.folders) for place in places), default=0)
    tried = []
    for position in (*range(deepest), *range(-deepest, 0)):
        grouped: dict[str, dict[Part, list[FolderFiles]]] = defaultdict(lambda: defaultdict(list))
        for place in places:
            folders, index = (
                place.folders,
                position if position >= 0 else len(place.folders) + position,
            )
            if 0 <= index < len(folders):
                kind, rest = folders[index], (*folders[:index], *folders[index + 1 :])
            else:
                kind, rest = "", folders
            grouped[kind][place.split, rest].append(place)
        if len(grouped) > 1 and grouped not in tried:
            tried.append(grouped)
            aligned = _without_lone_levels(grouped)
            one_each = _with_keys(aligned)
            yield one_each
            yield from _with_objects(aligned, one_each)


def _without_lone_levels(
    grouped: Mapping[str, Mapping[Part, list[FolderFiles]]],
) -> dict[str, dict[Part, list[FolderFiles]]]:
    """Take out folders that only one kind has, such as ``png`` in ``masks/png`` beside ``images``.

    They have the same name in all of the kind's paths, and bear no name of a folder of the kinds
    whose paths are the shortest.
    """
    depths = {kind: {len(rest) for _, rest in parts} for kind, parts in grouped.items()}
    shortest = min(map(min, depths.values()))
    usual = {
        name
        for kind, parts in grouped.items()
        if max(depths[kind]) == shortest
        for _, rest in parts
        for name in rest
    }

    def aligned(
        kind: str, parts: Mapping[Part, list[FolderFiles]]
    ) -> dict[Part, list[FolderFiles]]:
        levels = list(zip(*(rest for _, rest in parts), strict=False))
        surplus = max(depths[kind]) - shortest
        lone = [k for k, names in enumerate(levels) if len({*names} - usual) == len({*names}) == 1]
        if len(depths[kind]) > 1 or len(lone) < surplus or not surplus:
            return dict(parts)
        taken_out = lone[-surplus:]
        return {
            (split, tuple(name for k, name in enumerate(rest) if k not in taken_out)): places
            for (split, rest), places in parts.items()
        }

    return {kind: aligned(kind, parts) for kind, parts in grouped.items()}


def _with_keys(grouped: Mapping[str, Mapping[Part, list[FolderFiles]]]) -> Arrangement:
    kinds = {}
    single = _kind_of_single_files(grouped)
    affixes = _affixes(grouped) if single is None else {}
    for kind, parts in grouped.items():
        if single is not None:
            kinds[kind] = {part: {"": _files(found)} for part, found in parts.items()}
            continue
        kinds[kind] = {
            part: _by_key(found, affixes[kind, part[0]]) for part, found in parts.items()
        }
    return Arrangement(kinds, True, matched_pictures(kinds), affixes)


def _affixes(
    grouped: Mapping[str, Mapping[Part, list[FolderFiles]]],
) -> dict[tuple[str, str | None], tuple[str, str]]:
    """Return the prefix and suffix of the names of each kind, by kind and split.

    Names of two kinds that are the same as they are stay so: where ``1_flip.png`` has a mask of the
    same name and ``1.png`` has none, nothing is cut. A single file shows no affix; it has that of
    the other splits.
    """
    stems: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for kind, parts in grouped.items():
        for (split, _), places in parts.items():
            stems[kind, split].update(stem for place in places for stem in place.stems)
    every = {
        kind: [stem for (of, _), found in stems.items() if of == kind for stem in found]
        for kind in grouped
    }
    affixes = {
        (kind, split): constant_affixes(found if len(found) > 1 else every[kind])
        for (kind, split), found in stems.items()
    }
    for (one, split), (other, of) in combinations(stems, 2):
        of_one, of_other = stems[one, split], stems[other, of]
        as_they_are = len(of_one & of_other) >= CLEAR * min(len(of_one), len(of_other))
        if split == of and as_they_are and affixes[one, split] != affixes[other, split]:
            affixes[one, split] = affixes[other, split] = ("", "")
    return affixes


def _with_objects(
    grouped: Mapping[str, Mapping[Part, list[FolderFiles]]], one_each: Arrangement
) -> Iterator[Arrangement]:
    """Yield arrangements that match more pictures because a kind has numbered files of each.

    These are masks of one object each, such as ``7_mask_1`` and ``7_mask_2`` of the picture ``7``.
    """
    if not one_each.affixes or len(grouped) > _MOST_KINDS:  # a folder for each picture; patients
        return
    for kind, parts in grouped.items():
        reduced: dict[Part, list[FolderFiles]] = {
            part: [
                replace(place, stems=tuple(_OBJECT.sub("", stem) for stem in place.stems))
                for place in places
            ]
            for part, places in parts.items()
        }
        numbered = _with_keys({**grouped, kind: reduced})
        if numbered.matched > one_each.matched:
            yield replace(numbered, numbered=kind)


def _files(places: list[FolderFiles]) -> tuple[Path, ...]:
    return tuple(path for place in places for path in place.files)


def _kind_of_single_files(grouped: Mapping[str, Mapping[Part, list[FolderFiles]]]) -> str | None:
    """Return the kind of which each folder holds one file, while another kind has several.

    Such a dataset has one folder for each picture, and in it one file for each object.
    """
    for kind, parts in grouped.items():
        others = [other for other in grouped if other != kind]
        if (
            len(parts) > 1
            and all(len(_files(found)) == 1 for found in parts.values())
            and any(
                len(_files(found)) > 1
                for other in others
                for part, found in grouped[other].items()
                if part in parts
            )
        ):
            return kind
    return None


def _by_key(places: list[FolderFiles], affixes: tuple[str, str]) -> dict[str, tuple[Path, ...]]:
    by_key: dict[str, tuple[Path, ...]] = {}
    for place in places:
        for path, stem in zip(place.files, place.stems, strict=True):
            name = without_affixes(stem, affixes)
            by_key[name] = (*by_key[name], path) if name in by_key else (path,)
    return by_key
