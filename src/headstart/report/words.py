"""Numbers as people read them, and tables made of such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.report.summary import Spread

NONE = "–"

Entry = str | tuple[str, str]
"""What stands in a field of a table; of two, the second is set small below the first."""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        caption: what it shows.
        head: of the columns; the first is that of the rows' names.
        rows: each as long as ``head``; one with a single entry is the heading of those below it.
        left: columns that hold words, beside the first.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    left: tuple[int, ...] = ()


def number(value: float | None) -> str:
    """Three decimals, a dash for what there is not.

    >>> number(0.12345), number(None)
    ('0.123', '–')
    """
    return NONE if value is None else f"{value:.3f}".replace("-", "−")


def signed(value: float | None) -> str:
    """With its sign.

    >>> signed(0.0541), signed(-0.012), signed(-0.0002)
    ('+0.054', '−0.012', '−0.0002')
    """
    if value is None:
        return NONE
    hidden = 0 < abs(value) < 0.0005  # three decimals would show neither size nor sign
    return (f"{value:+.1g}" if hidden else f"{value + 0.0:+.3f}").replace("-", "−")


def over_seeds(spread: Spread | None) -> Entry:
    """The mean, with the range below it where there are several seeds."""
    if spread is None:
        return NONE
    if len(spread.values) == 1:
        return number(spread.mean)
    return number(spread.mean), f"{spread.low:.2f}–{spread.high:.2f}"


def duration(seconds: float) -> str:
    """Two units at most.

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
    """With commas, and an "and" before the last.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def plural(count: int, noun: str) -> str:
    """A count and what is counted.

    >>> plural(1, "seed"), plural(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings by name, nested names with dots, values as JSON has them.

    >>> flat({"batch": 5, "augmentation": {"flip": False}, "patience": None})
    [('batch', '5'), ('augmentation.flip', 'no'), ('patience', 'none')]
    """
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            rows.append((prefix + name, ", ".join(map(str, value))))
        else:
            words = {None: "none", True: "yes", False: "no"}
            shown = words[value] if value is None or isinstance(value, bool) else str(value)
            rows.append((prefix + name, shown))
    return rows
