"""Tunings: which layers of a network train, and how a network is split into two parts.

``all`` trains every weight, ``head`` the new last layer, ``last:N`` the last N layers, ``staged``
first the head and then all. A layer is a convolution, a linear layer or an attention, together with
the normalisation after it. Layers are counted in the order in which the network uses them.

[`cut`][] splits the network before the first layer that trains. The frozen part runs once, in
evaluation mode, and all epochs use its cached features.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from headstart.errors import Finding, UsageError
from headstart.models.standardise import Standardise

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
_MATRICES = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)


class Tracer(fx.Tracer):
    """A tracer that records every module without children as one step.

    Dropout and stochastic depth then still check their training mode when the graph runs.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module is one step of the graph.

        timm's normalisations contain their activation.
        """
        childless = not any(True for _ in m.children())
        return (
            childless or isinstance(m, _NORMS) or super().is_leaf_module(m, module_qualified_name)
        )


def _own_weights(network: nn.Module, node: fx.Node) -> tuple[str, ...]:
    """Return the names of the weights that one step of the network's graph uses."""
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        return tuple(f"{node.target}.{name}" for name, _ in module.named_parameters())
    if node.op == "get_attr" and str(node.target) in dict(network.named_parameters()):
        return (str(node.target),)
    return ()


def _standardises(network: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(
        network.get_submodule(str(node.target)), Standardise
    )


def used_weights(network: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Return the names of the weights by layer, in the order in which the network uses them.

    A parameter outside the layers (a class token, a scale) belongs to the layer before it.

    >>> used_weights(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1)))
    (('0.weight', '0.bias', '1.weight', '1.bias'), ('2.weight', '2.bias'))
    """
    layers: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for node in Tracer().trace(network).nodes:
        names = tuple(n for n in _own_weights(network, node) if n not in seen)
        if not names:
            continue
        seen.update(names)
        owner = network.get_submodule(names[0].rpartition(".")[0])
        if not layers or (isinstance(owner, _MATRICES) and not _is_bias_of(names, layers[-1])):
            layers.append(names)
        else:
            layers[-1] += names
    return tuple(layers)


def _is_bias_of(names: tuple[str, ...], layer: tuple[str, ...]) -> bool:
    """Return whether all these weights belong to modules that ``layer`` already has weights of."""
    owners = {name.rpartition(".")[0] for name in layer}
    return {name.rpartition(".")[0] for name in names} <= owners


def trained_weights(network: nn.Module, tune: str) -> frozenset[str]:
    """Return the names of the weights that a tuning trains; ``staged`` counts as ``all``.

    Raises:
        UsageError: ``last:N`` asks for more layers than the network has.
    """
    layers = used_weights(network)
    if match := re.fullmatch(r"last:(\d+)", tune):
        count = int(match[1])
        if count > len(layers):
            message = f"the network has {len(layers)} layers with weights, --tune {tune} wants more"
            hint = f"last:1 to last:{len(layers)}, or all"
            raise UsageError(Finding("too-many-layers", "error", message, hint))
        layers = layers[-count:]
    elif tune == "head":
        layers = layers[-1:]
    return frozenset(name for layer in layers for name in layer)


class TrainedPart(nn.Module):
    """The part of a network that trains.

    Its input is the frozen part's output: the tensors at the cut, flattened and concatenated.
    """

    def __init__(self, graph: fx.GraphModule, shapes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.graph_module, self.shapes = graph, shapes

    def forward(self, features: Float[Tensor, "b f"]) -> Tensor:
        """Return the logits from the features."""
        parts = torch.split(features, [math.prod(shape) for shape in self.shapes], dim=1)
        inputs = (p.reshape(len(p), *s) for p, s in zip(parts, self.shapes, strict=True))
        logits: Tensor = self.graph_module(*inputs)
        return logits


class FrozenPart(nn.Module):
    """The part of a network before the layers that train.

    Its output is the tensors at the cut, flattened and concatenated.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph_module = graph

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the features of each picture."""
        return torch.cat([part.flatten(1) for part in self.graph_module(image)], dim=1)


@dataclass(frozen=True)
class SplitNetwork:
    """A network split into two parts, which share its weights.

    Attributes:
        frozen: maps pictures to features; None where everything trains.
        rest: maps features, or pictures where everything trains, to logits.
    """

    frozen: nn.Module | None
    rest: nn.Module


def cut(network: nn.Module, trained: frozenset[str], size: tuple[int, int]) -> SplitNetwork:
    """Split a network where the first of the ``trained`` weights is used.

    [`Standardise`][headstart.models.standardise.Standardise] belongs to the part that trains: its
    statistics come from the labelled pictures, and the frozen part must not depend on them.

    Args:
        network: the network; both parts share its modules, and its own ``forward`` stays usable.
            The weights that do not train no longer require gradients.
        trained: the names of the weights that train.
        size: height and width of the network's input.

    Raises:
        UsageError: a tensor at the cut is not one row of features a picture.
    """
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in trained)
    if all(weight.requires_grad for weight in network.parameters()):
        return SplitNetwork(None, network)
    graph = Tracer().trace(network)
    training: set[fx.Node] = set()
    for node in graph.nodes:
        own = trained.intersection(_own_weights(network, node))
        if own or _standardises(network, node) or training & {*node.all_input_nodes}:
            training.add(node)
    before = [n for n in graph.nodes if n not in training]
    crossing = [n for n in before if n.op != "get_attr" and training & set(n.users)]

    head = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {}
    for node in before:
        copied[node] = head.node_copy(node, copied.__getitem__)
    head.output(tuple(copied[node] for node in crossing))
    frozen = fx.GraphModule(network, head).eval()
    frozen.graph.eliminate_dead_code()
    frozen.recompile()

    tail = fx.Graph()
    copied = {node: tail.placeholder(node.name) for node in crossing}
    for node in graph.nodes:
        if node in training or (node.op == "get_attr" and training & set(node.users)):
            copied[node] = tail.node_copy(node, copied.__getitem__)
    two = torch.zeros(2, 3, *size, device=next(network.parameters()).device)
    with torch.no_grad():
        features: tuple[Any, ...] = frozen(two)
    if not all(isinstance(value, Tensor) and len(value) == len(two) for value in features):
        message = (
            "the network cannot be split there: the parts share more than each picture's features"
        )
        raise UsageError(Finding("no-cut", "error", message, "another N of last:N, head or all"))
    rest = TrainedPart(fx.GraphModule(network, tail), tuple(tuple(v.shape[1:]) for v in features))
    return SplitNetwork(FrozenPart(frozen), rest)
