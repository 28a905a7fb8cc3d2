"""Masks that store white as zero, as ImageJ's Analyze Particles writes them: said, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from tests.data.layouts.plain_copy import HEIGHT, WIDTH, save_picture

CODE = "inverted-masks"


def folder(root: Path, inverted: range, photometric: str = "miniswhite") -> Path:
    """Twelve pictures; masks of one disc that is stored as 255, as ImageJ stores an object."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    disc = np.where((rows - 12) ** 2 + (columns - 16) ** 2 < 36, 255, 0).astype(np.uint8)
    (root / "gt").mkdir(parents=True)
    for k in range(12):
        save_picture(root / f"img/{k}.png", str(k))
        how = photometric if k in inverted else "minisblack"
        tifffile.imwrite(root / f"gt/{k}.tif", disc, photometric=how)
    return root


def test_all_inverted_is_said_and_read_by_the_line_of_the_hint(tmp_path: Path) -> None:
    root = folder(tmp_path, range(12))
    (finding,) = (f for f in open_dataset(root).findings if f.code == CODE)
    assert finding.severity == "warning" and "dark parts are background" in finding.message
    (root / "mapping.json").write_text(finding.hint.rpartition("write mapping.json: ")[2])
    dataset = open_dataset(root)
    assert CODE not in {f.code for f in dataset.findings}, "somebody has seen to it"
    assert dataset.label_map.names == ("background", "class_1")
    assert dataset.label_map.greys == (255, 0)


def test_some_inverted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        open_dataset(folder(tmp_path, range(3, 7)))
    (finding,) = (f for f in refused.value.findings if f.code == CODE)
    assert "4 of 12 masks" in finding.message and "gt/3.tif" in finding.files[0]


def test_usual_masks_say_nothing(tmp_path: Path) -> None:
    assert CODE not in {f.code for f in open_dataset(folder(tmp_path, range(0))).findings}
