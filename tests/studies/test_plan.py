"""The plan of a study: what may be added to it, what is left, and when it is made again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from headstart.config.files import to_json
from headstart.data.decoded_frames import digest
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, UsageError
from headstart.studies.cells import cells, pretext_config
from headstart.studies.ledger import line_of, write_ledger
from headstart.studies.plan import expected_steps, grown, plan, replanned
from headstart.tasks.pretext import pictures_of
from tests.studies.test_ledger import TASK, write_finished
from tests.studies.test_study import tiny_study
from tests.tiny_runs import PRETEXT_TINY


def test_settings_of_pretexts_are_of_the_study_that_has_some(drawn: Path) -> None:
    shorter = PRETEXT_TINY.with_epochs(1)
    without = tiny_study(drawn, starts=("scratch",))
    with_one = tiny_study(drawn, pretext_recipe=shorter, drop_leaks=True)
    for before, now in ((without, with_one), (with_one, without)):
        both = grown(before, now)
        assert both.pretext_recipe == shorter and both.drop_leaks
        assert set(both.starts) == {"scratch", "colorization"}
    with pytest.raises(UsageError, match=r"pretext_recipe.epochs: 1 -> 2"):
        grown(with_one, tiny_study(drawn, drop_leaks=True))
    with pytest.raises(UsageError, match=r"recipe.epochs: 2 -> 5"):
        longer = without.recipe.with_epochs(5)
        grown(without, tiny_study(drawn, recipe=longer))


def test_pretexts_of_older_versions_are_found(drawn: Path, tmp_path: Path) -> None:
    """Their folders' hashes know no framing, precision or folds."""
    config = tiny_study(drawn, starts=("scratch", "colorization"), seeds=(1,))
    planned = plan(config, tmp_path / "S")
    (of_seed,) = planned.folders.values()
    settings = pretext_config(config, "colorization", 1).model_dump(
        exclude={"data", "framing", "precision", "folds", "fold"}
    )
    settings["recipe"] = {
        k: v for k, v in settings["recipe"].items() if v is not None or k != "steps"
    }
    pictures = pictures_of(open_dataset(drawn))
    inputs = json.dumps([settings, digest(pictures.pool, pictures.root)], sort_keys=True)
    expected = hashlib.sha256(inputs.encode()).hexdigest()[:8]
    assert of_seed == (f"starts/colorization-1-{expected}",)
    padded = plan(config.model_copy(update={"framing": "pad"}), tmp_path / "S")
    assert padded.folders.keys() == planned.folders.keys() and padded.folders != planned.folders


@pytest.fixture
def finished(drawn: Path, tmp_path: Path) -> Path:
    """A study that has run."""
    config = tiny_study(drawn)
    (tmp_path / "config.json").write_text(to_json(config))
    ledger = {}
    for cell in cells(config):
        write_finished(tmp_path / cell.run)
        ledger[cell.run] = line_of(cell.run, tmp_path / cell.run, asdict(cell), TASK)
    write_ledger(tmp_path, ledger, list(ledger))
    return tmp_path


def test_runs_without_the_settings_they_had_are_not_taken(finished: Path, drawn: Path) -> None:
    (finished / "config.json").write_text(to_json(tiny_study(drawn, seeds=(1,))))
    with pytest.raises(DataError, match=r"ledger-differs.*4 runs"):
        plan(tiny_study(drawn, seeds=(1,)), finished)
    (finished / "config.json").unlink()
    with pytest.raises(UsageError, match=r"not-a-study.*config\.json"):
        plan(tiny_study(drawn), finished)


def test_a_plan_is_made_again_only_if_the_folder_has_changed(finished: Path, drawn: Path) -> None:
    config = tiny_study(drawn, seeds=(1, 2, 3))
    planned = plan(config, finished)
    assert replanned(planned, finished) is planned
    cell = planned.todo[0]  # which another process finishes
    write_finished(finished / cell.run)
    ledger = {**planned.done, cell.run: line_of(cell.run, finished / cell.run, asdict(cell), TASK)}
    write_ledger(finished, ledger, list(ledger))
    again = replanned(planned, finished)
    assert cell.run in again.done and again.todo == planned.todo[1:]
    assert again.dataset is planned.dataset
    (finished / "config.json").write_text(to_json(tiny_study(drawn, seeds=(1, 2, 4))))
    grown_meanwhile = replanned(again, finished)
    assert grown_meanwhile.config.seeds == (1, 2, 3, 4)
    assert replanned(grown_meanwhile, finished) is grown_meanwhile


def test_a_plan_that_another_process_made_impossible_is_refused(
    finished: Path, drawn: Path
) -> None:
    planned = plan(tiny_study(drawn), finished)
    (finished / "config.json").write_text(to_json(tiny_study(drawn, width=3)))
    with pytest.raises(UsageError, match=r"settings-differ.*width: 3 -> 2"):
        replanned(planned, finished)


def test_planning_a_finished_study_loads_no_torch(finished: Path, drawn: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from headstart.studies.costs import NOTHING, cost_of_study\n"
        "from headstart.studies.plan import plan, replanned\n"
        "from headstart.config.files import read_study_config\n"
        "out = Path(sys.argv[1])\n"
        "planned = plan(read_study_config(out / 'config.json'), out)\n"
        "assert len(planned.done) == 8 and not planned.todo\n"
        "assert replanned(planned, out) is planned\n"
        "assert cost_of_study(planned) == NOTHING\n"
        "sys.exit(bool({'torch', 'torchvision', 'scipy', 'matplotlib'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(finished)]
    assert subprocess.run(command, check=False).returncode == 0


def test_a_plan_counts_what_is_to_do(finished: Path, drawn: Path) -> None:
    todo = plan(tiny_study(drawn, seeds=(1, 2, 3)), finished)
    assert len(todo.done) == 8 and len(todo.todo) == 4
    steps, pretext_steps, pretexts = expected_steps(todo)
    assert steps == 4 * 2 * 3 and pretexts == 1 and pretext_steps > 0
