"""timm's networks: as encoders and classifiers, under timm's own names of tensors."""

from __future__ import annotations

import copy
import sys

import pytest
import torch

from headstart.errors import MissingExtraError, UsageError
from headstart.models.classifiers import (
    MEAN,
    STD,
    check_network,
    check_size,
    make_network,
    normalisation,
)
from headstart.models.encoder_unet import (
    EncoderUNet,
    beside_encoder,
    check_segmenter,
    new_encoder,
    scales,
)
from headstart.models.timm_networks import check_timm, timm_features
from headstart.models.tuning import FrozenPart, cut, trained_weights

timm = pytest.importorskip("timm", reason="timm is not installed: headstart[timm]")

# the smallest of several families, and what of them is behind the last features
FAMILIES = {
    "timm/resnet10t": ("fc.",),
    "timm/lcnet_050": ("conv_head.", "classifier."),
    "timm/tf_efficientnet_lite0": ("conv_head.", "bn2.", "classifier."),
    "timm/convnext_atto": ("head.",),
    "timm/regnetx_002": ("head.",),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_encoder_has_the_names_and_features_of_timms_network(name: str) -> None:
    torch.manual_seed(0)
    model = EncoderUNet(name, 3, 2).eval()
    own = name.removeprefix("timm/")
    whole = timm.create_model(own, pretrained=False).eval()
    names = {n for n in whole.state_dict() if not n.startswith(FAMILIES[name])}
    assert set(model.encoder.state_dict()) == names
    assert beside_encoder(name) == FAMILIES[name]
    weights = {n: t for n, t in whole.state_dict().items() if n in names}
    model.encoder.load_state_dict(weights)  # strict
    theirs = timm.create_model(own, pretrained=False, features_only=True).eval()
    # there, a dot in a name may be an underscore
    renamed = {n: n for n in theirs.state_dict()}
    by_ours = {n.replace(".", "_"): t for n, t in weights.items()}
    theirs.load_state_dict({n: by_ours[n.replace(".", "_")] for n in renamed})
    picture = torch.rand(1, 3, 64, 96)
    seen = (picture - model.mean) / model.std
    with torch.no_grad():
        found = timm_features(model.encoder, seen, model.timm_scales)
        ours = dict(zip(scales(name), found, strict=True))
        expected = theirs(seen)
    assert len(expected) == len(ours)
    for (scale, found), feature in zip(ours.items(), expected, strict=True):
        assert torch.equal(found, feature)
        assert found.shape[1:] == (scale.channels, 64 >> scale.level, 96 >> scale.level)
    assert model(torch.rand(2, 3, 67, 83)).shape == (2, 3, 67, 83)


@pytest.mark.parametrize(
    ("name", "side", "blocks"),
    [("timm/test_vit", 16, [0, 2, 3, 5]), ("timm/eva02_tiny_patch14_224", 14, [2, 5, 8, 11])],
)
def test_of_a_plain_vision_transformer_four_blocks_are_taken(
    name: str, side: int, blocks: list[int]
) -> None:
    torch.manual_seed(0)
    model, own = EncoderUNet(name, 3, 2).eval(), name.removeprefix("timm/")
    whole = timm.create_model(own, pretrained=False, dynamic_img_size=True).eval()
    published = timm.create_model(own, pretrained=False).state_dict()  # of one size
    weights = {n: t for n, t in published.items() if n in model.encoder.state_dict()}
    assert {n.partition(".")[0] for n in published.keys() - weights.keys()} <= {
        *(n.removesuffix(".") for n in beside_encoder(name))
    }
    model.encoder.load_state_dict(weights)  # strict
    whole.load_state_dict(published)
    (scale,) = scales(name)
    with torch.no_grad():
        picture = torch.rand(2, 3, 3 * side, 4 * side)
        (found,) = timm_features(model.encoder, picture, (scale,))
        maps = whole.forward_intermediates(picture, indices=blocks, intermediates_only=True)
        assert torch.equal(found, torch.cat(maps, 1)) and found.shape[1:] == (scale.channels, 3, 4)
        assert model(torch.rand(1, 3, 67, 83)).shape == (1, 3, 67, 83), "the border is repeated"
    assert all(side % n == 0 for n in model.pictures), "so that skips lose no border"
    model.train()(torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None for p in model.decoder.parameters())
    assert model.encoder.patch_embed.proj.weight.grad.abs().max() > 0
    check_segmenter(name, (64, 80))


@pytest.mark.parametrize("name", ["timm/resnet10t", "timm/lcnet_050"])
def test_every_weight_takes_part_and_is_the_seeds(name: str) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(EncoderUNet(name, 3, 2))
    a, b = (m.state_dict() for m in models)
    assert all(torch.equal(a[n], b[n]) for n in a)
    models[0](torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None for p in models[0].parameters())
    with torch.device("meta"):
        outlined = EncoderUNet(name, 3, 2).state_dict()
    assert {n: t.shape for n, t in outlined.items()} == {n: t.shape for n, t in a.items()}


def test_pictures_are_normalised_as_the_weights_expect() -> None:
    assert normalisation("timm/tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)
    assert normalisation("timm/resnet10t") == normalisation("resnet18") == (MEAN, STD)
    model = EncoderUNet("timm/tf_efficientnet_lite0", 2, 2)
    assert model.mean.flatten().tolist() == model.std.flatten().tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("name", "head"), [("timm/resnet10t", "fc"), ("timm/lcnet_050", "classifier")]
)
def test_a_classifier_has_a_new_last_layer_and_can_be_cut(name: str, head: str) -> None:
    torch.manual_seed(0)
    network, last = make_network(name, 7)
    assert last.name == head and last.standardise is None
    trained = trained_weights(network, "head")
    assert trained == {f"{head}.weight", f"{head}.bias"}
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(4, 3, 64, 64))  # statistics that a training mode would not use
    images = torch.rand(3, 3, 64, 64)
    network.eval()
    expected = network(images)
    network.train()  # the frozen part predicts all the same
    parts = cut(network, trained, (64, 64))
    assert isinstance(parts.frozen, FrozenPart)
    with torch.no_grad():
        torch.testing.assert_close(parts.rest(parts.frozen(images)), expected)
    check_size(name, (32, 32))


