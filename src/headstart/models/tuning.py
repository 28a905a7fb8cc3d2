"""Tunings: which layers of a network train, and the network cut in two where training begins.

``all`` trains every weight; ``head`` the new last layer; ``last:N`` the last N layers; ``staged``
the head first, then all. A layer is what has a matrix or kernel of weights (a convolution, a linear
layer, an attention), with the normalisation around it, counted in the order in which the network
uses them.

What does not depend on anything that trains is one part of the network, the rest another: the first
is run once, its batch-norm statistics and its dropout as when predicting, and its output serves all
epochs.
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

_MATRICES = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)


class Tracer(fx.Tracer):
    """Keeps whole what has no parts: dropout of any kind still asks whether it is training."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """What has no parts, and what torch itself keeps whole."""
        whole = not any(True for _ in m.children())
        return whole or super().is_leaf_module(m, module_qualified_name)


def _own_weights(network: nn.Module, node: fx.Node) -> tuple[str, ...]:
    """Names of the weights that a step of the network's graph uses."""
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
    """Names of the weights, layer by layer, in the order in which the network uses them.

    A parameter that is no module's own (a class token, a scale) counts to the layer before it.

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
    """Whether a function was given weights of one module one by one."""
    owners = {name.rpartition(".")[0] for name in layer}
    return {name.rpartition(".")[0] for name in names} <= owners


def trained_weights(network: nn.Module, tune: str) -> frozenset[str]:
    """Names of the weights that a tuning trains; ``staged`` as ``all``.

    Raises:
        UsageError: ``last:N`` asks for more layers than there are.
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


class Rest(nn.Module):
    """The part of a network that trains; takes what crosses the cut, flat and side by side."""

    def __init__(self, graph: fx.GraphModule, shapes: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.graph_module, self.shapes = graph, shapes

    def forward(self, features: Float[Tensor, "b f"]) -> Tensor:
        """Logits, from the output of the frozen part."""
        parts = torch.split(features, [math.prod(shape) for shape in self.shapes], dim=1)
        given = (p.reshape(len(p), *s) for p, s in zip(parts, self.shapes, strict=True))
        logits: Tensor = self.graph_module(*given)
        return logits


class Frozen(nn.Module):
    """The part of a network before the cut; gives what crosses it, flat and side by side."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph_module = graph

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The features of each picture."""
        return torch.cat([part.flatten(1) for part in self.graph_module(image)], dim=1)


@dataclass(frozen=True)
class Cut:
    """A network in two parts, which share its weights.

    Attributes:
        frozen: pictures to features; None where everything trains.
        rest: features (or pictures) to logits.
    """

    frozen: nn.Module | None
    rest: nn.Module


def cut(network: nn.Module, trained: frozenset[str], size: tuple[int, int]) -> Cut:
    """Cuts a network where the first of the ``trained`` weights is used.

    [`Standardise`][headstart.models.standardise.Standardise] goes with what trains: its statistics
    are of the labels at hand, and what lies before it does not depend on them.

    Args:
        network: in two parts afterwards that share its modules; its own ``forward`` stays. Weights
            that do not train no longer take part in a backward pass.
        trained: names of weights.
        size: height and width of the pictures that it takes.

    Raises:
        UsageError: something crosses the cut that is no feature of a picture.
    """
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in trained)
    if all(weight.requires_grad for weight in network.parameters()):
        return Cut(None, network)
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
        found: tuple[Any, ...] = frozen(two)
    if not all(isinstance(value, Tensor) and len(value) == len(two) for value in found):
        message = "the network cannot be cut there: more crosses the cut than pictures' features"
        raise UsageError(Finding("no-cut", "error", message, "another N of last:N, head or all"))
    rest = Rest(fx.GraphModule(network, tail), tuple(tuple(v.shape[1:]) for v in found))
    return Cut(Frozen(frozen), rest)
