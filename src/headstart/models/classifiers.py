"""torchvision's and timm's classifiers with a new last layer, and the preparation of their input.

The network is the library's own and keeps its tensor names, so weights move in and out unchanged.
[`prepare`][] gives every picture three channels, the network's size, and the mean and deviation
that its published weights expect, whatever the start, so that all starts of a study see the same
input.
"""

from __future__ import annotations

import difflib
import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.errors import Finding, UsageError
from headstart.models.standardise import Standardise
from headstart.models.timm_networks import (
    PREFIX,
    check_timm,
    configuration,
    is_timm,
    known_to_timm,
    new_timm,
    renew_head,
)
from headstart.models.tuning import used_weights
from headstart.system.devices import moved

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and deviation by channel, used to train all of torchvision's weights."""

Channels = tuple[float, float, float]
"""A number for each colour channel."""

AS_PUBLISHED: dict[str, dict[str, Any]] = {
    # torchvision's builders use these options when they load published weights
    name: {"aux_logits": False, "transform_input": True, "init_weights": True}
    for name in ("googlenet", "inception_v3")
}
_SIZES = (
    8,
    16,
    32,
    48,
    64,
    75,
    96,
    128,
    160,
    192,
    224,
    256,
)  # sides that a hint proposes


def network_names() -> tuple[str, ...]:
    """Return the names of all torchvision classifiers."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def check_network(name: str) -> None:
    """Check that a network has this name.

    Raises:
        MissingExtraError: it is timm's, and timm is not installed.
        UsageError: it has none; the hint names the nearest.
    """
    if is_timm(name):
        check_timm(name)
        return
    names = network_names()
    if name in names:
        return
    near = difflib.get_close_matches(name.lower(), names, 3, 0.5)
    near = [PREFIX + name] if known_to_timm(name) else near
    hint = f"did you mean {' or '.join(near)}?" if near else f"for example {', '.join(_WELL_KNOWN)}"
    message = (
        f"there is no network {name}; expected one of torchvision's classifiers, or {PREFIX}NAME"
    )
    raise UsageError(Finding("unknown-network", "error", message, hint))


_WELL_KNOWN = ("vgg16", "resnet18", "squeezenet1_0", "mobilenet_v3_small")


@dataclass(frozen=True)
class Head:
    """The new last layer of a classifier.

    Attributes:
        name: the name of its module; its tensors' names begin with it.
        standardise: the standardisation of its input; None where the network itself ends in a
            linear layer.
    """

    name: str
    standardise: Standardise | None = None


@functools.lru_cache(maxsize=8)
def normalisation(name: str) -> tuple[Channels, Channels]:
    """Return the mean and deviation by channel that a network's published weights expect.

    torchvision's expect ImageNet's; timm's say so in their configuration. Where nothing is
    published, they are ImageNet's.

    >>> normalisation("timm/tf_efficientnet_lite0")
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    if not is_timm(name):
        return MEAN, STD
    check_timm(name)
    found = configuration(name)
    return tuple(found.mean or MEAN), tuple(found.std or STD)


def make_network(name: str, num_classes: int) -> tuple[nn.Module, Head]:
    """Return a network with new weights and a new last layer for ``num_classes``.

    The weights come from torch's generator. A linear last layer is replaced by a new one. A network
    that ends in a convolution (SqueezeNet) gets average pooling, flatten, [`Standardise`][] and a
    linear layer in place of its last part. timm makes its networks with the new layer;
    its weights are drawn anew.

    Raises:
        MissingExtraError: the network is timm's, and timm is not installed.
        UsageError: the network is unknown, has several last layers, or layers whose order cannot be
            found out.
    """
    check_network(name)
    if is_timm(name):
        network = new_timm(name, num_classes)
        _refuse_untraceable(network, name)
        return network, Head(renew_head(network, name))
    network = _new_network(name)
    last = used_weights(network)[-1][-1].rpartition(".")[0]
    layer = network.get_submodule(last)
    if isinstance(layer, nn.Linear):
        _put(network, last, nn.Linear(layer.in_features, num_classes))
        return network, Head(last)
    assert isinstance(layer, nn.Conv2d), f"{name} ends in {layer}"
    part = last.partition(".")[0]
    standardise = Standardise(layer.in_channels)
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), standardise)
    _put(network, part, nn.Sequential(*pooled, nn.Linear(layer.in_channels, num_classes)))
    return network, Head(part, standardise)


