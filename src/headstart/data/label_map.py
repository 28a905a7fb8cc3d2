"""The label map: the class of each grey level in a mask.

``mapping.json`` is one JSON object from class name to grey level::

    {"background": 0, "forceps": 32, "scissors": 64}

It has 2 to 255 classes. Levels are integers from 0 to 255, each used once. The background is the
class with one of the names in [`BACKGROUNDS`][], else the one with the lowest level. The key
``ignore`` is not a class: its level, or list of levels, marks pixels that are ignored. For masks of
colours, each value is a colour, ``[255, 0, 0]`` or ``"#ff0000"``, in place of a level. Missing
commas between entries are accepted with a warning, because the assignment's own file lacks all of
them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from headstart.data.files import read_file
from headstart.errors import DataError, Finding

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

IGNORE = 255
"""The index, in a map of class indices, of pixels that enter no loss, score, count or share."""

BACKGROUNDS = ("background", "bg", "void", "none", "nothing", "unlabelled", "unlabeled")
"""Names of the background, in any case; ``_`` and ``-`` count as spaces."""

_MAX_BYTES = 1 << 20  # 256 names of 100 characters, all escaped, take a third of it
_MAX_NAME = 100
_EXAMPLE = '{"background": 0, "forceps": 32}'

# Matches a string. If it is a key whose value is followed directly by the next string, without a
# comma, the match includes the value. Strings are consumed whole, so text inside a name is never
# taken for structure. A string without an end is consumed to the end of the text: looking for
# another string inside it, at each of its quotes, would take quadratic time.
_ENTRY = re.compile(r'"(?:[^"\\]|\\(?s:.))*(?:"(?P<value>\s*:\s*[-+.\w]+(?=\s*"))?|\\?\Z)')


@dataclass(frozen=True)
class LabelMap:
    """Class names and their grey levels: the background, then the others in the order of levels.

    Attributes:
        names: class names; index 0 is the background.
        greys: grey levels from 0 to 255; ascending after the first.
        ignore: grey levels in masks of pixels that are ignored.
        colours: for masks of colours, the colour of each class; else empty.
        ignored_colours: for masks of colours, the colours of pixels that are ignored.

    Raises:
        ValueError: the numbers of names and levels differ, there are more than 255, a name or level
            appears twice, or the levels are not ascending within 0 to 255.

    >>> label_map = LabelMap(("background", "forceps"), (0, 32))
    >>> label_map.to_indices(np.array([[0, 32]], dtype=np.uint8)).tolist()
    [[0, 1]]
    >>> label_map.unknown_levels(np.array([[0, 31]], dtype=np.uint8))
    (31,)
    """

    names: tuple[str, ...]
    greys: tuple[int, ...]
    ignore: tuple[int, ...] = ()
    colours: tuple[Colour, ...] = ()
    ignored_colours: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.greys) or len(set(self.names)) != len(self.names):
            raise ValueError(f"{self.names} are not {len(self.greys)} distinct names")
        levels = (*self.greys, *self.ignore)
        if self.greys[1:] != tuple(sorted(self.greys[1:])) or len(set(levels)) != len(levels):
            raise ValueError(f"levels {levels} are not distinct and ascending")
        if self.colours and len(set(self.colours)) != len(self.names):
            raise ValueError(f"{self.colours} are not {len(self.names)} distinct colours")
        if not set(levels) <= set(range(256)) or len(self.greys) > IGNORE:
            raise ValueError(f"levels {levels} are not at most {IGNORE} within 0 to 255")

    def same_classes(self, other: LabelMap) -> bool:
        """Whether both have the same names and levels; what is ignored or coloured may differ."""
        return (self.names, self.greys) == (other.names, other.greys)

    def to_indices(self, grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Return the class indices of a mask of grey levels; [`IGNORE`][] for ignored levels.

        Raises:
            ValueError: a level is not in the label map; see [`unknown_levels`][].
        """
        if unknown := self.unknown_levels(grey):
            raise ValueError(f"grey levels {unknown} are not in the label map {self.greys}")
        table = np.zeros(256, dtype=np.uint8)
        table[list(self.greys)] = np.arange(len(self.greys))
        table[list(self.ignore)] = IGNORE
        return _looked_up(table, grey)

    def to_greys(self, indices: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
        """Return the grey levels of class indices; the inverse of ``to_indices``.

        Raises:
            ValueError: an index is not that of a class.
        """
        if indices.size and indices.max() >= len(self.greys):
            raise ValueError(f"index {indices.max()} is not in 0 to {len(self.greys) - 1}")
        table = np.zeros(256, dtype=np.uint8)
        table[: len(self.greys)] = self.greys
        return _looked_up(table, indices)

    def unknown_levels(self, grey: UInt8[np.ndarray, "h w"]) -> tuple[int, ...]:
        """Return the levels of a mask that are not in the label map, in ascending order."""
        present = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
        known = {*self.greys, *self.ignore}
        return tuple(int(level) for level in present if level not in known)


def _looked_up(
    table: UInt8[np.ndarray, "256"], values: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w"]:
    """Return the table's entry for each value; ``np.take`` would need nine times the memory."""
    translated = np.ascontiguousarray(values).tobytes().translate(table.tobytes())
    return np.frombuffer(translated, dtype=np.uint8).reshape(values.shape)


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
    return label_map_of(pairs, name), _comma_warning(lines, name)


def label_map_of(pairs: Sequence[tuple[str, object]], name: str) -> LabelMap:
    """Return the label map of pairs of a class name and its level or colour, as from JSON.

    Args:
        pairs: The key ``ignore`` is not a class, as in ``mapping.json``.
        name: The file they come from, for messages.

    Raises:
        DataError: Names every problem of the pairs.
    """
    if problems := _problems(pairs):
        raise DataError(
            [Finding("label-map", "error", what, hint, (name,)) for what, hint in problems]
        )
    values = {name: parsed_value(value) for name, value in pairs if name != "ignore"}
    ignored = _ignored(pairs)
    if any(isinstance(value, tuple) for value in values.values()):
        colours = {name: value for name, value in values.items() if isinstance(value, tuple)}
        return map_of_colours(colours, [v for v in ignored if isinstance(v, tuple)])
    levels = {name: value for name, value in values.items() if isinstance(value, int)}
    return map_of_levels(levels, [v for v in ignored if isinstance(v, int)])


def map_of_levels(levels: Mapping[str, int], ignore: Sequence[int] = ()) -> LabelMap:
    """Return a label map of grey levels by class name.

    >>> map_of_levels({"tool": 0, "Background": 255}).names
    ('Background', 'tool')
    """
    named = backgrounds(levels)
    names = tuple(sorted(levels, key=lambda name: (name not in named, levels[name])))
    return LabelMap(names, tuple(levels[name] for name in names), tuple(sorted(ignore)))


def map_of_colours(colours: Mapping[str, Colour], ignore: Sequence[Colour] = ()) -> LabelMap:
    """Return a label map of colours by class name; its grey levels number the classes from 0."""
    named = backgrounds(colours)
    black = [name for name, colour in colours.items() if colour == (0, 0, 0)]
    first = named or black
    names = tuple(sorted(colours, key=lambda name: name not in first))
    greys = tuple(range(len(names)))
    return LabelMap(names, greys, (), tuple(colours[name] for name in names), tuple(ignore))


def parsed_value(value: object) -> int | Colour | None:
    """Return a grey level or a colour from JSON or TOML; None if it is neither.

    >>> parsed_value(32), parsed_value([255, 0, 0]), parsed_value("#ff0000"), parsed_value("red")
    (32, (255, 0, 0), (255, 0, 0), None)
    """
    if type(value) is int:
        return value
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        red, green, blue = bytes.fromhex(value[1:])
        return red, green, blue
    if isinstance(value, list) and len(value) == 3 and all(type(v) is int for v in value):
        red, green, blue = value
        return (red, green, blue) if all(0 <= v <= 255 for v in value) else None
    return None


def backgrounds(names: Iterable[str]) -> list[str]:
    """Return the names that mean the background.

    >>> backgrounds(["tool", "_background_", "Unlabeled"])
    ['_background_', 'Unlabeled']
    """

    def plain(name: str) -> str:
        return name.lower().replace("_", " ").replace("-", " ").strip()

    return [name for name in names if plain(name) in BACKGROUNDS]


def _ignored(pairs: Iterable[tuple[str, object]]) -> list[int | Colour | None]:
    value = next((value for name, value in pairs if name == "ignore"), [])
    one = parsed_value(value)
    return [one] if one is not None or not isinstance(value, list) else [*map(parsed_value, value)]


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
    line, seen = 1, 0

    def with_comma(match: re.Match[str]) -> str:
        nonlocal line, seen
        if match["value"] is None:
            return match[0]
        line += text.count("\n", seen, match.end())
        seen = match.end()
        lines.append(line)
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


def _problems(pairs: Sequence[tuple[str, object]]) -> list[tuple[str, str]]:
    """Return each problem with the entries, and what to do about it."""
    problems = []
    classes = [(name, value) for name, value in pairs if name != "ignore"]
    names = [name for name, _ in pairs]
    values = [(name, parsed_value(value), value) for name, value in classes]
    if twice := sorted(name for name, times in Counter(names).items() if times > 1):
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
    ignored = _ignored(pairs)
    wrong = [f"{n} ({_kind(v)})" for n, value, v in values if value is None]
    wrong += ["ignore"] if None in ignored else []
    if wrong:
        problems.append(
            (f"neither grey levels nor colours: {_few(wrong)}", f"write it as {_EXAMPLE}")
        )
    known = [*((n, value) for n, value, _ in values), *(("ignore", v) for v in ignored)]
    if outside := [f"{n} ({str(v)[:12]})" for n, v in known if _outside(v)]:
        problems.append(
            (f"grey levels outside 0 to 255: {_few(outside)}", "use the grey levels of the masks")
        )
    all_values = [value for _, value in known if value is not None]
    if shared := sorted(str(value) for value, times in Counter(all_values).items() if times > 1):
        problems.append(
            (f"values of several classes: {_few(shared)}", "give each class its own value")
        )
    if len({type(value) for value in all_values}) > 1:
        problems.append(
            ("some values are grey levels and some are colours", "use one of them for all classes")
        )
    if not 2 <= len(classes) <= IGNORE:
        problems.append(
            (
                f"the label map has {len(classes)} classes, expected 2 to {IGNORE}",
                f"include the background: {_EXAMPLE}",
            )
        )
    if len(named := backgrounds(name for name, _ in classes)) > 1:
        problems.append(
            (f"several classes could be the background: {_few(named)}", "rename all but one")
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
