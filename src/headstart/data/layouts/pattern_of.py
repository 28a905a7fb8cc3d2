"""Write the patterns of pictures and their masks, as ``dataset.toml`` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from headstart.data.layouts.name_patterns import constant_affixes, split_of, split_word
from headstart.data.layouts.path_patterns import Parts, matching

_FREE = ("folder", "subfolder", "subsubfolder")  # parts without a meaning


@dataclass(frozen=True)
class Patterns:
    """The patterns of a dataset.

    Attributes:
        pictures: the pattern of the pictures.
        beside: by name, the pattern of other files of each picture, such as its masks.
        split: the values of ``{split}`` that are no usual names of splits, by split.
    """

    pictures: str
    beside: dict[str, str]
    split: dict[str, str]


def patterns_of(
    pictures: Sequence[Path],
    beside: Mapping[str, Sequence[tuple[Path, Path]]],
    root: Path,
    groups: Sequence[str | None] = (),
) -> Iterator[Patterns]:
    """Yield the patterns that match some pictures and the files that belong to them.

    A folder that is the same for all pictures stands as it is. One named after a split becomes
    ``{split}``, one named after a group ``{group}``, and one that bears the name of a single
    picture ``{name}``. Of a file's name, what all files of a split share stands as it is; where it
    differs from split to split, ``*`` stands for it. The simplest patterns come first.

    Args:
        pictures: the pictures.
        beside: by name, pairs of a picture and a file that belongs to it.
        root: the dataset's folder.
        groups: the group of each picture; none if it is empty.

    >>> folder = Path("a")
    >>> names = ("train/7_t1.png", "train/8_t1.png", "test/9_t1.png")
    >>> pictures = [folder / name for name in names]
    >>> masks = [(path, path.with_name(f"{path.stem[0]}_seg.png")) for path in pictures]
    >>> next(patterns_of(pictures, {"masks": masks}, folder))
    Patterns(pictures='{split}/{name}_t1.png', beside={'masks': '{split}/{name}_seg.png'}, split={})
    """
    paths = [path.relative_to(root).as_posix() for path in pictures]
    for pattern, split in _picture_patterns(paths, groups):
        parts = matching(pattern, paths)
        if len(parts) != len(paths):
            continue
        found = {
            name: _beside(
                [parts[picture.relative_to(root).as_posix()] for picture, _ in files],
                [path.relative_to(root) for _, path in files],
            )
            for name, files in beside.items()
        }
        if all(found.values()):
            yield Patterns(pattern, {n: p for n, p in found.items() if p is not None}, split)


def _picture_patterns(
    paths: list[str], groups: Sequence[str | None]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield patterns of the pictures, each with the unusual values of ``{split}``."""
    files = [PurePosixPath(path) for path in paths]
    if len(files) < 2 or len({len(path.parts) for path in files}) != 1:
        return
    stems, ending = [path.stem for path in files], _ending(files)
    levels = list(zip(*(path.parts[:-1] for path in files), strict=True))
    folders: list[str] = []
    split: dict[str, str] = {}
    free = list(_FREE)
    splits: Sequence[str] = [""] * len(files)
    named = None  # the level that has a folder for each picture
    for position, level in enumerate(levels):
        if len(set(level)) == 1:
            folders.append(level[0])
        elif any(groups) and list(level) == list(groups):
            folders.append("{group}")
        elif "{split}" not in "".join(folders) and (found := _split_template(level)):
            template, split = found
            folders.append(template)
            splits = level
        elif free:
            if len({path.parts[: position + 1] for path in files}) == len(files):
                named = position
            folders.append(f"{{{free.pop(0)}}}")
        else:
            return
    if named is not None:
        of_name = [{"name": name} for name in levels[named]]
        if (name := _template(stems, of_name)) is not None:
            yield (
                "/".join([*folders[:named], "{name}", *folders[named + 1 :], name + ending]),
                split,
            )
    by_split = [
        [s for s, of in zip(stems, splits, strict=True) if of == one] for one in set(splits)
    ]
    affixes = [constant_affixes(each) for each in by_split if len(each) > 1] or [("", "")]
    before, after = ({affix[k] for affix in affixes} for k in (0, 1))
    start, end = _shared_end(before), _shared_start(after)
    word = re.sub("[^_. -]*$", "", start)  # of "img_p" in img_p1 and img_p2, "img_"
    for name in dict.fromkeys(("{name}", f"{word}{{name}}{end}", f"{start}{{name}}{end}")):
        yield "/".join([*folders, name + ending]), split


