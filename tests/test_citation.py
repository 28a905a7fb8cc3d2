"""CITATION.cff has what its format asks for, and says what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CITATION = (ROOT / "CITATION.cff").read_text()


def value(key: str) -> str:
    """Of a key at the first level."""
    (found,) = re.findall(rf"^{key}: (.+)$", CITATION, re.MULTILINE)
    return found.strip('"')


def test_it_has_the_keys_that_are_required() -> None:
    assert value("cff-version") == "1.2.0" and value("type") == "software"
    assert value("message") and value("title")
    authors = re.findall(r"^authors:\n((?:  .+\n)+)", CITATION, re.MULTILINE)
    assert len(authors) == 1 and "  - name: " in authors[0]


def test_it_says_what_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert value("version") == project["version"] and value("license") == project["license"]
    assert project["authors"] == [{"name": re.findall(r"- name: (.+)", CITATION)[0]}]
    assert value("title").endswith(project["description"][0].lower() + project["description"][1:-1])


def test_it_invents_no_address() -> None:
    for key in ("doi", "url", "repository-code", "date-released"):
        assert not re.search(rf"^{key}:", CITATION, re.MULTILINE)
