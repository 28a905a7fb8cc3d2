"""A U-Net whose encoder is a torchvision classifier, so that published weights can be a start.

The classifier's graph (`torch.fx`) is cut before its head, and the decoder takes its features at
each scale. The encoder keeps torchvision's tensor names.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.nn import functional as F

from headstart.errors import Finding, UsageError
from headstart.models.classifiers import MEAN, STD, make_network, outline, refuse_size
from headstart.models.tuning import Tracer
from headstart.models.unet import LEVELS, UNet, stage

_SIDE = 512  # scales are found on squares of this side and of twice this side
_MIN_SCALES = 3  # with fewer, the decoder has no skips


@dataclass(frozen=True)
class FeatureScale:
    """The features of a network at one scale.

    Attributes:
        step: the name of the graph's step that returns them.
        level: one of their pixels is about ``2 ** level`` pixels of the picture wide.
        channels: the number of their channels.
    """

    step: str
    level: int
    channels: int


class _Shapes(fx.Interpreter):
    """An interpreter that records the shape of every tensor it computes."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.by_step: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one step and record its shape."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.by_step[n.name] = tuple(value.shape)
        return value


def _shapes(
    network: nn.Module, graph: fx.Graph, height: int, width: int
) -> dict[str, tuple[int, ...]]:
    shapes = _Shapes(network, graph)
    with torch.no_grad():
        shapes.run(torch.empty(1, 3, height, width, device="meta"))
    return shapes.by_step


def _bottlenecks(graph: fx.Graph) -> list[fx.Node]:
    """Return the steps that all later computation depends on alone: nothing bypasses them."""
    nodes = [n for n in graph.nodes if n.op not in ("get_attr", "output")]
    position = {n: i for i, n in enumerate(nodes)}
    last_use = {n: max((position.get(u, len(nodes)) for u in n.users), default=-1) for n in nodes}
    bottlenecks, alive = [], set[fx.Node]()
    for i, node in enumerate(nodes):
        alive = {n for n in (*alive, node) if last_use[n] > i}
        if alive == {node}:
            bottlenecks.append(node)
    return bottlenecks


@functools.lru_cache(maxsize=8)
def scales(name: str) -> tuple[FeatureScale, ...]:
    """Return the last features of a torchvision classifier at each scale, from fine to coarse.

    Features are a map ``(B, C, H, W)`` whose height and width double when the picture's do, and
    that no later step bypasses.

    Raises:
        UsageError: the network is unknown, or has fewer than three scales (vision transformers;
            Swin, whose channels come last; MaxViT, which accepts one size only).

    >>> [(s.level, s.channels) for s in scales("resnet18")]
    [(1, 64), (2, 64), (3, 128), (4, 256), (5, 512)]
    """
    network = outline(name, 2).eval()
    by_level: dict[int, FeatureScale] = {}
    try:
        graph = Tracer().trace(network)
        small, large = (_shapes(network, graph, n, n) for n in (_SIDE, 2 * _SIDE))
    except (RuntimeError, AssertionError, ValueError, TypeError):
        graph, small, large = fx.Graph(), {}, {}  # the network accepts one size only
    for node in _bottlenecks(graph):
        shape, twice = small.get(node.name, ()), large.get(node.name, ())
        if node.op == "placeholder" or len(shape) != 4:
            continue
        if all(1.8 < b / a < 2.2 for a, b in zip(shape[2:], twice[2:], strict=True)):
            level = round(math.log2(_SIDE / shape[2]))
            by_level[level] = FeatureScale(node.name, level, shape[1])
    if len(by_level) < _MIN_SCALES:
        message = (
            f"{name} cannot be the encoder of a segmentation: it has no features at 3 scales, as "
            "maps of channels x height x width for pictures of any size"
        )
        raise UsageError(
            Finding("not-an-encoder", "error", message, "for example --model resnet18")
        )
    return tuple(by_level[level] for level in sorted(by_level))


def _encoder(network: nn.Module, outputs: tuple[FeatureScale, ...]) -> fx.GraphModule:
    """Return the network up to the last of these scales; it shares modules and returns all."""
    graph = Tracer().trace(network)
    nodes = {node.name: node for node in graph.nodes}
    (output,) = (node for node in graph.nodes if node.op == "output")
    graph.erase_node(output)
    graph.output(tuple(nodes[scale.step] for scale in outputs))
    encoder = fx.GraphModule(network, graph, type(network).__name__)
    encoder.graph.eliminate_dead_code()
    encoder.delete_all_unused_submodules()
    encoder.recompile()
    return encoder


