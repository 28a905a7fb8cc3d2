"""A run on 16-bit pictures reads new ones by the range that its dataset declared."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.cli.main import app
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.reading_rules import ReadingRules
from headstart.errors import DataError
from headstart.inference.finished_run import read_finished_run
from headstart.inference.onnx_file import read_onnx
from headstart.runs.cross_validation import cross_validate
from headstart.runs.run import train
from headstart.training.checkpoint import load_weights, save_weights
from headstart.verbs.evaluate import evaluate
from headstart.verbs.predict import predict
from headstart.verbs.suggest import suggest
from tests.tiny_runs import Silent, tiny

DECLARED = {"percentile": '"percentile"', "a range": "[500, 15800]"}


@pytest.fixture(scope="module")
def grey(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn frames in grey values of 16 bits, in the layout ``plain``."""
    root = tmp_path_factory.mktemp("deep") / "data"
    dataset = open_dataset(drawn)
    parts = {f"{split}/images": frames for split, frames in dataset.splits.items()}
    for folder, frames in {**parts, "unlabelled": dataset.unlabelled["train"]}.items():
        for frame in frames:
            values = np.asarray(Image.open(frame.image).convert("L")).astype(np.uint16) * 60 + 500
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / folder / f"{frame.name}.tif")
            for mask in frame.masks:
                to = root / folder.replace("images", "masks") / f"{frame.name}.png"
                to.parent.mkdir(exist_ok=True)
                shutil.copy(mask, to)
    shutil.copy(drawn / "mapping.json", root)
    return root


