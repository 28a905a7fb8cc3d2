"""Studies: cells, what may grow, the ledger, kills, workers; only the start differs."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from headstart.config.files import differences, read_run_config
from headstart.config.records import StudyConfig, make_study_config
from headstart.errors import DataError, Finding, InterruptedRun, UsageError
from headstart.reports.write import write_report
from headstart.runs.run import train
from headstart.studies import books
from headstart.studies.cells import Cell, run_config
from headstart.studies.plan import plan
from headstart.studies.study import study
from headstart.training.checkpoint import load_weights, save_weights
from headstart.verbs.status import status
from tests.tiny_runs import ASSIGNMENT_TINY, PRETEXT_TINY, Silent, tiny

RUN_FILES = ("frames.csv", "scores.json", "metrics.jsonl", "weights.safetensors")


def tiny_study(data: Path, **changes: object) -> StudyConfig:
    settings = {
        "schema": 1, "data": str(data), "starts": ("scratch", "colorization"), "labels": (6, 12),
        "seeds": (1, 2), "width": 2, "size": (16, 24), "threads": 1,
        "recipe": tiny(data).recipe.model_copy(update={"epochs": 2}),
        "pretext_recipe": PRETEXT_TINY, **changes,
    }  # fmt: skip
    return StudyConfig.model_validate(settings)


def ignore(_: str) -> None:
    """What is told."""


@pytest.fixture(scope="module")
def done(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "S"
    study(tiny_study(drawn), out, Silent(), ignore)
    return out


def test_runs_of_one_seed_differ_in_the_start_and_in_nothing_else(done: Path) -> None:
    for seed in (1, 2):
        for labels in (6, 12):
            configs = [
                read_run_config(done / Cell(start, "all", labels, seed).run / "config.json")
                for start in ("scratch", "colorization")
            ]
            changed = {line.split(":")[0].split(".")[0] for line in differences(*configs)}
            assert changed == {"start", "pretext"}
            environments = [
                json.loads(
                    (done / Cell(s, "all", labels, seed).run / "environment.json").read_text()
                )
                for s in ("scratch", "colorization")
            ]
            assert environments[0]["labels"] == environments[1]["labels"]
            data = [{k: v for k, v in e["data"].items() if k != "start"} for e in environments]
            assert data[0] == data[1]


def test_the_record_has_the_promised_form(done: Path) -> None:
    record = json.loads((done / "study.json").read_text())
    assert record["schema"] == 1 and len(record["records"]) == 8
    assert set(record["records"][0]) == {"start", "tune", "labels", "seed", "run", "scores"}
    for comparison in record["comparisons"]:
        assert {
            "labels", "tune", "start", "against", "metric", "difference", "low", "high", "seeds",
            "verdict",
        } <= set(comparison)  # fmt: skip
        assert comparison["verdict"] == "too few seeds"
        assert comparison["low"] is None and comparison["high"] is None
    (saved,) = record["labels_saved"]
    assert {"start", "against", "labels", "reaches", "low", "high"} <= set(saved)
    assert not list(done.rglob("checkpoint"))


def test_differences_are_those_of_the_scores(done: Path) -> None:
    """Against the runs' own scores, where all present classes are on five test frames."""
    record = json.loads((done / "study.json").read_text())
    classes = record["classes"]["classes"]
    for comparison in record["comparisons"]:
        means = []
        for start in ("colorization", "scratch"):
            dices = [
                [list(r["scores"]["classes"].values())[k]["dice"] for k in classes]
                for r in record["records"]
                if (r["start"], r["labels"]) == (start, comparison["labels"])
            ]
            means.append(sum(sum(d) / len(d) for d in dices) / len(dices))
        assert comparison["difference"] == pytest.approx(means[0] - means[1])


def test_a_run_of_a_study_is_the_run_alone(done: Path, drawn: Path, tmp_path: Path) -> None:
    cell = Cell("colorization", "all", 6, 2)
    train(run_config(tiny_study(drawn), cell), tmp_path / "alone", Silent())
    for name in RUN_FILES:
        assert (tmp_path / "alone" / name).read_bytes() == (done / cell.run / name).read_bytes()


