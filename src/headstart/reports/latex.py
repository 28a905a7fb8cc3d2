r"""LaTeX for reports: text without commands, and tables with booktabs.

Text reaches LaTeX in two ways. `escape` takes names as users wrote them; `typeset` also sets the
typographic characters of our own sentences and lets long words break.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from headstart.errors import printable
from headstart.reports.formatting import Entry, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u030c\u0327"

_BREAK, _SPLIT = "\u200b", "\u2060"
_TYPOGRAPHY = {
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "’": "'",
    "“": "``",
    "”": "''",
    "′": "$'$",
    "″": "$''$",
    "\u00a0": "~",
    "_": r"\_\allowbreak{}",
    _BREAK: r"\allowbreak{}",
    _SPLIT: "{}",
}
_HYPHENS = re.compile("-(?=-)")
_LONG_WORD = re.compile(r"(\S{24})(?=\S)")

_WIDE = 34  # characters, above which a first column is set in several lines


class Tex(str):
    """Text that is LaTeX already."""

    __slots__ = ()


def escape(text: str) -> str:
    r"""Return text that every LaTeX prints and none executes.

    Letters with the usual accents stay; others, which pdfLaTeX may not know, are named.

    >>> escape("R&D_50% \\input{x}")
    'R\\&D\\_50\\% \\textbackslash{}input\\{x\\}'
    >>> escape("Größe 針")
    'Größe [U+91DD]'
    """
    return "".join(
        _SPECIAL.get(c) or (c if _printed_by_pdflatex(c) else f"[U+{ord(c):04X}]")
        for c in printable(text)
    )


def _printed_by_pdflatex(character: str) -> bool:
    parts = unicodedata.normalize("NFD", character)
    accented = parts[0].isascii() and parts[0].isalpha() and all(m in _ACCENTS for m in parts[1:])
    return character.isascii() or accented or character in "ßæøåœÆØÅŒ"


def typeset(value: object) -> str:
    r"""Return any value as LaTeX text with its typography; ``Tex`` stays as it is.

    >>> typeset("(d) − (b): 5 % of R&D"), typeset(Tex(r"\dag")), typeset("--out")
    ('(d) $-$ (b): 5 \\% of R\\&D', '\\dag', '-{}-out')
    """
    if isinstance(value, Tex):
        return value
    options_kept = _HYPHENS.sub(f"-{_SPLIT}", str(value))  # LaTeX would join -- into one dash
    breakable = _LONG_WORD.sub(f"\\1{_BREAK}", options_kept)
    return "".join(_TYPOGRAPHY.get(c) or escape(c) for c in breakable)


def row(fields: Sequence[str]) -> str:
    """Return a row of LaTeX fields."""
    line = " & ".join(fields) + r" \\"
    # Without {} a name that begins with * or [ would be an argument of the row above.
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def heading(columns: int, title: str) -> str:
    """Return a row that is the heading of the rows below it."""
    return rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\emph{{{title}}}}} \\"


def small(text: str) -> str:
    """Return LaTeX text set small; nothing for an empty one."""
    return rf"{{\scriptsize {text}}}" if text else ""


def tabular(columns: str, head: Sequence[Sequence[str]], body: Sequence[str]) -> str:
    """Return a tabular with the rules of booktabs.

    Args:
        columns: the column types, such as ``"lrr"``.
        head: rows of LaTeX fields.
        body: rows of LaTeX, as from `row` and `heading`.
    """
    lines = [
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *map(row, head),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def captioned(table: Table) -> Tex:
    r"""Return a table of the report as an environment ``shown``, its caption above it."""
    columns = len(table.head)
    body = []
    for i, entries in enumerate(table.rows):
        if len(entries) == 1:
            body += [r"\addlinespace"] if i else []
            body.append(heading(columns, _field(entries[0])))
        else:
            body.append("{}" + row([_field(entry) for entry in entries]))
    lines = [
        r"\begin{shown}{table}",
        rf"\caption{{{typeset(table.caption)}}}",
        r"\smallskip\small",
        tabular(_column_types(table), [[typeset(name) for name in table.head]], body),
        r"\end{shown}",
    ]
    return Tex("\n".join(lines))


def _column_types(table: Table) -> str:
    if len(table.head) == 2 and table.left:
        return r"l>{\raggedright\arraybackslash}p{0.7\linewidth}"
    if table.left == (1, 2, 3) and len(table.head) == 4:  # all words
        widths = (0.22, 0.3, 0.24)
        wrapped = (rf">{{\raggedright\arraybackslash}}p{{{w}\linewidth}}" for w in widths)
        return "l" + "".join(wrapped)
    names = [entries[0] for entries in table.rows if len(entries) > 1]
    longest = max((len(name if isinstance(name, str) else name[0]) for name in names), default=0)
    first = r">{\raggedright\arraybackslash}p{0.34\linewidth}" if longest > _WIDE else "l"
    return first + "".join("l" if i in table.left else "r" for i in range(1, len(table.head)))


def _field(entry: Entry) -> str:
    if isinstance(entry, str):
        return typeset(entry)
    return f"{typeset(entry[0])} {small(f'({typeset(entry[1])})')}"
