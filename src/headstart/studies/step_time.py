"""What a long command would cost, before it is begun."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from headstart.models.classifiers import make_network, outline
from headstart.models.encoder_unet import make_segmenter
from headstart.models.tuning import SplitNetwork, cut, trained_weights
from headstart.tasks.batches_and_maps import layout, low_precision, placed
from headstart.training.config import PretextConfig, RunConfig
from headstart.training.fit import make_optimizer
from headstart.training.pretexts import PRETEXTS

_WARM_UP, _TIMED = 1, 3
_FIGURES = 1_500_000  # bytes of curves, predictions and records, about

Config = RunConfig | PretextConfig


def _network(config: Config, num_classes: int) -> nn.Module:
    if isinstance(config, PretextConfig):
        return make_segmenter(config.model, PRETEXTS[config.pretext].channels, config.width)
    if config.width is None:
        return make_network(config.model, num_classes)[0]
    return make_segmenter(config.model, num_classes, config.width)


def _parts(config: Config, num_classes: int) -> SplitNetwork:
    """What is run once of every picture, and what is trained; of ``staged`` the second stage."""
    network = placed(_network(config, num_classes), torch.device(config.device))
    if isinstance(config, PretextConfig) or config.width is not None:
        return SplitNetwork(None, network)
    return cut(network, trained_weights(network, config.tune), config.size)


def _timed(config: Config, step: Callable[[], None]) -> float:
    """Seconds of one step, over three of them after one that warms up."""
    began = 0.0
    for count in range(_WARM_UP + _TIMED):
        if count == _WARM_UP:
            if config.device == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
        step()
    if config.device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / _TIMED


def _pictures(config: Config) -> Tensor:
    device = torch.device(config.device)
    image = torch.rand(config.recipe.batch, 3, *config.size, device=device)
    return image.contiguous(memory_format=layout(device))


def seconds_per_step(config: Config, num_classes: int) -> float:
    """Of forward, backward and optimizer, timed now over three steps on made-up pictures.

    A run takes somewhat more: it also validates after each epoch.
    """
    torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    parts = _parts(config, num_classes)
    optimizer = make_optimizer(parts.rest, config.recipe)
    given = _pictures(config)
    if parts.frozen is not None:
        with torch.no_grad():
            given = parts.frozen(given)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision(device)):
            parts.rest(given).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return _timed(config, step)


def seconds_of_features(config: Config, num_classes: int, pictures: int) -> float:
    """Of running the frozen part of the network on so many pictures, if it has one; timed now."""
    torch.set_num_threads(config.threads)
    frozen = _parts(config, num_classes).frozen
    if frozen is None:
        return 0.0
    given = _pictures(config)

    @torch.no_grad()
    def step() -> None:
        frozen(given)

    return _timed(config, step) * pictures / config.recipe.batch


def bytes_of_run(config: Config, num_classes: int) -> int:
    """Weights, figures and records of a finished run, without decoded pictures; about."""
    if isinstance(config, PretextConfig) or config.width is not None:
        network = _network(config, num_classes)
    else:
        network = outline(config.model, num_classes)
    weights = sum(t.numel() for t in network.state_dict().values())
    return int(4 * weights + _FIGURES)