def test_a_study_grows_and_runs_nothing_again(done: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "S"
    shutil.copytree(done, out)
    kept = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/frames.csv")}
    study(
        tiny_study(drawn, starts=("scratch", "masked-denoising"), seeds=(2,)),
        out,
        Silent(),
        ignore,
    )
    record = json.loads((out / "study.json").read_text())
    assert len(record["records"]) == 3 * 2 * 2
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    assert {c["start"] for c in record["comparisons"]} == {"colorization", "masked-denoising"}
    told: list[str] = []
    listener = Silent()
    study(tiny_study(drawn), out, listener, told.append)
    assert told == [] and listener.steps == []


def test_without_weights_a_study_goes_on_where_it_was(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    """What is carried between machines: the ledger and each run's records."""
    out = tmp_path / "S"
    ignored = shutil.ignore_patterns("*.safetensors", "*.png", "cache", "README.md", ".lock")
    shutil.copytree(done, out, ignore=ignored)
    told: list[str] = []
    before = (out / "study.json").read_bytes()
    study(tiny_study(drawn), out, Silent(), told.append)
    assert told == [] and (out / "study.json").read_bytes() == before
    study(tiny_study(drawn, labels=(6, 9, 12), seeds=(1,)), out, Silent(), told.append)
    assert sum("[" in line for line in told) == 4  # two starts, two seeds
    assert (out / Cell("colorization", "all", 9, 1).run / "scores.json").exists()


def test_scratch_longer_has_the_pretexts_steps_more(drawn: Path, tmp_path: Path) -> None:
    config = tiny_study(
        drawn, starts=("scratch", "colorization", "scratch-longer"), labels=(6,), seeds=(1,)
    )
    out = tmp_path / "S"
    record = study(config, out, Silent(), ignore)
    (pretext,) = (out / "starts").iterdir()
    extra = json.loads((pretext / "scores.json").read_text())["steps"]
    steps = {
        line["start"]: line["steps"]
        for line in map(json.loads, (out / "ledger.jsonl").read_text().splitlines())
    }
    assert 0 <= steps["scratch-longer"] - steps["scratch"] - extra < 3  # whole epochs of 3 steps
    compared = {(c["start"], c["against"]) for c in record["comparisons"]}
    assert compared == {
        ("colorization", "scratch"), ("scratch-longer", "scratch"),
        ("colorization", "scratch-longer"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"starts": ("scratch", "colorisation")}, r"unknown-start.*colorisation"),
        ({"starts": ("scratch", "scratch-longer")}, r"(?s)no-pretext.*scratch-longer.*--starts"),
        ({"labels": (6, 13)}, r"budget-too-large.*13"),
    ],
)
def test_studies_that_cannot_be(drawn: Path, tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        study(tiny_study(drawn, **changes), tmp_path / "S", Silent(), ignore)
    assert not (tmp_path / "S").exists()


def test_following_the_hint_trains_a_run_again(done: Path, drawn: Path, tmp_path: Path) -> None:
    """A run without frames.csv is not finished; one on other frames is named, not compared."""
    cell = Cell("scratch", "all", 6, 1)
    ledger = (done / "ledger.jsonl").read_text().splitlines(keepends=True)
    others = "".join(line for line in ledger if cell.run not in line)
    out = Path(shutil.copytree(done, tmp_path / "S"))
    (out / cell.run / "frames.csv").unlink()
    with pytest.raises(DataError, match="ledger-differs"):
        study(tiny_study(drawn), out, Silent(), ignore)
    (out / "ledger.jsonl").write_text(others)
    told: list[str] = []
    study(tiny_study(drawn), out, Silent(), told.append)
    assert len(told) == 1 and str(cell) in told[0]
    for name in ("frames.csv", "scores.json"):
        assert (out / cell.run / name).read_bytes() == (done / cell.run / name).read_bytes()
    assert (out / "study.json").read_bytes() == (done / "study.json").read_bytes()

    frames = (out / cell.run / "frames.csv").read_text().splitlines()
    frame, name, *counts = frames[1].split(",")  # background, which no score of the run is about
    frames[1] = ",".join([frame, name, str(int(counts[0]) + 1), *counts[1:]])
    (out / cell.run / "frames.csv").write_text("\n".join(frames) + "\n")
    (out / cell.run / "manifest.json").unlink()  # as in a run of an older version
    (out / "ledger.jsonl").write_text(others)
    with pytest.raises(DataError, match=r"bad-record.*frames\.csv.*truth"):
        study(tiny_study(drawn), out, Silent(), ignore)


def test_other_settings_are_refused_with_the_difference(done: Path, drawn: Path) -> None:
    with pytest.raises(UsageError, match="width: 2 -> 3"):
        study(tiny_study(drawn, width=3), done, Silent(), ignore)


def test_a_folder_that_is_no_study_is_not_touched(
    drawn: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"(?s)not-a-study.*thesis\.txt"):
        study(tiny_study(drawn), tmp_path, Silent(), ignore)
    with pytest.raises(DataError):
        study(tiny_study(drawn), trained, Silent(), ignore)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("segmentation/test/0/0_mask.png", "test"),
        ("segmentation/train/2/2_input.jpg", "train"),
        ("colorization/train_cor/2/2_input.jpg", "train without labels"),
    ],
)
def test_runs_on_other_data_are_not_compared_with_the_finished_ones(
    done: Path, drawn: Path, tmp_path: Path, file: str, said: str
) -> None:
    out, data = tmp_path / "S", tmp_path / "data"
    shutil.copytree(done, out)
    shutil.copytree(drawn, data)
    assert len(plan(tiny_study(data, seeds=(3,)), out).todo) == 4  # elsewhere, and the same
    place = data / file
    shutil.copy(place.parents[1] / "1" / place.name.replace(place.name[0], "1", 1), place)
    before = (out / "config.json").read_bytes()
    with pytest.raises(DataError, match=rf"(?s)data-changed.*: {said}\n.*--out"):
        study(tiny_study(data, seeds=(3,)), out, Silent(), ignore)
    assert (out / "config.json").read_bytes() == before


