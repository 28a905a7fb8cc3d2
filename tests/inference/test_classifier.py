"""A trained classifier in use: classes of pictures and scores of a split."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from headstart.cli.main import app
from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import make_run_config
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.layouts.recognise import open_dataset
from headstart.errors import DataError, HeadstartError, LockedError
from headstart.inference.classifier import write_classes
from headstart.inference.evaluation import evaluate_run
from headstart.inference.opening import open_classifier
from headstart.runs.run import train
from headstart.system.disk import locked
from tests.tiny_runs import CLASSIFIER, Silent, tiny


@pytest.fixture(scope="module")
def run(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows colours well enough to be right more often than not."""
    out = tmp_path_factory.mktemp("classify") / "run"
    recipe = CLASSIFIER_DEFAULT.with_epochs(6).model_copy(
        update={"batch": 8, "head_learning_rate": 3e-2}
    )
    settings = {"data": str(coloured), "model": "squeezenet1_1", "size": (32, 32)}
    config = make_run_config(
        **{"schema": 1, **CLASSIFIER, **settings, "tune": "head", "recipe": recipe}
    )
    train(config, out, Silent())
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def headstart(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


@contextlib.contextmanager
def refused(code: str, *facts: str) -> Iterator[None]:
    """An error with this code, whose message names these facts."""
    with pytest.raises(HeadstartError) as caught:
        yield
    (finding,) = caught.value.findings
    assert finding.code == code
    for fact in facts:
        assert fact in finding.message


def test_a_split_is_scored_as_the_run_scored_it(run: Path, coloured: Path) -> None:
    scores = json.loads((run / "scores.json").read_text())
    assert scores["accuracy"] > 0.5
    assert evaluate_run(run, open_classes(coloured), "test", "cpu") == scores
    status, said, _ = headstart("evaluate", run, coloured, "--device", "cpu", "--json")
    assert status == 0 and json.loads(said) == scores
    other = evaluate_run(run, open_classes(coloured), "validation", "cpu")
    assert other["split"] == "validation" and other["pictures"] == 3


def test_pictures_get_the_answers_that_frames_csv_holds(
    run: Path, coloured: Path, tmp_path: Path
) -> None:
    status, _, said = headstart("predict", run, coloured, "--split", "test", "--out", tmp_path)
    assert status == 0 and "18 pictures" in said
    predicted = rows(tmp_path / "classes.csv")
    with (run / "frames.csv").open() as file:
        answers = {row["frame"]: row["predicted"] for row in csv.DictReader(file)}
    assert {row["picture"]: row["class"] for row in predicted} == answers
    for row in predicted:
        probabilities = [float(row[name]) for name in ("ape", "bee", "cat")]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == max(probabilities)
    alone = tmp_path / "alone"
    status, _, _ = headstart("predict", run, coloured / "test" / "bee", "--out", alone)
    assert status == 0
    of_bees = {row["picture"]: row for row in predicted if row["picture"].startswith("bee/")}
    for row in rows(alone / "classes.csv"):
        same = of_bees[f"bee/{row['picture']}.png"]
        assert {**row, "picture": ""} == {**same, "picture": ""}


def test_pictures_of_any_size_and_nothing_is_overwritten(
    run: Path, coloured: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name, shape in (("large", (90, 120, 3)), ("tall", (80, 9, 3)), ("small", (5, 4, 3))):
        Image.fromarray(np.full(shape, 120, dtype=np.uint8)).save(photos / f"{name}.png")
    assert headstart("predict", run, photos, "--out", out)[0] == 0
    before = (out / "classes.csv").read_bytes()
    assert len(rows(out / "classes.csv")) == 3
    assert headstart("predict", run, photos, "--out", out)[0] == 0  # the same again
    status, _, _ = headstart("predict", run, coloured, "--split", "test", "--out", out)
    assert status != 0 and (out / "classes.csv").read_bytes() == before
    (photos / "mine.tmp-999999999").touch()  # a folder that is not the tool's is not swept
    assert headstart("predict", run, photos, "--out", photos)[0] == 0
    assert (photos / "mine.tmp-999999999").exists()
    used = tmp_path / "used"
    with locked(used), pytest.raises(LockedError, match=re.escape(str(used))):
        write_classes(used, (), (), np.zeros((0, 0)))


def test_bad_pictures_are_all_named_after_the_others_are_done(
    run: Path, coloured: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(coloured / "test" / "ape", photos)
    good = {name: (photos / name).read_bytes() for name in ("1.png", "4.png")}
    for name in good:
        (photos / name).write_bytes(b"no picture")
    classifier = open_classifier(run, "cpu")
    assert classifier.names == ("ape", "bee", "cat")
    with pytest.raises(DataError) as caught:
        classifier.predict_pictures(find_pictures(photos).frames, photos, out)
    assert len(caught.value.findings) == 2
    assert [row["picture"] for row in rows(out / "classes.csv")] == ["0", "2", "3", "5"]
    for name, content in good.items():  # corrected, the same command adds them
        (photos / name).write_bytes(content)
    classifier.predict_pictures(find_pictures(photos).frames, photos, out)
    assert len(rows(out / "classes.csv")) == 6


def test_a_refused_prediction_leaves_nothing(run: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.png").write_bytes(b"no picture")
    classifier = open_classifier(run, "cpu")
    with pytest.raises(DataError):
        classifier.predict_pictures(find_pictures(photos).frames, photos, out)
    assert not out.exists()
    out.mkdir()
    (out / "classes.csv").write_text("theirs\n")
    Image.new("RGB", (8, 8)).save(photos / "a.png")
    with refused("not-empty"):
        classifier.predict_pictures(find_pictures(photos).frames, photos, out)
    assert [path.name for path in out.iterdir()] == ["classes.csv"]


def test_names_are_no_formulas(tmp_path: Path) -> None:
    write_classes(tmp_path, ["=1+1", "a\nb"], ("@x", "y"), np.array([[0.9, 0.1], [0.2, 0.8]]))
    with (tmp_path / "classes.csv").open(newline="") as file:
        table = [row[:2] for row in csv.reader(file)]
    assert table == [["picture", "class"], ["'=1+1", "'@x"], ["a\\nb", "y"]]


def test_what_does_not_fit_together_is_refused(
    run: Path, coloured: Path, drawn: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(coloured, other)
    for folder in other.glob("*/cat"):
        folder.rename(folder.with_name("dog"))
    with refused("other-classes", "ape, bee, cat", "ape, bee, dog", str(other)):
        evaluate_run(run, open_classes(other), "test", "cpu")
    with refused("no-such-split", "nowhere", "train, validation, test"):
        evaluate_run(run, open_classes(coloured), "nowhere", "cpu")
    with refused("no-weights", str(tmp_path), "weights.safetensors"):
        open_classifier(tmp_path, "cpu")
    segmenter = tmp_path / "segmenter"
    recipe = tiny(drawn).recipe.model_copy(update={"epochs": 1})
    train(tiny(drawn, recipe=recipe), segmenter, Silent())
    with refused("no-classifier", str(segmenter), "segmentation"):
        evaluate_run(segmenter, open_classes(coloured), "test", "cpu")
    with refused("is-a-classifier", str(run), "squeezenet1_1"):
        evaluate_run(run, open_dataset(drawn), "test", "cpu")
