"""How the files of a folder belong together: which differ only in one folder, or in one affix.

A *kind* is what tells the files of one picture apart: ``images`` and ``masks`` in
``train/images/7.png`` and ``train/masks/7.png``; nothing and ``_mask`` in ``7.png`` and
``7_mask.png``. The rest of the path, without what all names of a kind share, says which files
belong together.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

from headstart.data.files import PREDICTIONS_MARK, is_junk, natural_key
from headstart.data.layouts.name_patterns import (
    constant_affixes,
    split_of,
    tails,
    without_affixes,
)
from headstart.data.pictures.reading import SUFFIXES

_DEEPEST = 8  # folders
_CANDIDATES = 12  # affixes that are tried as kinds
_FEWEST_FOLDERS = 3  # that hold one picture each, with its masks
_MOST_IN_A_FOLDER = 8  # files of one picture
_CLEAR = 0.8  # share of the files that are paired

Key = tuple[str, ...]
"""What files of one picture share: the folders that are no kind, then the name without affixes."""

Part = tuple[str | None, Key]
"""The split that a folder's name means, and its other folders."""


@dataclass(frozen=True)
class FolderFiles:
    """A folder with pictures.

    Attributes:
        path: the folder.
        split: the split that its path names; None if none.
        folders: its path below the dataset's folder, without the split.
        files: its pictures, in natural order.
        stems: their names without ending; there may be many, and `Path.stem` takes its time.
    """

    path: Path
    split: str | None
    folders: Key
    files: tuple[Path, ...]
    stems: tuple[str, ...]


@dataclass(frozen=True)
class Arrangement:
    """Files by kind.

    Attributes:
        kinds: files by kind, then by part of the dataset, then by what files of one picture share.
        by_folder: whether a kind is a folder; otherwise it is an affix of the names.
        matched: number of pictures that have files of two kinds or more.
        affixes: prefix and suffix that the names of a kind share, by kind and split.
    """

    kinds: Mapping[str, Mapping[Part, Mapping[str, tuple[Path, ...]]]]
    by_folder: bool
    matched: int
    affixes: Mapping[tuple[str, str | None], tuple[str, str]]

    def files(self, kind: str) -> list[Path]:
        """Return all files of a kind, in order."""
        return [
            path for part in self.kinds[kind].values() for paths in part.values() for path in paths
        ]


def find_places(root: Path) -> list[FolderFiles]:
    """Return the folders with pictures in a folder and below it, without predictions."""
    places = []
    siblings: dict[Path, list[str]] = {}
    for parent, folders, names in os.walk(root):
        folders[:] = sorted((f for f in folders if not is_junk(f)), key=natural_key)
        path = Path(parent)
        parts = path.relative_to(root).parts
        if parts and PREDICTIONS_MARK in names:
            folders.clear()  # masks that a network predicted are no labels
            continue
        if len(parts) >= _DEEPEST:
            folders.clear()
        pictures = [
            name
            for name in names
            if name[name.rfind(".") :].lower() in SUFFIXES and not is_junk(name)
        ]
        if pictures:
            split, rest = _without_split(root, parts, siblings)
            pictures.sort(key=natural_key)
            files = tuple(path / name for name in pictures)
            stems = tuple(name[: name.rfind(".")] for name in pictures)
            places.append(FolderFiles(path, split, rest, files, stems))
    return places


def _without_split(
    root: Path, parts: Key, siblings: dict[Path, list[str]]
) -> tuple[str | None, Key]:
    for position, name in enumerate(parts):
        parent = root.joinpath(*parts[:position])
        if parent not in siblings:
            siblings[parent] = [entry.name for entry in os.scandir(parent) if entry.is_dir()]
        if meaning := split_of(name, siblings[parent]):
            split, rest = meaning
            return split, (*parts[:position], *((rest,) if rest else ()), *parts[position + 1 :])
    return None, parts


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
    clear = any(2 * a.matched >= _CLEAR * files for a in by_folder)
    if clear:
        yield from _ordered(by_folder)
    by_affix = list(_by_affix(places))
    yield from _ordered(by_affix if clear else [*by_folder, *by_affix])


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
            yield _with_keys(_without_lone_levels(grouped))


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
    kinds, affixes = {}, {}
    single = _kind_of_single_files(grouped)
    for kind, parts in grouped.items():
        if single is not None:
            kinds[kind] = {part: {"": _files(found)} for part, found in parts.items()}
            continue
        for split in {split for split, _ in parts}:
            found = [place for (of, _), places in parts.items() if of == split for place in places]
            affixes[kind, split] = constant_affixes([s for place in found for s in place.stems])
        kinds[kind] = {
            part: _by_key(found, affixes[kind, part[0]]) for part, found in parts.items()
        }
    return Arrangement(kinds, True, _matched(kinds), affixes)


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


