"""The page of faults names tests that exist, and leaves out no fault and no input."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/method/faults.md").read_text()
ROWS = re.findall(r"^\| (F?\d+) \| (.+)$", TEXT, re.MULTILINE)


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_fault_and_no_input_is_missing() -> None:
    ids = [*(f"F{k}" for k in range(1, 43)), *(str(k) for k in range(1, 65))]
    assert [name for name, _ in ROWS] == ids


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_what_a_row_names_exists(name: str, row: str) -> None:
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
    assert len(tests) == row.count("`tests/")
    for path, function in tests:
        assert function in functions(path), (path, function)
    for path in re.findall(r"`(benchmarks/\w+\.py)`", row):
        assert (ROOT / path).exists(), path
    assert tests or re.search(r"Does not apply: \w", row), "neither a test nor a reason"
