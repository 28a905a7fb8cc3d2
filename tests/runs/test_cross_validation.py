"""Cross-validation: pooled records, exact resume, pretexts that see no held-out picture."""

from __future__ import annotations

import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.config.files import read_config, to_json
from headstart.config.records import RunConfig
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, InterruptedRun, UsageError
from headstart.records.calibration import read_calibration
from headstart.records.run_records import read_environment, read_leaks
from headstart.runs.cross_validation import cross_validate, in_fold
from headstart.runs.run import train
from headstart.scores import segmentation as segmentation_scores
from headstart.scores.frames_csv import read_frames_csv
from headstart.tasks.lookup import labelled_task
from headstart.training.checkpoint import load_weights, save_weights
from tests.tasks.classifier_runs import classifier
from tests.tiny_runs import Silent, started, tiny

SAME_BYTES = ("scores.json", "frames.csv", "metrics.jsonl", "config.json", "README.md",
              "calibration.json")  # fmt: skip


def labelled_alone(root: Path) -> Path:
    """Fifteen labelled frames, and no others."""
    write_dataset(root, train=9, validation=3, test=3, unlabelled=0, height=32, width=40)
    shutil.rmtree(root / "colorization")
    return root


def folded(data: Path, **changes: object) -> RunConfig:
    return tiny(data, folds=3, **changes)


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds") / "R"
    cross_validate(folded(drawn), out, Silent())
    return out


def test_every_labelled_frame_is_scored_once_by_a_network_that_has_not_seen_it(
    run: Path, drawn: Path
) -> None:
    dataset = open_dataset(drawn)
    counts = read_frames_csv((run / "frames.csv").read_bytes(), run)
    assert len(counts.frames) == len(set(counts.frames)) == sum(map(len, dataset.splits.values()))
    tested: list[str] = []
    for fold in (1, 2, 3):
        folder = run / f"fold-{fold}"
        of_fold = read_frames_csv((folder / "frames.csv").read_bytes(), folder)
        learned = set((folder / "labels.txt").read_text().split())
        assert learned.isdisjoint(of_fold.frames) and learned < set(counts.frames)
        tested += of_fold.frames
        rows = [counts.frames.index(name) for name in of_fold.frames]
        assert np.array_equal(counts.counts[rows], of_fold.counts)
    assert sorted(tested) == sorted(counts.frames)
    scores = json.loads((run / "scores.json").read_text())
    assert scores == {
        "split": "test", **segmentation_scores.score(counts.counts, counts.names)
    }  # fmt: skip


def test_calibration_is_that_of_each_picture_by_the_network_that_has_not_seen_it(
    run: Path,
) -> None:
    pooled = read_calibration(run)
    folds = [read_calibration(run / f"fold-{k}") for k in (1, 2, 3)]
    temperatures = [fold.temperature for fold in folds]
    assert pooled.temperature == pytest.approx(np.exp(np.mean(np.log(temperatures))), abs=1e-4)
    for part in ("before", "after"):
        sums = sum(getattr(fold, part).sums for fold in folds)
        assert np.allclose(getattr(pooled, part).sums, sums)
    frames = read_frames_csv((run / "frames.csv").read_bytes(), run).counts
    assert pooled.before.sums[:, 0].sum() == (frames[..., 0] + frames[..., 2]).sum()


def test_the_records_are_those_of_a_run(run: Path) -> None:
    assert read_config(run / "config.json") == folded(Path(read_config(run / "config.json").data))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [
        json.loads((run / f"fold-{k}/metrics.jsonl").read_text().splitlines()[0])["train_loss"]
        for k in (1, 2, 3)
    ]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[0]["train_loss"] == pytest.approx(np.mean(losses))
    environment = json.loads((run / "environment.json").read_text())
    assert set(environment["data"]) == {"labelled", "label map", "groups"}
    assert not (run / "weights.safetensors").exists()
    card = (run / "README.md").read_text()
    assert "3 folds" in card and "21 labelled frames" in card and "fold-3/README.md" in card


def test_stopped_in_any_fold_it_continues_to_the_same_bytes(
    run: Path, drawn: Path, tmp_path: Path
) -> None:
    class Interrupting(Silent):
        def step(self, done: int, total: int) -> None:
            super().step(done, total)
            if len(self.steps) == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "R"
    stops = []
    for _ in range(20):
        try:
            cross_validate(folded(drawn), out, Interrupting())
            break
        except InterruptedRun as stopped:
            stops.append(str(stopped))
    assert {f"fold {k} of 3" in "".join(stops) for k in (1, 2, 3)} == {True}
    assert all(f"--out {out}," in stop for stop in stops)
    for name in SAME_BYTES:
        assert (out / name).read_bytes() == (run / name).read_bytes(), name