class EncoderUNet(nn.Module):
    """A U-Net with a torchvision classifier as its encoder.

    The features of each scale pass a batch norm, because without one they can reach thousands. The
    decoder upsamples bilinearly to the next finer scale, concatenates the skip and applies two 3x3
    convolutions. The finest skip is the picture itself, unless the encoder has features that large.

    The buffers ``mean`` and ``std`` standardise the picture. In a new network they are ImageNet's,
    which published weights expect.

    Args:
        name: torchvision's name of the classifier.
        num_classes: channels of the 1x1 head, at least 1.
        width: channels of the decoder at the picture's size, at least 1; doubled at each coarser
            scale, up to eight times.

    Raises:
        UsageError: the network is unknown, or has no features at several scales.
        ValueError: a count is below 1.

    Source: https://arxiv.org/abs/1505.04597 for the decoder's shape.

    >>> net = EncoderUNet("squeezenet1_0", num_classes=6, width=16)
    >>> net(torch.zeros(2, 3, 50, 70)).shape
    torch.Size([2, 6, 50, 70])
    """

    def __init__(self, name: str, num_classes: int, width: int = 32) -> None:
        super().__init__()
        for what, value in [("num_classes", num_classes), ("width", width)]:
            if value < 1:
                raise ValueError(f"{what} is {value}, expected at least 1")
        self.mean = nn.Buffer(torch.tensor(MEAN)[:, None, None])
        self.std = nn.Buffer(torch.tensor(STD)[:, None, None])
        self.name, features = name, scales(name)
        self.encoder = _encoder(make_network(name, 2)[0], features)
        self.norms = nn.ModuleList(nn.BatchNorm2d(scale.channels) for scale in features)
        levels = [(scale.level, scale.channels) for scale in features]
        self.sees_picture = levels[0][0] > 0
        if self.sees_picture:
            levels.insert(0, (0, len(MEAN)))
        below = levels.pop()[1]
        self.decoder = nn.ModuleList()
        for level, channels in reversed(levels):
            out = width * 2 ** min(level, LEVELS - 1)
            self.decoder.append(stage(below + channels, out))
            below = out
        self.head = nn.Conv2d(below, num_classes, 1)

    @property
    def deepest(self) -> nn.Module:
        """The module that returns the coarsest features."""
        return self.norms[-1]

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k h w"]:
        """Return the logits of each class at each pixel; ``image`` is in ``[0, 1]``."""
        picture = (image - self.mean) / self.std
        features = self.encoder(picture)
        maps = [norm(f) for norm, f in zip(self.norms, features, strict=True)]
        maps = [picture, *maps] if self.sees_picture else maps
        x = maps.pop()
        for decode, skip in zip(self.decoder, reversed(maps), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = decode(torch.cat([x, skip], dim=1))
        if x.shape[-2:] != image.shape[-2:]:  # a first layer without padding loses a border
            x = F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return cast("Tensor", self.head(x))


def make_segmenter(model: str, num_classes: int, width: int) -> UNet | EncoderUNet:
    """Return a network for segmentation with new weights from torch's generator.

    Args:
        model: ``"unet"``, the assignment's network, or a torchvision classifier as the encoder.
        num_classes: channels of the head.
        width: channels of the decoder's finest level.

    Raises:
        UsageError: the network is unknown, or cannot be an encoder.
    """
    if model == "unet":
        return UNet(num_classes, width)
    return EncoderUNet(model, num_classes, width)


@functools.lru_cache(maxsize=8)
def check_segmenter(model: str, size: tuple[int, int]) -> None:
    """Check that a network can segment pictures of this size.

    The coarsest features need at least two pixels, because batch norm has no statistics of one.

    Raises:
        UsageError: it cannot; the hint is the smallest usual square that it accepts.
    """
    if model == "unet":
        return
    if re.sub(r"[^a-z]", "", model.lower()) == "unet":
        message = f"there is no network {model}"
        raise UsageError(Finding("unknown-network", "error", message, "did you mean unet?"))
    last, network = scales(model)[-1].step, outline(model, 2).eval()
    graph = Tracer().trace(network)

    def takes(size: tuple[int, int]) -> bool:
        try:
            return math.prod(_shapes(network, graph, *size)[last][2:]) > 1
        except (RuntimeError, AssertionError, ValueError):
            return False

    refuse_size(size, takes, f"{model} cannot be the encoder for pictures")


def beside_encoder(model: str) -> tuple[str, ...]:
    """Return the prefixes of a classifier's tensors that its encoder does not have.

    >>> beside_encoder("resnet18")
    ('fc.',)
    """
    classifier = outline(model, 2)
    names = list(classifier.state_dict())
    in_encoder = set(_encoder(classifier, scales(model)).state_dict())
    kept = {name.partition(".")[0] for name in in_encoder}
    left_out = dict.fromkeys(name.partition(".")[0] for name in names if name not in in_encoder)
    return tuple(f"{part}." for part in left_out if part not in kept)
