"""The command line and the public names change only where that is meant."""

from __future__ import annotations

import difflib
import runpy
import subprocess
import sys
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


def test_a_module_does_not_hide_the_function_of_its_name() -> None:
    script = "import headstart, headstart.predict; assert headstart.predict.__name__ == 'predict'; "
    script += "assert callable(headstart.predict); from headstart.predict import png"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
