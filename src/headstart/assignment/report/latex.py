"""The report as a LaTeX document, and as PDF where a LaTeX is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from headstart.report.tables import latex
from headstart.report.words import Entry, Table

_ENGINES = ("pdflatex", "lualatex")
_SECONDS = 300
_LONG = 34  # characters, above which the first column is set in lines

# What our own words are set with, beside what `latex` knows.
_TYPESET = {
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "’": "'",
    "′": "$'$",
    "″": "$''$",
    "\u00a0": "~",
    "_": r"\_\allowbreak{}",
    "\u200b": r"\allowbreak{}",
    "\u2060": "{}",
}
_HYPHENS = re.compile("-(?=-)")
_UNBROKEN = re.compile(r"(\S{24})(?=\S)")


class Tex(str):
    """Text that is LaTeX already."""

    __slots__ = ()


def tex(value: object) -> str:
    r"""Any value, so that LaTeX sets it and does not obey it; what is ``Tex`` stays.

    >>> tex("(d) − (b): 5 % of R&D"), tex(Tex(r"\dag")), tex("--out")
    ('(d) $-$ (b): 5 \\% of R\\&D', '\\dag', '-{}-out')
    """
    if isinstance(value, Tex):
        return value
    apart = _HYPHENS.sub("-\u2060", str(value))  # LaTeX makes a dash of two: options are not
    breakable = _UNBROKEN.sub("\\1\u200b", apart)
    return "".join(map(_typeset, breakable))


@cache  # reports have tens of thousands of characters, and few different ones
def _typeset(character: str) -> str:
    return _TYPESET.get(character) or latex(character)


def tabular(table: Table) -> Tex:
    """A table with booktabs, its caption above it."""
    columns = "".join("l" if i in table.left else "r" for i in range(len(table.head)))
    longest = max((len(_plain(row[0])) for row in table.rows if len(row) > 1), default=0)
    first = r">{\raggedright\arraybackslash}p{0.34\linewidth}" if longest > _LONG else "l"
    columns = first + columns[1:]
    if len(table.head) == 2 and table.left:
        columns = r"l>{\raggedright\arraybackslash}p{0.7\linewidth}"
    lines = [
        r"\begin{shown}{table}",
        rf"\caption{{{tex(table.caption)}}}",
        r"\smallskip\small",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(map(tex, table.head)) + r" \\",
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        if len(row) == 1:
            space = [r"\addlinespace"] if i else []
            title = rf"\emph{{{_entry(row[0])}}}"
            lines += [*space, rf"\multicolumn{{{len(table.head)}}}{{@{{}}l}}{{{title}}} \\"]
        else:
            # without {} a name that begins with * or [ would be an argument of the line before
            lines.append("{}" + " & ".join(map(_entry, row)) + r" \\")
    return Tex("\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{shown}"]))


def _plain(entry: Entry) -> str:
    return entry if isinstance(entry, str) else entry[0]


def _entry(entry: Entry) -> str:
    if isinstance(entry, str):
        return tex(entry)
    return rf"{tex(entry[0])} {{\scriptsize ({tex(entry[1])})}}"


def render(content: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """The whole document; every value in it is escaped.

    Args:
        content: what both documents are made of.
        pictures: those that are in ``figures/``, by name.
    """
    environment = Environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        autoescape=False,
        finalize=tex,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = files("headstart.assignment.report").joinpath("report.tex.j2").read_text("utf-8")
    both = (*content["sections"], *content["transfer"])
    there = {s.picture: s.picture in pictures for s in both}
    document = environment.from_string(template)
    return document.render({**content, "pictures": there, "tabular": tabular, "Tex": Tex}) + "\n"


def make_pdf(folder: Path) -> tuple[bytes | None, str]:
    """``folder/report.tex`` as PDF.

    Returns:
        The PDF and nothing, or None and why there is none: never an error, for the report is
        complete without it.
    """
    engine = next(filter(shutil.which, _ENGINES), None)
    if engine is None:
        return None, f"neither {' nor '.join(_ENGINES)} is installed"
    with tempfile.TemporaryDirectory() as made:
        options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
        command = [engine, *options, f"-output-directory={made}", "report.tex"]
        fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "TEXMFVAR": made}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, **fixed},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, f"{engine} did not end well: {error}"
        pdf = Path(made, "report.pdf")
        if done.returncode == 0 and pdf.exists():
            return pdf.read_bytes(), ""
        said = done.stdout.decode("utf-8", "replace").splitlines()
        wrong = next((line for line in said if line.startswith("!")), "no message")
        return None, f"{engine} did not accept report.tex: {wrong}"
