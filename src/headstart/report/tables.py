"""The report's tables for other programs: CSV as long lists, LaTeX with booktabs."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from headstart.errors import printable
from headstart.report.measures import measures_of
from headstart.report.read import Records
from headstart.report.summary import Cell, Spread

_COMPARED = (
    "labels", "tune", "start", "against", "metric", "difference", "low", "high", "level", "seeds",
    "verdict",
)  # fmt: skip
_SAVED = ("start", "against", "tune", "labels", "reaches", "low", "high", "level", "seeds")
_LATEX = {
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


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Quoted where need be; nothing for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def scores_csv(records: Records) -> str:
    """A line for each run, and one for the best constant prediction by each score."""
    scores = measures_of(records).scores
    rows = [
        [r.start, r.tune, r.labels, r.seed, r.scores["split"], r.scores["collapsed"]]
        + [r.scores[s] for s in scores]
        for r in records.runs
    ]
    some = records.runs[0].scores
    constant = ["best constant prediction", None, None, None, some["split"], None]
    rows.append(constant + [some["trivial"].get(s) for s in scores])
    return _csv(["start", "tune", "labels", "seed", "split", "collapsed", *scores], rows)


def classes_csv(records: Records) -> str:
    """A line for each run and class, with the reason where a score is not there."""
    its = measures_of(records)
    counted = [its.units] if its.unit == "picture" else [its.units, "pixels"]
    head = ["start", "tune", "labels", "seed", "class", *counted, *its.by_class, "reason"]
    rows = [
        [r.start, r.tune, r.labels, r.seed, name]
        + [c[s] for s in (*counted, *its.by_class)]
        + [c.get("reason")]
        for r in records.runs
        for name, c in r.scores["classes"].items()
    ]
    return _csv(head, rows)


def comparisons_csv(study: dict[str, Any]) -> str:
    """A line for each comparison of ``study.json``."""
    return _csv(_COMPARED, ([c[key] for key in _COMPARED] for c in study["comparisons"]))


def labels_saved_csv(study: dict[str, Any]) -> str:
    """A line for each start; nothing stands for "more than ``labels``"."""
    return _csv(_SAVED, ([s.get(key) for key in _SAVED] for s in study["labels_saved"]))


def latex(text: str) -> str:
    r"""Any text, so that every LaTeX sets it and none obeys it.

    Letters with the usual accents stay; others, which pdfLaTeX may not know, are named.

    >>> latex("R&D_50% \\input{x}")
    'R\\&D\\_50\\% \\textbackslash{}input\\{x\\}'
    >>> latex("Größe 針")
    'Größe [U+91DD]'
    """
    return "".join(
        _LATEX.get(c) or (c if _known(c) else f"[U+{ord(c):04X}]") for c in printable(text)
    )


def _known(character: str) -> bool:
    parts = unicodedata.normalize("NFD", character)
    accented = parts[0].isascii() and parts[0].isalpha() and all(m in _ACCENTS for m in parts[1:])
    return character.isascii() or accented or character in "ßæøåœÆØÅŒ"


def _tabular(columns: str, head: Sequence[Sequence[str]], body: Sequence[str], note: str) -> str:
    lines = [
        r"% \usepackage{booktabs}, \usepackage[T1]{fontenc}",
        f"% {note}",
        r"\begingroup\setlength{\tabcolsep}{2.5pt}%",  # for a text 345 pt wide
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *(" & ".join(row) + r" \\" for row in head),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}\endgroup",
    ]
    return "\n".join(lines) + "\n"


def scores_tex(records: Records, cells: Sequence[Cell]) -> str:
    """Means over seeds, standard deviations below them in brackets."""
    scores = measures_of(records).scores
    first, second = zip(*(score.partition("_")[::2] for score in scores), strict=True)
    head = [["start", *first], ["", *(part.replace("_", " ") for part in second)]]
    body = []
    for i, cell in enumerate(cells):
        if i == 0 or cell.labels != cells[i - 1].labels:
            if i:
                body.append(r"\addlinespace")
            body.append(
                rf"\multicolumn{{{len(scores) + 1}}}{{@{{}}l}}{{\emph{{{cell.labels} labels}}}} \\"
            )
        spreads = [cell.spread(score) for score in scores]
        body.append(_row(latex(cell.name), [_number(s.mean if s else None) for s in spreads]))
        mark = f"{cell.collapsed} of {len(cell.runs)} collapsed" if cell.collapsed else ""
        if mark or any(s and s.sd is not None for s in spreads):
            body.append(_row(_small(mark), [_deviation(s) for s in spreads]))
    trivial = records.runs[0].scores["trivial"]
    body += [r"\midrule", _row("best constant", [_number(trivial.get(s)) for s in scores])]
    note = "Means over seeds; standard deviations over seeds in brackets."
    return _tabular("l" + "r" * len(scores), head, body, note)


def comparisons_tex(study: dict[str, Any]) -> str:
    """Differences with their intervals."""
    body: list[str] = []
    above = ""
    for c in study["comparisons"]:
        heading = f"{c['labels']} labels, against {latex(c['against'])}"
        if heading != above:
            body += [r"\addlinespace"] if above else []
            body.append(rf"\multicolumn{{6}}{{@{{}}l}}{{\emph{{{heading}}}}} \\")
            above = heading
        low, high = (_signed(c[end]) for end in ("low", "high"))
        interval = "--" if c["low"] is None else rf"{low} to {high}"
        level = rf"{100 * c['level']:.4g}\,\%" if c["low"] is not None else "--"
        fields = [_signed(c["difference"]), interval, level, str(c["seeds"])]
        body.append(_row(latex(c["start"]), [*fields, latex(c["verdict"])]))
    head = [["start", "difference", "interval", "level", "seeds", "verdict"]]
    metric = next((c["metric"] for c in study["comparisons"]), "score")
    note = f"Differences in {metric}; intervals over seeds and what was scored, levels after Holm."
    return _tabular("lrrrrl", head, body, note)


def _row(name: str, fields: Sequence[str]) -> str:
    return " & ".join([name, *fields]) + r" \\"


def _number(value: float | None) -> str:
    return "--" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "--" if value is None else f"${value:+.3f}$"


def _deviation(spread: Spread | None) -> str:
    return "" if spread is None or spread.sd is None else _small(f"({spread.sd:.3f})")


def _small(text: str) -> str:
    return rf"{{\scriptsize {text}}}" if text else ""
