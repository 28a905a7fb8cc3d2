"""One run, end to end: what its folder holds, that it resumes exactly, what it refuses."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.config.files import read_run_config, to_json
from headstart.config.recipes import DEFAULT
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, DiskError, InterruptedRun, LockedError, UsageError
from headstart.inference.opening import open_segmenter
from headstart.models.unet import UNet
from headstart.runs.folder import fresh_folder
from headstart.runs.run import train
from headstart.scores import segmentation as segmentation_scores
from headstart.system.devices import pick_device
from headstart.system.disk import locked
from headstart.training.checkpoint import load_weights
from tests.tiny_runs import ASSIGNMENT_TINY, Silent, drawn_figures, tiny

SAME_BYTES = ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv", "config.json",
              "README.md", "labels.txt", "calibration.json")  # fmt: skip


def test_what_a_run_folder_holds(trained: Path) -> None:
    assert {p.name for p in trained.iterdir()} == {
        ".lock", "cache", "checkpoint", "config.json", "environment.json", "metrics.jsonl",
        "timing.jsonl", "weights.safetensors", "scores.json", "frames.csv", "curves.png",
        "predictions.png", "README.md", "labels.txt", "manifest.json", "calibration.json",
    }  # fmt: skip
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in rows] == [1, 2, 3]
    environment = json.loads((trained / "environment.json").read_text())
    assert set(environment["data"]) == {"train", "validation", "test", "label map"}
    assert environment["labels"] == {"train": 12, "validation": 4}


def test_the_scores_are_those_of_frames_csv(trained: Path) -> None:
    scores = json.loads((trained / "scores.json").read_text())
    assert set(scores) >= {
        "split", "frames", "dice", "dice_frame", "dice_assignment", "iou", "endovis_iou",
        "isi_iou", "mc_iou", "absent_fp_rate", "collapsed", "trivial", "classes",
    }  # fmt: skip
    with (trained / "frames.csv").open() as f:
        rows = list(csv.DictReader(f))
    names = list(scores["classes"])
    counts = np.array([[int(r[c]) for c in ("TP", "FP", "FN")] for r in rows])
    again = segmentation_scores.score(counts.reshape(-1, len(names), 3), names)
    assert json.loads(json.dumps({"split": "test", **again})) == scores


def test_the_config_makes_the_run_again(trained: Path, tmp_path: Path) -> None:
    config = read_run_config(trained / "config.json")
    train(config, tmp_path / "again", Silent())
    for name in SAME_BYTES:
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes(), name


def test_no_time_path_or_host_in_what_must_be_equal(trained: Path) -> None:
    for name in ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv",
                 "calibration.json"):  # fmt: skip
        content = (trained / name).read_bytes()
        if name.endswith(".safetensors"):  # the header; short words occur in the weights by chance
            content = content[8 : 8 + int.from_bytes(content[:8], "little")]
        words = re.findall(r"[\w.-]+", content.decode())
        for secret in (str(trained), os.uname().nodename, "tmp", time.strftime("%Y-%m-%d")):
            assert secret not in words, (name, secret)
        assert str(trained) not in content.decode()


def test_a_finished_run_answers_at_once(trained: Path) -> None:
    listener = Silent()
    scores = train(read_run_config(trained / "config.json"), trained, listener)
    assert listener.steps == [] and scores == json.loads((trained / "scores.json").read_text())


def test_a_finished_run_without_weights_says_how_to_get_them(trained: Path, tmp_path: Path) -> None:
    run, listener = Path(shutil.copytree(trained, tmp_path / "run")), Silent()
    (run / "weights.safetensors").unlink()
    train(read_run_config(run / "config.json"), run, listener)
    (warning,) = listener.warnings
    with pytest.raises(DataError) as caught:
        open_segmenter(run, "cpu")
    (error,) = caught.value.findings
    for finding in (warning, error):
        assert finding.code == "no-weights" and str(run) in finding.message
        assert "--fresh" in finding.hint and "resumes" not in finding.hint


def _train_in_child(config, out: Path) -> None:
    os.setsid()
    train(config, out, Silent(), checkpoint_seconds=0.05)


def test_killed_at_random_moments_and_continued_gives_the_same_bytes(
    drawn: Path, tmp_path: Path
) -> None:
    """SIGKILL; at least one kill while steps are taken, so that the test cannot pass idly."""
    recipe = ASSIGNMENT_TINY.model_copy(update={"epochs": 30, "patience": None})
    config = tiny(drawn, recipe=recipe, width=3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_train_in_child, args=(config, whole))
    began = time.monotonic()
    child.start()
    child.join()
    took = time.monotonic() - began
    assert child.exitcode == 0
    rng = random.Random(0)
    killed_at = []
    for _ in range(12):
        child = context.Process(target=_train_in_child, args=(config, parts))
        child.start()
        child.join(rng.uniform(0.1, 0.5) * took)
        if child.is_alive():
            child.kill()
            child.join()
            killed_at.append(len(list(parts.glob("checkpoint/*.json"))))
        if (parts / "scores.json").exists():
            break
    child = context.Process(target=_train_in_child, args=(config, parts))
    child.start()
    child.join()
    assert child.exitcode == 0 and sum(1 for n in killed_at if n) >= 1
    for name in SAME_BYTES:
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(parts.rglob("*.tmp-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_continue(drawn: Path, tmp_path: Path, number: int) -> None:
    class Interrupting(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 5:
                os.kill(os.getpid(), number)

    config = tiny(drawn)
    with pytest.raises(InterruptedRun) as caught:
        train(config, tmp_path / "run", Interrupting())
    assert caught.value.exit_status == 128 + number
    assert "info[interrupted]" in str(caught.value)
    listener = Silent()
    train(config, tmp_path / "run", listener)
    assert listener.resumed_at == [5]


def test_other_settings_are_refused_with_the_difference(trained: Path, drawn: Path) -> None:
    before = (trained / "config.json").read_bytes()
    with pytest.raises(UsageError) as caught:
        train(tiny(drawn, width=4, seed=9), trained, Silent())
    assert "seed: 3 -> 9" in str(caught.value) and "width: 2 -> 4" in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert (trained / "config.json").read_bytes() == before


def test_a_folder_that_is_no_run_is_not_touched(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"(?s)not-a-run.*thesis\.tex"):
        train(tiny(drawn), tmp_path, Silent())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_start_that_does_not_fit_leaves_the_folder_to_another(
    drawn: Path, trained: Path, tmp_path: Path, listener
) -> None:
    """The same --out takes the command as it is mended."""
    with pytest.raises(DataError, match="shapes-differ"):
        train(tiny(drawn, start=str(trained), width=3), tmp_path / "R", listener)
    train(tiny(drawn, start=str(trained)), tmp_path / "R", listener)
    assert (tmp_path / "R" / "scores.json").exists()


def test_fresh_starts_beside(tmp_path: Path) -> None:
    assert fresh_folder(tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert fresh_folder(tmp_path / "run") == tmp_path / "run-3"


def test_a_run_folder_in_use_is_refused(drawn: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "run"), pytest.raises(LockedError):
        train(tiny(drawn), tmp_path / "run", Silent())


def test_data_that_changed_under_the_run_are_refused(drawn: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn, data)

    class Stop(Silent):
        def step(self, done: int, total: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun):
        train(tiny(data), tmp_path / "run", Stop())
    mask = data / "segmentation" / "train" / "3" / "3_mask.png"
    pixels = np.array(Image.open(mask))
    pixels[:4] = 60
    Image.fromarray(pixels).save(mask)
    with pytest.raises(DataError, match=r"\[data-changed\].*: train\b"):
        train(tiny(data), tmp_path / "run", Silent())


def test_a_label_map_that_changed_under_the_run_is_refused(drawn: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn, data)

    class Stop(Silent):
        def step(self, done: int, total: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun):
        train(tiny(data), tmp_path / "run", Stop())
    greys = json.loads((data / "mapping.json").read_text())
    (data / "mapping.json").write_text(json.dumps({**greys, "Drawn_Stapler": 250}))
    with pytest.raises(DataError, match=r"\[data-changed\].*: label map\b"):
        train(tiny(data), tmp_path / "run", Silent())


def test_a_kill_while_the_config_was_written_does_not_lock_anyone_out(
    drawn: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json.tmp-999999999").touch()
    train(tiny(drawn), tmp_path / "run", Silent())
    assert not list((tmp_path / "run").glob("*.tmp-*"))


def test_a_moved_dataset_and_a_moved_run_go_on(drawn: Path, tmp_path: Path) -> None:
    class Stop(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun):
        train(tiny(drawn), tmp_path / "run", Stop())
    shutil.copytree(drawn, tmp_path / "elsewhere")
    (tmp_path / "run").rename(tmp_path / "moved")
    listener = Silent()
    train(tiny(tmp_path / "elsewhere"), tmp_path / "moved", listener)
    assert listener.resumed_at == [4]


def test_a_folder_that_is_deleted_under_the_run_ends_it(drawn: Path, tmp_path: Path) -> None:
    class Deleting(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 4:
                shutil.rmtree(tmp_path / "run")

    with pytest.raises(DiskError, match=r"\[disk\].*run") as caught:
        train(tiny(drawn), tmp_path / "run", Deleting())
    assert caught.value.exit_status == 74


def test_pictures_that_go_under_the_run_are_not_missed_until_it_is_continued(
    drawn: Path, tmp_path: Path, trained: Path
) -> None:
    """They were decoded before the first step."""
    data = tmp_path / "data"
    shutil.copytree(drawn, data)

    class Deleting(Silent):
        def step(self, done: int, total: int) -> None:
            (data / "segmentation/train/3/3_input.jpg").unlink(missing_ok=True)

    train(tiny(data), tmp_path / "run", Deleting())
    scores = (tmp_path / "run" / "scores.json").read_bytes()
    assert scores == (trained / "scores.json").read_bytes()
    with pytest.raises(DataError, match=r"image|mask"):
        train(tiny(data), tmp_path / "run", Silent())


def test_a_process_that_was_suspended_goes_on_to_the_same_bytes(
    drawn: Path, tmp_path: Path, trained: Path
) -> None:
    class Suspending(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 4:
                os.kill(os.getpid(), signal.SIGSTOP)

    child = os.fork()
    if child == 0:
        train(tiny(drawn), tmp_path / "run", Suspending())
        os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    time.sleep(0.2)
    os.kill(child, signal.SIGCONT)
    assert os.waitpid(child, 0)[1] == 0
    for name in ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv",
                 "calibration.json"):  # fmt: skip
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes(), name


def _held_by_this_process() -> dict[str, int]:
    """Memory in bytes, open files and threads, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which Linux has")
