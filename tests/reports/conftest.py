"""Studies on the disk, made from one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.maker import make_study

HOSTILE = (
    "ground",
    "<script>alert(1)</script>",
    "a&b_%$#{}~^\\ \"quoted\" 'single'",
    "two\nlines\tand | bars, commas; \x1b[31m",
    "Größe 針 \\input{/etc/passwd}",
)
START = "weights_<b>&%$#{}~^\\.safetensors"
DATA = "nowhere/<img src=x onerror=alert(1)>&_%$#{}~^\\ 'data'"
RARE = {2: 3, 3: 0}  # classes, and how many test frames hold them


@pytest.fixture(scope="session")
def study(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two starts, two budgets, five seeds, the data beside it; nothing writes into it."""
    return make_study(trained, tmp_path_factory.mktemp("made") / "study", labels=(3, 12), held=RARE)


@pytest.fixture(scope="session")
def hostile(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names as nobody should have them, in a folder of such a name; its data are gone."""
    out = tmp_path_factory.mktemp("made") / "a study, <i>&_%$#~^ 'so' called"
    return make_study(
        trained,
        out,
        starts=("scratch", START),
        labels=(3, 12),
        seeds=(2, 3, 5),
        names=HOSTILE,
        collapsed=[("scratch", 3, 2)],
        data=DATA,
    )