def test_a_finished_one_is_read_and_trains_nothing(run: Path, drawn: Path, tmp_path: Path) -> None:
    listener = Silent()
    assert cross_validate(folded(drawn), run, listener)["frames"] == 21
    assert not listener.steps
    other = tmp_path / "data"
    shutil.copytree(drawn, other)
    mask = next((other / "segmentation/test").rglob("*mask*"))
    mask.write_bytes(next((other / "segmentation/train").rglob("*mask*")).read_bytes())
    with pytest.raises(DataError, match=r"data-changed.*labelled"):
        cross_validate(folded(other), run, Silent())


def test_one_fold_alone_is_the_same_run(run: Path, drawn: Path, tmp_path: Path) -> None:
    train(folded(drawn, fold=2), tmp_path / "two", Silent())
    for name in ("weights.safetensors", "frames.csv", "scores.json", "labels.txt"):
        assert (tmp_path / "two" / name).read_bytes() == (run / "fold-2" / name).read_bytes()


def test_one_fold_alone_has_the_pretext_of_the_fold(tmp_path: Path) -> None:
    """Through the verb, as `train --fold` does: without the fold's test pictures."""
    data = labelled_alone(tmp_path / "d")
    settings = {"size": (16, 24), "width": 2, "threads": 1, "device": "cpu", "steps": 3}
    settings |= {"start": "colorization", "pretext_steps": 3, "folds": 3, "seed": 3}
    headstart.train(data, out=tmp_path / "all", **settings)
    headstart.train(data, out=tmp_path / "two", fold=2, **settings)
    for name in ("weights.safetensors", "config.json", "start/leaks.json"):
        assert (tmp_path / "two" / name).read_bytes() == (
            tmp_path / "all/fold-2" / name
        ).read_bytes(), name


