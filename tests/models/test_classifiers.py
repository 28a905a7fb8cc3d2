"""torchvision's networks with a new last layer, and pictures as they expect them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.errors import UsageError
from headstart.models.classifiers import (
    MEAN,
    STD,
    check_network,
    check_size,
    make_network,
    network_names,
    prepare,
)
from headstart.models.standardise import Standardise


@pytest.mark.parametrize(
    ("name", "head", "features"),
    [
        ("vgg11", "classifier.6", 4096),
        ("resnet18", "fc", 512),
        ("squeezenet1_0", "classifier", 512),
        ("mobilenet_v3_small", "classifier.3", 1024),
    ],
)
def test_the_new_last_layer(name: str, head: str, features: int) -> None:
    from torchvision import models

    with torch.device("meta"):
        network, last = make_network(name, 7)
        published = models.get_model(name, weights=None)
    assert last.name == head and (last.standardise is not None) == name.startswith("squeezenet")
    own = {n: tuple(t.shape) for n, t in network.state_dict().items()}
    theirs = {n: tuple(t.shape) for n, t in published.state_dict().items()}
    assert {n: s for n, s in own.items() if not n.startswith(f"{head}.")} == {
        n: s for n, s in theirs.items() if not n.startswith(f"{head}.")
    }
    last = [m for m in network.get_submodule(head).modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in last] == [(features, 7)]
    network.eval()
    assert network(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 7)


def test_a_name_that_is_none_is_answered_with_the_nearest() -> None:
    assert {"vgg16", "vgg16_bn", "resnet18", "squeezenet1_0"} <= set(network_names())
    for wrong, right in (
        ("vgg-16", "vgg16"),
        ("ResNet18", "resnet18"),
        ("squeezenet", "squeezenet1_"),
    ):
        with pytest.raises(UsageError, match=f"no network {wrong}") as caught:
            check_network(wrong)
        assert right in caught.value.findings[0].hint
        assert "did you mean" in caught.value.findings[0].hint
    with pytest.raises(UsageError) as caught:
        make_network("zzzzzz", 2)
    assert "for example vgg16" in caught.value.findings[0].hint


@pytest.mark.parametrize("name", ["vgg16", "squeezenet1_0"])
def test_a_size_too_small_is_answered_with_one_that_works(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} cannot take pictures of 8x8") as caught:
        check_size(name, (8, 8))
    hint = caught.value.findings[0].hint
    side = int(hint.removeprefix("give --size "))
    assert 8 < side <= 48
    check_size(name, (side, side))


def test_a_size_is_checked_without_memory_and_without_touching_randomness() -> None:
    before = torch.get_rng_state()
    check_size.cache_clear()
    check_size("vgg16", (32, 64))
    assert torch.equal(torch.get_rng_state(), before)


def test_grey_pictures_become_three_standardised_channels() -> None:
    grey = torch.rand(2, 1, 6, 5)
    found = prepare(grey, (6, 5))
    assert found.shape == (2, 3, 6, 5)
    assert torch.allclose(found, prepare(grey.expand(-1, 3, -1, -1), (6, 5)))
    for k, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        assert torch.allclose(found[:, k], (grey[:, 0] - mean) / std, atol=1e-6)


def test_sizes_are_changed_as_torchvision_does() -> None:
    from torchvision.transforms import v2

    torch.manual_seed(0)
    images = torch.rand(2, 3, 12, 9)
    for size in ((24, 18), (5, 4), (12, 9), (16, 6)):
        reference = v2.Compose([v2.Resize(size, antialias=True), v2.Normalize(MEAN, STD)])
        assert torch.allclose(prepare(images, size), reference(images), atol=1e-4), size
    # what aliases would give one of the two colours of a fine pattern
    stripes = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    inner = prepare(stripes, (8, 8))[..., 2:6, 2:6]
    half = (0.5 - torch.tensor(MEAN)) / torch.tensor(STD)
    assert torch.allclose(inner, half[:, None, None].expand_as(inner), atol=0.1)


def test_standardise_takes_over_the_statistics_and_bears_what_never_varies() -> None:
    torch.manual_seed(0)
    features = torch.randn(50, 4) * torch.tensor([1.0, 5, 0.1, 0]) + 3
    layer = Standardise(4)
    assert torch.equal(layer(features), features)
    layer.set(features)
    found = layer(features)
    assert torch.allclose(found.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(found.std(0, correction=0), torch.tensor([1.0, 1, 1, 0]), atol=1e-4)
    assert not list(layer.parameters()) and set(layer.state_dict()) == {"mean", "std"}
