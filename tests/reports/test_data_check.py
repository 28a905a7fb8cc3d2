"""The report checks the data that the scores were taken on, and no others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError
from headstart.reports.data_check import DataCheck, check_data, data_section
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


@pytest.mark.parametrize(
    ("grouped", "said"),
    [(True, "No video or patient is in more"), (False, "does not say which"), (None, "not know")],
)
def test_nothing_is_claimed_about_groups_that_are_not_known(
    trained: Path, grouped: bool | None, said: str
) -> None:
    """As where pictures lie in folders of classes, or the dataset cannot be opened any more."""
    section = data_section(read_records(trained), DataCheck("", (), None, grouped))
    (sentence,) = section["groups"]
    assert said in sentence


def test_a_dataset_that_cannot_be_opened_says_nothing_about_groups(
    trained: Path, drawn: Path, tmp_path: Path
) -> None:
    records = read_records(trained)
    assert check_data(records).grouped is False and records.run is not None
    shutil.copytree(drawn, tmp_path / "data")
    (tmp_path / "data/mapping.json").write_text("{")
    records = replace(records, run=records.run.model_copy(update={"data": str(tmp_path / "data")}))
    found = check_data(records)
    assert found.findings and found.grouped is None


def test_a_damaged_record_is_no_finding_about_the_data(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    records = read_records(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"bad-record.*config\.json"):
        check_data(records)
    (folder / "config.json").unlink()  # a study may be copied without it
    assert not check_data(records).missing
