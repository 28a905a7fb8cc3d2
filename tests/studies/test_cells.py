"""The runs of a study: their order and their folders."""

from __future__ import annotations

from pathlib import Path

from headstart.studies.cells import cells
from tests.studies.test_study import tiny_study


def test_cells_come_seed_by_seed_and_have_folders_of_their_own(drawn: Path) -> None:
    config = tiny_study(drawn, starts=("scratch", "a/run", "b/run", "scratch-longer"))
    all_cells = cells(config)
    assert len(all_cells) == 4 * 2 * 2 == len({cell.run for cell in all_cells})
    assert [cell.seed for cell in all_cells] == [1] * 8 + [2] * 8
    assert all("/" not in cell.run.removeprefix("runs/") for cell in all_cells)


def test_a_start_whose_name_is_no_text_has_a_folder(drawn: Path) -> None:
    (cell,) = cells(tiny_study(drawn, starts=("a/r\udcfcn",), labels=(6,), seeds=(1,)))
    assert cell.run.isascii()
