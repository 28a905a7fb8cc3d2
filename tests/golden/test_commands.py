"""The command line and the public names change only where that is meant."""

from __future__ import annotations

import difflib
import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MAKE = runpy.run_path(str(HERE / "make_commands.py"))


@pytest.mark.parametrize("name", ["commands", "public_names"])
def test_nothing_changed_unnoticed(name: str) -> None:
    path = HERE / f"{name}.txt"
    kept, now = path.read_text(), MAKE[name]()
    lines = difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", "", "", 0, "")
    assert kept == now, (
        "\n".join(lines) + "\nif that is meant: uv run python tests/golden/make_commands.py"
    )
