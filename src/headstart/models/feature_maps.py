"""The features of a torchvision classifier at each scale, and the classifier cut before its head.

The classifier's graph (`torch.fx`) is followed; the parts keep torchvision's tensor names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from headstart.errors import Finding, UsageError
from headstart.models.tuning import Tracer

_SIDE = 512  # scales are found on squares of this side and of twice this side
MIN_SCALES = 3
"""The fewest scales of an encoder: with fewer, the decoder has no skips."""


@dataclass(frozen=True)
class FeatureScale:
    """The features of a network at one scale.

    Attributes:
        step: the name of the graph's step that returns them; of timm's networks, its number, or
            several, separated by commas, whose features are concatenated.
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


def shapes_of(
    network: nn.Module, graph: fx.Graph, height: int, width: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor that a graph computes from one picture, by step.

    Args:
        network: on the device ``meta``.
        graph: of the network.
        height: of the picture.
        width: of the picture.
    """
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


def not_an_encoder(name: str, example: str) -> UsageError:
    """Return the error that a network has no features that a decoder could take."""
    message = (
        f"{name} cannot be the encoder of a segmentation: it has no features at 3 scales, as maps "
        "of channels x height x width for pictures of any size, and is no plain vision transformer "
        "of timm's"
    )
    return UsageError(Finding("not-an-encoder", "error", message, f"for example --model {example}"))


def graph_scales(network: nn.Module, name: str) -> tuple[FeatureScale, ...]:
    """Return the last features of a torchvision classifier at each scale, from fine to coarse.

    Features are a map ``(B, C, H, W)`` whose height and width double when the picture's do, and
    that no later step bypasses.

    Args:
        network: the classifier, in evaluation mode on the device ``meta``.
        name: its name, for the error.

    Raises:
        UsageError: the network has fewer than three scales (vision transformers; Swin, whose
            channels come last; MaxViT, which accepts one size only).
    """
    by_level: dict[int, FeatureScale] = {}
    try:
        graph = Tracer().trace(network)
        small, large = (shapes_of(network, graph, n, n) for n in (_SIDE, 2 * _SIDE))
    except (RuntimeError, AssertionError, ValueError, TypeError):
        graph, small, large = fx.Graph(), {}, {}  # the network accepts one size only
    for node in _bottlenecks(graph):
        shape, twice = small.get(node.name, ()), large.get(node.name, ())
        if node.op == "placeholder" or len(shape) != 4:
            continue
        if all(1.8 < b / a < 2.2 for a, b in zip(shape[2:], twice[2:], strict=True)):
            level = round(math.log2(_SIDE / shape[2]))
            by_level[level] = FeatureScale(node.name, level, shape[1])
    if len(by_level) < MIN_SCALES:
        raise not_an_encoder(name, "resnet18")
    return tuple(by_level[level] for level in sorted(by_level))


def graph_encoder(network: nn.Module, outputs: tuple[FeatureScale, ...]) -> fx.GraphModule:
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