def _study_in_child(config: StudyConfig, out: Path) -> None:
    os.setsid()
    study(config, out, Silent(), ignore, checkpoint_seconds=0.05)


def test_killed_ten_times_and_continued_says_the_same(
    done: Path, drawn: Path, tmp_path: Path
) -> None:
    config, out = tiny_study(drawn), tmp_path / "S"
    context = multiprocessing.get_context("fork")
    rng = random.Random(0)
    kills, times = 0, {}
    for _ in range(60):
        child = context.Process(target=_study_in_child, args=(config, out))
        began = time.monotonic()
        child.start()
        child.join(rng.uniform(0.1, 0.6))
        if not child.is_alive():
            break
        if kills == 10:
            child.join()
            break
        child.kill()
        child.join()
        kills += time.monotonic() - began > 0.1
        for path in out.glob("runs/*/scores.json"):
            times.setdefault(path, path.stat().st_mtime_ns)
            assert path.stat().st_mtime_ns == times[path], "a finished run was run again"
    assert kills >= 5 and child.exitcode == 0
    for name in ("study.json", *(f"{p.relative_to(done)}" for p in done.glob("runs/*/frames.csv"))):
        assert (out / name).read_bytes() == (done / name).read_bytes(), name
    whole, killed = (shutil.copytree(s, tmp_path / n / "S") for s, n in ((done, "a"), (out, "b")))
    for name in ("timing.jsonl", "manifest.json"):  # what differs is the time that it took
        for path in whole.rglob(name):
            shutil.copy(path, killed / path.relative_to(whole))
    for page, same in zip(write_report(whole), write_report(killed), strict=True):
        assert page.read_bytes() == same.read_bytes(), page.name


def test_a_signal_ends_a_study_and_says_how_to_go_on(drawn: Path, tmp_path: Path) -> None:
    class Interrupting(Silent):
        def epoch(self, row: dict, timing: dict) -> None:
            if any("scratch, 12" in what for what in self.begun):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun, match=r"\[interrupted\].*2 of 8") as caught:
        study(tiny_study(drawn), tmp_path / "S", Interrupting(), ignore)
    assert caught.value.exit_status == 130


def _study_of_seeds(data: Path, out: Path, seeds: tuple[int, ...]) -> None:
    os.setsid()
    study(tiny_study(data, seeds=seeds), out, Silent(), ignore, checkpoint_seconds=0.05)
    os._exit(0)


@pytest.mark.parametrize("case", ["one adds a seed", "one is killed"])
def test_two_at_once_in_one_folder(done: Path, drawn: Path, tmp_path: Path, case: str) -> None:
    """``benchmarks/coordinators.py`` does it often, and with several jobs."""
    out, context = tmp_path / "S", multiprocessing.get_context("fork")
    kills = "killed" in case
    seeds = ((1, 2), (1, 2)) if kills else ((1,), (1, 2))
    both = [context.Process(target=_study_of_seeds, args=(drawn, out, each)) for each in seeds]
    for child in both:
        child.start()
    if kills:
        while len(list(out.glob("runs/*/scores.json"))) < 2:
            time.sleep(0.01)
        both[0].kill()
    for child in both:
        child.join()
    assert [child.exitcode for child in both] == [-signal.SIGKILL if kills else 0, 0]
    for path in (done / "study.json", *done.glob("runs/*/frames.csv")):
        assert (out / path.relative_to(done)).read_bytes() == path.read_bytes()
    epochs = {
        path.parent.name: len(path.read_text().splitlines())
        for path in (*out.glob("runs/*/timing.jsonl"), *out.glob("starts/*/timing.jsonl"))
    }
    assert sum(epochs.values()) - 2 * len(epochs) <= 2 * kills, "a run was trained twice"
    assert not (out / "claims").exists()
    assert status(out).done == 8 and not status(out).in_state("running", "waiting")


