"""The video or patient of each frame, and how data without splits are split by it."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.files import read_file
from headstart.errors import DataError, Finding

_MAX_BYTES = 1 << 26
SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""The shares of the splits of a folder without splits."""


def read_groups(path: Path) -> dict[str, str]:
    """Return the group of each stem, from a CSV file with the columns ``stem`` and ``group``.

    Spaces around names do not count: a spreadsheet leaves some behind.

    Raises:
        DataError: the file is not UTF-8 text or not CSV, a column is missing, a row is incomplete,
            or a stem appears twice.
    """

    def broken(message: str) -> DataError:
        hint = (
            'make the first line "stem,group", then add one line per frame, such as "17,patient3"'
        )
        return DataError(Finding("groups", "error", message, hint, (path.name,)))

    try:
        text = read_file(path, path.parent, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(f"the file is not UTF-8 text (byte {error.start})") from error
    groups: dict[str, str] = {}
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        if not {"stem", "group"} <= set(rows.fieldnames):
            raise broken(f"the columns are {rows.fieldnames or 'none'}, expected stem and group")
        for row in rows:
            stem, group = (_stripped(row[column]) for column in ("stem", "group"))
            if not stem or not group:
                raise broken(f"line {rows.line_num} lacks a stem or a group")
            if stem in groups:
                raise broken(f"{stem} appears twice, the second time in line {rows.line_num}")
            groups[stem] = group
    except csv.Error as error:
        raise broken(f"the file is not valid CSV: {error}") from error
    return groups


def _stripped(name: str | None) -> str:
    return unicodedata.normalize("NFC", name or "").strip()


@dataclass(frozen=True)
class Matches:
    """Which lines of a ``groups.csv`` name which frames.

    Attributes:
        groups: the group of each frame; None: no line names it.
        unused: stems that name no frame.
        ambiguous: stems that name several frames, with the places of the frames.
        conflicting: places of frames that lines put into different groups.
        spellings: for each frame, a stem that names it alone; None if there is none.
    """

    groups: tuple[str | None, ...]
    unused: tuple[str, ...]
    ambiguous: Mapping[str, tuple[int, ...]]
    conflicting: tuple[int, ...]
    spellings: tuple[str | None, ...]


def match_groups(lines: Mapping[str, str], names: Sequence[Sequence[str]]) -> Matches:
    """Find the frames that the lines of a ``groups.csv`` name.

    Args:
        lines: the group of each stem, as [`read_groups`][] returns them.
        names: the stems that each frame goes by, the usual one first.

    >>> match_groups({"7": "p1", "test/8": "p2"}, [["train/7", "7"], ["test/8", "8"]]).groups
    ('p1', 'p2')
    >>> match_groups({"7": "p1"}, [["train/7", "7"], ["test/7", "7"]]).ambiguous
    {'7': (0, 1)}
    """
    places: dict[str, tuple[int, ...]] = {}
    for place, of_frame in enumerate(names):
        for name in dict.fromkeys(map(_spelt_alike, of_frame)):
            places[name] = (*places.get(name, ()), place)
    found: list[set[str]] = [set() for _ in names]
    unused, ambiguous = [], {}
    for stem, group in lines.items():
        named = places.get(_spelt_alike(stem), ())
        if len(named) > 1:
            ambiguous[stem] = named
        elif named:
            found[named[0]].add(group)
        else:
            unused.append(stem)
    return Matches(
        tuple(next(iter(groups), None) for groups in found),
        tuple(unused),
        ambiguous,
        tuple(place for place, groups in enumerate(found) if len(groups) > 1),
        tuple(
            next((name for name in of_frame if len(places[_spelt_alike(name)]) == 1), None)
            for of_frame in names
        ),
    )


def _spelt_alike(stem: str) -> str:
    """Return a stem with composed accents and ``/``, because systems write them in two ways."""
    return unicodedata.normalize("NFC", stem).replace("\\", "/").removeprefix("./")


def split(
    groups: Mapping[str, str | None], shares: Mapping[str, float] = SHARES
) -> dict[str, list[str]]:
    """Split names into training, validation and test, 70 : 15 : 15; groups stay whole.

    Groups are assigned from the largest to the smallest, ties in the order of a hash of their
    names. Each goes to the split that lacks most frames. So the result depends on the names alone,
    not on a seed or their order.

    Args:
        groups: group by name; a name whose group is ``None`` forms a group of its own.
        shares: share of each split; they add up to 1.

    Raises:
        ValueError: there are fewer groups than splits.

    >>> {part: len(names) for part, names in split(dict.fromkeys("abcdefghijklmnopqrst")).items()}
    {'train': 14, 'validation': 3, 'test': 3}
    """
    members: dict[tuple[bool, str], list[str]] = {}
    for name, group in groups.items():
        members.setdefault((group is None, name if group is None else group), []).append(name)
    if len(members) < len(shares):
        raise ValueError(f"{len(members)} groups cannot be split into {len(shares)} parts")
    parts: dict[str, list[str]] = {part: [] for part in shares}
    # A name without a group may equal the name of a group; the last part of the key breaks the tie.
    order = sorted(members, key=lambda key: (-len(members[key]), _hash(key[1]), key[0]))
    for position, key in enumerate(order):
        empty = [part for part in parts if not parts[part]]
        candidates = empty if len(order) - position == len(empty) else list(parts)
        lacks = {part: shares[part] * len(groups) - len(parts[part]) for part in candidates}
        parts[max(candidates, key=lacks.__getitem__)] += members[key]
    return parts


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