@pytest.fixture(scope="module", params=DECLARED)
def run(
    request: pytest.FixtureRequest, grey: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("deep-run")
    shutil.copytree(grey, folder / "data")
    text = f'layout = "plain"\nrange = {DECLARED[request.param]}\n'
    (folder / "data/dataset.toml").write_text(text)
    train(tiny(folder / "data"), folder / "run", Silent())
    return folder / "run"


def data_of(run: Path) -> Path:
    return run.parent / "data"


def written(folder: Path) -> dict[str, bytes]:
    """The masks and overlays, which show the pictures as they were read."""
    files = [*folder.glob("masks/*"), *folder.glob("overlays/*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_weights_say_how_pictures_are_read(run: Path, trained: Path) -> None:
    rules = frames_of(open_dataset(data_of(run)), "test")[0].rules
    assert rules.value_range is not None and read_finished_run(run).facts.rules == rules
    _, facts, _ = load_weights(trained / "weights.safetensors")
    assert not {"range", "page"} & set(facts)  # as older versions wrote them
    assert read_finished_run(trained).facts.rules == ReadingRules()


def test_a_folder_is_predicted_as_the_split(run: Path, tmp_path: Path) -> None:
    predict(run, data_of(run), out=tmp_path / "split", split="test")
    predict(run, data_of(run) / "test/images", out=tmp_path / "new", format="coco")
    alone = next((data_of(run) / "test/images").iterdir())
    predict(run, alone, out=tmp_path / "alone", probabilities="npz")
    expected = written(tmp_path / "split")
    assert written(tmp_path / "new") == expected
    names = [f"{kind}/{alone.stem}.png" for kind in ("masks", "overlays")]
    assert written(tmp_path / "alone") == {name: expected[name] for name in names}


def test_a_dataset_that_declares_nothing_is_read_by_the_run(
    run: Path, grey: Path, tmp_path: Path
) -> None:
    assert evaluate(run, grey).scores == evaluate(run, data_of(run)).scores
    predict(run, data_of(run), out=tmp_path / "own", split="test")
    predict(run, grey, out=tmp_path / "other", split="test")
    assert written(tmp_path / "other") == written(tmp_path / "own")


def test_pictures_to_label(run: Path, tmp_path: Path) -> None:
    of_folder = suggest(run, data_of(run) / "unlabelled", count=2, out=tmp_path / "a")
    of_dataset = suggest(run, data_of(run), count=2, out=tmp_path / "b")
    pairs = zip(of_folder.suggestions, of_dataset.suggestions, strict=True)
    assert all(one.uncertainty == other.uncertainty for one, other in pairs)
    for path in (tmp_path / "a/images").iterdir():
        with Image.open(path) as picture:
            assert picture.mode == "RGB"  # every labelling tool shows it


@pytest.mark.parametrize("run", [next(iter(DECLARED))], indirect=True)
def test_a_file_of_the_run_reads_them_alike(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    words = [
        "export",
        str(run),
        "--out",
        str(file),
        "--pictures",
        str(data_of(run) / "test/images"),
    ]
    app(words, standalone_mode=False)
    assert read_onnx(file).facts.rules == read_finished_run(run).facts.rules
    predict(file, data_of(run) / "test/images", out=tmp_path / "new")
    predict(run, data_of(run), out=tmp_path / "split", split="test")
    for picture in (tmp_path / "split/overlays").iterdir():
        other = tmp_path / "new/overlays" / picture.name
        with Image.open(picture) as one, Image.open(other) as two:
            assert (np.asarray(one) == np.asarray(two)).mean() > 0.99


def test_folds_read_them_alike(run: Path, tmp_path: Path) -> None:
    config = tiny(data_of(run), folds=2, recipe=tiny(data_of(run)).recipe.with_epochs(1))
    cross_validate(config, tmp_path / "R", Silent())
    assert read_finished_run(tmp_path / "R").facts.rules == read_finished_run(run).facts.rules
    predict(tmp_path / "R", data_of(run) / "unlabelled", out=tmp_path / "new")
    pictures = len([*(data_of(run) / "unlabelled").iterdir()])
    assert len(written(tmp_path / "new")) == 2 * pictures


def test_the_code_in_the_model_card_reads_them_alike(run: Path, tmp_path: Path) -> None:
    code = (run / "README.md").read_text().split("```python\n")[1].split("```")[0]
    lines = code.splitlines()
    first, last = (i for i, line in enumerate(lines) if line.startswith("picture = "))
    opened = "\n".join(lines[first : last + 1])
    (path,) = [f.image for f in frames_of(open_dataset(data_of(run)), "test")][:1]
    names: dict[str, object] = {"np": np, "Image": Image}
    exec(opened.replace('"picture.png"', repr(str(path))), names)
    assert "low, high = " in opened
    values, picture = np.asarray(Image.open(path)).astype(float), np.asarray(names["picture"])
    low, high = names["low"], names["high"]
    expected = np.rint(255 * np.clip((values - low) / (high - low), 0, 1))  # type: ignore[operator]
    assert np.array_equal(picture[..., 0], expected)


def test_a_run_of_an_older_version_names_a_way_on(run: Path, tmp_path: Path) -> None:
    older = shutil.copytree(run, tmp_path / "run")
    (older / "manifest.json").unlink()
    weights, facts, _ = load_weights(older / "weights.safetensors")
    without = {name: value for name, value in facts.items() if name != "range"}
    save_weights(older / "weights.safetensors", weights, without)
    with pytest.raises(DataError, match="picture-depth") as caught:
        predict(older, data_of(run) / "unlabelled", out=tmp_path / "new")
    hints = {finding.hint for finding in caught.value.findings}
    assert all("convert the picture to 8 bits" in hint for hint in hints)


def test_what_a_run_cannot_have_written_is_refused(run: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(run, tmp_path / "run")
    (odd / "manifest.json").unlink()
    weights, facts, _ = load_weights(odd / "weights.safetensors")
    for value in ("full", [1], [1, 2, 3], ["a", "b"]):
        save_weights(odd / "weights.safetensors", weights, {**facts, "range": value})
        with pytest.raises(DataError, match="bad-weights"):
            read_finished_run(odd)
