"""Arrangements of files that lie side by side: what tells them apart is an affix of their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import chain, combinations
from pathlib import Path

from headstart.data.layouts.arranged_files import (
    CLEAR,
    Arrangement,
    FolderFiles,
    Part,
    matched_pictures,
)
from headstart.data.layouts.name_patterns import tails

_CANDIDATES = 12  # affixes that are tried as kinds
_FEWEST_FOLDERS = 3  # that hold one picture each, with its masks
_MOST_IN_A_FOLDER = 8  # files of one picture


def by_affix(places: list[FolderFiles]) -> Iterable[Arrangement]:
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
        and min(counts.values()) >= CLEAR * len(places)
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
    return Arrangement(dict(kinds), False, matched_pictures(kinds), {})


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
