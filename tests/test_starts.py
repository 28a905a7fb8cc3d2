"""Weights move by name and shape; what does not fit is told, and nothing half-moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from headstart.checkpoint import save_weights
from headstart.config import weights_file
from headstart.errors import DataError, UsageError
from headstart.models.unet import UNet
from headstart.starts import Moved, move, read_source

NAMES = ("background", "tool", "other")


def net(classes: int = 3, width: int = 2, seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(classes, width)


def saved(path: Path, model: UNet, **facts: object) -> Path:
    save_weights(path, model.state_dict(), facts)
    return path


def equal(a: torch.nn.Module, b: torch.nn.Module, names) -> bool:
    return all(torch.equal(a.state_dict()[n], b.state_dict()[n]) for n in names)


def test_a_pretext_moves_all_but_its_head_even_of_the_same_shape(tmp_path):
    path = saved(tmp_path / "w.safetensors", net(3, seed=1), task="pretext", pretext="colorization")
    model, before = net(seed=2), net(seed=2)
    report = move(model, read_source(path, "colorization"), NAMES)
    assert report.fresh == ("head.weight", "head.bias")
    assert set(report.unused) == set(report.fresh)
    assert equal(model, net(seed=1), report.moved) and equal(model, before, report.fresh)
    whole = {n for n in model.state_dict() if n not in ("mean", "std")}
    assert {*report.moved, *report.fresh} == whole


def test_a_run_on_the_same_classes_moves_its_head_too(tmp_path):
    path = saved(tmp_path / "w.safetensors", net(seed=1), names=NAMES)
    model = net(seed=2)
    assert move(model, read_source(path, "run"), NAMES).fresh == ()
    assert equal(model, net(seed=1), ["head.weight", "head.bias"])
    report = move(net(seed=2), read_source(path, "run"), ("background", "a", "b"))
    assert report.fresh == ("head.weight", "head.bias")


def test_standardisation_is_the_recipes_and_stays(tmp_path):
    source = net(seed=1)
    source.mean.fill_(0.4)
    path = saved(tmp_path / "w.safetensors", source, names=NAMES)
    model = net(seed=2)
    move(model, read_source(path, "run"), NAMES)
    assert float(model.mean.sum()) == 0


def test_another_width_is_refused_with_both_shapes(tmp_path):
    path = saved(tmp_path / "w.safetensors", net(3, width=4), task="pretext", pretext="chroma")
    model, before = net(seed=2), net(seed=2)
    with pytest.raises(DataError, match=r"\(4, 3, 3, 3\), expected \(2, 3, 3, 3\)") as caught:
        move(model, read_source(path, "chroma"), NAMES)
    assert "--width" in str(caught.value)
    assert equal(model, before, model.state_dict())


def test_nothing_moved_is_an_error(tmp_path):
    torch.save({"conv1.weight": torch.zeros(2, 3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="nothing of the start"):
        move(net(), read_source(tmp_path / "other.pth", "other.pth"), NAMES)


def test_a_first_layer_for_grey_pictures_is_adapted(tmp_path):
    torch.manual_seed(1)
    grey = UNet(3, 2, in_channels=1)
    torch.save(grey.state_dict(), tmp_path / "grey.pth")
    model = net(seed=2).eval()
    report = move(model, read_source(tmp_path / "grey.pth", "grey"), NAMES)
    assert report.adapted == ("encoder.0.0.weight",)
    picture = torch.rand(1, 1, 8, 8)
    expected = grey.eval()(picture)
    assert torch.allclose(model(picture.expand(1, 3, 8, 8)), expected, atol=1e-5)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_of_others(tmp_path, wrapper, prefix):
    weights = {prefix + n: t for n, t in net(seed=1).state_dict().items()}
    torch.save(weights if wrapper is None else {wrapper: weights, "epoch": 3}, tmp_path / "w.pth")
    model = net(seed=2)
    report = move(model, read_source(tmp_path / "w.pth", "w.pth"), NAMES)
    assert report.fresh == () and equal(model, net(seed=1), report.moved)


class _Evil:
    def __reduce__(self):
        return print, ("code of a stranger",)


@pytest.mark.parametrize(
    "content", [_Evil(), [1, 2], {}, {"weight": 3}, {"state_dict": "x"}, "bytes", "cut"]
)
def test_files_that_hold_anything_else(tmp_path, content, capsys):
    path = tmp_path / "w.pth"
    if content == "bytes":
        path.write_bytes(b"\x00" * 100)
    elif content == "cut":
        torch.save(net().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-500])
    else:
        torch.save(content, path)
    with pytest.raises(DataError) as caught:
        read_source(path, "w.pth")
    assert str(path) in str(caught.value) and "code of a stranger" not in capsys.readouterr().out


def test_a_damaged_safetensors_file(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"not this")
    with pytest.raises(DataError, match="no safetensors file"):
        read_source(path, "w")
    with pytest.raises(DataError, match="No such file"):
        read_source(tmp_path / "none.safetensors", "w")


def test_which_file_a_start_names(tmp_path):
    with pytest.raises(UsageError, match=r"there is no start colorisation.*colorization"):
        weights_file("colorisation")
    with pytest.raises(UsageError, match="without weights"):
        weights_file(str(tmp_path))
    path = saved(tmp_path / "weights.safetensors", net())
    assert weights_file(str(tmp_path)) == path == weights_file(str(path))


def test_the_report_is_words_and_json():
    assert str(Moved("scratch")) == "start: scratch, all weights are new"
    report = Moved("x", "abc", moved=("a", "b"), fresh=("c",) * 5)
    assert "2 tensors moved, 5 fresh (c, c, c and 2 more)" in str(report)
    assert json.loads(json.dumps(report.to_json()))["fresh"] == ["c"] * 5