def test_what_cannot_be_is_refused() -> None:
    for wrong, right in (
        ("timm/resnet-10t", "timm/resnet10t"),
        ("resnet10t", "timm/resnet10t"),
        ("timm/resnet10t.none_such", "timm/resnet10t.c3_in1k"),
    ):
        with pytest.raises(UsageError, match="unknown-network") as caught:
            check_network(wrong)
        assert right in caught.value.findings[0].hint
    check_network("timm/resnet10t.c3_in1k")
    with pytest.raises(UsageError, match="unknown-network"):
        check_network("timm/hf-hub:somebody/something")
    with pytest.raises(UsageError, match="not-an-encoder"):
        check_segmenter("timm/volo_d1_224", (64, 64))
    with pytest.raises(UsageError, match=r"(?s)pictures of 64x64.*--size 224"):
        check_segmenter("timm/beit_base_patch16_224", (64, 64))
    with pytest.raises(UsageError, match=r"(?s)pictures of 32x32.*--size 48"):
        check_segmenter("timm/resnet10t", (32, 32))
    check_segmenter("timm/resnet10t", (48, 48))
    with pytest.raises(UsageError, match="not-a-classifier"), torch.device("meta"):
        make_network("timm/levit_128s", 2)


def test_a_network_that_cannot_be_traced_is_refused_as_a_classifier() -> None:
    """Its code asks for the shapes of its input, which a trace does not know."""
    with pytest.raises(UsageError, match="cannot follow its layers"), torch.device("meta"):
        make_network("timm/mobilevit_xxs", 3)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # importing it fails
    with pytest.raises(MissingExtraError, match=r"headstart\[timm\]"):
        check_timm("timm/resnet10t")


def test_an_encoder_alone_has_no_layer_too_many() -> None:
    names = {n.partition(".")[0] for n in new_encoder("timm/lcnet_050").state_dict()}
    assert names == {"conv_stem", "bn1", "blocks"}


def test_sides_that_are_no_multiple_of_32_are_padded_for_tensorflows_networks() -> None:
    torch.manual_seed(0)
    model = EncoderUNet("timm/tf_efficientnet_lite0", 3, 2).eval()
    image = torch.rand(1, 3, 60, 75)
    padded = torch.nn.functional.pad(image, (0, 21, 0, 4), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(model(image), model(padded)[..., :60, :75])


def test_a_copy_has_weights_of_its_own() -> None:
    torch.manual_seed(0)
    model = EncoderUNet("timm/tf_efficientnet_lite0", 3, 2).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before, copied = model(image), copy.deepcopy(model)
        for weight in model.parameters():
            weight.zero_()
        assert torch.equal(copied(image), before) and not torch.equal(model(image), before)


def test_depthwise_layers_stay_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    model = EncoderUNet("timm/lcnet_050", 3, 2)
    kinds = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            depthwise = module.groups > 1
            module.register_forward_hook(
                lambda _m, _i, out, depthwise=depthwise: kinds.add((depthwise, out.dtype))
            )
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.rand(2, 3, 64, 64)).float().sum().backward()
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
