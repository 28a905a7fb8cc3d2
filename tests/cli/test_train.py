"""``headstart train`` and ``study``: what is said of the data before anything is learned."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headstart.studies import study  # noqa: F401 - loaded once, for all children
from tests.cli.command import headstart


@pytest.mark.parametrize("verb", ["train", "study"])
@pytest.mark.parametrize("kind", ["classes", "masks"])
def test_what_opening_the_data_shows_is_said(
    verb: str, kind: str, drawn: Path, coloured: Path, tmp_path: Path
) -> None:
    """A device that there is not ends it before it trains."""
    data = tmp_path / "data"
    shutil.copytree(coloured if kind == "classes" else drawn, data)
    command = (verb, data, "--device", "cuda:99", "--out", tmp_path / "out")
    done = headstart(*command)
    assert done.returncode == 2 and "CUDA" in done.stderr.upper() and "warning[" not in done.stderr
    if kind == "classes":
        (data / "train" / "loose.png").touch()
    else:
        mapping = data / "mapping.json"
        mapping.write_text(mapping.read_text().replace(",", "", 1))
    done = headstart(*command)
    assert done.returncode == 2 and "CUDA" in done.stderr.upper()
    said = "warning[passed-over]" if kind == "classes" else "warning[label-map"
    assert done.stderr.count("warning[") == done.stderr.count(said) == 1, done.stderr
