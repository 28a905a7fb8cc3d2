"""Weights move by name and shape; misfits are reported, and then nothing moves."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headstart.config.start_files import weights_file
from headstart.errors import DataError, UsageError
from headstart.models.classifiers import make_network
from headstart.models.encoder_unet import EncoderUNet
from headstart.models.unet import UNet
from headstart.records.vouching import write_manifest
from headstart.training.checkpoint import save_weights
from headstart.training.starts import Moved, Source, move, read_source, start_of

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
    all_weights = {n for n in model.state_dict() if n not in ("mean", "std")}
    assert {*report.moved, *report.fresh} == all_weights


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
    with pytest.raises(DataError, match=r"\[nothing-moved\].*other\.pth.*conv1\.weight.*encoder\."):
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
    with pytest.raises(DataError, match=r"\[bad-weights\].*w\.safetensors"):
        read_source(path, "w")
    with pytest.raises(DataError, match=r"\[no-weights\].*none\.safetensors"):
        read_source(tmp_path / "none.safetensors", "w")


NO_PLAIN = {
    "sparse": lambda t: t.to_sparse(),
    "no values": lambda t: t.to("meta"),
    "complex": lambda t: t.to(torch.complex64),
}


@pytest.mark.parametrize("change", NO_PLAIN.values(), ids=NO_PLAIN.keys())
def test_tensors_that_are_no_weights(tmp_path, change):
    weights = net().state_dict()
    weights["head.weight"] = change(weights["head.weight"])
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"\[bad-weights\].*w\.pth"):
        read_source(tmp_path / "w.pth", "w.pth")


def test_what_a_stranger_wrote_under_our_name(tmp_path):
    path = tmp_path / "w.safetensors"
    for metadata in ("no json", "[1]", '"names"', '{"names": 5}'):
        save_file(net().state_dict(), path, {"headstart": metadata})
        with pytest.raises(DataError, match=r"\[bad-weights\].*headstart.*w\.safetensors"):
            read_source(path, "w")
    save_file(net().state_dict(), path, {"format": "pt"})
    assert read_source(path, "w").classes is None


@pytest.mark.parametrize("folder", ["another program's", "a finished run's"])
def test_weights_are_not_judged_by_a_record_that_is_not_about_them(tmp_path, folder):
    weights = net().state_dict()
    torch.save(weights, tmp_path / "best.pth")
    if folder == "a finished run's":
        saved(tmp_path / "weights.safetensors", net())
        write_manifest(tmp_path, ["weights.safetensors"], {})
    else:
        save_file(weights, tmp_path / "weights.safetensors")
        (tmp_path / "manifest.json").write_text('{"files": ["best.pth"]}')
        (tmp_path / "config.json").write_text('{"model_type": "unet"}')
    for name in ("best.pth", "weights.safetensors"):
        assert set(read_source(tmp_path / name, "theirs").weights) == set(weights)
    if folder == "a finished run's":
        saved(tmp_path / "weights.safetensors", net(seed=1))
        with pytest.raises(DataError, match=r"bad-record.*weights\.safetensors"):
            read_source(tmp_path / "weights.safetensors", "ours")


def test_what_is_refused_is_named_in_our_words(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(DataError, match=r"\[bad-weights\].*torch\.nn\.modules\.linear\.Linear"):
        read_source(path, "w")
    pickled = pickle.dumps({"weight": 1}, protocol=5)
    path.write_bytes(pickled)
    with pytest.raises(DataError, match=r"\[bad-weights\]") as caught:
        read_source(path, "w")
    assert "weights_only" not in str(caught.value)  # torch advises to turn it off


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"\[no-weights\].*w\.safetensors"):
        read_source(tmp_path / "w.safetensors", "w")


def test_values_that_are_not_finite_are_no_start(tmp_path):
    weights = net(seed=1).state_dict()
    weights["decoder.0.0.weight"][0, 0] = torch.nan
    torch.save(weights, tmp_path / "w.pth")
    model, before = net(seed=2), net(seed=2)
    with pytest.raises(DataError, match=r"\[bad-weights\].*decoder\.0\.0\.weight"):
        move(model, read_source(tmp_path / "w.pth", "w.pth"), NAMES)
    assert equal(model, before, before.state_dict())


def test_which_file_a_start_names(tmp_path):
    with pytest.raises(UsageError, match=r"\[unknown-start\].*colorisation.*colorization"):
        weights_file("colorisation")
    with pytest.raises(UsageError, match=r"\[no-weights\].*weights\.safetensors"):
        weights_file(str(tmp_path))
    path = saved(tmp_path / "weights.safetensors", net())
    assert weights_file(str(tmp_path)) == path == weights_file(str(path))


def test_the_report_is_words_and_json():
    assert "scratch" in str(Moved("scratch"))
    report = Moved("x", "abc", moved=("a", "b"), fresh=("c",) * 5)
    for fact in ("x", "2 tensors", "5 new", "c, c, c and 2 more"):
        assert fact in str(report)
    assert json.loads(json.dumps(report.to_json()))["fresh"] == ["c"] * 5


def classifier(classes: int = 3, seed: int = 0) -> torch.nn.Module:
    """Two layers and a head, named as torchvision's networks are."""
    torch.manual_seed(seed)
    parts = {
        "conv": torch.nn.Conv2d(3, 4, 3),
        "bn": torch.nn.BatchNorm2d(4),
        "fc": torch.nn.Linear(4, classes),
    }
    return torch.nn.ModuleDict(parts)


