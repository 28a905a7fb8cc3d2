"""Patterns of paths, such as ``img/{group}/{name}_*.png``.

A pattern has parts in braces, which match within one folder or file name; ``*`` matches anything
there. A part that is there twice must be the same in both places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Parts = Mapping[str, str]
"""What the parts of a pattern stand for in one path, by the part's name."""


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern.

    >>> compiled("img/{group}/{name}_*.png").fullmatch("img/p1/7_left.png").groupdict()
    {'group': 'p1', 'name': '7'}
    """
    seen: set[str] = set()
    expression = ""
    for piece in re.split(r"(\{[a-z_]+\}|\*)", pattern):
        if piece == "*":
            expression += "[^/]*"
        elif piece[:1] == "{" and piece[-1:] == "}":
            part = piece[1:-1]
            expression += f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+)"
            seen.add(part)
        else:
            expression += re.escape(piece)
    return re.compile(expression)


def parts_of(pattern: str) -> list[str]:
    """Return the names of the parts of a pattern.

    >>> parts_of("img/{group}/{name}_*.png")
    ['group', 'name']
    """
    return re.findall(r"\{([a-z_]+)\}", pattern)


def filled(pattern: str, parts: Parts) -> str:
    """Return a pattern with values in place of its parts.

    >>> filled("{group}_{name}", {"group": "p1", "name": "7"})
    'p1_7'
    """
    return re.sub(r"\{([a-z_]+)\}", lambda part: parts[part[1]], pattern)


def literal(pattern: str) -> int:
    """Return how many characters of a pattern match only themselves.

    >>> literal("img/{name}_mask.*")
    10
    """
    return len(re.sub(r"\{[a-z_]+\}|\*", "", pattern))


def matching(pattern: str, paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the paths that a pattern matches, each with its parts."""
    expression = compiled(pattern)
    return {path: match.groupdict() for path in paths if (match := expression.fullmatch(path))}


def may_lie_in(folder: str, pattern: str) -> bool:
    """Return whether files that a pattern matches may lie in a folder or below it.

    >>> may_lie_in("p1/img", "{group}/img/{name}.png"), may_lie_in("p1/old", "{group}/img/{name}")
    (True, False)
    """
    above = pattern.split("/")[:-1]
    depth = folder.count("/") + 1
    return depth <= len(above) and compiled("/".join(above[:depth])).fullmatch(folder) is not None
