"""Files of a folder, and how they are arranged: by kind, part of the dataset, and picture."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from headstart.data.files import PREDICTIONS_MARK, is_junk, natural_key
from headstart.data.layouts.name_patterns import splits_of
from headstart.data.pictures.reading import SUFFIXES

CLEAR = 0.8
"""The share of the files that a clear arrangement pairs."""

_DEEPEST = 8  # folders

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
        stems: their names without ending, with composed accents; there may be many, and `Path.stem`
            takes its time.
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
        numbered: the kind that may have several numbered files of a picture; None if none.
    """

    kinds: Mapping[str, Mapping[Part, Mapping[str, tuple[Path, ...]]]]
    by_folder: bool
    matched: int
    affixes: Mapping[tuple[str, str | None], tuple[str, str]]
    numbered: str | None = None

    def files(self, kind: str) -> list[Path]:
        """Return all files of a kind, in order."""
        return [
            path for part in self.kinds[kind].values() for paths in part.values() for path in paths
        ]


def find_places(root: Path) -> list[FolderFiles]:
    """Return the folders with pictures in a folder and below it, without predictions."""
    places = []
    splits: dict[Path, dict[str, tuple[str, str]]] = {}
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
            split, rest = _without_split(root, parts, splits)
            pictures.sort(key=natural_key)
            files = tuple(path / name for name in pictures)
            stems = tuple(unicodedata.normalize("NFC", n[: n.rfind(".")]) for n in pictures)
            places.append(FolderFiles(path, split, rest, files, stems))
    return places


def _without_split(
    root: Path, parts: Key, splits: dict[Path, dict[str, tuple[str, str]]]
) -> tuple[str | None, Key]:
    for position, name in enumerate(parts):
        parent = root.joinpath(*parts[:position])
        if parent not in splits:
            splits[parent] = splits_of([e.name for e in os.scandir(parent) if e.is_dir()])
        if meaning := splits[parent].get(name):
            split, rest = meaning
            return split, (*parts[:position], *((rest,) if rest else ()), *parts[position + 1 :])
    return None, parts


def matched_pictures(kinds: Mapping[str, Mapping[Part, Mapping[str, tuple[Path, ...]]]]) -> int:
    """Return the number of pictures with files of the two kinds that match best."""

    def common(one: str, other: str) -> int:
        parts = kinds[one].keys() & kinds[other].keys()
        return sum(len(kinds[one][part].keys() & kinds[other][part].keys()) for part in parts)

    return max((common(a, b) for a, b in combinations(kinds, 2)), default=0)
