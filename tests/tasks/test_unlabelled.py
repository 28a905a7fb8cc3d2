"""Pictures without labels in a run: which they are, leaks left out, and the run's records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from headstart.config.methods import Teacher
from headstart.config.recipe_records import Recipe
from headstart.config.records import RunConfig
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, InterruptedRun
from headstart.runs.cross_validation import cross_validate
from headstart.runs.run import train
from headstart.tasks.unlabelled import candidates
from tests.tiny_runs import Silent, tiny

FILES = ("weights.safetensors", "scores.json", "frames.csv", "metrics.jsonl", "leaks.json")


def taught(data: Path, **changes: object) -> RunConfig:
    recipe = tiny(data).recipe
    assert isinstance(recipe, Recipe)
    recipe = recipe.model_copy(update={"teacher": Teacher(batch=3, confidence=0.3), "epochs": 2})
    return tiny(data, recipe=recipe, **changes)


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "data"))


def unlabelled_files(data: Path) -> list[Path]:
    dataset = open_dataset(data)
    return [frame.image for part in dataset.unlabelled.values() for frame in part]


def test_a_run_and_its_records(data: Path, tmp_path: Path) -> None:
    scores = train(taught(data, labels=6), tmp_path / "R", Silent())
    record = json.loads((tmp_path / "R/environment.json").read_text())
    count = len(unlabelled_files(data))
    facts = {"source": "the unlabelled pictures", "pictures": count, "left_out": 0}
    assert record["unlabelled"] == facts and "unlabelled" in record["data"]
    rows = [json.loads(line) for line in (tmp_path / "R/metrics.jsonl").read_text().splitlines()]
    assert all(0 <= row["validation_confident"] <= 1 for row in rows)
    again = Silent()
    assert train(taught(data, labels=6), tmp_path / "R", again) == scores and not again.steps


def test_other_pictures_without_labels_are_other_data(data: Path, tmp_path: Path) -> None:
    train(taught(data), tmp_path / "R", Silent())
    first, second, *_ = unlabelled_files(data)
    shutil.copy(second, first)
    with pytest.raises(DataError, match="data-changed"):
        train(taught(data), tmp_path / "R", Silent())


def test_copies_of_held_out_frames_are_left_out(data: Path, tmp_path: Path) -> None:
    test_frame = open_dataset(data).splits["test"][0].image
    leak, *others = unlabelled_files(data)
    shutil.copy(test_frame, leak)
    train(taught(data, labels=6), tmp_path / "R", Silent())
    record = json.loads((tmp_path / "R/environment.json").read_text())["unlabelled"]
    assert (record["pictures"], record["left_out"]) == (len(others), 1)
    leaks = json.loads((tmp_path / "R/leaks.json").read_text())
    assert leaks["dropped"] and len(leaks["copies"]) == 1 and leak.name in leaks["copies"][0]
    for other in others:
        shutil.copy(test_frame, other)
    with pytest.raises(DataError, match="also validation or test frames"):
        train(taught(data, labels=6), tmp_path / "S", Silent())


def test_without_unlabelled_pictures_those_beyond_the_budget_serve(tmp_path: Path) -> None:
    data = write_dataset(
        tmp_path / "data", train=9, validation=3, test=3, unlabelled=0, height=32, width=40
    )
    for path in data.glob("*"):
        if path.is_dir() and path.name != "segmentation":
            shutil.rmtree(path)
    dataset = open_dataset(data)
    assert not any(dataset.unlabelled.values())
    names = [frame.name for frame in dataset.splits["train"]]
    source, frames = candidates(dataset, names[:4])
    assert [frame.name for frame in frames] == names[4:] and "beyond the label budget" in source
    train(taught(data, labels=4), tmp_path / "R", Silent())
    record = json.loads((tmp_path / "R/environment.json").read_text())["unlabelled"]
    assert record["pictures"] == 5
    with pytest.raises(DataError, match="no-unlabelled"):
        train(taught(data), tmp_path / "S", Silent())
    assert not (tmp_path / "S/scores.json").exists()


def test_pictures_that_need_no_padding(data: Path, tmp_path: Path) -> None:
    """Their masks ignore nothing; the teacher's do."""
    train(taught(data, size=(16, 20), labels=6), tmp_path / "R", Silent())
    assert (tmp_path / "R/scores.json").exists()


def test_tiles_of_pictures_without_labels(data: Path, tmp_path: Path) -> None:
    train(taught(data, framing="tile"), tmp_path / "R", Silent())
    assert (tmp_path / "R/scores.json").exists()


def test_each_fold_leaves_out_its_own_held_out_frames(data: Path, tmp_path: Path) -> None:
    """Without a folder of unlabelled pictures, none but the fold's training frames are left."""
    shutil.rmtree(data / "colorization")
    cross_validate(taught(data, labels=3, folds=3), tmp_path / "R", Silent())
    pooled = len([f for s in open_dataset(data).splits.values() for f in s])
    for fold in (1, 2, 3):
        record = json.loads((tmp_path / f"R/fold-{fold}/environment.json").read_text())
        splits = record["labels"]
        assert record["unlabelled"]["pictures"] + splits["train"] + splits["validation"] < pooled


def test_a_stopped_run_ends_with_the_same_files(data: Path, tmp_path: Path) -> None:
    import os
    import signal

    class Stops(Silent):
        def step(self, done: int, total: int) -> None:
            super().step(done, total)
            if done in (2, 3):
                os.kill(os.getpid(), signal.SIGTERM)

    train(taught(data, labels=6), tmp_path / "whole", Silent())
    for _ in range(2):
        with pytest.raises(InterruptedRun):
            train(taught(data, labels=6), tmp_path / "parts", Stops())
    train(taught(data, labels=6), tmp_path / "parts", Silent())
    for name in FILES:
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
