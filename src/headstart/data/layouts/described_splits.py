"""Which split a ``dataset.toml`` gives each picture: by list files, or by ``{split}`` in paths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from headstart.data.files import read_file
from headstart.data.layouts.description import LIST_ENDING, Description
from headstart.data.layouts.name_patterns import split_of
from headstart.data.layouts.pairing import FrameSearch, composed
from headstart.data.layouts.path_patterns import Parts
from headstart.data.layouts.splitting import NO_SPLIT

_MAX_LIST = 1 << 26  # bytes of a list file


def splits_of(
    search: FrameSearch, description: Description, pictures: Mapping[str, Parts]
) -> dict[str, str]:
    """Return the split of each picture, by its path.

    Args:
        search: gets findings about pictures without a split, or with several.
        description: the content of the file.
        pictures: the parts of each picture's path, by path.
    """
    if any(value.endswith(LIST_ENDING) for value in description.split.values()):
        return _by_lists(search, description, pictures)
    return {path: _by_part(search, description, path, parts) for path, parts in pictures.items()}


def meaning(description: Description, value: str) -> str | None:
    """Return the split that a value of ``{split}`` means; None if none."""
    named = {of: split for split, of in description.split.items()}
    usual = split_of(value)
    return named.get(value) or (usual[0] if usual else None)


def _by_lists(
    search: FrameSearch, description: Description, pictures: Mapping[str, Parts]
) -> dict[str, str]:
    paths_by_name = _index(pictures)
    splits: dict[str, list[str]] = {path: [] for path in pictures}
    for split, file in description.split.items():
        unknown = []
        for name in _listed(search, file):
            paths = next((paths[name] for paths in paths_by_name if name in paths), [])
            for path in paths:
                splits[path].append(split)
            if not paths:
                unknown.append(name)
        _report_unknown(search, description, file, unknown)
    if twice := [search.root / path for path, of in splits.items() if len(set(of)) > 1]:
        message = "pictures are in the lists of several splits"
        hint = "keep each in one list; scores on pictures that were trained on mean nothing"
        search.add_finding("picture-twice", "error", message, hint, twice)
    if unlisted := [search.root / path for path, of in splits.items() if not of]:
        message, hint = "a picture is in no list of the splits", "add its name to a list"
        search.add_finding("not-in-a-list", "error", message, hint, unlisted)
    return {path: of[0] if of else NO_SPLIT for path, of in splits.items()}


def _index(pictures: Mapping[str, Parts]) -> tuple[dict[str, list[str]], ...]:
    """Return the paths by what a list may call a picture; what is tried first comes first."""
    by_name: tuple[dict[str, list[str]], ...] = tuple(defaultdict(list) for _ in range(4))
    for path, parts in pictures.items():
        spellings = (parts["name"], Path(path).stem, path, Path(path).name)
        for paths, spelling in zip(by_name, spellings, strict=True):
            paths[composed(spelling)].append(path)
    return by_name


def _listed(search: FrameSearch, file: str) -> list[str]:
    """Return the names in a list file, each once."""
    text = read_file(search.root / file, search.root, _MAX_LIST).decode("utf-8-sig", "replace")
    names = (composed(line.strip()) for line in text.splitlines())
    return [name for name in dict.fromkeys(names) if name]


def _report_unknown(
    search: FrameSearch, description: Description, file: str, names: list[str]
) -> None:
    if not names:
        return
    few = ", ".join(names[:5]) + (", ..." if names[5:] else "")
    message = f"{len(names)} names in a list of the splits are no picture's: {few}"
    hint = f"correct them, or take them off the list; pictures are {description.pictures}"
    search.add_finding("annotated-picture-missing", "error", message, hint, [search.root / file])


def _by_part(search: FrameSearch, description: Description, path: str, parts: Parts) -> str:
    if (value := parts.get("split")) is None:
        return NO_SPLIT
    if split := meaning(description, value):
        return split
    message = f"{value} is the name of no split"
    hint = f'say which it is: [split], then for example train = "{value}"'
    search.add_finding("not-a-split", "error", message, hint, [search.root / path])
    return NO_SPLIT
