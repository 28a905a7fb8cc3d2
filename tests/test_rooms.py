"""What holds for the rooms as a whole, beside the order that import-linter keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG

PACKAGE = Path(__file__).parents[1] / "src" / "headstart"

LIGHT = (
    "errors", "seeding", "system", "plots", "scores", "data.layouts", "data.checks",
    "data.pictures", "config", "records", "training.listener", "tasks.interface",
    "tasks.lookup", "tasks.segmentation", "tasks.classification", "tasks.pretext", "runs.folder",
    "runs.records", "runs.initial_weights", "studies.plan", "studies.ledger", "studies.costs",
    "studies.units", "studies.status", "studies.worker", "studies.local", "studies.coordinator",
    "studies.statistics", "studies.verdicts", "inference", "exports.agreement",
    "exports.to_onnx", "reports", "cli",
)  # fmt: skip


def modules(room: str) -> list[str]:
    path = PACKAGE / room.replace(".", "/")
    files = [path.with_suffix(".py")] if path.with_suffix(".py").exists() else path.rglob("*.py")
    return [
        ".".join(("headstart", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        for file in files
    ]


def test_planning_predicting_from_a_file_and_reporting_load_no_torch() -> None:
    assert all(map(modules, LIGHT)), "a name is wrong"
    names = [name for room in LIGHT for name in modules(room)]
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} loads torch')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_module_lies_outside_the_rooms(path: Path) -> None:
    assert path.stem in ("__init__", "__main__", "errors", "seeding")


def test_the_slowest_files_of_the_suite_exist() -> None:
    """A name that is wrong starts late, and one worker waits for the other at the end."""
    tests = Path(__file__).parent
    assert [name for name in LONG if not (tests / name).is_file()] == []
