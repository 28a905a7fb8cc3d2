"""CSV that is read back as it was, LaTeX that obeys nobody's names."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.reports import csv_tables, latex_tables
from headstart.reports.arms import arms_of
from headstart.reports.formatting import Table
from headstart.reports.latex import captioned, escape, typeset
from headstart.reports.latex import row as latex_row
from headstart.reports.records import read_records
from headstart.scores.segmentation import SCORES
from headstart.system.spreadsheets import cell
from tests.reports.conftest import HOSTILE, START

# What an escaped text is made of: plain characters, and commands for the special ones.
_PLAIN = r"""[^\\&%$#_{}~^<>|"]"""
_ESCAPED = re.compile(rf"(?:{_PLAIN}|\\[&%$#_{{}}]|\\text[a-z]+\{{\}})*")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_scores_and_classes_are_read_back(hostile: Path) -> None:
    records = read_records(hostile)
    scores = rows(csv_tables.scores_csv(records))
    assert len(scores) == len(records.runs) + 1 and scores[-1]["seed"] == ""
    for row, run in zip(scores, records.runs, strict=False):
        assert row["start"] == run.start
        assert [float(row[s]) for s in SCORES] == [run.scores[s] for s in SCORES]
    assert START in {row["start"] for row in scores}
    assert [row["collapsed"] for row in scores].count("True") == 1
    classes = rows(csv_tables.classes_csv(records))
    assert len(classes) == len(records.runs) * len(HOSTILE)
    assert [row["class"] for row in classes[: len(HOSTILE)]] == [cell(n) for n in HOSTILE]


def test_comparisons_are_those_of_the_study(study: Path, hostile: Path) -> None:
    for folder, verdicts in ((study, {"helps"}), (hostile, {"too few seeds"})):
        records = read_records(folder).study
        assert records is not None and records.summary is not None
        summary = records.summary
        compared = rows(csv_tables.comparisons_csv(summary))
        assert [row["difference"] for row in compared] == [
            str(c["difference"]) for c in summary["comparisons"]
        ]
        assert {row["verdict"] for row in compared} == verdicts
        assert (compared[0]["low"] == "") == ("too few seeds" in verdicts)
        saved = rows(csv_tables.labels_saved_csv(summary))
        assert [row["start"] for row in saved] == [s["start"] for s in summary["labels_saved"]]
        of_few = "too few seeds" in verdicts
        assert {row["interval"] for row in saved} == {"no" if of_few else "yes"}
        assert all(float(row["smallest"]) <= float(row["labels"]) for row in saved)


def test_tunings_of_one_start_are_told_apart(study: Path) -> None:
    records = read_records(study).study
    assert records is not None and records.summary is not None
    (c, *_) = records.summary["comparisons"]
    alone = latex_tables.comparisons_tex({"comparisons": [c]})
    assert "tune" not in alone
    small = c | {"tune": "head", "difference": -0.0003, "labels": 1}
    both = latex_tables.comparisons_tex({"comparisons": [c, small]})
    assert ", tune all" in both and "1 label, against scratch, tune head" in both
    assert "$-0.0003$" in both


@given(st.text())
def test_latex_holds_no_special_character_that_is_not_escaped(text: str) -> None:
    escaped = escape(text)
    assert _ESCAPED.fullmatch(escaped) and escaped.isprintable()


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_a_captioned_table_has_a_row_for_each_entry(entries: list[tuple[str, str]]) -> None:
    table = Table("Any.", ("name", "value"), tuple((name, (x, x)) for name, x in entries))
    text = captioned(table)
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert len(body) == len(entries)
    assert all(line.startswith("{}") and line.endswith(r" \\") for line in body)
    assert typeset(text) is text  # what is LaTeX already is not escaped again


def test_latex_is_set(study: Path, hostile: Path, tmp_path: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex here (Debian: texlive-latex-recommended)")
    inputs = []
    for i, folder in enumerate((study, hostile)):
        records = read_records(folder)
        assert records.study is not None and records.study.summary is not None
        (tmp_path / f"scores{i}.tex").write_text(latex_tables.scores_tex(records, arms_of(records)))
        (tmp_path / f"comparisons{i}.tex").write_text(
            latex_tables.comparisons_tex(records.study.summary)
        )
        inputs += [rf"\noindent\input{{scores{i}}}\par", rf"\noindent\input{{comparisons{i}}}\par"]
    names = "".join(rf"\noindent {escape(name)}\par" + "\n" for name in HOSTILE)
    (tmp_path / "all.tex").write_text(
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{lmodern,booktabs}"
        "\n\\begin{document}\n" + "\n".join(inputs) + names + "\\end{document}\n"
    )
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").exists()


def test_a_table_has_as_many_fields_in_each_row(study: Path) -> None:
    records = read_records(study)
    for line in latex_tables.scores_tex(records, arms_of(records)).splitlines():
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert line.count(" & ") == len(SCORES)


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\uff1d1", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(study: Path, name: str) -> None:
    records = read_records(study)
    (first, *_) = records.runs
    named = replace(records, runs=(replace(first, start=name),))
    (line, _) = rows(csv_tables.scores_csv(named))
    assert line["start"].isprintable() and not line["start"].startswith(tuple("=+-@\uff1d"))


@pytest.mark.parametrize("name", ["[2cm]", "*"])
def test_no_name_is_an_argument_of_the_row_above(name: str) -> None:
    assert latex_row([escape(name), "1"]) == "{}" + name + r" & 1 \\"
