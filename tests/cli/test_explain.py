"""``headstart explain``: a code's row, offline."""

from __future__ import annotations

import json

from headstart.errors import read_codes
from tests.cli.command import headstart


def test_a_row_for_people_and_for_machines() -> None:
    code = read_codes()["unknown-grey"]
    done = headstart("explain", "unknown-grey")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("error[unknown-grey]\n")
    assert code.meaning in done.stdout and code.do in done.stdout
    found = json.loads(headstart("explain", "error[unknown-grey]", "--json").stdout)
    assert found == {
        "schema": 1, "code": "unknown-grey", "severity": ["error"], "where": code.where,
        "meaning": code.meaning, "do": code.do,
    }  # fmt: skip


def test_without_a_code_all_are_listed() -> None:
    lines = headstart("explain").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(read_codes())
    found = json.loads(headstart("explain", "--json").stdout)
    assert [row["code"] for row in found["codes"]] == list(read_codes())


def test_a_typo_ends_with_2_and_names_the_nearest() -> None:
    done = headstart("explain", "near-duplicate")
    assert done.returncode == 2 and done.stdout == ""
    assert "did you mean near-duplicates" in done.stderr
