"""Write the pattern of some files, as ``dataset.toml`` has them: the inverse of matching one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from headstart.data.layouts.description import matching
from headstart.data.layouts.name_patterns import constant_affixes, usual_split


def pattern_of(files: Sequence[Path], splits: Sequence[str | None], root: Path) -> str | None:
    """Return a pattern that matches some files; None if no pattern says what they share.

    Folders that are the same for all stand as they are; folders named after the splits become
    ``{split}``, and one other level ``{group}``. Of the name, what all files of a split share
    stands as it is; where it differs from split to split, ``*`` stands for it.

    Args:
        files: the files, two or more.
        splits: the split of each.
        root: the dataset's folder.

    >>> files = [Path("a/train/7_t1.png"), Path("a/train/8_t1.png"), Path("a/test/9_t1.png")]
    >>> pattern_of(files, ["train", "train", "test"], Path("a"))
    '{split}/{name}_t1.png'
    """
    parts = [path.relative_to(root).parts for path in files]
    if len({len(each) for each in parts}) != 1 or len(files) < 2:
        return None
    folders = []
    for level in zip(*(each[:-1] for each in parts), strict=True):
        if len(set(level)) == 1:
            folders.append(level[0])
        elif [usual_split(name) for name in level] == list(splits):
            folders.append("{split}")
        elif "{group}" not in folders:
            folders.append("{group}")
        else:
            return None
    name = _name_pattern(files, splits)
    pattern = "/".join([*folders, name])
    matches = matching(pattern, ["/".join(each) for each in parts])
    names = {tuple(sorted(found.items())) for found in matches.values()}
    return pattern if len(names) == len(files) else None


def _name_pattern(files: Sequence[Path], splits: Sequence[str | None]) -> str:
    affixes = []
    for split in dict.fromkeys(splits):
        stems = [path.stem for path, of in zip(files, splits, strict=True) if of == split]
        if len(stems) > 1:  # a single name does not say what it would share
            affixes.append(constant_affixes(stems))
    affixes = affixes or [("", "")]
    prefix = _shared([prefix for prefix, _ in affixes])
    suffix = _shared([suffix for _, suffix in affixes])
    endings = {path.suffix for path in files}
    ending = endings.pop() if len(endings) == 1 else ".*"
    return f"{prefix}{{name}}{suffix}{ending}"


def _shared(affixes: list[str]) -> str:
    """Return the affix, or what the affixes have in common around a ``*``."""
    if len(set(affixes)) == 1:
        return affixes[0]
    start = _common_start(affixes)[:1]
    start = start if start in ("_", "-", ".", " ") else ""
    end = _common_start([affix[::-1] for affix in affixes])[::-1]
    return f"{start}*{end if len(end) < min(map(len, affixes)) - len(start) else ''}"


def _common_start(texts: list[str]) -> str:
    same = takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return "".join(column[0] for column in same)