def test_steps_epochs_and_checkpoints_leave_nothing_behind(drawn: Path, tmp_path: Path) -> None:
    """Of 150 checkpoints of 0.9 MB and 50 epochs; `benchmarks/soak.py` does the same for hours."""
    held = {}

    class Sampling(Silent):
        def step(self, done: int, total: int) -> None:
            if done in (50, total):
                held[done] = _held_by_this_process()

    recipe = DEFAULT.with_epochs(50).model_copy(update={"batch": 4})
    config = tiny(drawn, width=4, recipe=recipe)
    train(config, tmp_path / "run", Sampling(), checkpoint_seconds=0.0)
    early, late = held[50], held[150]
    assert len(list((tmp_path / "run/checkpoint").glob("*.pt"))) == 2
    assert min(p.stat().st_size for p in (tmp_path / "run/checkpoint").glob("*.pt")) > 0.9e6
    assert late["files"] <= early["files"] and late["threads"] <= early["threads"]
    assert late["memory"] - early["memory"] < 16e6, "of 90 MB of checkpoints"


def test_a_budget_above_the_data(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"budget-too-large.*13.*12 labelled"):
        train(tiny(drawn, labels=13), tmp_path / "run", Silent())
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_budget_is_kept(drawn: Path, tmp_path: Path) -> None:
    train(tiny(drawn, labels=5), tmp_path / "run", Silent())
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["labels"]["train"] == 5
    rows = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 9  # as many steps as twelve labels get