def test_a_finished_study_on_a_read_only_disk(
    done: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, summary = tiny_study(drawn), (done / "study.json").read_bytes()
    whole = study(config, done, Silent(), ignore)
    with monkeypatch.context() as patched:
        for name in ("alone", "write_atomic", "write_ledger", "write_summary", "write_units"):
            patched.delattr(books, name)
        assert study(config, done, Silent(), ignore) == whole
    (done / "study.json").write_bytes(summary[:-3])
    study(config, done, Silent(), ignore)
    assert (done / "study.json").read_bytes() == summary, "what is missing is written"


def test_workers_give_the_same_files(done: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "S"
    study(tiny_study(drawn, labels=(6,), seeds=(1,)), out, Silent(), ignore, jobs=2)
    made = list(out.glob("runs/*/weights.safetensors"))
    assert len(made) == 2
    for path in made:
        assert path.read_bytes() == (done / path.relative_to(out)).read_bytes()


def test_what_a_worker_raises_comes_home_whole() -> None:
    finding = Finding("code", "error", "what", "hint", ("file",))
    for error in (DataError([finding, finding]), InterruptedRun(finding, signal.SIGTERM)):
        home = pickle.loads(pickle.dumps(error))
        assert type(home) is type(error) and home.findings == error.findings
        assert home.exit_status == error.exit_status and str(home) == str(error)


@pytest.mark.parametrize("first", ["scratch", "scratch+semi-supervised"])
def test_each_method_is_compared_with_its_own_data(drawn: Path, tmp_path: Path, first: str) -> None:
    data, out = Path(shutil.copytree(drawn, tmp_path / "data")), tmp_path / "S"
    arms = (first, *{"scratch", "scratch+semi-supervised"} - {first})
    config = tiny_study(data, starts=arms, labels=(6,), seeds=(1,))
    record = study(config, out, Silent(), ignore)
    assert study(config, out, Silent(), ignore) == record
    shutil.rmtree(next((data / "colorization/train_cor").iterdir()))
    more = tiny_study(data, starts=arms, labels=(6,), seeds=(1, 2))
    with pytest.raises(DataError, match=r"data-changed.*unlabelled"):
        study(more, out, Silent(), ignore)
    shutil.rmtree(data / "colorization")
    with pytest.raises(DataError, match=r"data-changed.*unlabelled"):
        study(more, out, Silent(), ignore)


def test_a_file_that_was_replaced_is_another_start(
    drawn: Path, trained: Path, tmp_path: Path
) -> None:
    file, out = tmp_path / "w.safetensors", tmp_path / "S"
    shutil.copy(trained / "weights.safetensors", file)
    settings = {"starts": ("scratch", str(file)), "labels": (6,)}
    record = study(tiny_study(drawn, seeds=(1,), **settings), out, Silent(), ignore)
    weights, facts, _ = load_weights(file)
    save_weights(file, weights, {**facts, "name": "another"})
    assert study(tiny_study(drawn, seeds=(1,), **settings), out, Silent(), ignore) == record
    with pytest.raises(DataError, match=r"data-changed.*w\.safetensors"):
        study(tiny_study(drawn, seeds=(1, 2), **settings), out, Silent(), ignore)


def test_what_no_semi_supervised_run_can_have_is_refused_first(drawn: Path, tmp_path: Path) -> None:
    arms = ("scratch", "scratch+semi-supervised")
    with pytest.raises(UsageError, match="no average of the weights"):
        make_study_config(
            data=str(drawn), starts=arms, labels=(6,), seeds=(1,), recipe=ASSIGNMENT_TINY
        )
    data = Path(shutil.copytree(drawn, tmp_path / "data"))
    shutil.rmtree(data / "colorization")
    with pytest.raises(UsageError, match="no-unlabelled"):
        study(tiny_study(data, starts=arms, labels=(6, 12)), tmp_path / "S", Silent(), ignore)
    assert not (tmp_path / "S").exists()