def published(classes: int = 1000, **changes: torch.Tensor | None) -> Source:
    """A file of weights that does not say what it tells apart; None takes a tensor away."""
    weights = {**classifier(classes, seed=1).state_dict(), **changes}
    return Source("file", {n: t for n, t in weights.items() if t is not None}, None, "abc")


def moves(source: Source, classes: tuple[str, ...] = NAMES) -> tuple[torch.nn.Module, Moved]:
    model = classifier(len(classes), seed=2)
    return model, move(model, source, classes, "fc.", whole=True)


def test_a_head_of_other_classes_stays_new_and_all_else_moves():
    model, report = moves(published())
    assert report.fresh == ("fc.weight", "fc.bias") and report.adapted == ()
    assert report.unused == ("fc.bias", "fc.weight")  # sorted
    new, given = classifier(3, seed=2).state_dict(), published().weights
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (new if name in report.fresh else given)[name]), name
    assert moves(published(classes=3))[1].fresh == ()
    run = replace(published(classes=3), classes=("background", "a", "b"))
    assert moves(run)[1].fresh == ("fc.weight", "fc.bias")


def test_published_weights_may_lack_counters_and_have_auxiliary_heads():
    aside = {"AuxLogits.fc.weight": torch.zeros(2, 2), "aux1.fc.bias": torch.zeros(2)}
    model, report = moves(published(**{"bn.num_batches_tracked": None}, **aside))
    assert report.fresh == ("bn.num_batches_tracked", "fc.weight", "fc.bias")
    assert set(aside) < set(report.unused)
    assert torch.equal(model["bn"].weight, published().weights["bn.weight"])


def test_of_another_network_everything_that_differs_is_named_and_nothing_moves():
    source = published(
        **{
            "conv.weight": torch.zeros(5, 3, 3, 3),
            "bn.running_var": None,
            "layer4.conv1.weight": torch.zeros(1),
        }
    )
    model, before = classifier(seed=2), classifier(seed=2)
    with pytest.raises(DataError, match="shapes-differ") as caught:
        move(model, source, NAMES, "fc.", whole=True)
    for part in (
        "conv.weight (5, 3, 3, 3), expected (4, 3, 3, 3)",
        "bn.running_var",
        "layer4.conv1.weight",
    ):
        assert part in str(caught.value)
    assert equal(model, before, model.state_dict())


def test_old_names_of_a_densenet(tmp_path):
    old = {
        "denselayer1.norm.1.weight": torch.ones(2),
        "denselayer12.conv.2.weight": torch.ones(2),
        "denselayer1.other.1.weight": torch.ones(2),
    }
    torch.save(old, tmp_path / "old.pth")
    assert set(read_source(tmp_path / "old.pth", "old").weights) == {
        "denselayer1.norm1.weight", "denselayer12.conv2.weight", "denselayer1.other.1.weight",
    }  # fmt: skip


