"""``headstart.check`` reports the faults of folders and those inside files together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from headstart import check, train
from headstart.errors import DataError
from tests.data.layouts.test_people import REFUSED, pairs


@pytest.mark.parametrize("kinds", [("images", "masks"), ("Original", "Ground Truth")])
def test_it_names_all_faults_at_once(tmp_path: Path, kinds: tuple[str, str]) -> None:
    """A missing mask, a mask of another size, and a picture twice."""
    data, (images, masks) = tmp_path / "data", kinds
    pairs(data, f"{{s}}/{images}/{{k}}.png", f"{{s}}/{masks}/{{k}}.png")
    (data / f"train/{masks}/0.png").unlink()
    with Image.open(data / f"train/{masks}/1.png") as mask:
        mask.crop((0, 0, 20, 20)).save(data / f"train/{masks}/1.png")
    shutil.copy(data / f"train/{images}/2.png", data / f"train/{images}/3.png")
    report = check(data)
    codes = {finding.code for finding in report.findings}
    assert {"image-without-mask", "size-differs", "copies-within-split"} <= codes
    assert not report.ok and report.splits["train"].frames == 5
    with pytest.raises(DataError):
        train(data, out=tmp_path / "run")
    with pytest.raises(DataError):
        check(data, describe=tmp_path / "my.toml")
    assert not (tmp_path / "my.toml").exists() and not (tmp_path / "run").exists()


def test_masks_without_clear_classes_hide_no_missing_mask(tmp_path: Path) -> None:
    write, _, _ = REFUSED["soft edges in colour, in folders of any names"]
    write(tmp_path)
    (tmp_path / "Photos coloured in/0 coloured.png").unlink()
    with pytest.raises(DataError) as caught:
        check(tmp_path)
    assert {f.code for f in caught.value.findings} >= {"many-colours", "image-without-mask"}
