"""Tiles are the default where whole pictures would hide thin objects, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headstart
from tests.data.checks.test_thin_objects import write

pytestmark = pytest.mark.usefixtures("untimed")
SCRATCH: dict[str, Any] = {"model": "unet", "width": 2, "threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines that a picture of 320 pixels hides, and no other objects."""
    data = write(tmp_path_factory.mktemp("thin") / "data", 640, 4, count=12, square=False)
    (data / "mapping.json").write_text('{"background": 0, "line": 100}')
    return data


def codes(planned: Any) -> set[str]:
    return {finding.code for finding in planned.findings}


def test_lines_are_trained_on_in_tiles(lines: Path, tmp_path: Path) -> None:
    planned = headstart.train(lines, **SCRATCH, dry_run=True)
    assert (planned.config.framing, planned.config.size) == ("tile", (128, 128))
    assert "thin-objects" in codes(planned)
    options = {"folds": 3, "seeds": 1, "starts": "scratch,colorization", **SCRATCH}
    study = headstart.study(lines, out=tmp_path / "study", **options, dry_run=True)
    assert (study.config.framing, study.config.size) == ("tile", (128, 128))
    assert "thin-objects" in codes(study)
    pretrained = headstart.train(lines, start="colorization", **SCRATCH, dry_run=True).config
    assert pretrained.pretext is not None and pretrained.pretext.framing == "tile"
    start = headstart.pretrain(lines, **SCRATCH, dry_run=True).config
    assert (start.framing, start.size) == ("tile", (128, 128)), "as the run that it is for"
    of_folder = headstart.pretrain(lines / "images/train", **SCRATCH, dry_run=True).config
    assert of_folder.framing == "pad", "a folder without masks"


@pytest.mark.parametrize(
    "options",
    [{"size": "320x320"}, {"squeeze": True}, {"recipe": "assignment"}],
    ids=["a size", "squeeze", "the assignment"],
)
def test_what_says_how_large_pictures_are_stays(lines: Path, options: dict[str, Any]) -> None:
    planned = headstart.train(lines, **SCRATCH, **options, dry_run=True)
    assert planned.config.framing != "tile" and "thin-objects" not in codes(planned)


def test_where_most_classes_are_seen_tiles_are_recommended(tmp_path: Path) -> None:
    planned = headstart.train(write(tmp_path / "data", 640, 4, count=4), **SCRATCH, dry_run=True)
    assert planned.config.framing == "pad" and "thin-objects" in codes(planned)


def test_broad_lines_are_seen_in_whole_pictures(tmp_path: Path) -> None:
    planned = headstart.train(write(tmp_path / "data", 640, 12, count=12), **SCRATCH, dry_run=True)
    assert planned.config.framing == "pad" and "thin-objects" not in codes(planned)


def test_a_begun_folder_keeps_whole_pictures(lines: Path, tmp_path: Path) -> None:
    config = headstart.train(
        lines, out=tmp_path / "run", **SCRATCH, size="32x32", steps=1, score="validation"
    ).config
    same = {**SCRATCH, "steps": 1, "score": "validation"}
    again = headstart.train(lines, out=tmp_path / "run", **same, dry_run=True).config
    assert (again.framing, again.size) == (config.framing, config.size) == ("pad", (32, 32))
