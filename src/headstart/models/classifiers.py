"""Any torchvision classifier, with a new last layer, and pictures as it expects them.

The network stays torchvision's own, with the names of its tensors, so that weights move in and out
of it unchanged. Pictures come to it prepared: three channels, its size, standardised by the mean
and deviation of ImageNet, whatever the start: starts that are compared see the same pictures.
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
from headstart.models.tuning import used_weights

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, by channel; all of torchvision's published weights were trained with them."""

AS_PUBLISHED: dict[str, dict[str, Any]] = {
    # torchvision's builders set these where they are given weights
    name: {"aux_logits": False, "transform_input": True, "init_weights": True}
    for name in ("googlenet", "inception_v3")
}
_SIZES = (8, 16, 32, 48, 64, 75, 96, 128, 160, 192, 224, 256)  # tried where one is too small


def network_names() -> tuple[str, ...]:
    """The networks there are: all of torchvision's classifiers."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def check_network(name: str) -> None:
    """Refuses a name that no network has.

    Raises:
        UsageError: with the nearest names.
    """
    names = network_names()
    if name in names:
        return
    near = difflib.get_close_matches(name.lower(), names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"for example {', '.join(_WELL_KNOWN)}"
    message = f"there is no network {name}; expected one of torchvision's classifiers"
    raise UsageError(Finding("unknown-network", "error", message, hint))


_WELL_KNOWN = ("vgg16", "resnet18", "squeezenet1_0", "mobilenet_v3_small")


@dataclass(frozen=True)
class Head:
    """The new last layer.

    Attributes:
        name: of the module it is or is in; its tensors' names begin with it.
        standardise: what brings its input to zero mean and unit deviation; None where the network
            has a plain linear layer at its end.
    """

    name: str
    standardise: Standardise | None = None


def make_network(name: str, num_classes: int) -> tuple[nn.Module, Head]:
    """A network with new weights, drawn from torch's generator, and a last layer for the classes.

    A linear last layer is replaced by one of ``num_classes``. Where there is none (SqueezeNet ends
    in a convolution), its last part is replaced by: pool, flatten, [`Standardise`][], linear.

    Raises:
        UsageError: there is no such network.
    """
    from torchvision import models

    check_network(name)
    network = models.get_model(name, weights=None, **AS_PUBLISHED.get(name, {}))
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


def versioned(network: nn.Module, weights: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Weights as ``load_state_dict`` takes them from a network of that kind itself.

    With them go the versions of its parts; MNASNet takes no weights that come without.
    """
    whole = OrderedDict(weights)
    whole._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    return whole


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def outline(name: str, num_classes: int) -> nn.Module:
    """The network without values, on the device ``meta``: shapes and counts at no cost.

    Raises:
        UsageError: there is no such network.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return make_network(name, num_classes)[0]
        except NotImplementedError:  # RegNet reckons its widths with tensors
            return make_network(name, num_classes)[0].to("meta")


@functools.lru_cache(maxsize=8)
def check_size(name: str, size: tuple[int, int]) -> None:
    """Refuses a size of pictures that the network cannot take.

    Raises:
        UsageError: with the smallest square of some usual sizes that it can.
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
    """Refuses a size that something does not take.

    Args:
        size: height and width.
        takes: whether it takes a size.
        what: cannot be done with it, in words.

    Raises:
        UsageError: with the smallest square of some usual sizes that it takes.
    """
    if takes(size):
        return
    working = next((side for side in _SIZES if takes((side, side))), None)
    hint = f"give --size {working}" if working else "give another --size or --model"
    message = f"{what} of {size[0]}x{size[1]}"
    raise UsageError(Finding("bad-size", "error", message, hint))


def prepare(
    images: Float[Tensor, "b c h w"], size: tuple[int, int]
) -> Float[Tensor, "b 3 {size[0]} {size[1]}"]:
    """Pictures in ``[0, 1]``, grey or colour, as the networks expect them.

    Grey is repeated; sizes are changed bilinearly, with the support widened when shrinking.
    """
    mean, std = (  # new_tensor would make the host wait for the device
        torch.tensor(of).to(images.device, images.dtype, non_blocking=True)[:, None, None]
        for of in (MEAN, STD)
    )
    if images.shape[-2:] != size:
        shrinks = images.shape[-2] > size[0] or images.shape[-1] > size[1]
        images = F.interpolate(
            images, size=size, mode="bilinear", align_corners=False, antialias=shrinks
        )
    return (images - mean) / std  # one channel becomes three