def test_test_is_predicted_once_and_only_at_the_end(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores, calibration and the sheet share one prediction; validation is predicted for it, too.

    In training, a validation predicts four pictures.
    """
    predicted: list[int] = []
    original = UNet.forward

    def counting(self: UNet, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            predicted.append(len(x))
        return original(self, x)

    monkeypatch.setattr(UNet, "forward", counting)

    class Order(Silent):
        def epoch(self, row: dict, timing: dict) -> None:
            assert sum(predicted) == 4
            predicted.clear()

    train(tiny(drawn), tmp_path / "run", Order())
    assert sum(predicted) == 4 + 5


def test_a_bad_test_picture_is_known_before_the_training(drawn: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    (data / "segmentation/test/1/1_input.jpg").write_bytes(b"no picture")
    listener = Silent()
    with pytest.raises(DataError, match=r"1_input\.jpg"):
        train(tiny(data), tmp_path / "run", listener)
    assert listener.steps == []


def test_scored_on_validation_the_test_split_is_never_read(drawn: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    for path in (data / "segmentation" / "test").glob("*/*"):
        path.write_bytes(b"not a picture")
    train(tiny(data, score="validation"), tmp_path / "run", Silent())
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["split"] == "validation"


def test_seeds_differ_and_standardisation_is_in_the_weights(
    drawn: Path, tmp_path: Path, trained: Path
) -> None:
    train(tiny(drawn, seed=4), tmp_path / "run", Silent())
    a, *_ = load_weights(trained / "weights.safetensors")
    b, facts, _ = load_weights(tmp_path / "run" / "weights.safetensors")
    assert not torch.equal(a["head.weight"], b["head.weight"])
    assert torch.equal(a["mean"], b["mean"]) and 0 < float(a["mean"].min()) < 1
    assert facts["names"][0] == "Drawn_Tissue"


def test_the_card_tells_the_trivial_scores_and_the_limits(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    for needed in ("constant prediction", "Not a medical device", "dice_assignment", "Drawn_"):
        assert needed in card


def test_figures_are_pictures(drawn: Path, tmp_path: Path) -> None:
    with drawn_figures():
        train(tiny(drawn), tmp_path / "R", Silent())
    for name in ("curves.png", "predictions.png"):
        with Image.open(tmp_path / "R" / name) as picture:
            assert picture.format == "PNG" and min(picture.size) > 400


def test_a_run_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\[no-run\].*absent"):
        open_segmenter(tmp_path / "absent", "cpu")
    with pytest.raises(DataError, match=r"\[no-weights\].*weights\.safetensors"):
        open_segmenter(tmp_path, "cpu")


def test_devices() -> None:
    assert pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match=r"\[unknown-device\].*gpu"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        assert pick_device("auto") == "cpu"
        with pytest.raises(UsageError, match=r"\[no-cuda\]"):
            pick_device("cuda")


def test_config_json_is_complete(trained: Path) -> None:
    config = read_run_config(trained / "config.json")
    assert to_json(config).encode() == (trained / "config.json").read_bytes()
    assert config.threads == 1 and config.recipe.learning_rate > 0


def test_a_few_labels_alone_train_as_a_budget_of_many_does(drawn: Path, tmp_path: Path) -> None:
    """The recipe counts steps, so the pictures without labels do not make training longer."""
    recipe = tiny(drawn).recipe.with_steps(7)
    budget = tmp_path / "budget"
    train(tiny(drawn, labels=5, recipe=recipe), budget, Silent())
    names = (budget / "labels.txt").read_text().split()
    alone = tmp_path / "alone"
    shutil.copytree(drawn, alone)
    dataset = open_dataset(drawn)
    for frame in dataset.splits["train"]:
        if frame.name not in names:
            shutil.rmtree((alone / frame.image.relative_to(drawn)).parent)
    assert len(open_dataset(alone).splits["train"]) == 5
    train(tiny(alone, recipe=recipe), tmp_path / "run", Silent())
    for name in ("weights.safetensors", "metrics.jsonl", "frames.csv", "scores.json"):
        assert (tmp_path / "run" / name).read_bytes() == (budget / name).read_bytes(), name


def test_bfloat16_stops_and_continues_to_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    config = tiny(drawn, precision="bfloat16", recipe=tiny(drawn).recipe.with_steps(6))
    train(config, tmp_path / "whole", Silent())
    listener = Silent()

    class Stopping(Silent):
        def step(self, done: int, total: int) -> None:
            if done == 4:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun):
        train(config, tmp_path / "parts", Stopping())
    train(config, tmp_path / "parts", listener)
    assert listener.resumed_at == [4]
    for name in ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv",
                 "calibration.json"):  # fmt: skip
        whole, parts = ((tmp_path / part / name).read_bytes() for part in ("whole", "parts"))
        assert whole == parts, name
    exact = config.model_copy(update={"precision": "float32"})
    train(exact, tmp_path / "exact", Silent())
    weights = (
        load_weights(tmp_path / run / "weights.safetensors")[0] for run in ("whole", "exact")
    )
    assert any(not torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))