def test_other_groups_are_other_data(drawn: Path, tmp_path: Path) -> None:
    """They decide the folds: with the same pictures, some would be tested twice."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "masks").mkdir()
    shutil.copy(drawn / "mapping.json", data)
    for i, picture in enumerate(sorted(drawn.glob("segmentation/train/*/*_input.jpg"))):
        shutil.copy(picture, data / f"images/{i}.jpg")
        mask = picture.with_name(picture.name.replace("_input.jpg", "_mask.png"))
        shutil.copy(mask, data / f"masks/{i}.png")
    config, out = folded(data), tmp_path / "R"
    train(in_fold(config, open_dataset(data), 1), out / "fold-1", Silent())
    (out / "config.json").write_text(to_json(config))
    lines = [f"{i},{i // 2}\n" for i in range(12)]
    (data / "groups.csv").write_text("stem,group\n" + "".join(lines))
    with pytest.raises(DataError, match=r"data-changed.*groups"):
        cross_validate(config, out, Silent())


def test_folds_that_were_dealt_differently_are_not_put_together(run: Path, tmp_path: Path) -> None:
    task = labelled_task("segmentation")
    with pytest.raises(DataError, match="dealt differently"):
        task.write_pooled([run / "fold-1", run / "fold-2", run / "fold-1"], tmp_path)


def test_starts_that_have_seen_test_pictures_are_refused(
    drawn: Path, trained: Path, tmp_path: Path
) -> None:
    for start in (trained, trained / "weights.safetensors"):
        with pytest.raises(UsageError, match="start-has-seen"):
            cross_validate(folded(drawn, start=str(start)), tmp_path / "R", Silent())
    assert not (tmp_path / "R").exists()
    headstart.pretrain(drawn, out=tmp_path / "start", size=(16, 24), width=2, threads=1,
                       device="cpu", steps=2)  # fmt: skip
    config = folded(drawn, start=str(tmp_path / "start"), recipe=tiny(drawn).recipe.with_epochs(1))
    cross_validate(config, tmp_path / "R", Silent())  # learned from unlabelled pictures alone


def test_another_file_as_the_start_is_other_data(
    drawn: Path, trained: Path, tmp_path: Path
) -> None:
    weights, facts, _ = load_weights(trained / "weights.safetensors")
    for name in ("a", "b"):
        save_weights(tmp_path / f"{name}.safetensors", weights, {**facts, "name": name})
    recipe = tiny(drawn).recipe.with_epochs(1)
    for_start = partial(folded, drawn, recipe=recipe)
    out = tmp_path / "R"
    scores = cross_validate(for_start(start=str(tmp_path / "a.safetensors")), out, Silent())
    moved = shutil.copy(tmp_path / "a.safetensors", tmp_path / "moved.safetensors")
    assert cross_validate(for_start(start=str(moved)), out, Silent()) == scores
    with pytest.raises(DataError, match=r"data-changed.*start"):
        cross_validate(for_start(start=str(tmp_path / "b.safetensors")), out, Silent())


def test_copies_of_labelled_frames_in_a_pretext_are_counted_for_folds(
    drawn: Path, tmp_path: Path
) -> None:
    """The pretext left out those of validation and test frames; folds test the others, too."""
    start, options = tmp_path / "start", {"size": (16, 24), "width": 2, "threads": 1}
    headstart.pretrain(drawn, out=start, drop_leaks=True, device="cpu", steps=2, **options)
    config = folded(drawn, start=str(start), recipe=tiny(drawn).recipe.with_epochs(1))
    cross_validate(config, tmp_path / "R", Silent())
    seen = read_environment(tmp_path / "R").start_pictures
    frames = len(open_dataset(drawn).splits["train"])  # which are among the drawn pool
    assert seen is not None and seen.copies == frames and not seen.dropped
    card = (tmp_path / "R/fold-1/README.md").read_text()
    assert f"{frames} of the {seen.pictures} pretext" in card


def test_a_pretext_of_pictures_that_are_no_longer_those_without_labels_is_refused(
    drawn: Path, tmp_path: Path
) -> None:
    data = labelled_alone(tmp_path / "data")
    start, options = tmp_path / "start", {"size": (16, 24), "width": 2, "threads": 1}
    headstart.pretrain(data, out=start, device="cpu", steps=2, **options)
    shutil.copytree(drawn / "colorization", data / "colorization")
    with pytest.raises(UsageError, match=r"start-has-seen.*other pictures"):
        cross_validate(folded(data, start=str(start)), tmp_path / "R", Silent())


def test_a_pretext_of_the_pictures_of_a_classification_is_refused(
    coloured: Path, tmp_path: Path
) -> None:
    start, options = tmp_path / "start", {"size": (16, 24), "width": 2, "threads": 1}
    headstart.pretrain(coloured, out=start, device="cpu", steps=2, **options)
    with pytest.raises(UsageError, match="start-has-seen"):
        cross_validate(classifier(coloured, start=str(start), folds=2), tmp_path / "R", Silent())


def test_a_budget_that_a_fold_cannot_meet_is_refused_first(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="budget-too-large"):
        cross_validate(folded(drawn, labels=15), tmp_path / "R", Silent())
    assert not (tmp_path / "R").exists()


def test_too_many_folds_are_refused_before_anything_is_made(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="21 labelled pictures are too few for 30 folds"):
        cross_validate(tiny(drawn, folds=30), tmp_path / "R", Silent())
    assert not (tmp_path / "R").exists()


def test_a_pretext_of_labelled_pictures_sees_no_held_out_one(tmp_path: Path) -> None:
    """Without unlabelled pictures, each fold has a pretext of its own."""
    data = labelled_alone(tmp_path / "d")
    config = started(data, "colorization", folds=3)
    cross_validate(config, tmp_path / "R", Silent())
    for fold in (1, 2, 3):
        folder = tmp_path / "R" / f"fold-{fold}"
        record = read_leaks(folder / "start")
        assert not record.copies and not record.near
        seen = json.loads((folder / "start/environment.json").read_text())["pictures"]
        learned = (folder / "labels.txt").read_text().split()
        assert seen["train"] + seen["validation"] == len(learned)


def test_unlabelled_pictures_train_one_pretext_for_all_folds(drawn: Path, tmp_path: Path) -> None:
    """Copies of any labelled frame are leaks: each is a test frame of some fold."""
    cross_validate(started(drawn, "colorization", folds=3), tmp_path / "R", Silent())
    assert (tmp_path / "R/start/scores.json").exists()
    assert not (tmp_path / "R/fold-1/start").exists()


def test_classes_of_pictures(coloured: Path, tmp_path: Path) -> None:
    out = tmp_path / "R"
    config = classifier(coloured, start="scratch", folds=2)
    scores = cross_validate(config, out, Silent())
    assert scores["pictures"] == 42 and len((out / "frames.csv").read_text().splitlines()) == 43
    assert scores["classes"]["ape"]["pictures"] == 14
    parts = [json.loads((out / f"fold-{k}/scores.json").read_text()) for k in (1, 2)]
    right = sum(part["accuracy"] * part["pictures"] for part in parts)
    assert scores["accuracy"] == pytest.approx(right / 42)
    assert (out / "confusion.png").exists()
