"""Every code of a finding has an explanation, and every explanation a code."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from headstart.errors import Finding, UsageError, look_up, read_codes

ROOT = Path(__file__).parents[1]
DOCS = runpy.run_path(str(ROOT / "docs" / "errors.py"))


def test_every_code_in_the_source_has_its_row_and_every_row_its_code() -> None:
    uses = DOCS["uses_in_source"]()
    known = read_codes()
    assert len(uses) > 150
    skeleton = DOCS["missing_rows"](set(known))
    assert not skeleton, f"add to src/headstart/errors.toml, in words:\n\n{skeleton}"
    dead = sorted(set(known) - {use.code for use in uses})
    assert not dead, f"no finding has these codes any more; remove them from errors.toml: {dead}"


def test_the_severities_are_those_of_the_source() -> None:
    known = read_codes()
    found: dict[str, set[str]] = {}
    for use in DOCS["uses_in_source"]():
        found.setdefault(use.code, set()).update({use.severity} - {None})
    wrong = {
        code: (sorted(severities), known[code].severity)
        for code, severities in found.items()
        if code in known and not severities <= set(known[code].severity)
    }
    assert not wrong, f"errors.toml has other severities than the source (source, toml): {wrong}"


def test_rows_are_complete_and_in_order() -> None:
    rows = read_codes()
    assert list(rows) == sorted(rows), "errors.toml is in alphabetical order"
    for code in rows.values():
        assert code.severity and set(code.severity) <= {"error", "warning", "info"}, code
        assert code.where, code
        for text in (code.meaning, code.do):
            assert text.endswith(".") and "|" not in text and "\n" not in text, code


def test_the_page_is_made_from_the_rows() -> None:
    written = (ROOT / "docs" / "errors.md").read_text()
    assert written == DOCS["page"](), "run: uv run python docs/errors.py"


def test_new_codes_are_seen_however_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(
        "def refuse(self, message, code, severity='error'):\n"
        "    return Finding(code, severity, message)\n"
        "class Search:\n"
        "    def error(self, code, message):\n"
        "        self._found(code, 'error', message)\n"
        "    def _found(self, code, severity, message):\n"
        "        Finding(code, severity, message)\n"
        "refuse('words', 'by-a-function')\n"
        "search.error('by-a-method', 'words')\n"
        "for a, code in (('x', 'by-a-loop'), (f(), 'by-a-loop-too')):\n"
        "    Finding(code, 'info', a)\n"
        "Finding(other.code, other.severity, 'again')\n"
        "found.append(Finding('plain', 'warning', 'words'))\n"
    )
    uses = {(use.code, use.severity) for use in DOCS["uses_in_source"](tmp_path)}
    assert uses == {
        ("by-a-function", None),
        ("by-a-method", "error"),
        ("by-a-loop", "info"),
        ("by-a-loop-too", "info"),
        ("plain", "warning"),
    }
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "new.py").write_text("Finding(f'code-{n}', 'error', 'words')\n")
    with pytest.raises(ValueError, match=r"new.py:1: the code of this finding is no literal"):
        DOCS["uses_in_source"](tmp_path / "other")


def test_a_code_is_found_as_it_stands_in_a_message() -> None:
    for text in ("unknown-grey", "error[unknown-grey]", "[unknown-grey]", " Unknown-Grey "):
        assert look_up(text).name == "unknown-grey"
    with pytest.raises(UsageError, match="did you mean unknown-grey"):
        look_up("unknown-gray")
    with pytest.raises(UsageError, match="lists all"):
        look_up("zzz")


def test_names_in_messages_cannot_steer_a_terminal() -> None:
    """Escape sequences, line breaks, and marks that reverse the order of letters."""
    name = "a\x1b[31m\n\u202egnp.exe\udce9"
    shown = str(Finding("disk", "error", f"cannot read {name}", f"rename {name}", (name,)))
    assert all(line.isprintable() for line in shown.splitlines())
    assert shown.count("\\x1b[31m\\n\\u202egnp.exe\\udce9") == 3 and len(shown.splitlines()) == 3
