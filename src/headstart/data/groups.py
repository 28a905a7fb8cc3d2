"""The video or patient of each frame, and how data without splits are split by it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from headstart.data.files import read_file
from headstart.errors import DataError, Finding

_MAX_BYTES = 1 << 26
SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""The shares of the splits of a folder without splits."""


def read_groups(path: Path) -> dict[str, str]:
    """Return the group of each stem, from a CSV file with the columns ``stem`` and ``group``.

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
        if not {"stem", "group"} <= set(rows.fieldnames or ()):
            raise broken(f"the columns are {rows.fieldnames or 'none'}, expected stem and group")
        for row in rows:
            stem, group = row["stem"], row["group"]
            if not stem or not group:
                raise broken(f"line {rows.line_num} lacks a stem or a group")
            if stem in groups:
                raise broken(f"{stem} appears twice, the second time in line {rows.line_num}")
            groups[stem] = group
    except csv.Error as error:
        raise broken(f"the file is not valid CSV: {error}") from error
    return groups


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
