"""A U-Net on the features of any torchvision classifier, so that published weights can be a start.

The classifier's graph (`torch.fx`) is cut before its head; the decoder is given what it computes at
each scale. The encoder is torchvision's own, with the names of its tensors.
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

_SIDE = 512  # of the pictures at which scales are told apart, and twice that
_FEWEST = 3  # scales: with less there is nothing to join on the way up


@dataclass(frozen=True)
class Scale:
    """What a network computes at one scale.

    Attributes:
        step: of the network's graph, by name.
        level: its pixels are about ``2 ** level`` of the picture's wide.
        channels: of its output.
    """

    step: str
    level: int
    channels: int


class _Shapes(fx.Interpreter):
    """Runs a graph and keeps the shape of all it computes."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self.found: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """One step."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.found[n.name] = tuple(value.shape)
        return value


def _shapes(
    network: nn.Module, graph: fx.Graph, height: int, width: int
) -> dict[str, tuple[int, ...]]:
    shapes = _Shapes(network, graph)
    with torch.no_grad():
        shapes.run(torch.empty(1, 3, height, width, device="meta"))
    return shapes.found


def _bottlenecks(graph: fx.Graph) -> list[fx.Node]:
    """Steps through which everything passes that is computed before them and used after them."""
    nodes = [n for n in graph.nodes if n.op not in ("get_attr", "output")]
    place = {n: i for i, n in enumerate(nodes)}
    last_use = {n: max((place.get(u, len(nodes)) for u in n.users), default=-1) for n in nodes}
    found, alive = [], set[fx.Node]()
    for i, node in enumerate(nodes):
        alive = {n for n in (*alive, node) if last_use[n] > i}
        if alive == {node}:
            found.append(node)
    return found


@functools.lru_cache(maxsize=8)
def scales(name: str) -> tuple[Scale, ...]:
    """The last that a torchvision classifier computes at each scale, from fine to coarse.

    A step counts whose output is one map for the whole picture, twice as high and wide for a
    picture twice as high and wide, and through which all passes that is used later.

    Raises:
        UsageError: there is no such network, or it has fewer than three scales (vision
            transformers; Swin's maps end in their channels; MaxViT takes one size only).

    >>> [(s.level, s.channels) for s in scales("resnet18")]
    [(1, 64), (2, 64), (3, 128), (4, 256), (5, 512)]
    """
    network = outline(name, 2).eval()
    found: dict[int, Scale] = {}
    try:
        graph = Tracer().trace(network)
        small, large = (_shapes(network, graph, n, n) for n in (_SIDE, 2 * _SIDE))
    except (RuntimeError, AssertionError, ValueError, TypeError):
        graph, small, large = fx.Graph(), {}, {}  # it takes pictures of one size only
    for node in _bottlenecks(graph):
        shape, twice = small.get(node.name, ()), large.get(node.name, ())
        if node.op == "placeholder" or len(shape) != 4:
            continue
        if all(1.8 < b / a < 2.2 for a, b in zip(shape[2:], twice[2:], strict=True)):
            level = round(math.log2(_SIDE / shape[2]))
            found[level] = Scale(node.name, level, shape[1])
    if len(found) < _FEWEST:
        message = (
            f"{name} cannot be the encoder of a segmentation: no features of 3 scales were found "
            "in it, as maps of channels x height x width for pictures of any size"
        )
        raise UsageError(
            Finding("not-an-encoder", "error", message, "for example --model resnet18")
        )
    return tuple(found[level] for level in sorted(found))


def _encoder(network: nn.Module, taken: tuple[Scale, ...]) -> fx.GraphModule:
    """The network up to the last of these scales, giving all of them; its own modules."""
    graph = Tracer().trace(network)
    nodes = {node.name: node for node in graph.nodes}
    (output,) = (node for node in graph.nodes if node.op == "output")
    graph.erase_node(output)
    graph.output(tuple(nodes[scale.step] for scale in taken))
    encoder = fx.GraphModule(network, graph, type(network).__name__)
    encoder.graph.eliminate_dead_code()
    encoder.delete_all_unused_submodules()
    encoder.recompile()
    return encoder


class EncoderUNet(nn.Module):
    """A torchvision classifier as encoder, and on it the decoder of a U-Net.

    Each scale of the encoder passes a batch norm: features of networks that have none reach
    thousands. Up: bilinear to the size of the next finer scale, its features beside, two 3x3
    convolutions. The finest scale is the picture itself, unless the encoder computes there.

    The buffers ``mean`` and ``std`` standardise the picture inside the network; when new they are
    ImageNet's, which published weights expect.

    Args:
        name: of the classifier, as torchvision has it.
        num_classes: channels of the 1x1 head, at least 1.
        width: channels of the decoder where pixels are the picture's; twice that at half the size,
            and so on up to eight times.

    Raises:
        UsageError: there is no such network, or it has no features of several scales.
        ValueError: for a count below 1.

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
        self.name, its = name, scales(name)
        self.encoder = _encoder(make_network(name, 2)[0], its)
        self.norms = nn.ModuleList(nn.BatchNorm2d(scale.channels) for scale in its)
        levels = [(scale.level, scale.channels) for scale in its]
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
        """What gives the coarsest features."""
        return self.norms[-1]

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k h w"]:
        """Logits of each class at each pixel; ``image`` in ``[0, 1]``."""
        picture = (image - self.mean) / self.std
        features = self.encoder(picture)
        maps = [norm(f) for norm, f in zip(self.norms, features, strict=True)]
        maps = [picture, *maps] if self.sees_picture else maps
        x = maps.pop()
        for decode, skip in zip(self.decoder, reversed(maps), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = decode(torch.cat([x, skip], dim=1))
        if x.shape[-2:] != image.shape[-2:]:  # a first layer without padding lost a border
            x = F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return cast("Tensor", self.head(x))


def make_segmenter(model: str, num_classes: int, width: int) -> UNet | EncoderUNet:
    """A network for segmentation, with new weights drawn from torch's generator.

    Args:
        model: ``"unet"``, the assignment's, or the torchvision classifier that is the encoder.
        num_classes: channels of its head.
        width: channels of the decoder's finest level.

    Raises:
        UsageError: there is no such network, or it cannot be an encoder.
    """
    if model == "unet":
        return UNet(num_classes, width)
    return EncoderUNet(model, num_classes, width)


@functools.lru_cache(maxsize=8)
def check_segmenter(model: str, size: tuple[int, int]) -> None:
    """Refuses a network that cannot segment, or not pictures of that size.

    The coarsest features must have two pixels at least: batch norm has no statistics of one.

    Raises:
        UsageError: with the smallest square of some usual sizes that it can.
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
    """How the names of a classifier's tensors begin that are not in the encoder made of it.

    >>> beside_encoder("resnet18")
    ('fc.',)
    """
    whole = outline(model, 2)
    names, ours = list(whole.state_dict()), set(_encoder(whole, scales(model)).state_dict())
    kept = {name.partition(".")[0] for name in ours}
    begin = dict.fromkeys(name.partition(".")[0] for name in names if name not in ours)
    return tuple(f"{part}." for part in begin if part not in kept)