def _split_template(level: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Return the pattern of folders named after splits, and the values that are no usual names."""
    values: dict[str, str] = {}
    templates = set()
    unusual = {}
    for name in dict.fromkeys(level):
        meaning = split_of(name, set(level))
        if meaning is None or meaning[0] in values:
            return None
        values[meaning[0]] = word = split_word(name, meaning[0])
        templates.add(name.replace(word, "{split}", 1))
        if split_of(word) is None:
            unusual[meaning[0]] = word
    return (templates.pop(), unusual) if len(templates) == 1 else None


def _beside(parts: Sequence[Parts], files: Sequence[Path]) -> str | None:
    """Return the pattern of files, each of which belongs to a picture with some parts."""
    if not files or len({len(path.parts) for path in files}) != 1:
        return None
    pieces = []
    for level in zip(*(path.parts[:-1] for path in files), strict=True):
        if (piece := _template(level, parts)) is None:
            return None
        pieces.append(piece)
    name = _template([path.stem for path in files], parts)
    if name is None:
        name = "*"  # where a folder says which picture it is
    pattern = "/".join([*pieces, name + _ending(files)])
    return pattern if "{name}" in pattern else None


def _template(texts: Sequence[str], parts: Sequence[Parts]) -> str | None:
    """Return what texts share, with a part of their picture in place of what differs."""
    if len(set(texts)) == 1 and len(texts) > 1:
        return texts[0]
    patterns = []
    for part in parts[0]:
        pairs = [(text, of[part]) for text, of in zip(texts, parts, strict=True)]
        if not all(value in text for text, value in pairs):
            continue
        for position in (str.find, str.rfind):
            before = {text[: position(text, value)] for text, value in pairs}
            after = {text[position(text, value) + len(value) :] for text, value in pairs}
            patterns.append(f"{_shared_end(before)}{{{part}}}{_shared_start(after)}")

    def preference(pattern: str) -> tuple[bool, bool, bool]:
        return "*" in pattern, pattern[:1] + pattern[-1:] != "{}", "{name}" not in pattern

    return min(patterns, key=preference, default=None)


def _ending(files: Sequence[Path] | Sequence[PurePosixPath]) -> str:
    endings = {path.suffix for path in files}
    return endings.pop() if len(endings) == 1 else ".*"


def _shared_start(texts: set[str]) -> str:
    """Return the text that all are, or what they share around a ``*``.

    >>> _shared_start({"_test", "_training"}), _shared_start({"_test_mask", "_training_mask"})
    ('_*', '_*_mask')
    >>> _shared_start({"_mask", "_mask_1"})
    '_mask*'
    """
    if len(texts) == 1:
        return next(iter(texts))
    start = _common_start(texts)
    if start in texts:
        return f"{start}*"
    start = start[:1] if start[:1] in ("_", "-", ".", " ") else ""  # no part of a word
    end = _common_start({text[len(start) :][::-1] for text in texts})[::-1]
    return f"{start}*{re.sub('^[^_. -]+', '', end)}"


def _shared_end(texts: set[str]) -> str:
    return _shared_start({text[::-1] for text in texts})[::-1]


def _common_start(texts: set[str]) -> str:
    same = takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return "".join(column[0] for column in same)
