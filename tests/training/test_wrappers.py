"""Names that a wrapper has put a prefix before: taken off, and said, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from headstart.errors import DataError
from headstart.models.classifiers import make_network
from headstart.models.encoder_unet import EncoderUNet
from headstart.models.unet import UNet
from headstart.training.starts import Moved, move, read_source, start_of

Weights = dict[str, Tensor]


def classifier(seed: int = 1) -> Weights:
    torch.manual_seed(seed)
    return {n: t.clone() for n, t in make_network("resnet18", 5)[0].state_dict().items()}


def under(prefix: str, weights: Weights) -> Weights:
    return {prefix + name: tensor for name, tensor in weights.items()}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def lightning(weights: Weights) -> dict[str, object]:
    """What Lightning's ModelCheckpoint writes, optimizer and all."""
    return {
        "epoch": 3, "global_step": 40, "pytorch-lightning_version": "2.5.0", "loops": {},
        "state_dict": weights, "optimizer_states": [{"state": {}, "param_groups": []}],
        "lr_schedulers": [], "hyper_parameters": {"lr": 0.1, "name": "resnet18"},
    }  # fmt: skip


KINDS = {
    "DataParallel": ("module.", "w.pth", dict),
    "torch.compile": ("_orig_mod.", "w.pt", dict),
    "both": ("module._orig_mod.", "w.pth", dict),
    "Lightning": ("model.", "w.ckpt", lightning),
    "a training script": ("backbone.", "w.pth", lambda w: {"model_state_dict": w}),
    "an encoder alone": ("encoder.", "w.pth", dict),
    "nested": ("model.encoder.", "w.ckpt", lightning),
}


@pytest.mark.parametrize("kind", KINDS)
def test_wrapped_weights_load_and_the_prefix_is_said(kind: str, tmp_path: Path) -> None:
    prefix, name, wrapped = KINDS[kind]
    weights = classifier()
    path = saved(tmp_path / name, wrapped(under(prefix, weights)))
    torch.manual_seed(2)
    network, head = make_network("resnet18", 3)
    for model, report in (
        (network, move(network, read_source(path, "w"), (), f"{head.name}.", whole=True)),
        (unet := EncoderUNet("resnet18", 3, 2), start_of(unet, read_source(path, "w"), ())),
    ):
        part = "encoder." if isinstance(model, EncoderUNet) else ""
        assert len(report.moved) == 120 and report.unused == ("fc.bias", "fc.weight")
        for moved in report.moved:
            own = moved.removeprefix(part)
            assert torch.equal(model.state_dict()[moved], weights[own])
        assert report.prefix == report.to_json()["prefix"] == prefix
        (finding,) = report.findings
        assert finding.code == "prefix-taken-off" and prefix in finding.message


@pytest.mark.parametrize("prefix", ["_orig_mod.", "net.", "model.module."])
def test_a_segmentation_network_loads_from_under_a_prefix(prefix: str, tmp_path: Path) -> None:
    for make in (lambda: UNet(3, 2), lambda: EncoderUNet("squeezenet1_1", 3, 2)):
        torch.manual_seed(1)
        theirs: nn.Module = make()
        save_file(under(prefix, theirs.state_dict()), tmp_path / "w.safetensors")
        model = make()
        report = start_of(model, read_source(tmp_path / "w.safetensors", "w"), ())
        assert report.prefix == prefix and not report.fresh
        assert all(torch.equal(model.state_dict()[n], theirs.state_dict()[n]) for n in report.moved)


@pytest.mark.parametrize(
    ("more", "prefix"),
    [
        ({"decode_head.conv.weight": torch.zeros(1)}, "backbone."),
        (under("teacher.", classifier(2)), "student."),
    ],
    ids=["another head", "student and teacher"],
)
def test_what_one_prefix_does_not_explain_is_refused_with_it(
    more: Weights, prefix: str, tmp_path: Path
) -> None:
    path = saved(tmp_path / "w.pth", {**under(prefix, classifier()), **more})
    model = EncoderUNet("resnet18", 3, 2)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    with pytest.raises(DataError, match=rf"wrapped-weights.*{prefix}.*{next(iter(more))[:8]}"):
        start_of(model, read_source(path, "w"), ())
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_a_checkpoint_with_objects_is_refused(tmp_path: Path) -> None:
    content = lightning(classifier()) | {"callbacks": {"early": Path("x")}}
    path = saved(tmp_path / "w.ckpt", content)
    with pytest.raises(DataError, match=r"bad-weights.*not a file of weights only"):
        read_source(path, "w")


def test_another_network_is_not_taken_for_a_wrapped_one(tmp_path: Path) -> None:
    """Blocks have convolutions of the same names; a prefix has to explain half of a network."""
    path = saved(tmp_path / "w.pth", classifier())
    with pytest.raises(DataError, match=r"nothing-moved|shapes-differ"):
        start_of(EncoderUNet("squeezenet1_1", 3, 2), read_source(path, "w"), ())
    assert "prefix" not in Moved("scratch").to_json()
