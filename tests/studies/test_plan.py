"""What a study consists of, what may be added to it, and what is still to do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from headstart.config.files import to_json
from headstart.errors import DataError, UsageError
from headstart.studies.cells import cells
from headstart.studies.ledger import line_of, write_ledger
from headstart.studies.plan import expected_steps, grown, plan
from tests.conftest import PRETEXT_TINY
from tests.studies.test_ledger import write_finished
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


def test_settings_of_pretexts_are_of_the_study_that_has_some(drawn: Path) -> None:
    shorter = PRETEXT_TINY.model_copy(update={"epochs": 1})
    without = tiny_study(drawn, starts=("scratch",))
    with_one = tiny_study(drawn, pretext_recipe=shorter, drop_leaks=True)
    for before, now in ((without, with_one), (with_one, without)):
        both = grown(before, now)
        assert both.pretext_recipe == shorter and both.drop_leaks
        assert set(both.starts) == {"scratch", "colorization"}
    with pytest.raises(UsageError, match=r"pretext_recipe.epochs: 1 -> 2"):
        grown(with_one, tiny_study(drawn, drop_leaks=True))
    with pytest.raises(UsageError, match=r"recipe.epochs: 2 -> 5"):
        longer = without.recipe.model_copy(update={"epochs": 5})
        grown(without, tiny_study(drawn, recipe=longer))


@pytest.fixture
def finished(drawn: Path, tmp_path: Path) -> Path:
    """A study that has run."""
    its = tiny_study(drawn)
    (tmp_path / "config.json").write_text(to_json(its))
    ledger = {}
    for cell in cells(its):
        write_finished(tmp_path / cell.run)
        ledger[cell.run] = line_of(cell.run, tmp_path / cell.run, asdict(cell))
    write_ledger(tmp_path, ledger, list(ledger))
    return tmp_path


def test_runs_without_the_settings_they_had_are_not_taken(finished: Path, drawn: Path) -> None:
    (finished / "config.json").write_text(to_json(tiny_study(drawn, seeds=(1,))))
    with pytest.raises(DataError, match=r"ledger-differs.*4 runs"):
        plan(tiny_study(drawn, seeds=(1,)), finished)
    (finished / "config.json").unlink()
    with pytest.raises(UsageError, match=r"no config\.json that says what they are"):
        plan(tiny_study(drawn), finished)


def test_a_plan_counts_what_is_to_do(finished: Path, drawn: Path) -> None:
    todo = plan(tiny_study(drawn, seeds=(1, 2, 3)), finished)
    assert len(todo.done) == 8 and len(todo.todo) == 4
    steps, pretext_steps, pretexts = expected_steps(todo)
    assert steps == 4 * 2 * 3 and pretexts == 1 and pretext_steps > 0
