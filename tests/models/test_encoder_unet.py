"""A U-Net on a classifier: the features are the classifier's own, at each scale, and train."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor

from headstart.errors import UsageError
from headstart.exports.graph import _EXAMPLE
from headstart.models.classifiers import make_network
from headstart.models.encoder_unet import (
    EncoderUNet,
    beside_encoder,
    check_segmenter,
    make_segmenter,
    scales,
)
from headstart.models.feature_maps import graph_encoder
from headstart.models.tuning import Tracer
from headstart.models.unet import UNet

# One of each family, the smallest, and where its head is.
FAMILIES = {
    "alexnet": ("classifier.",),
    "convnext_tiny": ("classifier.",),
    "densenet121": ("classifier.",),
    "efficientnet_b0": ("classifier.",),
    "googlenet": ("fc.",),
    "mnasnet0_5": ("classifier.",),
    "mobilenet_v3_small": ("classifier.",),
    "regnet_x_400mf": ("fc.",),
    "resnet18": ("fc.",),
    "shufflenet_v2_x0_5": ("fc.",),
    "squeezenet1_1": ("classifier.",),
    "vgg11": ("classifier.",),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_is_outlined_without_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``study --dry-run`` counts the bytes of a run so; RegNet computes its widths with tensors."""
    for draw in ("kaiming_uniform_", "kaiming_normal_", "normal_", "uniform_", "trunc_normal_"):
        monkeypatch.setattr(nn.init, draw, lambda tensor, *_args, **_options: tensor)
    with torch.device("meta"):
        outlined = EncoderUNet(name, 3, 2)
    shapes = {n: t.shape for n, t in outlined.state_dict().items()}
    assert shapes == {n: t.shape for n, t in net(name).state_dict().items()}
    assert all(parameter.is_meta for parameter in outlined.parameters())


def net(name: str, classes: int = 3, width: int = 2) -> EncoderUNet:
    torch.manual_seed(0)
    return EncoderUNet(name, classes, width)


class _Copying(fx.Interpreter):
    """Runs the whole network and copies what each step gives, before anything can change it."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__(network, graph=graph)
        self.found: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.found[n.name] = value.clone()
        return value


@pytest.mark.parametrize("name", FAMILIES)
def test_the_encoder_is_the_classifier_without_its_head(name):
    """By names and shapes; and its features, which no later step of the classifier changes."""
    torch.manual_seed(0)
    whole = make_network(name, 2)[0].eval()
    shapes = {n: t.shape for n, t in whole.state_dict().items() if not n.startswith(FAMILIES[name])}
    watched = _Copying(whole, Tracer().trace(whole))
    encoder = graph_encoder(whole, scales(name))  # of its own modules: the weights are the same
    assert {n: t.shape for n, t in encoder.state_dict().items()} == shapes
    assert beside_encoder(name) == FAMILIES[name]
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        features = encoder(picture)
        watched.run(picture)
    for feature, scale in zip(features, scales(name), strict=True):
        assert torch.equal(feature, watched.found[scale.step])
        assert feature.shape[1] == scale.channels
        assert feature.shape[2] == pytest.approx(64 / 2**scale.level, abs=1.5)


def test_scales_of_a_resnet_are_those_that_people_take():
    whole = get_model("resnet18", weights=None).eval()
    taken = create_feature_extractor(whole, ["relu", "layer1", "layer2", "layer3", "layer4"])
    model = net("resnet18").eval()
    whole.load_state_dict(model.encoder.state_dict(), strict=False)
    picture = torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        for ours, theirs in zip(model.encoder(picture), taken(picture).values(), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vgg11", "convnext_tiny"])
def test_every_weight_takes_part(name):
    model = net(name)
    logits = model(torch.rand(2, 3, 67, 83))
    assert logits.shape == (2, 3, 67, 83)
    logits.square().sum().backward()
    # what a batch norm subtracts again has no gradient to speak of; but it has one
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for n, p in model.named_parameters() if n.endswith("weight"))


def test_the_decoder_written_out_once_more():
    model, picture = net("squeezenet1_1").eval(), torch.rand(1, 3, 64, 64)
    seen = (picture - model.mean) / model.std
    a, b, c, d = (n(f) for n, f in zip(model.norms, model.encoder(seen), strict=True))
    x = d
    for decode, skip in zip(model.decoder, (c, b, a, seen), strict=True):
        larger = nn.functional.interpolate(x, skip.shape[2:], mode="bilinear")
        x = decode(torch.cat((larger, skip), 1))
    assert torch.equal(model(picture), model.head(x))
    assert [stage[0].out_channels for stage in model.decoder] == [16, 8, 4, 2]


def test_huge_features_come_down_to_unit_scale():
    model = net("squeezenet1_1")
    with torch.no_grad():
        model.encoder.get_submodule("features.0").weight.mul_(1e4)
    given: list[torch.Tensor] = []
    model.decoder[0].register_forward_pre_hook(lambda _m, args: given.append(args[0]))
    model(torch.rand(4, 3, 64, 64))
    assert 0.5 < float(given[0].detach().std()) < 2


def test_new_weights_are_the_seeds():
    a, b = net("squeezenet1_1").state_dict(), net("squeezenet1_1").state_dict()
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert float(a["mean"].mean()) == pytest.approx(0.449, abs=1e-6)  # ImageNet's


def test_by_name():
    assert isinstance(make_segmenter("unet", 3, 2), UNet)
    assert isinstance(make_segmenter("squeezenet1_1", 3, 2), EncoderUNet)
    for model in (make_segmenter("unet", 3, 2), make_segmenter("squeezenet1_1", 3, 2)):
        coarse: list[tuple[int, ...]] = []
        model.deepest.register_forward_hook(lambda _m, _i, out: coarse.append(out.shape))  # noqa: B023
        model(torch.rand(2, 3, 64, 64))
        assert coarse == [(2, 16, 8, 8)] or coarse == [(2, 512, 3, 3)]


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "maxvit_t"])
def test_without_features_of_several_scales_it_is_refused(name):
    with pytest.raises(UsageError, match=f"{name} cannot be the encoder"):
        scales(name)


@pytest.mark.parametrize("name", [*FAMILIES, "inception_v3"])
def test_what_an_export_is_traced_with_is_not_too_small(name):
    check_segmenter(name, _EXAMPLE)


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="did you mean resnet18"):
        check_segmenter("resnet-18", (64, 64))
    with pytest.raises(UsageError, match=r"(?s)pictures of 32x32.*--size 48") as caught:
        check_segmenter("squeezenet1_1", (32, 32))
    assert caught.value.findings[0].code == "bad-size"
    check_segmenter("squeezenet1_1", (48, 48))
    check_segmenter("unet", (8, 8))
    for wrong in ({"num_classes": 0}, {"width": 0}):
        with pytest.raises(ValueError, match="expected at least 1"):
            EncoderUNet("squeezenet1_1", **{"num_classes": 2, "width": 2, **wrong})
