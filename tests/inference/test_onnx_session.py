"""ONNX files as strangers may give them; each is a real file, made by hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from headstart.errors import DataError, UsageError
from headstart.inference.onnx_file import KEY, is_onnx
from headstart.inference.opening import open_classifier, open_segmenter
from headstart.training.features import prepared

FACTS = {
    "schema": 1, "headstart": "0", "task": "segmentation", "model": "unet",
    "names": ["background", "tool"], "greys": [0, 128], "size": [8, 8], "min_area": 0.0,
    "input": "", "normalisation": "", "mean": [], "std": [], "weights_sha256": "0",
    "checked": {"pictures": 1, "tolerance": 1e-4},
}  # fmt: skip
OF_CLASSES = {**FACTS, "task": "classification", "greys": None}
WEIGHTS = np.array([[1.13, 2.07, 0], [0, 1.01, 3.19]], dtype=np.float32)  # no ties
ANY = ("pictures", 3, "height", "width")


def pixelwise(shape: tuple = ANY, name: str = "image", kind: int = TensorProto.FLOAT) -> list:
    """Nodes, input and weights of a network that looks at one pixel at a time."""
    nodes = [
        helper.make_node("Conv", [name, "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = numpy_helper.from_array(WEIGHTS[:, :, None, None], "w")
    return [nodes, [helper.make_tensor_value_info(name, kind, shape)], [weights]]


def model(
    nodes: list, inputs: list, weights: list, facts: object = FACTS, shape: tuple = ANY
) -> onnx.ModelProto:
    shape = (shape[0], 2, *shape[2:])
    out = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "g", inputs, out, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if facts is not None:
        text = facts if isinstance(facts, str) else json.dumps(facts)
        made.metadata_props.add(key=KEY, value=text)
    return made


def classifier(facts: object = OF_CLASSES) -> onnx.ModelProto:
    nodes, inputs, weights = pixelwise(("pictures", 3, 8, 8))
    pool = helper.make_node("GlobalAveragePool", ["image"], ["mean"])
    flat = helper.make_node("Flatten", ["probs"], ["probabilities"])
    nodes[0].input[0], nodes[1].output[0] = "mean", "probs"
    return model([pool, *nodes, flat], inputs, weights, facts, ("pictures",))


def write(path: Path, made: onnx.ModelProto) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def test_a_file_answers_for_any_number_of_pictures_of_any_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", model(*pixelwise()))
    segmenter = open_segmenter(path)
    assert segmenter.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert segmenter.size == (8, 8) and segmenter.label_map.greys == (0, 128)
    for shape in ((1, 3, 8, 8), (19, 3, 5, 11)):
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        logits = np.einsum("kc,nchw->nkhw", WEIGHTS, images.astype(np.float64) / 255)
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        probs = segmenter.probabilities(images)
        assert probs.dtype == np.float32 and np.abs(probs - expected).max() < 1e-6
        maps = segmenter.framed_maps(images, [shape[2:]] * shape[0], ())
        assert np.array_equal(np.stack(maps), expected.argmax(1))


def test_a_classifier_enlarges_and_repeats_grey_as_torch_does(tmp_path: Path) -> None:
    network = open_classifier(write(tmp_path / "c.onnx", classifier()), "cpu")
    assert network.names == ("background", "tool") and network.probabilities([]).shape == (0, 2)
    rng = np.random.default_rng(0)
    shapes = [(3, 8, 8), (1, 5, 7), (3, 8, 3), *[(1, 8, 8)] * 9]
    pictures = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    probabilities = network.probabilities(pictures)
    assert probabilities.shape == (12, 2)
    for picture, row in zip(pictures, probabilities, strict=True):
        batch = torch.from_numpy(picture[None])
        ready = prepared(batch, (8, 8), torch.device("cpu"))[0].numpy()
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        logits = WEIGHTS @ (ready * std[:, None, None] + mean[:, None, None]).mean((1, 2))
        assert np.abs(row - np.exp(logits) / np.exp(logits).sum()).max() < 1e-6


def _outside(made: onnx.ModelProto) -> onnx.ModelProto:
    onnx.external_data_helper.set_external_data(made.graph.initializer[0], "../../etc/passwd")
    made.graph.initializer[0].ClearField("raw_data")
    return made


def _constant_outside() -> onnx.ModelProto:
    nodes, inputs, (weights,) = pixelwise()
    onnx.external_data_helper.set_external_data(weights, "weights.bin")
    constant = helper.make_node("Constant", [], ["w"], value=weights)
    return model([constant, *nodes], inputs, [])


def _pooled() -> onnx.ModelProto:
    nodes, inputs, weights = pixelwise()
    nodes[1].output[0] = "large"
    pool = helper.make_node(
        "MaxPool", ["large"], ["probabilities"], kernel_shape=[2, 2], strides=[2, 2]
    )
    return model([*nodes, pool], inputs, weights, shape=("pictures", 2, "h", "w"))


def _rows() -> onnx.ModelProto:
    nodes, inputs, _ = pixelwise(("n", 2))
    nodes[1].input[0] = "image"
    return model(nodes[1:], inputs, [], shape=("n", 2))


def _unknown_operator() -> onnx.ModelProto:
    nodes, inputs, weights = pixelwise()
    nodes[1].op_type = "Sortmax"
    return model(nodes, inputs, weights)


WRONG: dict[str, tuple[Callable[[], bytes | onnx.ModelProto], str]] = {
    "a text": (lambda: b"weights of a network\n", "bad-onnx"),
    "nothing": (lambda: b"", "foreign-onnx"),
    "a torn file": (
        lambda: model(*pixelwise()).SerializeToString()[:-40], "bad-onnx",
    ),
    "of somebody else": (lambda: model(*pixelwise(), None), "foreign-onnx"),
    "facts that are no JSON": (lambda: model(*pixelwise(), "{"), "bad-onnx-facts"),
    "of a later version": (
        lambda: model(*pixelwise(), {**FACTS, "schema": 2}), "bad-onnx-facts",
    ),
    "greys for other classes": (
        lambda: model(*pixelwise(), {**FACTS, "greys": [0, 1, 2]}), "bad-onnx-facts",
    ),
    "weights outside": (lambda: _outside(model(*pixelwise())), "external-data"),
    "a constant outside": (_constant_outside, "external-data"),
    "rows of numbers": (_rows, "foreign-onnx"),
    "grey pictures": (
        lambda: model(*pixelwise(("n", 1, "h", "w"))), "foreign-onnx",
    ),
    "one size only": (lambda: model(*pixelwise(("n", 3, 8, 8))), "foreign-onnx"),
    "another name": (lambda: model(*pixelwise(name="x")), "foreign-onnx"),
    "halves": (
        lambda: model(*pixelwise(kind=TensorProto.FLOAT16)), "onnx-not-run",
    ),
    "more classes than it gives": (
        lambda: model(*pixelwise(), {**FACTS, "names": ["a", "b", "c"], "greys": [0, 1, 2]}),
        "foreign-onnx: 3 classes",
    ),
    "maps of half the size": (_pooled, "foreign-onnx: 2 classes"),
    "an operator that there is not": (_unknown_operator, "onnx-not-run"),
    "a classifier": (classifier, "is-a-classifier: (unet)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, make, expected: str) -> None:
    made, path = make(), tmp_path / "a.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(DataError) as caught:
        open_segmenter(path).probabilities(np.zeros((1, 3, 8, 8), np.uint8))
    code, _, fact = expected.partition(": ")
    (finding,) = caught.value.findings
    assert finding.code == code and fact in finding.message and "a.onnx" in finding.message


def test_a_segmentation_knows_no_classes_of_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", model(*pixelwise()))
    with pytest.raises(DataError, match=r"a\.onnx") as caught:
        open_classifier(path)
    assert caught.value.findings[0].code == "no-classifier"


def test_no_file_a_pipe_and_a_file_too_large(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.onnx") as caught:
        open_segmenter(tmp_path / "a.onnx")
    assert caught.value.findings[0].code == "no-onnx"
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="pipe"):
        open_segmenter(pipe)
    large = tmp_path / "large.onnx"
    large.touch()
    os.truncate(large, 2**31)
    with pytest.raises(DataError, match="2,147,483,648 bytes"):
        open_segmenter(large)


def test_files_are_told_from_folders(tmp_path: Path) -> None:
    (tmp_path / "run.onnx").mkdir()
    (tmp_path / "model").touch()
    assert not is_onnx(tmp_path / "run.onnx") and is_onnx(tmp_path / "model")
    assert is_onnx(tmp_path / "none.onnx") and not is_onnx(tmp_path / "none")


def test_a_file_is_run_on_the_cpu(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", model(*pixelwise()))
    with pytest.raises(UsageError, match=r"onnx-on-cpu.* cuda"):
        open_segmenter(path, "cuda")
    with pytest.raises(UsageError, match=r"onnx-on-cpu.* cuda"):
        open_classifier(path, "cuda")


def test_without_onnxruntime_it_is_said_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'onnxruntime': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from headstart.cli.main import main\n"
        "sys.argv = ['headstart', 'predict', 'a.onnx', '.', '--out', 'out']\n"
        "main()\n"
    )
    write(tmp_path / "a.onnx", model(*pixelwise()))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 69 and 'pip install "headstart[onnx]"' in done.stderr
    assert not (tmp_path / "out").exists()
