"""The report checks the data that the scores were taken on, and no others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from headstart.reports.data_check import check_data
from headstart.reports.records import read_records


def test_other_data_in_the_place_of_the_runs_are_not_checked(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    records = read_records(trained)
    assert records.run is not None
    shutil.copytree(drawn, tmp_path / "data")
    config = records.run.model_copy(update={"data": str(tmp_path / "data")})
    records = replace(records, run=config)
    assert check_data(records).findings and not check_data(records).missing
    image = open_dataset(tmp_path / "data").splits["test"][0].image
    with Image.open(image) as picture:
        picture.rotate(180).save(image)
    found = check_data(records)
    assert not found.findings and "are not those" in found.missing
