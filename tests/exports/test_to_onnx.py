"""A run in one file: it agrees with the run, describes itself, and is whole or not there."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from headstart.config.recipes import CLASSIFIER_DEFAULT
from headstart.config.records import make_run_config
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError, HeadstartError, UsageError
from headstart.exports.to_onnx import export_run, free_file, write_checked
from headstart.inference.classifier import classes_of_split
from headstart.inference.finished_run import read_finished_run
from headstart.inference.masks import predict
from headstart.inference.onnx_file import KEY, parse_onnx, read_onnx
from headstart.inference.opening import open_classifier, open_segmenter
from headstart.inference.segmenter import Segmenter
from headstart.runs.run import train
from headstart.scores.calibration import calibrated
from headstart.training.checkpoint import load_weights, save_weights
from tests.tiny_runs import CLASSIFIER, Silent

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]

# What cannot be imported cannot have been loaded.
WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing}:
            raise ImportError(f"{{name}} is not to be loaded")
sys.meta_path.insert(0, Without())
"""


def without(missing: set[str], script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script in a process that cannot import some packages."""
    code = WITHOUT.format(missing=missing) + script
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)


def test_one_file_that_says_what_it_is(trained: Path, exported: tuple[Path, dict]) -> None:
    run, answer = exported
    assert {p.name for p in run.iterdir()} == {p.name for p in trained.iterdir()} | {"model.onnx"}
    content = (run / "model.onnx").read_bytes()
    assert answer["file"] == str(run / "model.onnx") and answer["written"]
    assert answer["bytes"] == len(content)
    agreement = answer["agreement"]
    assert agreement["pictures"] == 8 and agreement["largest_difference"] <= 1e-4
    assert agreement["other_class_share"] <= 1e-3
    sizes = {(c["size"], c["batch"]) for c in agreement["compared"]}
    assert sizes == {((16, 24), 8), ((27, 35), 1)}
    json.dumps(answer, allow_nan=False)
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    prop, seal = model.metadata_props
    assert len(seal.value) == 64
    facts, finished = json.loads(prop.value), read_finished_run(run)
    assert prop.key == KEY and list(facts) == sorted(facts)
    label_map, network = open_segmenter(run, "cpu").label_map, Segmenter.network(finished)
    assert (tuple(facts["names"]), tuple(facts["greys"])) == (label_map.names, label_map.greys)
    assert facts["weights_sha256"] == finished.digest and facts["size"] == [16, 24]
    assert np.allclose(facts["mean"], network.mean.flatten()) and facts["mean"] != [0, 0, 0]
    for trace in (b".py", b"site-packages", str(ROOT).encode(), b"stack_trace"):
        assert trace not in content


def test_a_file_without_its_seal_is_not_taken_for_one_of_an_older_version(
    exported: tuple[Path, dict], tmp_path: Path
) -> None:
    content = (exported[0] / "model.onnx").read_bytes()
    begins = content.index(b"headstart_sha256")
    for place in range(begins, begins + len(b"headstart_sha256") + 2 + 64):
        flipped = bytes([content[place] ^ 0x40])  # no digit of a hash remains one
        with pytest.raises(DataError, match="bad-onnx"):
            parse_onnx(tmp_path / "a.onnx", content[:place] + flipped + content[place + 1 :])
    parse_onnx(tmp_path / "a.onnx", content)


@pytest.mark.parametrize(
    ("batch", "size"), [(1, (43, 53)), (3, (64, 80)), (2, (7, 9)), (1, (8, 1))]
)
def test_any_number_of_pictures_of_any_size(
    drawn: Path, exported: tuple[Path, dict], batch: int, size: tuple[int, int]
) -> None:
    frames = frames_of(open_dataset(drawn), "test")[:batch]
    pictures = [Image.fromarray(read_frame(frame, drawn)) for frame in frames]
    images = np.stack([np.asarray(p.resize(size[::-1])).transpose(2, 0, 1) for p in pictures])
    theirs = open_segmenter(exported[0], "cpu").probabilities(images)
    ours = open_segmenter(exported[0] / "model.onnx").probabilities(images)
    assert ours.shape == (batch, 5, *size) and np.abs(ours - theirs).max() < 1e-5


def test_the_same_command_again_answers_at_once(exported: tuple[Path, dict]) -> None:
    run, answer = exported
    before = (run / "model.onnx").stat()
    messages: list[str] = []
    again = export_run(run, tell=messages.append)
    assert again == {**answer, "written": False, "agreement": None} and not messages
    assert (run / "model.onnx").stat().st_mtime_ns == before.st_mtime_ns


def other_weights(run: Path, out: Path) -> Path:
    """A copy of a run whose network is another one."""
    shutil.copytree(run, out, ignore=shutil.ignore_patterns("model.onnx", "cache", "checkpoint"))
    (out / "manifest.json").unlink()
    weights, facts, _ = load_weights(out / "weights.safetensors")
    weights["head.bias"] = weights["head.bias"] + torch.arange(5) * 0.01
    save_weights(out / "weights.safetensors", weights, facts)
    assert set(load_file(out / "weights.safetensors")) == set(weights)
    return out


def test_a_run_without_weights_is_named_beside_a_file(
    exported: tuple[Path, dict], tmp_path: Path
) -> None:
    file = shutil.copy(exported[0] / "model.onnx", tmp_path)
    for run in (tmp_path / "typo", tmp_path):
        with pytest.raises(DataError) as caught:
            export_run(run, tmp_path / "model.onnx")
        assert str(run) in caught.value.findings[0].message
    assert Path(file).read_bytes() == (exported[0] / "model.onnx").read_bytes()


def test_nothing_is_overwritten(exported: tuple[Path, dict], tmp_path: Path) -> None:
    other = other_weights(exported[0], tmp_path / "other")
    model = other / "model.onnx"
    shutil.copy(exported[0] / "model.onnx", model)
    before = model.read_bytes()
    with pytest.raises(UsageError, match="--fresh") as caught:
        export_run(other)
    assert [finding.code for finding in caught.value.findings] == ["other-weights"]
    assert model.read_bytes() == before
    model.write_bytes(before[:1000])
    with pytest.raises(UsageError, match="--fresh") as caught:
        export_run(other)
    assert [finding.code for finding in caught.value.findings] == ["bad-onnx", "not-ours"]
    assert model.read_bytes() == before[:1000]
    assert free_file(model) == other / "model-2.onnx"
    assert free_file(other / "new.onnx") == other / "new.onnx"


def test_what_does_not_answer_as_pytorch_is_not_written(
    drawn: Path, exported: tuple[Path, dict], tmp_path: Path
) -> None:
    other = other_weights(exported[0], tmp_path / "other")
    file = read_onnx(exported[0] / "model.onnx")
    frames = frames_of(open_dataset(drawn), "test")
    images = [read_frame(frame, drawn) for frame in frames]
    beside = type(file)(tmp_path / "new" / "model.onnx", file.content, file.facts, file.digest)
    with pytest.raises(HeadstartError, match=r"onnx-differs.* 0\.\d+ ") as caught:
        write_checked(beside, open_segmenter(other, "cpu"), images)
    assert caught.value.exit_status == 1 and not (tmp_path / "new").exists()
    left = beside.path.with_name(f"{beside.path.name}.tmp-{2**22 + 1}")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a process that was killed")
    write_checked(beside, open_segmenter(exported[0], "cpu"), images)
    assert beside.path.read_bytes() == file.content and not left.exists()


def test_killed_while_it_exports_it_leaves_nothing(trained: Path, tmp_path: Path) -> None:
    run, said = tmp_path / "run", tmp_path / "stderr.txt"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns(".lock"))
    before = {p.name for p in run.iterdir()}
    command = [sys.executable, "-m", "headstart", "export", str(run)]
    with said.open("wb") as err, subprocess.Popen(command, stderr=err) as child:
        until = time.monotonic() + 120
        while "exporting" not in said.read_text() and time.monotonic() < until:
            time.sleep(0.01)
        assert "exporting" in said.read_text()
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert {p.name for p in run.iterdir()} == before | {".lock"}


def test_without_pictures_it_is_said_what_to_do(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = json.loads((run / "config.json").read_text())
    (run / "manifest.json").unlink()
    (run / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "gone")}))
    gone = re.escape(str(tmp_path / "gone"))
    with pytest.raises(DataError, match=rf"no-pictures.*{gone}\n.*--pictures FOLDER"):
        export_run(run)
    with pytest.raises(DataError, match=f"no-pictures.*{gone}") as caught:
        export_run(run, pictures=tmp_path / "gone")
    assert "--split" not in str(caught.value)  # an option that this verb does not have
    (run / "weights.safetensors").unlink()
    with pytest.raises(DataError, match="no-weights"):
        export_run(run)
    with pytest.raises(DataError, match="no-run"):
        export_run(tmp_path / "none")


def test_predict_without_torch_or_matplotlib(
    drawn: Path, exported: tuple[Path, dict], tmp_path: Path
) -> None:
    """The whole command line, where they cannot be imported; the masks are those of torch."""
    run, _ = exported
    dataset = open_dataset(drawn)
    frames = frames_of(dataset, "test")
    script = (
        "from headstart.cli.main import app\n"
        "for arguments in {calls}:\n"
        "    sys.argv = ['headstart', 'predict', *arguments]\n"
        "    try: app()\n"
        "    except SystemExit as left: assert not left.code, left\n"
    )
    model = str(run / "model.onnx")
    calls = [
        [model, str(frames[0].image), "--out", "one"],
        [model, str(drawn), "--split", "test", "--out", "split", "--device", "cpu"],
    ]
    done = without({"torch", "torchvision", "matplotlib"}, script.format(calls=calls), tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "one/masks").iterdir())) == 1
    predict(open_segmenter(run, "cpu"), frames, drawn, tmp_path / "torch")
    differs = []
    for frame in frames:
        name = f"{frame.name}.png"
        pair = [np.asarray(Image.open(tmp_path / d / "masks" / name)) for d in ("split", "torch")]
        differs.append((pair[0] != pair[1]).mean())
        assert (tmp_path / "split/overlays" / name).exists()
    assert np.mean(differs) <= 1e-3


def test_the_lines_in_the_documentation_run_without_headstart(
    drawn: Path, exported: tuple[Path, dict], tmp_path: Path
) -> None:
    lines = re.search(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)
    assert lines is not None
    frame = frames_of(open_dataset(drawn), "test")[0]
    picture = Image.fromarray(read_frame(frame, drawn))
    picture.save(tmp_path / "picture.png")
    shutil.copy(exported[0] / "model.onnx", tmp_path)
    done = without({"torch", "headstart"}, lines[1] + "np.save('p.npy', probabilities)\n", tmp_path)
    assert done.returncode == 0, done.stderr
    image = np.asarray(picture.resize((80, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    theirs = open_segmenter(exported[0], "cpu").probabilities(np.stack([image]))
    found = np.load(tmp_path / "p.npy")
    assert found.shape == (1, 5, 64, 80) and np.abs(found - theirs).max() < 1e-5


def test_a_classifier_writes_the_same_classes_csv(coloured: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    recipe = CLASSIFIER_DEFAULT.with_epochs(1).model_copy(update={"batch": 8})
    settings: dict[str, Any] = {**CLASSIFIER, "schema": 1, "data": str(coloured)}
    settings |= {"model": "squeezenet1_1", "size": (32, 32), "tune": "head", "recipe": recipe}
    train(make_run_config(**settings), run, Silent())
    answer = export_run(run)
    assert answer["agreement"]["largest_difference"] <= 1e-4
    assert answer["agreement"]["other_class_share"] == 0
    model, data = run / "model.onnx", open_classes(coloured)
    pair = [classes_of_split(open_classifier(p, "cpu"), data, "test")[1] for p in (run, model)]
    assert pair[0].shape == (18, 3) and np.abs(pair[0] - pair[1]).max() < 1e-5
    script = (
        "from headstart.cli.main import app\n"
        f"sys.argv = ['headstart', 'predict', {str(model)!r}, {str(coloured)!r}, '--split', 'test',"
        " '--out', 'out']\n"
        "app()\n"
    )
    done = without({"torch", "torchvision", "matplotlib"}, script, tmp_path)
    assert done.returncode == 0, done.stderr
    header, *rows = (tmp_path / "out/classes.csv").read_text().splitlines()
    assert header == "picture,class,probability,ape,bee,cat" and len(rows) == 18
    found = np.array([row.split(",")[3:] for row in rows], dtype=float)
    temperature = open_classifier(run, "cpu").temperature
    assert temperature != 1 and np.abs(found - calibrated(pair[0], temperature)).max() < 1e-5
    with pytest.raises(DataError, match="is-a-classifier"):
        open_segmenter(model)


def test_colours_are_named_only_where_there_are_any(exported: tuple[Path, dict]) -> None:
    facts = read_onnx(exported[0] / "model.onnx").facts
    assert "colours" not in json.loads(facts.to_json())
    painted = facts.model_copy(
        update={"colours": tuple((k, 0, 0) for k in range(len(facts.names)))}
    )
    assert type(facts).model_validate_json(painted.to_json()).colours == painted.colours
