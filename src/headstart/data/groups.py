"""Which video or patient a frame comes from, and how a folder without splits is split by it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from headstart.data.files import read_file
from headstart.errors import DataError, Finding

_MAX_BYTES = 1 << 26
_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}


def read_groups(path: Path) -> dict[str, str]:
    """Group by stem, from a CSV file with the columns ``stem`` and ``group``.

    Raises:
        DataError: no UTF-8 text, a column that is missing, a row that is not complete, or a stem
            that stands there twice.
    """

    def broken(message: str) -> DataError:
        hint = 'begin with the line "stem,group", then one line for each frame: "17,patient3"'
        return DataError(Finding("groups", "error", message, hint, (path.name,)))

    try:
        text = read_file(path, path.parent, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(f"the groups are not UTF-8 text (byte {error.start})") from error
    groups: dict[str, str] = {}
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if not {"stem", "group"} <= set(rows.fieldnames or ()):
            raise broken(f"the columns are {rows.fieldnames or 'none'}, expected stem and group")
        for row in rows:
            stem, group = row["stem"], row["group"]
            if not stem or not group:
                raise broken(f"line {rows.line_num} lacks a stem or a group")
            if stem in groups:
                raise broken(f"{stem} has two lines, the second is line {rows.line_num}")
            groups[stem] = group
    except csv.Error as error:
        raise broken(f"the groups are not valid CSV: {error}") from error
    return groups


def split(groups: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Names split into training, validation and test, 70 : 15 : 15, whole groups only.

    Groups go, the largest first and those of one size in the order of a hash of their name, to the
    split that lacks most frames. So the result depends on the names alone: no seed, no order.

    Args:
        groups: the group of each name; a name whose group is ``None`` is a group of its own.

    Raises:
        ValueError: fewer than three groups.

    >>> {part: len(names) for part, names in split(dict.fromkeys("abcdefghijklmnopqrst")).items()}
    {'train': 14, 'validation': 3, 'test': 3}
    """
    members: dict[tuple[bool, str], list[str]] = {}
    for name, group in groups.items():
        members.setdefault((group is None, name if group is None else group), []).append(name)
    if len(members) < len(_SHARES):
        raise ValueError(f"{len(members)} groups cannot be split into three parts")
    parts: dict[str, list[str]] = {part: [] for part in _SHARES}
    # A name without a group may be called as a group is: which of the two it is comes last.
    order = sorted(members, key=lambda key: (-len(members[key]), _hash(key[1]), key[0]))
    for position, key in enumerate(order):
        empty = [part for part in parts if not parts[part]]
        candidates = empty if len(order) - position == len(empty) else list(parts)
        lacks = {part: _SHARES[part] * len(groups) - len(parts[part]) for part in candidates}
        parts[max(candidates, key=lacks.__getitem__)] += members[key]
    return parts


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