# --- a classifier's weights into the encoder made of it ---


def on_classifier(seed: int = 0, classes: int = 3) -> EncoderUNet:
    torch.manual_seed(seed)
    return EncoderUNet("squeezenet1_1", classes, 2)


def test_a_classifiers_weights_are_the_encoders(squeezenet):
    model, before = on_classifier(), on_classifier()
    report = start_of(model, read_source(squeezenet, "imagenet"), NAMES)
    given = read_source(squeezenet, "imagenet").weights
    for name in report.moved:
        assert torch.equal(model.state_dict()[name], given[name.removeprefix("encoder.")])
    assert report.unused == ("classifier.1.bias", "classifier.1.weight")
    assert {*report.fresh, *report.moved} == {*model.state_dict()} - {"mean", "std"}
    assert not any(n.startswith("encoder.") for n in report.fresh)
    assert equal(model, before, report.fresh) and equal(model, before, ["mean", "std"])


def test_a_run_with_pictures_of_a_class_is_a_start_of_the_same_encoder(tmp_path):
    torch.manual_seed(1)
    network, _ = make_network("squeezenet1_1", 4)
    save_weights(tmp_path / "w.safetensors", network.state_dict(), {"names": ("a", "b", "c", "d")})
    model = on_classifier()
    report = start_of(model, read_source(tmp_path / "w.safetensors", "run"), NAMES)
    assert torch.equal(
        model.encoder.get_parameter("features.0.weight"), network.get_parameter("features.0.weight")
    )
    assert all(name.startswith("classifier.") for name in report.unused) and report.unused


def test_a_segmentation_on_the_same_encoder_moves_whole(tmp_path):
    save_weights(tmp_path / "w.safetensors", on_classifier(1).state_dict(), {"names": NAMES})
    source = read_source(tmp_path / "w.safetensors", "run")
    model = on_classifier(2)
    assert start_of(model, source, NAMES).fresh == ()
    assert equal(model, on_classifier(1), model.state_dict())
    fresh = start_of(on_classifier(2), source, ("background", "x", "y")).fresh
    assert fresh == ("head.weight", "head.bias")


@pytest.mark.parametrize(("made", "wanted"), [("resnet18", "resnet34"), ("resnet34", "resnet18")])
def test_another_depth_of_the_same_family_does_not_move_half(tmp_path, made, wanted):
    """Whose parts have the same names and shapes."""
    torch.manual_seed(0)
    given = EncoderUNet(made, 3, 2)
    save_weights(tmp_path / "w.safetensors", given.state_dict(), {"task": "pretext"})
    source = read_source(tmp_path / "w.safetensors", "p")
    with pytest.raises(DataError, match="shapes-differ"):
        start_of(EncoderUNet(wanted, 3, 2), source, NAMES)
    assert start_of(EncoderUNet(made, 3, 2), source, NAMES).fresh == ("head.weight", "head.bias")


def test_what_is_not_this_classifier_is_refused_and_nothing_half_moves(squeezenet, tmp_path):
    source = read_source(squeezenet, "imagenet")
    model, before = on_classifier(), on_classifier()
    altered = dict(source.weights)
    del altered["features.3.squeeze.weight"]
    altered["features.99.weight"] = torch.zeros(2, 2)
    with pytest.raises(DataError, match="shapes-differ") as caught:
        start_of(model, replace(source, weights=altered), NAMES)
    assert "features.3.squeeze.weight" in str(caught.value)
    assert "features.99.weight" in str(caught.value)
    with pytest.raises(DataError, match="shapes-differ"):
        torch.manual_seed(0)
        start_of(EncoderUNet("squeezenet1_0", 3, 2), source, NAMES)
    path = saved(tmp_path / "w.safetensors", net(), names=NAMES)
    with pytest.raises(DataError, match=r"\[shapes-differ|\[nothing-moved"):
        start_of(model, read_source(path, "a U-Net"), NAMES)
    assert equal(model, before, model.state_dict())
