r"""Tables for papers: LaTeX fragments with booktabs, to be read with ``\input``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.reports.arms import Arm, Spread
from headstart.reports.formatting import plural, signed
from headstart.reports.latex import escape, heading, row, small, tabular
from headstart.reports.records import Records
from headstart.studies.wording import level_words
from headstart.tasks.lookup import task_named

_SPACE = r"\addlinespace"


def scores_tex(records: Records, arms: Sequence[Arm]) -> str:
    """Return means over seeds, with standard deviations below them in brackets."""
    scores = task_named(records.config.task).measures.scores
    first, second = zip(*(score.partition("_")[::2] for score in scores), strict=True)
    head = [["start", *first], ["", *(part.replace("_", " ") for part in second)]]
    body = []
    for i, arm in enumerate(arms):
        if i == 0 or arm.labels != arms[i - 1].labels:
            body += [_SPACE] if i else []
            body.append(heading(len(scores) + 1, plural(arm.labels, "label")))
        spreads = [arm.spread(score) for score in scores]
        body.append(row([escape(arm.name), *(_number(s.mean if s else None) for s in spreads)]))
        mark = f"{arm.collapsed} of {len(arm.runs)} collapsed" if arm.collapsed else ""
        if mark or any(s and s.sd is not None for s in spreads):
            body.append(row([small(mark), *map(_deviation, spreads)]))
    trivial = records.runs[0].scores["trivial"]
    constant = [_number(trivial.get(score)) for score in scores]
    body += [r"\midrule", row(["best constant", *constant])]
    note = "Means over seeds; standard deviations over seeds in brackets."
    return _fragment("l" + "r" * len(scores), head, body, note)


def comparisons_tex(summary: dict[str, Any]) -> str:
    """Return the differences in ``study.json`` with their intervals."""
    body: list[str] = []
    above = ""
    several_tunes = len({c["tune"] for c in summary["comparisons"]}) > 1
    for c in summary["comparisons"]:
        title = f"{plural(c['labels'], 'label')}, against {escape(c['against'])}"
        title += f", tune {escape(c['tune'])}" if several_tunes else ""
        if title != above:
            body += [_SPACE] if above else []
            body.append(heading(6, title))
            above = title
        interval = level = "--"
        if c["low"] is not None:
            interval = f"{_signed(c['low'])} to {_signed(c['high'])}"
            level = escape(level_words(c["level"])).replace(" ", r"\,")
        seeds, verdict = str(c["seeds"]), escape(c["verdict"])
        body.append(
            row([escape(c["start"]), _signed(c["difference"]), interval, level, seeds, verdict])
        )
    head = [["start", "difference", "interval", "level", "seeds", "verdict"]]
    metric = next((c["metric"] for c in summary["comparisons"]), "score")
    note = f"Differences in {metric}; intervals over seeds and what was scored, levels after Holm."
    return _fragment("lrrrrl", head, body, note)


def _fragment(columns: str, head: Sequence[Sequence[str]], body: Sequence[str], note: str) -> str:
    lines = [
        r"% \usepackage{booktabs}, \usepackage[T1]{fontenc}",
        f"% {note}",
        r"\begingroup\setlength{\tabcolsep}{2.5pt}%",  # fits a text width of 345 pt
        tabular(columns, head, body) + r"\endgroup",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "--" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "--" if value is None else f"${signed(value).replace('−', '-')}$"


def _deviation(spread: Spread | None) -> str:
    return "" if spread is None or spread.sd is None else small(f"({spread.sd:.3f})")
