"""A pretext run: its pictures, leaks and folder, and that it resumes exactly."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.config.files import read_run_config
from headstart.config.records import PretextConfig
from headstart.config.start_names import PRETEXT_NAMES
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError, InterruptedRun, UsageError
from headstart.inference.opening import open_segmenter
from headstart.runs.run import train
from headstart.tasks.pretext import (
    Leaks,
    PretextPictures,
    PretextTask,
    colour_warnings,
    find_leaks,
    leaks_of,
    pictures_of,
    without_leaks,
)
from tests.tiny_runs import PRETEXT_TINY, Silent, started, tiny_pretext

SAME_BYTES = ("weights.safetensors", "metrics.jsonl", "scores.json", "leaks.json")


pytestmark = pytest.mark.usefixtures("figures")


@pytest.fixture(scope="module")
def pretrained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pretrained") / "run"
    train(tiny_pretext(drawn), out, Silent())
    return out


def test_what_its_folder_holds(pretrained: Path) -> None:
    assert {p.name for p in pretrained.iterdir()} == {
        "README.md", "cache", "checkpoint", "config.json", "curves.png", "environment.json",
        "leaks.json", "metrics.jsonl", "restorations.png", "scores.json", "timing.jsonl",
        "weights.safetensors", ".lock", "manifest.json",
    }  # fmt: skip
    scores = json.loads((pretrained / "scores.json").read_text())
    assert scores["split"] == "validation" and scores["trivial"]["loss"] > 0
    rows = [json.loads(line) for line in (pretrained / "metrics.jsonl").read_text().splitlines()]
    assert scores["loss"] == min(row["validation_loss"] for row in rows)
    assert scores["steps"] == rows[-1]["step"]
    for name in ("curves.png", "restorations.png"):
        with Image.open(pretrained / name) as picture:
            assert picture.width > 500
    with pytest.raises(DataError, match="is-a-pretext"):
        read_run_config(pretrained / "config.json")
    with pytest.raises(DataError, match="--start"):
        open_segmenter(pretrained, "cpu")


def test_stopped_and_continued_gives_the_same_bytes(
    drawn: Path, pretrained: Path, tmp_path: Path
) -> None:
    class Interrupting(Silent):
        def step(self, done: int, total: int) -> None:
            super().step(done, total)
            if done == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "run"
    with pytest.raises(InterruptedRun):
        train(tiny_pretext(drawn), out, Interrupting())
    listener = Silent()
    train(tiny_pretext(drawn), out, listener)
    assert listener.resumed_at == [5]
    for name in SAME_BYTES:
        assert (out / name).read_bytes() == (pretrained / name).read_bytes(), name
    again = Silent()
    train(tiny_pretext(drawn), out, again)
    assert again.steps == []


def test_other_settings_are_refused(drawn: Path, pretrained: Path, trained: Path) -> None:
    other = tiny_pretext(drawn, pretext="chroma")
    with pytest.raises(UsageError, match="pretext: colorization -> chroma"):
        train(other, pretrained, Silent())
    with pytest.raises(UsageError, match="task: segmentation -> pretext"):
        train(other, trained, Silent())


def test_a_finished_one_answers_for_its_own_pictures_only(
    drawn: Path, pretrained: Path, tmp_path: Path
) -> None:
    root, listener = tmp_path / "data", Silent()
    shutil.copytree(drawn, root)
    scores = train(tiny_pretext(root), pretrained, listener)  # elsewhere, and the same
    assert listener.steps == [] and scores["split"] == "validation"
    one, other = sorted((root / "colorization" / "train_cor").glob("*/*_input.*"))[:2]
    shutil.copy(one, other)
    with pytest.raises(DataError, match=r"\[data-changed\].*: train\b"):
        train(tiny_pretext(root), pretrained, listener)


def test_a_dataset_without_unlabelled_pictures_gives_those_of_its_training_split(
    drawn: Path, tmp_path: Path
) -> None:
    with_pool = PretextTask().open(drawn)
    assert with_pool.source == "the unlabelled pictures" and with_pool.labelled
    root = tmp_path / "data"
    shutil.copytree(drawn, root)
    shutil.rmtree(root / "colorization")
    pictures = PretextTask().open(root)
    assert "training split" in pictures.source
    assert len(pictures.train) + len(pictures.validation) == 12 and len(pictures.validation) == 1
    assert all(f.mask is None for f in pictures.train)
    assert pictures == PretextTask().open(root)


def test_subfolders_are_searched(drawn: Path, tmp_path: Path) -> None:
    flat, nested = tmp_path / "flat", tmp_path / "nested"
    for k, frame in enumerate(open_dataset(drawn).splits["train"]):
        for path in (flat / f"{k}.png", nested / f"p{k % 3}" / f"{k}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(frame.image.read_bytes())
    of_flat, of_nested = PretextTask().open(flat), PretextTask().open(nested)
    assert sorted(f.name for f in of_flat.pool) == sorted(map(str, range(12)))
    assert {f.image.name for f in of_nested.pool} == {f.image.name for f in of_flat.pool}
    assert all(f.name == f"p{int(f.image.stem) % 3}/{f.image.stem}" for f in of_nested.pool)


def test_any_folder_of_pictures(drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted(drawn.rglob("*_input.*"))[:6]:
        shutil.copy(path, folder / f"{path.parent.parent.name}-{path.name}")
    scores = train(tiny_pretext(folder), tmp_path / "run", Silent())
    assert scores["pictures"] == 1
    leaks = json.loads((tmp_path / "run" / "leaks.json").read_text())
    assert leaks["compared_with"] == [] and leaks["pictures"] >= 2
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match=r"too-few-pictures.*found 1"):
        train(tiny_pretext(folder), tmp_path / "other", Silent())
    with pytest.raises(DataError, match="no-pictures"):
        train(tiny_pretext(tmp_path / "none"), tmp_path / "other", Silent())
    assert not (tmp_path / "other").exists()


def test_only_a_pretexts_leaks_are_read(
    pretrained: Path, trained: Path, drawn: Path, tmp_path: Path
) -> None:
    leaks = leaks_of(pretrained, drawn)
    assert leaks is not None and leaks["same_data"]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    ours = Path(shutil.copytree(trained, tmp_path / "ours", ignore=lambda *_: ["cache"]))
    for folder in (theirs, ours):
        assert leaks_of(folder, drawn) is None
        (folder / "leaks.json").write_text('{"water": 3}')
        assert leaks_of(folder, drawn) is None
    damaged = Path(shutil.copytree(pretrained, tmp_path / "damaged"))
    (damaged / "leaks.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad-record.*leaks\.json"):
        leaks_of(damaged, drawn)


def test_planted_leaks_are_found_named_and_dropped(drawn: Path, tmp_path: Path) -> None:
    """A test frame as it is, and the same a little brighter, among the pool."""
    root = tmp_path / "data"
    shutil.copytree(drawn, root)
    pool = root / "colorization" / "train_cor"
    tests = root / "segmentation" / "test"
    name = sorted(p.name for p in tests.iterdir())[0]
    source = next(tests.glob(f"{name}/{name}_input.*"))
    for number, brighter in (("900", 0), ("901", 3)):
        (pool / number).mkdir(parents=True)
        picture = Image.open(source).convert("RGB").point(lambda v, b=brighter: min(255, v + b))
        picture.save(pool / number / f"{number}_input.png")
    leaks = find_leaks(PretextTask().open(root))
    assert len(leaks.same) == 1 and len(leaks.near) == 1
    train(tiny_pretext(root), tmp_path / "kept", Silent())
    record = json.loads((tmp_path / "kept" / "leaks.json").read_text())
    assert record["dropped"] is False and record["compared_with"] == ["validation", "test"]
    assert [Path(p).parent.name for p in record["copies"] + record["near"]] == ["900", "901"]
    train(tiny_pretext(root, drop_leaks=True), tmp_path / "dropped", Silent())
    listener = Silent()
    train(tiny_pretext(root, drop_leaks=True), tmp_path / "dropped", listener)
    assert listener.steps == []
    kept, dropped = (
        json.loads((tmp_path / n / "environment.json").read_text())["pictures"]
        for n in ("kept", "dropped")
    )
    assert kept["train"] + kept["validation"] == dropped["train"] + dropped["validation"] + 2


@pytest.mark.parametrize("leaked", [(0, 1, 2, 3), (4,)])
def test_a_part_that_leaks_leave_empty_is_set_aside_anew(leaked: tuple[int, ...]) -> None:
    frames = tuple(Frame(f"{k}", Path(f"{k}.png")) for k in range(7))
    pictures = PretextPictures(Path(), "", frames[:4], frames[4:5], ())
    if leaked == (4,):
        kept = without_leaks(pictures, Leaks(leaked, ()))
        assert kept.train and kept.validation and set(kept.pool) == set(frames[:4])
        return
    with pytest.raises(DataError, match="too-few-pictures"):
        without_leaks(pictures, Leaks(leaked, ()))
    more = PretextPictures(Path(), "", frames[:4], frames[4:], ())
    kept = without_leaks(more, Leaks(leaked, ()))
    assert kept.train and kept.validation and set(kept.pool) == set(frames[4:])


def test_a_run_starts_from_a_pretext_and_says_what_moved(
    drawn: Path, pretrained: Path, tmp_path: Path
) -> None:
    listener = Silent()
    config = started(drawn, "colorization")
    train(config, tmp_path / "alone", listener)
    assert listener.begun == ["pretext colorization", "segmentation from colorization, at 16x24"]
    train(config, tmp_path / "shared", Silent(), pretext_run=pretrained)
    for name in ("weights.safetensors", "metrics.jsonl", "scores.json", "frames.csv"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "shared" / name).read_bytes()
    start = json.loads((tmp_path / "alone" / "environment.json").read_text())["start"]
    assert start["name"] == "colorization" and start["fresh"] == ["head.weight", "head.bias"]
    again = Silent()
    train(config, tmp_path / "alone", again)
    assert again.steps == []


def test_a_run_starts_from_a_run_or_a_file(drawn: Path, trained: Path, tmp_path: Path) -> None:
    for start in (trained, trained / "weights.safetensors"):
        out = tmp_path / start.name
        train(started(drawn, str(start)), out, Silent())
        report = json.loads((out / "environment.json").read_text())["start"]
        assert report["fresh"] == [] and report["name"] == str(start)


def test_a_start_that_changed_under_the_run_is_refused(
    drawn: Path, trained: Path, tmp_path: Path
) -> None:
    class Interrupting(Silent):
        def step(self, done: int, total: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    start = tmp_path / "start"
    shutil.copytree(trained, start)
    with pytest.raises(InterruptedRun):
        train(started(drawn, str(start)), tmp_path / "run", Interrupting())
    other = tmp_path / "other"
    train(read_run_config(trained / "config.json").model_copy(update={"seed": 9}), other, Silent())
    for name in ("weights.safetensors", "manifest.json"):
        shutil.copy(other / name, start)
    with pytest.raises(DataError, match=r"\[data-changed\].*: start\b"):
        train(started(drawn, str(start)), tmp_path / "run", Silent())


def test_a_pretext_of_another_width_is_refused_with_both_shapes(
    drawn: Path, pretrained: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"\(2, 3, 3, 3\), expected \(4, 3, 3, 3\)"):
        train(started(drawn, str(pretrained), width=4), tmp_path / "run", Silent())


def test_a_pretext_that_does_not_fit_its_run_is_no_configuration(drawn: Path) -> None:
    other_seed = tiny_pretext(drawn, seed=4)
    with pytest.raises(ValueError, match="seed"):
        started(drawn, "colorization", pretext=other_seed)
    with pytest.raises(ValueError, match=r"start.* chroma.*pretext"):
        started(drawn, "chroma", pretext=tiny_pretext(drawn))
    assert isinstance(other_seed, PretextConfig) and other_seed.recipe == PRETEXT_TINY


def test_grey_pictures_are_warned_of_where_colours_are_restored(
    drawn: Path, tmp_path: Path
) -> None:
    coloured = pictures_of(open_dataset(drawn))
    assert colour_warnings(coloured, PRETEXT_NAMES) == ()
    for k in range(6):
        Image.fromarray(np.full((8, 8), 40 * k, np.uint8)).save(tmp_path / f"{k}.png")
    grey = PretextTask().open(tmp_path)
    (finding,) = colour_warnings(grey, ("scratch", "colorization", "chroma"))
    assert finding.code == "no-colour" and "colorization and chroma" in finding.message
    assert colour_warnings(grey, ("scratch", "masked-denoising")) == ()
