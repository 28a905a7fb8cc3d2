"""timm's networks, as classifiers and as encoders: ``timm/NAME`` or ``timm/NAME.TAG``.

NAME is timm's name of a network, TAG that of its published weights; without one, timm's default.
The networks are timm's own modules and keep their tensor names, so its files of weights load.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import math
from collections.abc import Collection, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.errors import Finding, UsageError
from headstart.models.feature_maps import MIN_SCALES, FeatureScale, not_an_encoder
from headstart.system.packages import require

PREFIX = "timm/"
_BLOCKS = 4  # of a plain vision transformer, whose features a decoder takes
_SIDE = 224  # of the input, where the network's configuration has none


def is_timm(name: str) -> bool:
    """Return whether a network is meant to be one of timm's.

    >>> is_timm("timm/resnet10t"), is_timm("resnet18")
    (True, False)
    """
    return name.startswith(PREFIX)


def known_to_timm(name: str) -> bool:
    """Return whether timm is installed and has a network of this name, given without prefix."""
    if importlib.util.find_spec("timm") is None:
        return False
    import timm

    return bool(timm.is_model(name)) and ":" not in name


def check_timm(name: str) -> None:
    """Check that timm is installed and has this network and, if one is named, these weights.

    Raises:
        MissingExtraError: timm is not installed.
        UsageError: timm has no such network, or no weights with this tag; the hint names the
            nearest.
    """
    require("timm", "timm")
    import timm

    own = name.removeprefix(PREFIX)
    network, _, tag = own.partition(".")
    if network not in timm.list_models():
        near = difflib.get_close_matches(network.lower(), timm.list_models(), 3, 0.5)
        message, known = f"there is no network {name}; expected one of timm's", near
    elif tag and own not in timm.list_pretrained(f"{network}.*"):
        message, known = (
            f"timm has no weights {tag} of {network}",
            timm.list_pretrained(f"{network}.*"),
        )
    else:
        return
    for_example = "for example timm/tf_efficientnet_lite0, timm/convnext_tiny"
    meant = " or ".join(PREFIX + n for n in known[:3])
    hint = f"did you mean {meant}?" if known else for_example
    raise UsageError(Finding("unknown-network", "error", message, hint))


def configuration(name: str) -> Any:
    """Return what timm says of a network's published weights (its ``PretrainedCfg``).

    It is an empty one where nothing is published.
    """
    from timm.models import PretrainedCfg, get_pretrained_cfg

    return get_pretrained_cfg(name.removeprefix(PREFIX)) or PretrainedCfg()


def new_timm(name: str, num_classes: int, any_size: bool = False) -> nn.Module:
    """Return one of timm's networks with new weights and a last layer for ``num_classes``.

    Args:
        name: with prefix.
        num_classes: of the last layer.
        any_size: let transformers take pictures of other sizes than that of their published
            weights: their position embeddings, which keep their shape, are resampled.

    Raises:
        MissingExtraError, UsageError: as [`check_timm`][].
    """
    check_timm(name)
    import timm

    make = functools.partial(
        timm.create_model, name.removeprefix(PREFIX), pretrained=False, num_classes=num_classes
    )
    if any_size and _takes_any_size(name):
        make = functools.partial(make, dynamic_img_size=True)
    network: nn.Module = make()
    return network


@functools.lru_cache(maxsize=8)
def _takes_any_size(name: str) -> bool:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = new_timm(name, 2)
    return hasattr(network, "dynamic_img_size")


def renew_head(network: Any, name: str) -> str:
    """Draw the weights of a timm classifier's last layer as torch does; return its name.

    timm draws some for 1,000 classes: EfficientNet's with a deviation that depends on the number of
    classes, so that logits of ten begin at 6, and a linear probe loses a tenth of its accuracy.

    Raises:
        UsageError: it has several, as networks trained by distillation do.
    """
    head = network.get_classifier()
    for found, module in network.named_modules():
        if module is head and not isinstance(head, nn.ModuleList):
            for layer in head.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    layer.reset_parameters()
            return str(found)
    message = f"{name} has no single last layer, so it cannot be a classifier here"
    hint = "for example --model timm/tf_efficientnet_lite0"
    raise UsageError(Finding("not-a-classifier", "error", message, hint))


@functools.lru_cache(maxsize=8)
def timm_scales(name: str) -> tuple[FeatureScale, ...]:
    """Return the last features of a timm network at each scale, from fine to coarse.

    The scales are those that timm names (``feature_info``). The step is its number in them. A plain
    vision transformer has one scale; its features are those of four evenly spaced blocks.

    Raises:
        MissingExtraError, UsageError: as [`check_timm`][]; or the network has two scales, or no
            features as maps.

    >>> [(s.level, s.channels) for s in timm_scales("timm/tf_efficientnet_lite0")]
    [(1, 16), (2, 24), (3, 40), (4, 112), (5, 320)]
    >>> timm_scales("timm/vit_small_patch14_dinov2")
    (FeatureScale(step='2,5,8,11', level=4, channels=1536),)
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network: Any = new_timm(name, 2, any_size=True)
    by_level: dict[int, FeatureScale] = {}
    if hasattr(network, "forward_intermediates"):
        for step, of_step in enumerate(network.feature_info):
            level = round(math.log2(of_step["reduction"]))
            by_level[level] = FeatureScale(str(step), level, of_step["num_chs"])
    if is_plain(by_level.values()) and (blocks := len(network.feature_info)) >= _BLOCKS:
        ((level, last),) = by_level.items()
        steps = ",".join(str(blocks * k // _BLOCKS - 1) for k in range(1, _BLOCKS + 1))
        return (FeatureScale(steps, level, _BLOCKS * last.channels),)
    if len(by_level) < MIN_SCALES:
        raise not_an_encoder(name, "timm/tf_efficientnet_lite0")
    return tuple(by_level[level] for level in sorted(by_level))


def is_plain(scales: Collection[FeatureScale]) -> bool:
    """Return whether features at these scales are those of a plain vision transformer."""
    return len(scales) == 1


def timm_features(
    encoder: nn.Module, picture: Float[Tensor, "b 3 h w"], scales: Sequence[FeatureScale]
) -> list[Tensor]:
    """Return a timm network's features ``(B, C, H, W)`` at these scales."""
    steps = [[int(step) for step in scale.step.split(",")] for scale in scales]
    indices = [step for of_scale in steps for step in of_scale]
    maps = cast("Any", encoder).forward_intermediates(
        picture, indices=indices, intermediates_only=True
    )
    features: dict[int, Tensor] = dict(zip(sorted(indices), maps, strict=True))
    return [torch.cat([features[step] for step in of_scale], dim=1) for of_scale in steps]


def patch_side(name: str) -> int:
    """Return what the sides of a plain vision transformer's pictures are multiples of; else 1."""
    if not is_plain(timm_scales(name)):
        return 1
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network: Any = new_timm(name, 2)
    return int(network.feature_info[-1]["reduction"])


def timm_encoder(name: str) -> nn.Module:
    """Return one of timm's networks with new weights, without the layers after its last features.

    Raises:
        MissingExtraError, UsageError: as [`timm_scales`][].
    """
    network = new_timm(name, 2, any_size=True)
    for unused in _after_features(name):
        setattr(network, unused, nn.Identity())
    return network


def pad_statically(encoder: nn.Module) -> bool:
    """Let the convolutions of networks from TensorFlow pad by constants; return whether it has any.

    Their padding depends on whether each side is odd. torch's exporter does not come to an end with
    expressions of such sides; for pictures whose sides are multiples of 32 it is constant.
    """
    found = False
    for module in encoder.modules():
        if type(module).__name__ == "Conv2dSame" and cast("Any", module).stride == (2, 2):
            module.forward = functools.partial(_convolve_even, cast("nn.Conv2d", module))
            found = True
    return found


def _convolve_even(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Return a convolution of stride 2 with TensorFlow's padding for even sides."""
    height, width = convolution.kernel_size
    sides = ((width - 2) // 2, (width - 1) // 2, (height - 2) // 2, (height - 1) // 2)
    weight, bias, groups = convolution.weight, convolution.bias, convolution.groups
    return F.conv2d(F.pad(x, sides), weight, bias, 2, 0, convolution.dilation, groups)


@functools.lru_cache(maxsize=8)
def _after_features(name: str) -> tuple[str, ...]:
    """Return the names of a network's parts that none of its features need.

    timm's own ``prune_intermediate_layers`` leaves some, for example EfficientNet's ``conv_head``.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = new_timm(name, 2, any_size=True).eval()
    used: set[str] = set()
    for part, child in network.named_children():
        for module in child.modules():
            module.register_forward_pre_hook(lambda _m, _args, part=part: used.add(part))
    side = (configuration(name).input_size or (3, _SIDE, _SIDE))[1:]
    with torch.no_grad():
        timm_features(network, torch.empty(1, 3, *side, device="meta"), timm_scales(name))
    weights = {n.partition(".")[0] for n in network.state_dict()}
    return tuple(p for p, _ in network.named_children() if p not in used and p in weights)
