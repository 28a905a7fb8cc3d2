"""How far a study is, read from its folder while others work on it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from headstart.cli.status import status as cli_status
from headstart.config.files import study_to_json
from headstart.errors import DataError
from headstart.studies.cells import cells
from headstart.studies.ledger import line_of, write_ledger
from headstart.studies.status import study_status
from headstart.studies.units import Unit, write_units
from headstart.system.claims import Ending, claim
from headstart.verbs.status import status
from tests.studies.test_ledger import TASK, write_finished
from tests.studies.test_study import tiny_study

FORK = multiprocessing.get_context("fork")
PRETEXT = "starts/colorization-1-00000000"


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    """A study of four runs and a pretext, of which one run is finished."""
    config, out = tiny_study(drawn, seeds=(1,)), tmp_path / "S"
    out.mkdir()
    (out / "config.json").write_text(study_to_json(config))
    of_study = cells(config)
    units = [Unit(name=PRETEXT, about="pretext colorization, seed 1", pretext="colorization")]
    units += [Unit(name=cell.run, about=str(cell), seed=1, steps=12) for cell in of_study]
    write_units(out, units)
    first = of_study[0]
    write_finished(out / first.run)
    line = line_of(first.run, out / first.run, asdict(first), TASK)
    write_ledger(out, {first.run: line}, [cell.run for cell in of_study])
    return out


def test_every_state(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [unit.name for unit in study_status(folder).units]
    running, failing = claim(folder, names[2], "slurm", "17"), claim(folder, names[3])
    assert running is not None and failing is not None
    (running.attempt / "log").write_text("at work\n")
    (failing.attempt / "log").write_text("the last\x1b words\n")
    failing.end(Ending("failed", "not-finite", "NaN at step 3", again=False, host="node7"))
    (folder / names[2]).mkdir()
    row = {"epoch": 1, "step": 4, "train_loss": 1.0, "validation_loss": 1.0}
    (folder / names[2] / "metrics.jsonl").write_text(json.dumps(row) + "\n{torn")
    child = FORK.Process(target=lambda: os._exit(claim(folder, names[4]) is None))
    child.start()
    child.join()
    found = status(folder)
    states = {unit.name: unit.state for unit in found.units}
    assert states == dict(
        zip(names, ("waiting", "done", "running", "failed", "silent"), strict=True)
    )
    assert (found.runs, found.done) == (4, 1)
    (at_work,) = found.in_state("running")
    assert (at_work.executor, at_work.job, at_work.step, at_work.steps) == ("slurm", "17", 4, 12)
    assert at_work.host == os.uname().nodename and at_work.since and at_work.heard is not None
    (failed,) = found.in_state("failed")
    assert (failed.code, failed.reason, failed.host) == ("not-finite", "NaN at step 3", "node7")
    assert failed.log == ("the last\\x1b words",) and failed.tries == 1
    # six steps in 3.5 s; 1 of the pretext, 8 and 12 of runs are left, one at a time
    assert found.seconds == 3.5 and found.seconds_left == pytest.approx(3.5 / 6 * 21)
    cli_status(folder, json=False)
    told = capsys.readouterr().out
    for fact in ("1 of 4 runs done", "slurm 17", "step 4 of at most 12", "NaN at step 3", "minute"):
        assert fact in told
    cli_status(folder, json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["done"] == 1 and [unit["state"] for unit in shown["units"]].count("failed") == 1
    running.end(Ending("finished"))


def test_time_left_knows_pretexts_and_the_place_that_was_just_freed(folder: Path) -> None:
    names = [unit.name for unit in study_status(folder).units]
    pretext = folder / names[0]
    pretext.mkdir(parents=True)
    timing = {"epoch": 1, "steps": 1, "train_seconds": 9.0, "validation_seconds": 1.0}
    (pretext / "timing.jsonl").write_text(json.dumps(timing) + "\n")
    # a step of the pretext takes 10 s, one of a run 3.5 s / 6; three runs have not begun
    found = study_status(folder)
    runs = 3.5 / 6 * 3 * 12
    assert found.seconds == 13.5 and found.seconds_left == pytest.approx(10 + runs)
    running = claim(folder, names[2])
    assert running is not None
    assert study_status(folder).seconds_left == pytest.approx(10 + runs)
    assert study_status(folder, starting=1).seconds_left == pytest.approx((10 + runs) / 2)
    # no more start than wait: the pretext, and two runs
    assert study_status(folder, starting=9).seconds_left == pytest.approx((10 + runs) / 4)
    running.end(Ending("finished"))


def test_it_needs_no_data_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    config = json.loads((copy / "config.json").read_text())
    assert Path(config["data"]).exists()
    files = sorted(path.relative_to(copy) for path in copy.rglob("*"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert study_status(copy).done == 1
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == files
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)


def test_a_study_of_an_older_version_tells_its_runs(folder: Path) -> None:
    (folder / "units.json").unlink()
    found = study_status(folder)
    assert (found.runs, found.done, len(found.units)) == (4, 1, 4)
    assert not any(unit.pretext for unit in found.units)


def test_what_is_no_study(trained: Path, tmp_path: Path) -> None:
    for path in (tmp_path, trained):
        with pytest.raises(DataError, match="not-a-study"):
            study_status(path)


def test_a_damaged_list_of_units_is_named(folder: Path) -> None:
    text = (folder / "units.json").read_text()
    (folder / "units.json").write_text(text.replace('"steps": 12', '"steps": 13', 1))
    with pytest.raises(DataError, match=r"bad-record.*units\.json"):
        study_status(folder)