def _matched(kinds: Mapping[str, Mapping[Part, Mapping[str, tuple[Path, ...]]]]) -> int:
    """Return the number of pictures with files of the two kinds that match best."""

    def common(one: str, other: str) -> int:
        parts = kinds[one].keys() & kinds[other].keys()
        return sum(len(kinds[one][part].keys() & kinds[other][part].keys()) for part in parts)

    return max((common(a, b) for a, b in combinations(kinds, 2)), default=0)


def _by_affix(places: list[FolderFiles]) -> Iterable[Arrangement]:
    """Yield arrangements of files side by side: by name, by suffix, by prefix, by ending."""
    if _same_names(places):
        yield _affixed(places, lambda stem, _: (stem, ""))
    for kind_of in (_suffixes(places), _prefixes(places)):
        if kind_of is not None:
            yield _affixed(places, kind_of)
    yield _affixed(places, lambda stem, ending: (ending, stem))


def _same_names(places: list[FolderFiles]) -> bool:
    """Whether there is a folder for each picture, in which its files are called alike."""
    counts = Counter(stem for place in places for stem in place.stems)
    return (
        len(places) >= _FEWEST_FOLDERS
        and 2 <= len(counts) <= _MOST_IN_A_FOLDER
        and all(any(map(str.isalpha, name)) for name in counts)  # 1.png and 2.png are two pictures
        and min(counts.values()) >= _CLEAR * len(places)
    )


def _affixed(
    places: list[FolderFiles], kind_of: Callable[[str, str], tuple[str, str]]
) -> Arrangement:
    """Return the arrangement whose kinds and keys a function finds in stems and endings."""
    kinds: dict[str, dict[Part, dict[str, tuple[Path, ...]]]] = defaultdict(dict)
    for place in places:
        for path, stem in zip(place.files, place.stems, strict=True):
            kind, key = kind_of(stem, path.suffix.lower())
            part = kinds[kind].setdefault((place.split, place.folders), {})
            part[key] = (*part.get(key, ()), path)
    return Arrangement(dict(kinds), False, _matched(kinds), {})


def _suffixes(places: list[FolderFiles]) -> Callable[[str, str], tuple[str, str]] | None:
    """Return a function that splits a name into its kind, the end, and the rest."""
    numbered = re.compile(r"(?<=[A-Za-z])[_\- ]?\(?\d+\)?$")

    def ends(stem: str) -> Iterable[str]:
        # 7_mask_1 is one of several masks: its end is that of 7_mask
        return tails(numbered.sub("", stem) if any(map(str.isalpha, stem)) else stem)

    return _splitter(places, ends, lambda stem, end: stem.rfind(end), numbered)


def _prefixes(places: list[FolderFiles]) -> Callable[[str, str], tuple[str, str]] | None:
    def beginnings(stem: str) -> Iterable[str]:
        return (stem[: len(stem) - len(tail) + 1] for tail in tails(stem))

    chosen = _chosen(places, beginnings, lambda stem, start: stem[len(start) :])
    if not chosen:
        return None

    def split(stem: str, _ending: str) -> tuple[str, str]:
        start = next((s for s in chosen if s and stem.startswith(s)), "")
        return start, stem[len(start) :]

    return split


def _splitter(
    places: list[FolderFiles],
    ends: Callable[[str], Iterable[str]],
    position: Callable[[str, str], int],
    numbered: re.Pattern[str],
) -> Callable[[str, str], tuple[str, str]] | None:
    chosen = _chosen(places, ends, lambda stem, end: stem[: position(stem, end)])
    if not chosen:
        return None

    def split(stem: str, _ending: str) -> tuple[str, str]:
        for end in chosen:
            if end and (stem.endswith(end) or numbered.sub("", stem).endswith(end)):
                return end, stem[: position(stem, end)]
        return "", stem

    return split


def _chosen(
    places: list[FolderFiles],
    affixes: Callable[[str], Iterable[str]],
    rest: Callable[[str, str], str],
) -> list[str]:
    """Return the affixes, the longest first, of the two kinds that match best; else nothing."""
    of_files = [
        (position, stem, tuple(affixes(stem)))
        for position, place in enumerate(places)
        for stem in place.stems
    ]
    counts = Counter(chain.from_iterable(own for _, _, own in of_files))
    frequent = [affix for affix, count in counts.most_common(_CANDIDATES) if count > 1]
    if not frequent:
        return []
    keys: dict[str, set[tuple[int, str]]] = {
        affix: {(position, rest(stem, affix)) for position, stem, own in of_files if affix in own}
        for affix in frequent
    }
    keys[""] = {(position, stem) for position, stem, _ in of_files}
    best = 0
    chosen: list[str] = []
    for one, other in combinations(keys, 2):
        common = len(keys[one] & keys[other])
        # of two affixes that match alike, the longer one says more
        if (common, len(one) + len(other)) > (best, sum(len(affix) for affix in chosen)) and common:
            best, chosen = common, [one, other]
    return sorted((affix for affix in chosen if affix), key=len, reverse=True)
