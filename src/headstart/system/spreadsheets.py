r"""CSV that a spreadsheet opens as text: no cell is a formula or holds a control character.

Names of files and classes come from other people, and a spreadsheet computes a cell that begins
with ``=``, ``+``, ``-`` or ``@``. Such a cell gets an apostrophe before it, unless it is a number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from headstart.errors import printable

_BEGINS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full width


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return lines of CSV, quoted where necessary, with empty fields for None; see [`cell`][]."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    r"""Return a value so that no spreadsheet takes it for a formula; only text is changed.

    >>> cell("=1+1"), cell("forceps"), cell("-0.5"), cell(-0.5), cell("a\n")
    ("'=1+1", 'forceps', '-0.5', -0.5, 'a\\n')
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _is_formula(text.lstrip("'")) else text


def text_of(field: str) -> str:
    """Return the text of which [`cell`][] made a field.

    >>> [text_of(cell(name)) for name in ("=1+1", "'=1+1", "'tis", "-1")]
    ['=1+1', "'=1+1", "'tis", '-1']
    """
    return field[1:] if field.startswith("'") and _is_formula(field.lstrip("'")) else field


def _is_formula(text: str) -> bool:
    if not text.startswith(_BEGINS):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