def _refuse_untraceable(network: nn.Module, name: str) -> None:
    """Refuse a network whose layers, in the order of use, torch's tracer cannot tell."""
    try:
        used_weights(network)
    except Exception as error:  # whatever the network's own code raises when it is traced
        message = f"{name} cannot be a classifier here: torch.fx cannot follow its layers"
        hint = "for example --model timm/tf_efficientnet_lite0"
        raise UsageError(Finding("not-a-classifier", "error", message, hint)) from error


def _new_network(name: str) -> nn.Module:
    from torchvision import models

    settings = AS_PUBLISHED.get(name, {})
    try:
        network: nn.Module = models.get_model(name, weights=None, **settings)
    except NotImplementedError:  # on the device meta: RegNet computes its widths with tensors
        with torch.device("cpu"):
            network = models.get_model(name, weights=None, **settings).to("meta")
    return network


def versioned(network: nn.Module, weights: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Return weights for ``load_state_dict`` with the version numbers of the network's modules.

    MNASNet refuses weights without version numbers.
    """
    state = OrderedDict(weights)
    state._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    return state


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def outline(name: str, num_classes: int) -> nn.Module:
    """Return the network on the device ``meta``: shapes and counts without values.

    Raises:
        UsageError: the network is unknown.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return make_network(name, num_classes)[0]


@functools.lru_cache(maxsize=8)
def check_size(name: str, size: tuple[int, int]) -> None:
    """Check that a network accepts pictures of this size.

    Raises:
        UsageError: it does not; the hint is the smallest usual square that it accepts.
    """
    network = outline(name, 2).eval()

    def takes(size: tuple[int, int]) -> bool:
        try:
            network(torch.empty(1, 3, *size, device="meta"))
        except (RuntimeError, AssertionError, ValueError):
            return False
        return True

    refuse_size(size, takes, f"{name} cannot take pictures")


def refuse_size(size: tuple[int, int], takes: Callable[[tuple[int, int]], bool], what: str) -> None:
    """Check that a size is accepted.

    Args:
        size: height and width.
        takes: returns whether a size is accepted.
        what: the beginning of the message, which goes on "of HEIGHTxWIDTH".

    Raises:
        UsageError: the size is not accepted; the hint is the smallest usual square that is.
    """
    if takes(size):
        return
    working = next((side for side in _SIZES if takes((side, side))), None)
    hint = f"give --size {working}" if working else "give another --size or --model"
    message = f"{what} of {size[0]}x{size[1]}"
    raise UsageError(Finding("bad-size", "error", message, hint))


def prepare(
    images: Float[Tensor, "b c h w"],
    size: tuple[int, int],
    expected: tuple[Channels, Channels] = (MEAN, STD),
) -> Float[Tensor, "b 3 {size[0]} {size[1]}"]:
    """Return grey or colour pictures in ``[0, 1]`` as the networks expect them.

    A grey channel is repeated. Resizing is bilinear, with antialiasing when it shrinks.

    Args:
        images: the pictures.
        size: height and width.
        expected: mean and deviation, see [`normalisation`][].
    """
    mean, std = (  # new_tensor would make the host wait for the device
        moved(torch.tensor(values).to(images.dtype), images.device)[:, None, None]
        for values in expected
    )
    if images.shape[-2:] != size:
        shrinks = images.shape[-2] > size[0] or images.shape[-1] > size[1]
        images = F.interpolate(
            images, size=size, mode="bilinear", align_corners=False, antialias=shrinks
        )
    return (images - mean) / std  # broadcasting turns one channel into three
