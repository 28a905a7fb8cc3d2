"""The code in a card runs where headstart cannot be imported, and does what headstart does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torchvision import models

from headstart.data.framing import Framing, content_size, framed
from headstart.data.layouts.picture_folder import find_pictures
from headstart.inference.class_maps import class_maps
from headstart.inference.classifier import classes_of_pictures
from headstart.inference.opening import open_classifier
from headstart.models.classifiers import make_network, outline
from headstart.runs.run import train
from headstart.tasks.code_snippets import classifier_code, onnx_code
from headstart.tasks.windows import class_map
from tests.tasks.classifier_runs import classifier as tiny_classifier
from tests.tasks.without_headstart import run_without_headstart
from tests.tiny_runs import Silent


def code_of(card: str) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    return code


def picture(path: Path, height: int = 40, width: int = 52) -> np.ndarray:
    pixels = np.random.default_rng(3).integers(0, 256, (5, 6, 3), np.uint8)
    scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    scaled.save(path)
    return np.asarray(scaled)


def small_onnx(path: Path, classes: int) -> None:
    """A network with the interface of an exported one: ``image`` to ``probabilities``."""
    rng = np.random.default_rng(30)
    weights = rng.normal(0, 6, (classes, 3, 1, 1)).astype(np.float32)
    shapes = (("image", ["n", 3, "h", "w"]), ("probabilities", ["n", classes, "h", "w"]))
    given, answered = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes)
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    held = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph(nodes, "small", [given], [answered], held)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


@pytest.mark.parametrize("framing", ["squeeze", "pad"])
@pytest.mark.parametrize("min_area", [0.0, 0.2])
def test_the_code_for_onnx_makes_the_masks_of_headstart(
    tmp_path: Path, min_area: float, framing: Framing
) -> None:
    names, greys, size = ("ground", "it's", 'a`b"{c}'), (0, 60, 200), (16, 24)
    small_onnx(tmp_path / "model.onnx", len(names))
    image = picture(tmp_path / "picture.png")
    run_without_headstart(onnx_code(size, framing, names, greys, min_area), tmp_path)
    given = framed(image, size, framing).astype(np.float32).transpose(2, 0, 1)[None] / 255
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (probabilities,) = session.run(None, {"image": given})
    contents = [content_size(image.shape[:2], size, framing)]
    (expected,) = class_maps(probabilities, [image.shape[:2]], min_area, contents)
    found = np.asarray(Image.open(tmp_path / "mask.png"))
    assert np.array_equal(found, np.array(greys)[expected])
    assert len(np.unique(expected)) == (3 if not min_area else 2)  # else the test tests little


@pytest.mark.parametrize(("min_area", "tile"), [(0.0, (16, 24)), (0.2, (64, 16))])
def test_the_code_for_tiles_makes_the_masks_of_headstart(
    tmp_path: Path, min_area: float, tile: tuple[int, int]
) -> None:
    names, greys = ("ground", "it's", 'a`b"{c}'), (0, 60, 200)
    small_onnx(tmp_path / "model.onnx", len(names))
    image = picture(tmp_path / "picture.png")
    run_without_headstart(onnx_code(tile, "tile", names, greys, min_area), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")

    def answer(tiles: np.ndarray, _corners: object) -> np.ndarray:
        return session.run(None, {"image": tiles.astype(np.float32) / 255})[0]

    expected = class_map(image, tile, answer, min_area)
    found = np.asarray(Image.open(tmp_path / "mask.png"))
    assert np.array_equal(found, np.array(greys)[expected])
    assert len(np.unique(expected)) == (3 if not min_area else 2)


def test_a_cards_own_code_for_onnx(trained: Path, tmp_path: Path) -> None:
    code = code_of((trained / "README.md").read_text())
    assert "resize((24, 16)" in code and "Drawn_Tissue" in code and "< 0.01" in code
    small_onnx(tmp_path / "model.onnx", 5)
    picture(tmp_path / "picture.png")
    run_without_headstart(code, tmp_path)
    with Image.open(tmp_path / "mask.png") as mask:
        assert mask.mode == "L" and mask.size == (52, 40)
        assert set(np.unique(np.asarray(mask))) <= {0, 60, 120, 180, 240}


@pytest.mark.parametrize("model", ["squeezenet1_1", "mobilenet_v3_small", "mnasnet0_5"])
def test_a_cards_own_code_for_a_classifier(coloured: Path, tmp_path: Path, model: str) -> None:
    """Last parts that are ours and torchvision's; one that wants the versions of its parts.

    Pictures shrink and grow.
    """
    out = tmp_path / "run"
    train(tiny_classifier(coloured, model=model, start="scratch", tune="all"), out, Silent())
    code = code_of((out / "README.md").read_text())
    classifier = open_classifier(out, "cpu")
    for height, width, room in ((90, 110, 1e-5), (20, 24, 2e-2)):
        picture(out / "picture.png", height, width)
        found = eval(run_without_headstart(code, out))
        frames = [f for f in find_pictures(out).frames if f.name == "picture"]
        _, (expected,), _ = classes_of_pictures(classifier, frames, out)
        assert list(found) == list(classifier.names)
        assert np.allclose(list(found.values()), expected, atol=room)


@pytest.mark.parametrize("model", ["vgg11", "densenet121", "googlenet", "vit_b_32", "swin_t"])
def test_torchvisions_builder_makes_the_network_that_was_trained(model: str) -> None:
    """So that weights fit what the code of a card builds; on no memory."""
    code = classifier_code(model, outline(model, 3), (64, 64), ("a", "b", "c"))
    line = next(line for line in code.splitlines() if line.startswith("network ="))
    with torch.device("meta"):
        ours, _ = make_network(model, 3)
        theirs = eval(line.removeprefix("network = "), {"models": models})
    shapes = [{n: t.shape for n, t in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
