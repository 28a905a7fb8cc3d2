"""Which layers train, and that a network cut in two is the same network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from headstart.errors import UsageError
from headstart.models.classifiers import make_network
from headstart.models.tuning import FrozenPart, cut, trained_weights, used_weights

SIZE = (32, 32)


def network(name: str) -> nn.Module:
    """New weights, and batch-norm statistics that are not those of a new network."""
    torch.manual_seed(0)
    model = make_network(name, 3)[0]
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    return model


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1, bias=False),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2),
    )  # fmt: skip


def test_layers_are_what_has_a_matrix_with_the_normalisation_around_it() -> None:
    assert used_weights(small()) == (
        ("0.weight", "0.bias", "1.weight", "1.bias"),
        ("3.weight",),
        ("6.weight", "6.bias"),
    )


def test_layers_come_in_the_order_of_use_not_of_definition() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(4, 2), nn.Linear(3, 4)

        def forward(self, x):
            return self.last(self.first(x))

    assert [names[0] for names in used_weights(Backwards())] == ["first.weight", "last.weight"]


def test_layers_of_a_resnet() -> None:
    model = network("resnet18")
    layers = used_weights(model)
    assert len(layers) == 21  # 17 convolutions, 3 of the shortcuts, a linear layer
    assert layers[0] == ("conv1.weight", "bn1.weight", "bn1.bias")
    assert layers[-1] == ("fc.weight", "fc.bias")
    assert layers[-2] == ("layer4.1.conv2.weight", "layer4.1.bn2.weight", "layer4.1.bn2.bias")
    assert {n for names in layers for n in names} == {n for n, _ in model.named_parameters()}


def test_what_each_tuning_trains() -> None:
    model = small()
    every = {n for n, _ in model.named_parameters()}
    assert trained_weights(model, "all") == trained_weights(model, "staged") == every
    assert trained_weights(model, "head") == trained_weights(model, "last:1")
    assert trained_weights(model, "head") == {"6.weight", "6.bias"}
    assert trained_weights(model, "last:2") == {"3.weight", "6.weight", "6.bias"}
    assert trained_weights(model, "last:3") == every
    with pytest.raises(UsageError, match=r"3 layers with weights, --tune last:4") as caught:
        trained_weights(model, "last:4")
    assert "last:1 to last:3" in str(caught.value)


def test_where_everything_trains_nothing_is_cut() -> None:
    model = network("resnet18")
    cut(model, trained_weights(model, "head"), SIZE)
    parts = cut(model, trained_weights(model, "all"), SIZE)
    assert parts.frozen is None and parts.rest is model
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", ["squeezenet1_0", "resnet18"])
@pytest.mark.parametrize("tune", ["head", "last:2", "last:5"])
def test_both_parts_together_are_the_network(name: str, tune: str) -> None:
    """``last:5`` cuts inside a block, where more than one value crosses."""
    model = network(name)
    images = torch.rand(3, 3, *SIZE)
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(images)
    trained = trained_weights(model, tune)
    parts = cut(model, trained, SIZE)
    assert isinstance(parts.frozen, FrozenPart)
    parts.rest.eval()
    with torch.no_grad():
        found = parts.rest(parts.frozen(images))
    assert torch.equal(found, expected) or torch.allclose(found, expected, atol=1e-6)
    assert float(expected.std()) > 1e-4  # the pictures are told apart at all
    training = {n for n, p in model.named_parameters() if p.requires_grad}
    of_rest = {id(p) for p in parts.rest.parameters() if p.requires_grad}
    assert training == trained
    assert of_rest == {id(p) for n, p in model.named_parameters() if n in trained}


@pytest.mark.parametrize("tune", ["head", "last:5"])
def test_training_the_rest_leaves_the_frozen_part_bit_identical(tune: str) -> None:
    model = network("resnet18")
    before = copy.deepcopy(model.state_dict())
    trained = trained_weights(model, tune)
    parts = cut(model, trained, SIZE)
    assert parts.frozen is not None
    optimizer = torch.optim.SGD([p for p in parts.rest.parameters() if p.requires_grad], 0.1)
    for _ in range(3):
        parts.rest.train()
        loss = parts.rest(parts.frozen(torch.rand(4, 3, *SIZE))).square().sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    of_layers = {n.rpartition(".")[0] for n in trained if "bn" in n or "downsample.1" in n}
    assert moved == trained | {f"{layer}.{s}" for layer in of_layers for s in statistics}
    assert bool(of_layers) == (tune == "last:5")  # the rest's own statistics move


def test_dropout_of_the_rest_asks_whether_it_is_training() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.Dropout(0.5),
        nn.Linear(8, 2),
    )  # fmt: skip
    images = torch.rand(2, 3, 2, 2)
    parts = cut(model, trained_weights(model, "head"), (2, 2))
    assert parts.frozen is not None
    parts.rest.train()
    features = parts.frozen(images)
    assert torch.equal(features, parts.frozen(images))  # in front of the rest as when predicting
    parts = cut(model, trained_weights(model, "last:2"), (2, 2))
    assert parts.frozen is not None
    parts.rest.train()
    features = parts.frozen(images)
    assert torch.equal(features, parts.frozen(images))
    assert not torch.equal(parts.rest(features), parts.rest(features))
    parts.rest.eval()
    assert torch.equal(parts.rest(features), parts.rest(features))


def test_a_cut_through_what_is_no_feature_is_refused() -> None:
    class Pooled(nn.Module):
        """What the last layer gets is made of all pictures of a batch together."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(12, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.first(x.flatten(1)).mean(0, keepdim=True))

    model = Pooled()
    with pytest.raises(UsageError, match="no-cut"):
        cut(model, trained_weights(model, "head"), (2, 2))
