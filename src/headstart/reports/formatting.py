"""How numbers, lists and tables appear in a report's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NONE = "–"

Entry = str | tuple[str, str]
"""The content of a table cell; of a pair, the second is set small below the first."""


@dataclass(frozen=True)
class Table:
    """A table, set as HTML by the page and as LaTeX by the document.

    Attributes:
        caption: its caption.
        head: column headings; the first column holds the row names.
        rows: each as long as ``head``; a row with a single entry is a heading of the rows below it.
        left: indices of further columns that hold words and are left-aligned.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    left: tuple[int, ...] = ()


def number(value: float | None) -> str:
    """Return a number with three decimals, or a dash for None.

    >>> number(0.12345), number(None)
    ('0.123', '–')
    """
    return NONE if value is None else f"{value:.3f}".replace("-", "−")


def signed(value: float | None) -> str:
    """Return a number with its sign and three decimals, or a dash for None.

    >>> signed(0.0541), signed(-0.012), signed(-0.0002)
    ('+0.054', '−0.012', '−0.0002')
    """
    if value is None:
        return NONE
    rounds_to_zero = 0 < abs(value) < 0.0005  # three decimals would show neither size nor sign
    text = f"{value:+.1g}" if rounds_to_zero else f"{value + 0.0:+.3f}"
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """Return a time span in at most two units.

    >>> duration(12.34), duration(200.0), duration(15000.0)
    ('12.3 s', '3 min 20 s', '4 h 10 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def listed(words: Sequence[str]) -> str:
    """Return words joined by commas, with "and" before the last.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def plural(count: int, noun: str) -> str:
    """Return a count and its noun.

    >>> plural(1, "seed"), plural(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return settings as pairs of name and text, nested names joined by dots.

    >>> flat({"batch": 5, "augmentation": {"flip": False}, "patience": None, "seen": ()})
    [('batch', '5'), ('augmentation.flip', 'no'), ('patience', 'none'), ('seen', 'none')]
    """
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            rows.append((prefix + name, ", ".join(map(str, value)) or "none"))
        else:
            words = {None: "none", True: "yes", False: "no"}
            text = words[value] if value is None or isinstance(value, bool) else str(value)
            rows.append((prefix + name, text))
    return rows
