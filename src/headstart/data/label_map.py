"""The label map: the class of each grey level in a mask.

``mapping.json`` is one JSON object from class name to grey level::

    {"background": 0, "forceps": 32, "scissors": 64}

It has 2 to 256 classes. Levels are integers from 0 to 255, each used once; the lowest is the
background. Missing commas between entries are accepted with a warning, because the assignment's own
file lacks all of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import read_file
from headstart.errors import DataError, Finding

_MAX_BYTES = 1 << 20  # 256 names of 100 characters, all escaped, take a third of it
_MAX_NAME = 100
_EXAMPLE = '{"background": 0, "forceps": 32}'

# Matches a string. If it is a key whose value is followed directly by the next string, without a
# comma, the match includes the value. Strings are consumed whole, so text inside a name is never
# taken for structure.
_ENTRY = re.compile(r'"(?:[^"\\]|\\.)*"(?P<value>\s*:\s*[-+.\w]+(?=\s*"))?')


@dataclass(frozen=True)
class LabelMap:
    """Class names and their grey levels, in the order of the levels.

    Attributes:
        names: class names; index 0 is the background.
        greys: grey levels from 0 to 255, in ascending order.

    Raises:
        ValueError: the numbers of names and levels differ, a name appears twice, or the levels are
            not ascending within 0 to 255.

    >>> label_map = LabelMap(("background", "forceps"), (0, 32))
    >>> label_map.to_indices(np.array([[0, 32]], dtype=np.uint8)).tolist()
    [[0, 1]]
    >>> label_map.unknown_levels(np.array([[0, 31]], dtype=np.uint8))
    (31,)
    """

    names: tuple[str, ...]
    greys: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.greys) or len(set(self.names)) != len(self.names):
            raise ValueError(f"{self.names} are not {len(self.greys)} distinct names")
        if tuple(sorted(set(self.greys))) != self.greys or not set(self.greys) <= set(range(256)):
            raise ValueError(f"levels {self.greys} are not ascending within 0 to 255")

    def to_indices(self, grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Return the class indices of a mask of grey levels.

        Raises:
            ValueError: a level is not in the label map; see [`unknown_levels`][].
        """
        if unknown := self.unknown_levels(grey):
            raise ValueError(f"grey levels {unknown} are not in the label map {self.greys}")
        table = np.zeros(256, dtype=np.uint8)
        table[list(self.greys)] = np.arange(len(self.greys))
        return np.take(table, grey)

    def to_greys(self, indices: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Return the grey levels of class indices; the inverse of ``to_indices``.

        Raises:
            ValueError: an index is not that of a class.
        """
        if indices.size and indices.max() >= len(self.greys):
            raise ValueError(f"index {indices.max()} is not in 0 to {len(self.greys) - 1}")
        return np.take(np.array(self.greys, dtype=np.uint8), indices)

    def unknown_levels(self, grey: UInt8[np.ndarray, "h w"]) -> tuple[int, ...]:
        """Return the levels of a mask that are not in the label map, in ascending order."""
        present = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
        return tuple(int(level) for level in present if level not in self.greys)


def read_label_map(path: Path) -> tuple[LabelMap, tuple[Finding, ...]]:
    """Read a ``mapping.json``.

    Returns:
        The label map, and a warning if commas are missing.

    Raises:
        DataError: the file is missing or invalid; the error names every problem.
    """
    name = path.name
    try:
        text = read_file(path, path.parent, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken(
            name, f"the label map is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from error
    pairs, lines = _parse(text, name)
    if problems := _problems(pairs):
        raise DataError(
            [Finding("label-map", "error", what, hint, (name,)) for what, hint in problems]
        )
    ordered = sorted(((grey, key) for key, grey in pairs if isinstance(grey, int)))
    label_map = LabelMap(tuple(key for _, key in ordered), tuple(grey for grey, _ in ordered))
    return label_map, _comma_warning(lines, name)


def _broken(name: str, message: str, hint: str) -> DataError:
    return DataError(Finding("label-map", "error", message, hint, (name,)))


def _comma_warning(lines: list[int], name: str) -> tuple[Finding, ...]:
    if not lines:
        return ()
    where = ("line " if len(lines) == 1 else "lines ") + ", ".join(map(str, lines))
    message = (
        f"a comma is missing at the end of {where} of {name}; the file was read as if complete"
    )
    return (Finding("label-map-commas", "warning", message, "add the commas", (name,)),)


def _parse(text: str, name: str) -> tuple[tuple[tuple[str, object], ...], list[int]]:
    """Return the object's pairs, duplicates included, and the lines that lack a comma."""
    lines: list[int] = []

    def with_comma(match: re.Match[str]) -> str:
        if match["value"] is None:
            return match[0]
        lines.append(text.count("\n", 0, match.end()) + 1)
        return match[0] + ","

    try:
        value = _loads(text)
    except RecursionError as error:
        raise _broken(
            name,
            "the label map is nested too deeply; expected one flat object",
            f"write it as {_EXAMPLE}",
        ) from error
    except ValueError as error:
        try:
            value = _loads(_ENTRY.sub(with_comma, text))
        except (ValueError, RecursionError):
            raise _broken(
                name, f"the label map is not valid JSON: {error}", f"write it as {_EXAMPLE}"
            ) from error
    if not isinstance(value, tuple):
        raise _broken(
            name,
            "the label map is not a JSON object that maps class names to grey levels",
            f"write it as {_EXAMPLE}",
        )
    return value, lines


def _loads(text: str) -> object:
    """Parse JSON with objects as tuples of pairs, so that duplicate keys are kept."""
    return json.loads(text, object_pairs_hook=tuple)


def _problems(pairs: tuple[tuple[str, object], ...]) -> list[tuple[str, str]]:
    """Return each problem with the entries, and what to do about it."""
    problems = []
    names = [name for name, _ in pairs]
    levels = [
        grey for _, grey in pairs if type(grey) is int
    ]  # not isinstance, because a bool is an int
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(
            (f"class names that appear twice: {_few(twice)}", "give each class one entry")
        )
    if odd := [n for n in names if not (n.strip() and n.isprintable() and len(n) <= _MAX_NAME)]:
        problems.append(
            (
                f"invalid class names: {_few([ascii(n) for n in odd])}",
                f"use 1 to {_MAX_NAME} printable characters",
            )
        )
    if wrong := [f"{n} ({_kind(g)})" for n, g in pairs if type(g) is not int]:
        problems.append(
            (f"grey levels that are not integers: {_few(wrong)}", f"write it as {_EXAMPLE}")
        )
    if outside := [f"{n} ({str(g)[:12]})" for n, g in pairs if _outside(g)]:
        problems.append(
            (f"grey levels outside 0 to 255: {_few(outside)}", "use the grey levels of the masks")
        )
    if shared := sorted({str(grey) for grey in levels if levels.count(grey) > 1}):
        problems.append(
            (f"grey levels of several classes: {_few(shared)}", "give each class its own level")
        )
    if len(pairs) < 2:
        problems.append(
            (
                f"the label map has {len(pairs)} classes, expected at least 2",
                f"include the background: {_EXAMPLE}",
            )
        )
    return problems


def _outside(grey: object) -> bool:
    return type(grey) is int and not 0 <= grey <= 255


def _kind(value: object) -> str:
    kinds = {tuple: "object", list: "array", str: "text", type(None): "null"}
    return kinds.get(type(value)) or json.dumps(value)


def _few(items: list[str], limit: int = 5) -> str:
    rest = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(item[:_MAX_NAME] for item in items[:limit]) + rest
